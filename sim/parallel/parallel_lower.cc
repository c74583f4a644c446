#include "sim/parallel/parallel_lower.h"

#include <algorithm>
#include <array>

#include "sim/base/check.h"
#include "sim/simulate/blocks.h"

namespace soapbox {
namespace {

// One task after the other, in an order in which every task comes after those that it waits for.
class Lowering {
 public:
  Lowering(const StageCosts& costs, const PassOrder& order, bool fold)
      : costs_(costs), plan_(costs.plan), order_(order), shape_(costs.pipeline()) {
    out_.stages = plan_.pipeline_parallel;
    out_.folded = fold;
    out_.ranks_per_stage = fold ? 1 : costs.layout(0).rank_count();
    const auto ranks = static_cast<size_t>(out_.stages * out_.ranks_per_stage);
    out_.graph = TaskGraph(ranks * ParallelLowered::kResourcesPerRank);
    last_.resize(ranks);
    out_.pass_ends.resize(static_cast<size_t>(out_.stages));
    reduced_.resize(ranks);
    prefetch_.resize(ranks);
    const auto layers = costs.work.size();
    gathered_.resize(layers);
    const size_t messages =
        static_cast<size_t>(plan_.stage_count()) * static_cast<size_t>(plan_.microbatches);
    arrived_forward_.resize(messages);
    arrived_backward_.resize(messages);
  }

  ParallelLowered run() {
    if (gathers_at_start()) gather_at_start();
    const std::optional<std::vector<int32_t>> execution = order_.execution(shape_);
    SOAPBOX_CHECK(execution.has_value(), "an order that can be run");
    std::vector<size_t> next(static_cast<size_t>(out_.stages));
    for (const int32_t stage : *execution) {
      run_pass(stage,
               order_.stages[static_cast<size_t>(stage)][next[static_cast<size_t>(stage)]++]);
    }
    for (int32_t stage = 0; stage < out_.stages; ++stage) finish_stage(stage);
    out_.graph.finish();
    return std::move(out_);
  }

 private:
  enum Resource : uint32_t { kCompute, kExchange, kData, kSendForward, kSendBackward };

  // --- ranks and tasks ---

  int32_t rank_count() const { return out_.ranks_per_stage; }
  size_t index(int32_t stage, int32_t rank) const {
    return static_cast<size_t>(stage * rank_count() + rank);
  }
  ResourceId resource(int32_t stage, int32_t rank, Resource kind) const {
    return ResourceId(out_.compute_of(stage, rank).value() + kind);
  }
  const Device& device(int32_t stage, int32_t rank) const {
    const int32_t per_stage = costs_.layout(0).rank_count();
    return costs_.problem.cluster.device(DeviceId(static_cast<uint32_t>(stage * per_stage + rank)));
  }
  int32_t leader(size_t layer, RankGroup group, int32_t rank) const {
    return out_.folded ? 0 : costs_.layout(layer).leader(group, rank);
  }
  int32_t replica_leader(size_t layer, int32_t rank) const {
    return out_.folded ? 0 : costs_.layout(layer).replica_leader(rank);
  }

  TaskId add(const ParallelTask& task, Resource kind, Duration duration) {
    const TaskId id = out_.graph.add_task(resource(task.stage, task.rank, kind), duration);
    out_.tasks.push_back(task);
    return id;
  }
  void after(TaskId earlier, TaskId later) {
    if (earlier.valid()) out_.graph.add_edge(earlier, later);
  }

  // --- passes ---

  void run_pass(int32_t stage, const Pass& pass) {
    const int32_t position = shape_.position(stage, pass.chunk);
    const size_t first = costs_.first_layer(position);
    const size_t last = costs_.last_layer(position);
    receive(stage, position, pass);
    ParallelTask task;
    task.kind = pass.kind == PassKind::kForward    ? ParallelTaskKind::kForward
                : pass.kind == PassKind::kBackward ? ParallelTaskKind::kBackward
                                                   : ParallelTaskKind::kWeight;
    task.stage = stage;
    task.microbatch = pass.microbatch;
    const bool forward = pass.kind == PassKind::kForward;
    for (size_t i = 0; i < last - first; ++i) {
      const size_t layer = forward ? first + i : last - 1 - i;
      task.layer = static_cast<int32_t>(layer);
      run_layer(task, pass, layer);
    }
    out_.pass_ends[static_cast<size_t>(stage)].push_back(last_[index(stage, 0)].task);
    send(stage, position, pass);
  }

  const PassCost& pass_cost(const LayerCost& cost, PassKind kind) const {
    return kind == PassKind::kForward    ? cost.forward
           : kind == PassKind::kBackward ? cost.backward
                                         : cost.weight;
  }

  void run_layer(const ParallelTask& task, const Pass& pass, size_t layer) {
    const bool sharded = plan_.strategy(layer).zero_stage == 3;
    if (sharded && pass.kind != PassKind::kWeight) gather_ahead(task, layer);
    if (!sharded && pass.kind == PassKind::kForward && pass.microbatch == 0) {
      wait_for_gathered(task.stage, layer);
    }
    const Reshard& reshard = costs_.reshard[layer];
    if (pass.kind == PassKind::kForward) exchange(task, layer, RankGroup::kTensor, reshard.forward);
    run_segments(task, pass.kind, layer);
    if (pass.kind == PassKind::kBackward) {
      exchange(task, layer > 0 ? layer - 1 : layer, RankGroup::kTensor, reshard.backward);
    }
    const bool gradients_done =
        pass.kind == (splits_backward(plan_.schedule) ? PassKind::kWeight : PassKind::kBackward);
    if (!gradients_done) return;
    const bool last_microbatch = pass.microbatch + 1 == plan_.microbatches;
    if (sharded || (last_microbatch && plan_.overlap_gradients)) {
      reduce(task.stage, task.microbatch, layer);
    }
  }

  // Kernels take longer while data traffic runs beside them. Sharded parameters travel with every
  // pass. What travels once runs beside whatever the device does then, not beside the passes of
  // one micro-batch, which follow each other through the pipeline: each pass gets its share.
  Duration slowdown(const ParallelTask& task, size_t layer, const PassCost& cost) const {
    const double factor = costs_.problem.factors.overlap;
    if (factor == 0) return {};
    const DataCost& data = costs_.layer(HardwareId(0), layer).data;
    const bool sharded = plan_.strategy(layer).zero_stage == 3;
    const bool backward = task.kind == ParallelTaskKind::kBackward;
    Duration traffic;
    if (sharded || (task.kind == ParallelTaskKind::kForward && gathers_at_start())) {
      traffic += data.gather;
    }
    if (backward && (sharded || plan_.overlap_gradients)) traffic += data.reduce;
    const auto passes = static_cast<double>(sharded ? 1 : plan_.microbatches);
    return from_seconds(std::min(cost.compute().seconds(), traffic.seconds() / passes) * factor);
  }

  // Kernels of a segment on a device of another kind than the reference. Where other exchanges hide
  // behind its kernels it has other segments, and its work is divided as the reference's is.
  static Duration segment_compute(const PassCost& own, const PassCost& reference, size_t segment) {
    if (own.segments.size() == reference.segments.size()) return own.segments[segment].compute;
    const Duration all = reference.compute();
    if (all == Duration()) return segment == 0 ? own.compute() : Duration();
    return scaled(own.compute(), reference.segments[segment].compute.seconds() / all.seconds());
  }

  void run_segments(const ParallelTask& task, PassKind kind, size_t layer) {
    const LayerCost& reference = costs_.layer(HardwareId(0), layer);
    const PassCost& cost = pass_cost(reference, kind);
    Duration extra = slowdown(task, layer, cost);
    for (size_t s = 0; s < cost.segments.size(); ++s) {
      for (int32_t rank = 0; rank < rank_count(); ++rank) {
        const Device& where = device(task.stage, rank);
        const PassCost& own = pass_cost(costs_.layer(where.hardware, layer), kind);
        const Duration kernels = segment_compute(own, cost, s) + extra;
        if (kernels == Duration()) continue;
        compute(task, rank, slowed(kernels, where));
      }
      extra = Duration();
      exchange(task, layer, cost.segments[s].group, cost.segments[s].exchange);
    }
  }

  void compute(ParallelTask task, int32_t rank, Duration duration) {
    task.rank = rank;
    const TaskId id = add(task, kCompute, duration);
    Last& last = last_[index(task.stage, rank)];
    after(last.task, id);
    for (const TaskId other : last.others) after(other, id);
    last.others.clear();
    last.task = id;
  }

  // One task for each group of ranks, which all wait for it.
  void exchange(ParallelTask task, size_t layer, RankGroup group, Duration duration) {
    if (duration == Duration()) return;
    const ParallelTaskKind kind = task.kind;
    task.kind = ParallelTaskKind::kExchange;
    group_task_.assign(static_cast<size_t>(rank_count()), TaskId());
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      task.rank = leader(layer, group, rank);
      TaskId& id = group_task_[static_cast<size_t>(task.rank)];
      if (!id.valid()) id = add(task, kExchange, duration);
      Last& last = last_[index(task.stage, rank)];
      after(last.task, id);
      for (const TaskId other : last.others) after(other, id);
      last.others.clear();
      last.task = id;
    }
    task.kind = kind;
  }

  // --- between stages ---

  size_t message(int32_t position, int32_t microbatch) const {
    return static_cast<size_t>(position) * static_cast<size_t>(plan_.microbatches) +
           static_cast<size_t>(microbatch);
  }

  // `others` is what the rank's next task waits for besides its previous one.
  void wait_for(int32_t stage, const std::vector<TaskId>& tasks) {
    for (size_t rank = 0; rank < tasks.size(); ++rank) {
      if (tasks[rank].valid()) {
        last_[index(stage, static_cast<int32_t>(rank))].others.push_back(tasks[rank]);
      }
    }
  }

  void receive(int32_t stage, int32_t position, const Pass& pass) {
    if (pass.kind == PassKind::kForward && position > 0) {
      wait_for(stage, arrived_forward_[message(position - 1, pass.microbatch)]);
    }
    if (pass.kind == PassKind::kBackward && position + 1 < plan_.stage_count()) {
      wait_for(stage, arrived_backward_[message(position + 1, pass.microbatch)]);
    }
  }

  void send(int32_t stage, int32_t position, const Pass& pass) {
    const bool forward = pass.kind == PassKind::kForward;
    const int32_t to = forward ? position + 1 : position - 1;
    if (pass.kind == PassKind::kWeight || to < 0 || to == plan_.stage_count()) return;
    std::vector<TaskId>& sent =
        (forward ? arrived_forward_ : arrived_backward_)[message(position, pass.microbatch)];
    const Duration duration = costs_.send[static_cast<size_t>(forward ? position : position - 1)];
    ParallelTask task;
    task.kind = ParallelTaskKind::kSend;
    task.stage = stage;
    task.microbatch = pass.microbatch;
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      task.rank = rank;
      const TaskId done = last_[index(stage, rank)].task;
      if (duration == Duration()) {
        sent.push_back(done);
        continue;
      }
      const TaskId id = add(task, forward ? kSendForward : kSendBackward, duration);
      after(done, id);
      sent.push_back(id);
      if (!plan_.overlap_sends) last_[index(stage, rank)].task = id;
    }
  }

  // --- parameters and gradients ---

  bool has_gathers(size_t layer) const {
    const int32_t zero = plan_.strategy(layer).zero_stage;
    return zero == 1 || zero == 2;
  }
  bool gathers_at_start() const { return plan_.overlap_parameters; }

  std::vector<TaskId> data_task(int32_t stage, int32_t microbatch, size_t layer,
                                ParallelTaskKind kind, Duration duration,
                                const std::vector<std::vector<TaskId>>& before) {
    std::vector<TaskId> tasks(static_cast<size_t>(rank_count()));
    if (duration == Duration()) return tasks;
    group_task_.assign(static_cast<size_t>(rank_count()), TaskId());
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      const int32_t first = replica_leader(layer, rank);
      TaskId& id = group_task_[static_cast<size_t>(first)];
      if (!id.valid()) {
        id = add({kind, stage, first, static_cast<int32_t>(layer), microbatch}, kData, duration);
      }
      for (const TaskId earlier : before[static_cast<size_t>(rank)]) after(earlier, id);
      tasks[static_cast<size_t>(rank)] = id;
    }
    return tasks;
  }

  std::vector<std::vector<TaskId>> nothing_before() const {
    return std::vector<std::vector<TaskId>>(static_cast<size_t>(rank_count()));
  }
  std::vector<std::vector<TaskId>> last_of(int32_t stage) const {
    std::vector<std::vector<TaskId>> before = nothing_before();
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      const TaskId task = last_[index(stage, rank)].task;
      if (task.valid()) before[static_cast<size_t>(rank)].push_back(task);
    }
    return before;
  }

  Duration gather_time(size_t layer) const {
    return costs_.layer(HardwareId(0), layer).data.gather;
  }

  void gather_at_start() {
    for (int32_t position = 0; position < plan_.stage_count(); ++position) {
      for (size_t l = costs_.first_layer(position); l < costs_.last_layer(position); ++l) {
        if (!has_gathers(l)) continue;
        gathered_[l] = data_task(shape_.stage_of(position), -1, l, ParallelTaskKind::kGather,
                                 gather_time(l), nothing_before());
      }
    }
  }

  void wait_for_gathered(int32_t stage, size_t layer) { wait_for(stage, gathered_[layer]); }

  // Sharded parameters: gathered while the layer before runs, and not earlier.
  void gather_ahead(const ParallelTask& task, size_t layer) {
    auto before = nothing_before();
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      Prefetch& prefetch = prefetch_[index(task.stage, rank)];
      if (prefetch.before_last.valid()) {
        before[static_cast<size_t>(rank)].push_back(prefetch.before_last);
      }
      prefetch.before_last = prefetch.last;
      prefetch.last = last_[index(task.stage, rank)].task;
    }
    if (!plan_.overlap_parameters) before = last_of(task.stage);
    wait_for(task.stage, data_task(task.stage, task.microbatch, layer, ParallelTaskKind::kGather,
                                   gather_time(layer), before));
  }

  void reduce(int32_t stage, int32_t microbatch, size_t layer) {
    const std::vector<TaskId> tasks =
        data_task(stage, microbatch, layer, ParallelTaskKind::kReduce,
                  costs_.layer(HardwareId(0), layer).data.reduce, last_of(stage));
    for (size_t rank = 0; rank < tasks.size(); ++rank) {
      if (tasks[rank].valid()) {
        reduced_[index(stage, static_cast<int32_t>(rank))].push_back(tasks[rank]);
      }
    }
  }

  // What is left when the passes are done: gradients, the update, parameters.
  void finish_stage(int32_t stage) {
    std::vector<size_t> layers;
    for (int32_t chunk = 0; chunk < plan_.chunks_per_stage; ++chunk) {
      const int32_t position = shape_.position(stage, chunk);
      for (size_t l = costs_.first_layer(position); l < costs_.last_layer(position); ++l) {
        layers.push_back(l);
      }
    }
    if (!plan_.overlap_gradients) {
      for (const size_t l : layers) {
        if (plan_.strategy(l).zero_stage < 3) reduce(stage, -1, l);
      }
    }
    sum_tied_embeddings(stage);
    update(stage);
    if (plan_.overlap_parameters) return;
    for (const size_t l : layers) {
      if (!has_gathers(l)) continue;
      data_task(stage, -1, l, ParallelTaskKind::kGather, gather_time(l), last_of(stage));
    }
  }

  // The first and the last stage hold the same table. The last one finishes first, so each waits
  // for its own traffic alone.
  void sum_tied_embeddings(int32_t stage) {
    if (costs_.tied_embeddings == Duration()) return;
    if (stage != 0 && stage != out_.stages - 1) return;
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      const size_t i = index(stage, rank);
      const TaskId id =
          add({ParallelTaskKind::kReduce, stage, rank, 0, -1}, kData, costs_.tied_embeddings);
      after(last_[i].task, id);
      for (const TaskId reduced : reduced_[i]) after(reduced, id);
      reduced_[i].push_back(id);
    }
  }

  void update(int32_t stage) {
    for (int32_t rank = 0; rank < rank_count(); ++rank) {
      const size_t i = index(stage, rank);
      const Duration duration = costs_.optimizer[static_cast<size_t>(stage)];
      const TaskId id = add({ParallelTaskKind::kOptimizer, stage, rank, -1, -1}, kCompute,
                            slowed(duration, device(stage, rank)));
      after(last_[i].task, id);
      for (const TaskId reduced : reduced_[i]) after(reduced, id);
      last_[i].task = id;
    }
  }

  struct Last {
    TaskId task;                 // the rank's latest kernels or exchange
    std::vector<TaskId> others;  // what its next ones wait for besides
  };
  struct Prefetch {
    TaskId last;
    TaskId before_last;  // the end of the layer before the previous one
  };

  const StageCosts& costs_;
  const ParallelPlan& plan_;
  const PassOrder& order_;
  PipelineShape shape_;
  ParallelLowered out_;
  std::vector<Last> last_;  // by stage and rank
  std::vector<Prefetch> prefetch_;
  std::vector<std::vector<TaskId>> reduced_;          // gradients under way
  std::vector<std::vector<TaskId>> gathered_;         // by layer: per rank
  std::vector<std::vector<TaskId>> arrived_forward_;  // by position and micro-batch: per rank
  std::vector<std::vector<TaskId>> arrived_backward_;
  std::vector<TaskId> group_task_;  // by leader, of the exchange that is being added
};

}  // namespace

std::string to_string(ParallelTaskKind kind) {
  switch (kind) {
    case ParallelTaskKind::kForward:
      return "forward";
    case ParallelTaskKind::kBackward:
      return "backward";
    case ParallelTaskKind::kWeight:
      return "weight";
    case ParallelTaskKind::kExchange:
      return "exchange";
    case ParallelTaskKind::kSend:
      return "send";
    case ParallelTaskKind::kGather:
      return "gather";
    case ParallelTaskKind::kReduce:
      return "reduce";
    case ParallelTaskKind::kOptimizer:
      return "optimizer";
  }
  return "?";
}

bool can_fold(const Cluster& cluster) {
  for (const Device& device : cluster.devices()) {
    const Device& first = cluster.device(DeviceId(0));
    if (device.hardware != first.hardware || device.speed_factor != first.speed_factor) {
      return false;
    }
  }
  return true;
}

ParallelLowered lower_parallel(const StageCosts& costs, const PassOrder& order, bool fold) {
  return Lowering(costs, order, fold).run();
}

}  // namespace soapbox
