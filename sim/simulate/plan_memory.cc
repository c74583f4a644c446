#include "sim/simulate/plan_memory.h"

#include <algorithm>
#include <span>
#include <utility>

namespace soapbox {

namespace {

int64_t output_elements(const Operator& op, const OpConfig& config) {
  int64_t elements = 1;
  for (size_t d = 0; d < op.output_rank; ++d) elements *= op.dims[d].size / config.degrees[d];
  return elements;
}

// A layer's weight then has two values beside the filter of each channel (builder.h).
bool folds_batch_norm(const OpGraph& graph, const Operator& op) {
  if (op.kind != OpKind::kConv2d || op.weights.empty()) return false;
  const int64_t fan_in = op.dims[op.output_rank].size * op.kernel_h * op.kernel_w;
  return graph.weight(op.weights.front().weight).shape.back() == fan_in + 2;
}

// When something is held, and how much.
struct Holding {
  SimTime from = SimTime(INT64_MAX);
  SimTime until;
  Bytes bytes;

  void take(Bytes more, SimTime start) {
    bytes += more;
    from = std::min(from, start);
  }
  void keep(SimTime end) { until = std::max(until, end); }
};

// The allocations of a run. Finds tasks by the order in which lower() makes them.
class Allocations {
 public:
  Allocations(const OpGraph& graph, const Plan& plan, const PlanBlocks& blocks,
              const Lowered& lowered, const Timeline& timeline)
      : graph_(graph), plan_(plan), blocks_(blocks), lowered_(lowered), timeline_(timeline) {}

  std::vector<Allocation> collect() && {
    find_tasks();
    for (const OpId op : graph_.ops().ids()) add_outputs(op);
    for (const EdgeId edge : graph_.edges().ids()) {
      const OpId producer = graph_.edge(edge).producer;
      if (graph_.op(producer).kind == OpKind::kInput) {
        add_samples(edge);
      } else {
        add_inputs(edge);
      }
      if (ops_[producer].backward.valid()) add_gradients(edge);
    }
    return std::move(all_);
  }

 private:
  struct OpTasks {
    TaskId forward;   // of the first piece; the others follow
    TaskId backward;  // invalid where there is none
  };
  struct EdgeTasks {
    std::vector<TaskId> forward;   // transfers, by (producer piece, consumer piece)
    std::vector<TaskId> backward;  // transfers, by (consumer piece, producer piece)
    std::vector<TaskId> sums;      // by producer piece
  };

  void find_tasks();
  void add_outputs(OpId op);
  void add_samples(EdgeId edge);
  void add_inputs(EdgeId edge);
  void add_gradients(EdgeId edge);
  std::vector<TaskId> forward_transfers(EdgeId edge) const;
  std::vector<TaskId> takers(EdgeId edge) const;

  static TaskId piece_task(TaskId first, uint32_t piece) { return TaskId(first.value() + piece); }
  SimTime start(TaskId task) const { return timeline_.start[task]; }
  SimTime end(TaskId task) const { return timeline_.end[task]; }
  SimTime last_end(OpId op, uint32_t piece) const {
    const OpTasks& tasks = ops_[op];
    return end(piece_task(tasks.backward.valid() ? tasks.backward : tasks.forward, piece));
  }
  void add(DeviceId device, bool is_activation, const Holding& holding) {
    const auto& [from, until, bytes] = holding;
    if (bytes > Bytes() && from < until) {
      all_.push_back({device, is_activation, bytes, from, until});
    }
  }

  const OpGraph& graph_;
  const Plan& plan_;
  const PlanBlocks& blocks_;
  const Lowered& lowered_;
  const Timeline& timeline_;
  IdVector<OpId, OpTasks> ops_;
  IdVector<EdgeId, EdgeTasks> edges_;
  std::vector<Allocation> all_;
};

// Adds what parameter servers receive as well: a transfer that an update waits for is a push.
void Allocations::find_tasks() {
  ops_.resize(graph_.ops().size());
  edges_.resize(graph_.edges().size());
  for (const TaskId task : lowered_.labels.ids()) {
    const TaskLabel& label = lowered_.labels[task];
    switch (label.kind) {
      case TaskKind::kForward:
        if (label.piece == 0) ops_[label.op].forward = task;
        break;
      case TaskKind::kBackward:
        if (label.piece == 0) ops_[label.op].backward = task;
        break;
      case TaskKind::kForwardTransfer:
        edges_[label.edge].forward.push_back(task);
        break;
      case TaskKind::kBackwardTransfer:
        edges_[label.edge].backward.push_back(task);
        break;
      case TaskKind::kGradientSum:
        edges_[label.edge].sums.push_back(task);
        break;
      case TaskKind::kSyncTransfer:
        for (const TaskId next : lowered_.graph.successors(task)) {
          if (lowered_.labels[next].kind != TaskKind::kUpdate) continue;
          add(label.to, false, {start(task), end(next), label.bytes});
        }
        break;
      case TaskKind::kBarrier:
      case TaskKind::kUpdate:
        break;
    }
  }
}

// The transfer of each pair of the edge's block; invalid on one device.
std::vector<TaskId> Allocations::forward_transfers(EdgeId edge) const {
  const std::vector<PiecePair>& pairs = blocks_.edges[edge].pairs;
  std::vector<uint32_t> next(plan_.ops[graph_.edge(edge).producer].task_count() + 1, 0);
  for (const PiecePair& pair : pairs) next[pair.producer_piece + 1] += pair.local ? 0 : 1;
  for (size_t i = 1; i < next.size(); ++i) next[i] += next[i - 1];
  std::vector<TaskId> transfers;
  transfers.reserve(pairs.size());
  for (const PiecePair& pair : pairs) {
    transfers.push_back(pair.local ? TaskId() : edges_[edge].forward[next[pair.producer_piece]++]);
  }
  return transfers;
}

// What takes the gradients that reach each producer piece: its sum, or the piece itself.
std::vector<TaskId> Allocations::takers(EdgeId edge) const {
  const OpId producer = graph_.edge(edge).producer;
  std::vector<TaskId> takers;
  for (uint32_t piece = 0; piece < plan_.ops[producer].task_count(); ++piece) {
    takers.push_back(piece_task(ops_[producer].backward, piece));
  }
  const std::vector<GradientSum>& sums = blocks_.edges[edge].sums;
  for (size_t i = 0; i < sums.size(); ++i) takers[sums[i].producer_piece] = edges_[edge].sums[i];
  return takers;
}

void Allocations::add_outputs(OpId op) {
  const Operator& made = graph_.op(op);
  if (made.kind == OpKind::kInput) return;
  const OpConfig& config = plan_.ops[op];
  const Bytes bytes = output_bytes(made, config) + inside_bytes(graph_, op, config);
  std::vector<Holding> outputs(config.task_count());
  for (uint32_t piece = 0; piece < outputs.size(); ++piece) {
    outputs[piece].take(bytes, start(piece_task(ops_[op].forward, piece)));
    outputs[piece].keep(last_end(op, piece));
  }
  if (!ops_[op].backward.valid()) {  // which is after all that reads the output
    for (const EdgeId edge : graph_.out_edges(op)) {
      const std::vector<TaskId> transfers = forward_transfers(edge);
      for (size_t i = 0; i < transfers.size(); ++i) {
        const PiecePair& pair = blocks_.edges[edge].pairs[i];
        outputs[pair.producer_piece].keep(
            pair.local ? last_end(graph_.edge(edge).consumer, pair.consumer_piece)
                       : end(transfers[i]));
      }
    }
  }
  for (size_t piece = 0; piece < outputs.size(); ++piece) {
    add(config.devices[piece], true, outputs[piece]);
  }
}

void Allocations::add_samples(EdgeId edge) {
  const OpId consumer = graph_.edge(edge).consumer;
  const OpConfig& config = plan_.ops[consumer];
  for (uint32_t piece = 0; piece < config.task_count(); ++piece) {
    add(config.devices[piece], true,
        {SimTime(), last_end(consumer, piece), sample_bytes(graph_, edge, config, piece)});
  }
}

void Allocations::add_inputs(EdgeId edge) {
  const OpId consumer = graph_.edge(edge).consumer;
  const std::vector<PiecePair>& pairs = blocks_.edges[edge].pairs;
  const std::vector<TaskId> transfers = forward_transfers(edge);
  for (size_t i = 0; i < pairs.size();) {
    const uint32_t piece = pairs[i].consumer_piece;
    const size_t first = i;
    Holding input;
    for (; i < pairs.size() && pairs[i].consumer_piece == piece; ++i) {
      const TaskId maker =
          pairs[i].local ? piece_task(ops_[consumer].forward, piece) : transfers[i];
      input.take(pairs[i].bytes, start(maker));
    }
    if (i - first == 1 && pairs[first].local) continue;  // read where it is
    input.keep(last_end(consumer, piece));
    add(plan_.ops[consumer].devices[piece], true, input);
  }
}

void Allocations::add_gradients(EdgeId edge) {
  const auto& [producer, consumer, input] = graph_.edge(edge);
  if (!ops_[consumer].backward.valid()) return;
  const std::vector<PiecePair>& pairs = blocks_.edges[edge].pairs;
  const std::vector<TaskId> taker = takers(edge);
  std::vector<Holding> made(plan_.ops[consumer].task_count());
  std::vector<Holding> arrived(taker.size());
  auto transfer = edges_[edge].backward.begin();
  for (const PiecePair& pair : pairs) {
    Holding& own = made[pair.consumer_piece];
    own.take(pair.bytes, start(piece_task(ops_[consumer].backward, pair.consumer_piece)));
    const TaskId takes = taker[pair.producer_piece];
    own.keep(end(pair.local ? takes : *transfer));
    if (pair.local) continue;
    arrived[pair.producer_piece].take(pair.bytes, start(*transfer++));
    arrived[pair.producer_piece].keep(end(takes));
  }
  for (size_t q = 0; q < made.size(); ++q) add(plan_.ops[consumer].devices[q], false, made[q]);
  for (size_t p = 0; p < arrived.size(); ++p) {
    add(plan_.ops[producer].devices[p], false, arrived[p]);
  }
  const Bytes bytes = output_bytes(graph_.op(producer), plan_.ops[producer]);
  for (size_t i = 0; i < edges_[edge].sums.size(); ++i) {
    const uint32_t piece = blocks_.edges[edge].sums[i].producer_piece;
    add(plan_.ops[producer].devices[piece], false,
        {start(edges_[edge].sums[i]), last_end(producer, piece), bytes});
  }
}

IdVector<DeviceId, MemoryUse> held_for_good(const Cluster& cluster, const PlanBlocks& blocks) {
  IdVector<DeviceId, MemoryUse> held(cluster.device_count());
  for (MemoryUse& use : held) use.buffers = kWorkspaces;
  for (const SyncBlock& weight : blocks.weights) {
    for (const HeldSlice& slice : weight.held) {
      held[slice.device].parameters += slice.parameters;
      held[slice.device].gradients += slice.gradients;
    }
  }
  return held;
}

// Calls visit(step) for the steps of every device, in order.
template <class Visit>
void sweep(const PlanMemory& memory, Visit visit) {
  struct Change {
    SimTime at;
    int64_t activations;
    int64_t buffers;
  };
  IdVector<DeviceId, std::vector<Change>> changes(memory.for_good.size());
  for (const Allocation& allocation : memory.allocations) {
    const int64_t bytes = allocation.bytes.count();
    const int64_t kept = allocation.is_activation ? bytes : 0;
    changes[allocation.device].push_back({allocation.from, kept, bytes - kept});
    changes[allocation.device].push_back({allocation.until, -kept, kept - bytes});
  }
  for (const DeviceId device : changes.ids()) {
    std::vector<Change>& list = changes[device];
    std::ranges::sort(list, {}, &Change::at);
    MemoryStep step{device, SimTime(), memory.for_good[device]};
    for (const Change& change : list) {
      if (change.at != step.from) visit(std::as_const(step));
      step.from = change.at;
      step.use.activations += Bytes(change.activations);
      step.use.buffers += Bytes(change.buffers);
    }
    visit(std::as_const(step));
  }
}

}  // namespace

Bytes output_bytes(const Operator& op, const OpConfig& config) {
  return Bytes(output_elements(op, config) * size_bytes(op.type));
}

Bytes inside_bytes(const OpGraph& graph, OpId id, const OpConfig& config) {
  constexpr int64_t kGatesAndCell = 5;
  const Operator& op = graph.op(id);
  const Bytes output = output_bytes(op, config);
  if (op.kind == OpKind::kLstm) return output * kGatesAndCell;
  if (op.kind == OpKind::kAttention) {  // a score for each query and state
    const size_t last = op.output_rank - 1;
    const int64_t queries = output_elements(op, config) * config.degrees[last] / op.dims[last].size;
    const int64_t states = op.dims[op.output_rank].size / config.degrees[op.output_rank];
    return Bytes(queries * states * size_bytes(op.type));
  }
  return folds_batch_norm(graph, op) ? output : Bytes();
}

Bytes sample_bytes(const OpGraph& graph, EdgeId edge, const OpConfig& reader, size_t piece) {
  const auto& [producer, consumer, input] = graph.edge(edge);
  const Operator& samples = graph.op(producer);
  const Operator& op = graph.op(consumer);
  const std::array<Range, kMaxDims> ranges = piece_of(op, reader, piece);
  int64_t elements = 1;
  for (size_t d = 0; d < samples.output_rank; ++d) {
    elements *= op.inputs[input].axes[d].apply(ranges, samples.dims[d].size).extent();
  }
  return Bytes(elements * size_bytes(samples.type));
}

PlanMemory memory_of(const OpGraph& graph, const Cluster& cluster, const Plan& plan,
                     const PlanBlocks& blocks, const Lowered& lowered, const Timeline& timeline) {
  return {held_for_good(cluster, blocks),
          Allocations(graph, plan, blocks, lowered, timeline).collect()};
}

std::vector<MemoryStep> memory_steps(const PlanMemory& memory) {
  std::vector<MemoryStep> steps;
  sweep(memory, [&](const MemoryStep& step) { steps.push_back(step); });
  return steps;
}

IdVector<DeviceId, MemoryUse> peak_memory(const PlanMemory& memory) {
  IdVector<DeviceId, MemoryUse> peaks = memory.for_good;
  sweep(memory, [&](const MemoryStep& step) {
    MemoryUse& peak = peaks[step.device];
    if (step.use.total() > peak.total()) peak = step.use;
  });
  return peaks;
}

DeviceId fullest_device(const Cluster& cluster, const IdVector<DeviceId, MemoryUse>& peaks) {
  const auto excess = [&](DeviceId device) {
    return peaks[device].total() - cluster.hardware_of(device).memory;
  };
  DeviceId fullest(0);
  for (const DeviceId device : peaks.ids()) {
    if (excess(device) > excess(fullest)) fullest = device;
  }
  return fullest;
}

std::optional<Infeasible> out_of_memory(const Cluster& cluster, Bytes reserved,
                                        const IdVector<DeviceId, MemoryUse>& peaks) {
  const DeviceId device = fullest_device(cluster, peaks);
  const MemoryUse& peak = peaks[device];
  const Bytes available = cluster.hardware_of(device).memory - reserved;
  if (peak.total() <= available) return std::nullopt;
  return Infeasible{Infeasible::Reason::kOutOfMemory, device, std::string(largest_component(peak)),
                    peak.total(), available};
}

}  // namespace soapbox
