// Memory of plans against closed forms and against an oracle that looks at every pair of pieces and
// every moment.
#include "sim/simulate/plan_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/str.h"
#include "sim/model/builder.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/random_model.h"
#include "sim/simulate/simulate.h"

namespace soapbox {
namespace {

struct Bench {
  Bench(Model made, size_t nodes, size_t gpus)
      : model(std::move(made)),
        cluster(test_cluster(nodes, gpus)),
        costs(*Costs::make(model, cluster, {})) {}
  Run run(const Plan& plan, NetworkModel network = NetworkModel::kFifo) const {
    return simulate({model, cluster, costs, {.network = network}}, plan, MemoryCheck::kRegardless);
  }
  Run data_parallel(SyncMode sync = SyncMode::kOverlapped) const {
    return run(data_parallel_plan(model.graph, cluster.device_count(), sync));
  }

  Model model;
  Cluster cluster;
  Costs costs;
};

// Features of 10 through layers of 20 and 30 channels to a loss.
Model chain(int64_t batch) {
  ModelBuilder net("chain", batch);
  const OpId features = net.features("features", 10);
  net.softmax("loss", net.dense("second", net.dense("first", features, 20), 30));
  return *net.build();
}
constexpr int64_t kChainParameters = 20 * 11 + 30 * 21;

// In floats per sample, after the forward pass samples 10, outputs 20, 30 and 30. The loss's
// backward makes a gradient of 30 beside them: 120. The second layer's has lost the loss's output
// and makes a gradient of 20 beside the one it takes: 110. The first layer's: 10 + 20 + 20.
TEST(PlanMemory, OfAChainOnOneDeviceIsMostInTheLossesBackward) {
  const Bench bench(chain(16), 1, 1);
  const auto run = bench.data_parallel();
  const MemoryUse expected{Bytes(4 * kChainParameters), Bytes(4 * kChainParameters), Bytes(),
                           Bytes(16 * 4 * 90), Bytes(16 * 4 * 30) + kWorkspaces};
  EXPECT_EQ(run.peaks[DeviceId(0)], expected);
  std::vector<int64_t> floats;  // per sample, that come and go
  for (const MemoryStep& step : memory_steps(run.memory)) {
    const Bytes held = step.use.total() - run.memory.for_good[DeviceId(0)].total();
    floats.push_back(held.count() / (16 * 4));
  }
  EXPECT_EQ(floats, (std::vector<int64_t>{30, 60, 90, 120, 110, 50, 0}));
}

// The second layer on another device: it receives 20, and returns a gradient of 20. The first
// device is left with samples, its output and the gradient that arrives.
TEST(PlanMemory, HoldsWhatArrivesWhereItIsNeeded) {
  const Bench bench(chain(16), 1, 2);
  Plan plan = data_parallel_plan(bench.model.graph, 1);
  for (const uint32_t op : {2, 3}) plan.ops[OpId(op)].devices = {DeviceId(1)};
  const auto run = bench.run(plan);
  const MemoryUse first{Bytes(4 * 220), Bytes(4 * 220), Bytes(), Bytes(16 * 4 * 30),
                        Bytes(16 * 4 * 20) + kWorkspaces};
  const MemoryUse second{Bytes(4 * 630), Bytes(4 * 630), Bytes(), Bytes(16 * 4 * 80),
                         Bytes(16 * 4 * 30) + kWorkspaces};
  EXPECT_EQ(run.peaks[DeviceId(0)], first);
  EXPECT_EQ(run.peaks[DeviceId(1)], second);
}

// Each of four devices has a quarter of the second layer's 30 x 21 parameters if it is split by
// channel, all of them if it is split by sample, and all of the first layer's.
TEST(PlanMemory, SplittingAWeightDividesIt) {
  const Bench bench(chain(16), 1, 2);
  Plan plan = data_parallel_plan(bench.model.graph, 2);
  const auto whole = bench.run(plan);
  plan.ops[OpId(2)].degrees = {1, 2, 1, 1, 1, 1};
  const auto split = bench.run(plan);
  for (const DeviceId device : bench.cluster.devices().ids()) {
    EXPECT_EQ(whole.memory.for_good[device].parameters, Bytes(4 * (220 + 630)));
    EXPECT_EQ(split.memory.for_good[device].parameters, Bytes(4 * (220 + 315)));
    EXPECT_EQ(split.memory.for_good[device].gradients, Bytes(4 * (220 + 315)));
  }
}

// Unrolled steps share a weight: it is held once.
TEST(PlanMemory, HoldsASharedWeightOnce) {
  const Bench bench(*build_model("rnnlm", 64), 1, 1);
  EXPECT_EQ(bench.data_parallel().memory.for_good[DeviceId(0)].parameters,
            Bytes(4 * bench.model.graph.parameter_count()));
}

// A table of 100,000 rows of which a batch of 8 looks up 16.
TEST(PlanMemory, OfASparseGradientIsItsRows) {
  ModelBuilder net("table", 8);
  const OpId ids = net.tokens("ids", 2);
  net.softmax("loss", net.dense("top", net.embedding_bag("table", ids, 100'000, 4), 5));
  const Bench bench(*net.build(), 1, 1);
  const MemoryUse use = bench.data_parallel().memory.for_good[DeviceId(0)];
  EXPECT_EQ(use.parameters, Bytes(4 * (100'000 * 4 + 25)));
  EXPECT_EQ(use.gradients, Bytes(4 * (16 * 4 + 25)));
}

// A server takes the gradients of the three others; the weights of this model fit four servers.
TEST(PlanMemory, OfAParameterServerHasAGradientOfEachReplica) {
  const Bench bench(chain(16), 1, 4);
  const auto run = bench.data_parallel(SyncMode::kParameterServer);
  std::map<DeviceId, Bytes> received;
  for (const Allocation& allocation : run.memory.allocations) {
    if (allocation.from < run.timeline.makespan && !allocation.is_activation &&
        (allocation.bytes == Bytes(4 * 220) || allocation.bytes == Bytes(4 * 630))) {
      received[allocation.device] += allocation.bytes;
    }
  }
  EXPECT_EQ(received, (std::map<DeviceId, Bytes>{{DeviceId(0), Bytes(3 * 4 * 220)},
                                                 {DeviceId(1), Bytes(3 * 4 * 630)}}));
}

// What is kept inside, per output value: an LSTM's four gates and its cell; the input of a batch
// normalisation; a score for every state in place of every channel.
TEST(PlanMemory, CountsWhatOperatorsKeepInside) {
  ModelBuilder net("inside", 2);
  const OpId images = net.images("images", 3, 8);
  const OpId plain = net.conv("plain", images, 4, square(3), PerChannel::kBias);
  const OpId normed = net.conv("normed", plain, 4, square(3), PerChannel::kBatchNorm);
  net.softmax("loss", net.dense("top", normed, 5));
  const Model convolutions = *net.build();
  const OpConfig whole{{1, 1, 1, 1, 1, 1}, {DeviceId(0)}};
  EXPECT_EQ(inside_bytes(convolutions.graph, plain, whole), Bytes(0));
  EXPECT_EQ(inside_bytes(convolutions.graph, normed, whole), Bytes(4 * 2 * 4 * 4 * 4));

  const Model nmt = *build_model("nmt", 2);
  for (const OpId id : nmt.graph.ops().ids()) {
    const Operator& op = nmt.graph.op(id);
    const int64_t outputs = op.output_elements();
    if (op.kind == OpKind::kLstm) {
      EXPECT_EQ(inside_bytes(nmt.graph, id, whole), Bytes(4 * 5 * outputs));
    }
    if (op.kind == OpKind::kAttention) {
      EXPECT_EQ(inside_bytes(nmt.graph, id, whole),
                Bytes(4 * outputs / op.dims[2].size * op.dims[3].size));
    }
  }
}

TEST(PlanMemory, RefusesThePlanOfTheDeviceThatExceedsItsMemoryMost) {
  const Bench bench(chain(16), 1, 2);
  IdVector<DeviceId, MemoryUse> peaks(2);
  peaks[DeviceId(0)].activations = gibibytes(10);
  peaks[DeviceId(1)] = {gibibytes(7), gibibytes(6), Bytes(), Bytes(), Bytes()};
  EXPECT_FALSE(out_of_memory(bench.cluster, gibibytes(3), peaks));  // of 16
  const auto reason = out_of_memory(bench.cluster, gibibytes(3) + Bytes(1), peaks);
  ASSERT_TRUE(reason);
  EXPECT_EQ(reason->device, DeviceId(1));
  EXPECT_EQ(reason->component, "parameters");
  EXPECT_EQ(reason->needed, gibibytes(13));
  EXPECT_EQ(reason->available, gibibytes(13) - Bytes(1));
}

// Every rule of plan_memory.h once more: pieces are paired by intersecting their rectangles, tasks
// found by the edges of the task graph, and for every moment all that is held is added up.
class Oracle {
 public:
  Oracle(const Bench& bench, const Plan& plan, const Run& run)
      : graph_(bench.model.graph), plan_(plan), run_(run), task_graph_(run.lowered.graph) {
    for (const TaskId task : run.lowered.labels.ids()) {
      for (const TaskId next : task_graph_.successors(task)) before_[next].push_back(task);
      const TaskLabel& label = run.lowered.labels[task];
      if (label.kind == TaskKind::kForward) forward_[{label.op, label.piece}] = task;
      if (label.kind == TaskKind::kBackward) backward_[{label.op, label.piece}] = task;
    }
  }

  Bytes peak(DeviceId device) {
    std::vector<SimTime> moments =
        run_.timeline.start.size() > 0
            ? std::vector<SimTime>(run_.timeline.start.begin(), run_.timeline.start.end())
            : std::vector<SimTime>{};
    moments.emplace_back();
    Bytes most;
    for (const SimTime now : moments) most = std::max(most, held(device, now));
    return most;
  }

 private:
  using Piece = std::pair<OpId, uint32_t>;

  SimTime start(TaskId task) const { return run_.timeline.start[task]; }
  SimTime end(TaskId task) const { return run_.timeline.end[task]; }
  TaskId last(Piece piece) const {
    const auto found = backward_.find(piece);
    return found != backward_.end() ? found->second : forward_.at(piece);
  }
  // Bytes of `p`'s output that `q` reads through the edge.
  Bytes overlap(EdgeId edge, uint32_t p, uint32_t q) const {
    const Edge& e = graph_.edge(edge);
    const Operator& producer = graph_.op(e.producer);
    const Operator& consumer = graph_.op(e.consumer);
    const auto made = piece_of(producer, plan_.ops[e.producer], p);
    const auto reader = piece_of(consumer, plan_.ops[e.consumer], q);
    int64_t volume = 1;
    for (size_t d = 0; d < producer.output_rank; ++d) {
      const Range read = consumer.inputs[e.input].axes[d].apply(reader, producer.dims[d].size);
      volume *= Range{std::max(read.lo, made[d].lo), std::min(read.hi, made[d].hi)}.extent();
    }
    return Bytes(volume * size_bytes(producer.type));
  }
  // The transfer between two tasks.
  TaskId between(TaskId from, TaskId to, EdgeId edge) const {
    for (const TaskId task : task_graph_.successors(from)) {
      if (run_.lowered.labels[task].edge != edge || !run_.lowered.labels[task].to.valid()) continue;
      if (run_.lowered.labels[task].kind == TaskKind::kGradientSum) continue;
      const auto next = task_graph_.successors(task);
      if (std::ranges::find(next, to) != next.end()) return task;
    }
    ADD_FAILURE() << "no transfer";
    return {};
  }
  TaskId taker(EdgeId edge, uint32_t p) const {
    const TaskId own = backward_.at({graph_.edge(edge).producer, p});
    for (const TaskId task : before_.at(own)) {
      const TaskLabel& label = run_.lowered.labels[task];
      if (label.kind == TaskKind::kGradientSum && label.edge == edge) return task;
    }
    return own;
  }

  struct Pair {
    uint32_t p;
    uint32_t q;
    Bytes bytes;
    bool local;
  };
  std::vector<Pair> pairs(EdgeId edge) const {
    const Edge& e = graph_.edge(edge);
    std::vector<Pair> all;
    for (uint32_t q = 0; q < plan_.ops[e.consumer].task_count(); ++q) {
      for (uint32_t p = 0; p < plan_.ops[e.producer].task_count(); ++p) {
        const Bytes bytes = overlap(edge, p, q);
        if (bytes == Bytes()) continue;
        all.push_back(
            {p, q, bytes, plan_.ops[e.producer].devices[p] == plan_.ops[e.consumer].devices[q]});
      }
    }
    return all;
  }

  Bytes held(DeviceId device, SimTime now) {
    Bytes sum = run_.memory.for_good[device].total();
    const auto add = [&](DeviceId where, Bytes bytes, SimTime from, SimTime until) {
      if (where == device && from <= now && now < until) sum += bytes;
    };
    for (const auto& [piece, task] : forward_) {
      const auto& [op, index] = piece;
      SimTime until = end(last(piece));
      for (const EdgeId edge : graph_.out_edges(op)) {
        for (const Pair& pair : pairs(edge)) {
          if (pair.p != index) continue;
          const Piece reader{graph_.edge(edge).consumer, pair.q};
          until = std::max(until, pair.local ? end(last(reader))
                                             : end(between(task, forward_.at(reader), edge)));
        }
      }
      const OpConfig& config = plan_.ops[op];
      const Bytes bytes = output_bytes(graph_.op(op), config) + inside_bytes(graph_, op, config);
      add(config.devices[index], bytes, start(task), until);
    }
    for (const EdgeId edge : graph_.edges().ids()) add_edge(edge, add);
    for (const TaskId task : run_.lowered.labels.ids()) {
      const TaskLabel& label = run_.lowered.labels[task];
      if (label.kind != TaskKind::kSyncTransfer) continue;
      for (const TaskId next : task_graph_.successors(task)) {
        if (run_.lowered.labels[next].kind == TaskKind::kUpdate) {
          add(label.to, label.bytes, start(task), end(next));
        }
      }
    }
    return sum;
  }

  template <class Add>
  void add_edge(EdgeId edge, const Add& add) {
    const Edge& e = graph_.edge(edge);
    const std::vector<Pair> all = pairs(edge);
    const bool is_samples = graph_.op(e.producer).kind == OpKind::kInput;
    for (uint32_t q = 0; q < plan_.ops[e.consumer].task_count(); ++q) {
      const Piece reader{e.consumer, q};
      const DeviceId here = plan_.ops[e.consumer].devices[q];
      Bytes bytes;
      size_t sources = 0;
      bool in_place = true;
      SimTime first = SimTime(INT64_MAX);
      SimTime gradient_until;
      for (const Pair& pair : all) {
        if (pair.q != q) continue;
        bytes += pair.bytes;
        in_place &= pair.local && ++sources == 1;
        if (is_samples) continue;
        const Piece maker{e.producer, pair.p};
        first = std::min(
            first, start(pair.local ? forward_.at(reader)
                                    : between(forward_.at(maker), forward_.at(reader), edge)));
        if (!backward_.contains(maker)) continue;
        const TaskId takes = taker(edge, pair.p);
        gradient_until = std::max(
            gradient_until, end(pair.local ? takes : between(backward_.at(reader), takes, edge)));
      }
      if (is_samples) {
        // The producer's own split says nothing: samples are loaded where they are read.
        const auto piece = piece_of(graph_.op(e.consumer), plan_.ops[e.consumer], q);
        int64_t volume = 1;
        const Operator& samples = graph_.op(e.producer);
        for (size_t d = 0; d < samples.output_rank; ++d) {
          volume *= graph_.op(e.consumer)
                        .inputs[e.input]
                        .axes[d]
                        .apply(piece, samples.dims[d].size)
                        .extent();
        }
        add(here, Bytes(volume * size_bytes(samples.type)), SimTime(), end(last(reader)));
        continue;
      }
      if (!in_place) add(here, bytes, first, end(last(reader)));
      if (gradient_until > SimTime()) {
        add(here, bytes, start(backward_.at(reader)), gradient_until);
      }
    }
    if (is_samples) return;
    for (uint32_t p = 0; p < plan_.ops[e.producer].task_count(); ++p) {
      if (!backward_.contains({e.producer, p})) continue;
      const DeviceId here = plan_.ops[e.producer].devices[p];
      const TaskId takes = taker(edge, p);
      Bytes bytes;
      SimTime first = SimTime(INT64_MAX);
      for (const Pair& pair : all) {
        if (pair.p != p || pair.local) continue;
        bytes += pair.bytes;
        first = std::min(first, start(between(backward_.at({e.consumer, pair.q}), takes, edge)));
      }
      add(here, bytes, first, end(takes));
      if (run_.lowered.labels[takes].kind == TaskKind::kGradientSum) {
        add(here, output_bytes(graph_.op(e.producer), plan_.ops[e.producer]), start(takes),
            end(backward_.at({e.producer, p})));
      }
    }
  }

  const OpGraph& graph_;
  const Plan& plan_;
  const Run& run_;
  const TaskGraph& task_graph_;
  std::map<Piece, TaskId> forward_;
  std::map<Piece, TaskId> backward_;
  std::map<TaskId, std::vector<TaskId>> before_;
};

TEST(PlanMemory, EqualsWhatIsAddedUpMomentByMoment) {
  for (uint64_t seed = 0; seed < 24; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const auto sync = static_cast<SyncMode>(seed % 4);
    Model model = seed % 6 == 5 ? *build_model("lenet", 24) : random_model(rng);
    const Bench bench(std::move(model), 1 + seed % 2, 2);
    const size_t devices = bench.cluster.device_count();
    const Plan plan = random_plan(bench.model.graph, devices, sync, rng);
    const auto network = seed % 3 == 0 ? NetworkModel::kFair : NetworkModel::kFifo;
    const auto run = bench.run(plan, network);
    Oracle oracle(bench, plan, run);
    for (const DeviceId device : bench.cluster.devices().ids()) {
      EXPECT_EQ(run.peaks[device].total(), oracle.peak(device)) << device.value();
    }
  }
}

// On random plans: all that came has gone in the end; the peak is one of the steps; more samples
// need more of everything that comes and goes, and of nothing else.
TEST(PlanMemory, GrowsWithTheBatchAndIsFreedInTheEnd) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Bench few(*build_model("lenet", 24), 2, 2);
    const Bench many(*build_model("lenet", 48), 2, 2);
    const Plan plan = random_plan(few.model.graph, 4, static_cast<SyncMode>(seed % 4), rng);
    const auto run = few.run(plan);
    const auto more = many.run(plan);
    IdVector<DeviceId, Bytes> most(4);
    IdVector<DeviceId, Bytes> last(4);
    for (const MemoryStep& step : memory_steps(run.memory)) {
      most[step.device] = std::max(most[step.device], step.use.total());
      last[step.device] = step.use.total();
    }
    for (const DeviceId device : few.cluster.devices().ids()) {
      EXPECT_EQ(last[device], run.memory.for_good[device].total());
      EXPECT_EQ(most[device], run.peaks[device].total());
      EXPECT_EQ(run.memory.for_good[device], more.memory.for_good[device]);
      EXPECT_LE(run.peaks[device].total(), more.peaks[device].total());
    }
  }
}

}  // namespace
}  // namespace soapbox
