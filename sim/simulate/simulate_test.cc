// Simulated iterations against closed forms and published volumes. Each test derives its numbers.
#include "sim/simulate/simulate.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/base/str.h"
#include "sim/engine/check_trace.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/blocks.h"

namespace soapbox {
namespace {

struct Bench {
  Bench(const char* name, int64_t batch, size_t nodes, size_t gpus)
      : model(*build_model(name, batch)),
        cluster(test_cluster(nodes, gpus)),
        costs(*Costs::make(model, cluster, {})) {}
  Problem problem() const { return {model, cluster, costs, {}}; }
  Run run(SyncMode sync) const {
    return simulate(problem(), data_parallel_plan(model.graph, cluster.device_count(), sync));
  }
  Report report(SyncMode sync) const { return std::get<Report>(run(sync).outcome); }

  Model model;
  Cluster cluster;
  Costs costs;
};

TEST(Simulate, OneDeviceRunsOneOperatorAfterAnother) {
  const Bench bench("lenet", 32, 1, 1);
  const Report report = bench.report(SyncMode::kOverlapped);
  Duration total;
  for (const Operator& op : bench.model.graph.ops()) {
    if (op.kind == OpKind::kInput) continue;
    Extents extents;
    extents.fill(1);
    for (size_t d = 0; d < op.dims.size(); ++d) extents[d] = op.dims[d].size;
    const OpCost cost = bench.costs.op_cost(op, extents, HardwareId(0));
    total += cost.forward + cost.backward();
  }
  for (const Weight& weight : bench.model.graph.weights()) {
    total += bench.costs.update(weight.gradient_size(), HardwareId(0));
  }
  EXPECT_EQ(report.iteration_time, total);
  EXPECT_EQ(report.compute_total, total);
  EXPECT_EQ(report.communication, Bytes(0));
  EXPECT_EQ(report.busy[DeviceId(0)], total);
}

// OptCNN Fig 8 (digitised) and, for NMT, FlexFlow Fig 7b (printed); GB are 2^30 bytes: data
// parallelism moves 2 N W.
TEST(Simulate, DataParallelismMovesThePublishedVolume) {
  struct Published {
    const char* model;
    size_t devices;
    double gib;
  };
  const Published rows[] = {
      {"alexnet", 2, 1.11},      {"alexnet", 4, 2.23},      {"alexnet", 8, 4.46},
      {"alexnet", 16, 8.91},     {"vgg16", 2, 2.06},        {"vgg16", 4, 4.11},
      {"vgg16", 8, 8.23},        {"vgg16", 16, 16.5},       {"inception_v3", 2, 0.35},
      {"inception_v3", 4, 0.71}, {"inception_v3", 8, 1.42}, {"inception_v3", 16, 2.84},
      {"nmt", 64, 65.8}};
  for (const Published& row : rows) {
    const size_t nodes = row.devices > 4 ? row.devices / 4 : 1;
    const Bench bench(row.model, static_cast<int64_t>(32 * row.devices), nodes,
                      row.devices / nodes);
    const Report report = bench.report(SyncMode::kParameterServer);
    const double gib = report.communication.as_double() / gibibytes(1).as_double();
    EXPECT_NEAR(gib / row.gib, 1, 0.03) << row.model << " on " << row.devices;
    const int64_t weights = bench.model.graph.parameter_count() * 4;
    const auto n = static_cast<int64_t>(row.devices);
    EXPECT_EQ(report.communication, Bytes(2 * n * weights));
    EXPECT_EQ(report.network, Bytes(2 * (n - 1) * weights));
  }
}

TEST(Simulate, ARingMovesTwoTimesNMinusOneWeights) {
  const Bench bench("lenet", 32, 2, 2);
  const int64_t weights = bench.model.graph.parameter_count() * 4;
  const Report report = bench.report(SyncMode::kOverlapped);
  // 2 (4 - 1) W, each of the four shares rounded up to whole bytes for every weight.
  EXPECT_GE(report.network.count(), 6 * weights);
  EXPECT_LE(report.network.count(), 6 * weights + 4 * 20);
  EXPECT_EQ(report.network, report.communication);
}

TEST(Simulate, SerialSynchronisationFollowsTheFormula) {
  const Bench bench("lenet", 32, 2, 2);
  // Per weight W: W (2 - 1) / 10 GB/s inside a node + W (2 - 1) / 2 GB/s between the two nodes.
  Duration expected;
  for (const Weight& weight : bench.model.graph.weights()) {
    expected += weight.size() / gb_per_s(10) + weight.size() / gb_per_s(2);
  }
  const auto run = bench.run(SyncMode::kSerial);
  EXPECT_EQ(run.lowered.serial_sync, expected);
  EXPECT_EQ(std::get<Report>(run.outcome).iteration_time,
            run.timeline.makespan - SimTime() + expected);
}

TEST(Simulate, OverlappingNeverSendsLessAndBulkWaitsForAllBackwardWork) {
  const Bench bench("alexnet", 64, 2, 2);
  const auto bulk = bench.run(SyncMode::kBulk);
  SimTime last_backward;
  SimTime first_transfer(INT64_MAX);
  for (const TaskId task : bulk.lowered.labels.ids()) {
    const TaskKind kind = bulk.lowered.labels[task].kind;
    if (kind == TaskKind::kBackward) {
      last_backward = std::max(last_backward, bulk.timeline.end[task]);
    }
    if (kind == TaskKind::kSyncTransfer) {
      first_transfer = std::min(first_transfer, bulk.timeline.start[task]);
    }
  }
  EXPECT_GE(first_transfer, last_backward);
  const auto overlapped = bench.run(SyncMode::kOverlapped);
  EXPECT_LT(overlapped.timeline.makespan, bulk.timeline.makespan);
  EXPECT_EQ(overlapped.lowered.network, bulk.lowered.network);
}

// Bytes that must cross devices on one edge, counted element by element.
TEST(Simulate, TransfersEqualABruteForceOverEveryElement) {
  const Model model = *build_model("lenet", 4);
  const Cluster cluster = test_cluster(1, 3);
  const Costs costs = *Costs::make(model, cluster, {});
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng rng(seed);
    const Plan plan = random_plan(model.graph, 3, SyncMode::kOverlapped, rng);
    for (const EdgeId id : model.graph.edges().ids()) {
      const Edge& edge = model.graph.edge(id);
      const Operator& producer = model.graph.op(edge.producer);
      const Operator& consumer = model.graph.op(edge.consumer);
      if (producer.kind == OpKind::kInput) continue;
      const EdgeBlock block = make_edge_block(model.graph, id, plan.ops[edge.producer],
                                              plan.ops[edge.consumer], cluster, costs);
      std::map<std::pair<uint32_t, uint32_t>, int64_t> expected;
      for (uint32_t p = 0; p < plan.ops[edge.producer].task_count(); ++p) {
        const auto owned = piece_of(producer, plan.ops[edge.producer], p);
        for (uint32_t q = 0; q < plan.ops[edge.consumer].task_count(); ++q) {
          const auto piece = piece_of(consumer, plan.ops[edge.consumer], q);
          int64_t volume = 1;
          for (size_t axis = 0; axis < producer.output_rank; ++axis) {
            const Range read =
                consumer.inputs[edge.input].axes[axis].apply(piece, producer.dims[axis].size);
            int64_t common = 0;
            for (int64_t i = owned[axis].lo; i < owned[axis].hi; ++i) {
              common += i >= read.lo && i < read.hi ? 1 : 0;
            }
            volume *= common;
          }
          if (volume > 0) expected[{q, p}] = volume * size_bytes(producer.type);
        }
      }
      ASSERT_EQ(block.pairs.size(), expected.size());
      size_t i = 0;
      for (const auto& [key, bytes] : expected) {
        EXPECT_EQ(block.pairs[i].consumer_piece, key.first);
        EXPECT_EQ(block.pairs[i].producer_piece, key.second);
        EXPECT_EQ(block.pairs[i].bytes, Bytes(bytes));
        ++i;
      }
    }
  }
}

// A convolution split by height reads rows of its neighbours: the halo goes over the link.
TEST(Simulate, AHeightSplitMovesHalosOnly) {
  const Model model = *build_model("alexnet", 8);
  const Cluster cluster = test_cluster(1, 2);
  const Costs costs = *Costs::make(model, cluster, {});
  int convolutions = 0;
  for (const EdgeId id : model.graph.edges().ids()) {
    const Edge& edge = model.graph.edge(id);
    const Operator& consumer = model.graph.op(edge.consumer);
    const Operator& producer = model.graph.op(edge.producer);
    // A 3x3 convolution with stride 1 and padding 1 over an even number of rows.
    if (consumer.kind != OpKind::kConv2d || consumer.kernel_h != 3) continue;
    if (producer.dims[2].size % 2 != 0) continue;
    OpConfig split;
    split.degrees[2] = 2;
    split.devices = {DeviceId(0), DeviceId(1)};
    const EdgeBlock block = make_edge_block(model.graph, id, split, split, cluster, costs);
    int64_t moved = 0;
    for (const PiecePair& pair : block.pairs) moved += pair.local ? 0 : pair.bytes.count();
    // One row of all samples, channels and columns in each direction.
    const int64_t row = producer.dims[0].size * producer.dims[1].size * producer.dims[3].size * 4;
    EXPECT_EQ(moved, 2 * row) << consumer.name;
    EXPECT_EQ(block.sums.size(), 2u) << "the halo rows' gradients are added to the owner's";
    ++convolutions;
  }
  EXPECT_GE(convolutions, 2);
}

TEST(Simulate, EveryRunPassesTheIndependentChecker) {
  const Model model = *build_model("lenet", 24);
  const Cluster cluster = test_cluster(2, 3, 0.5);
  const Costs costs = *Costs::make(model, cluster, {});
  for (uint64_t seed = 0; seed < 12; ++seed) {
    Rng rng(seed);
    const auto sync = static_cast<SyncMode>(seed % 4);
    const Plan plan = random_plan(model.graph, 6, sync, rng);
    ASSERT_TRUE(check_plan(model.graph, cluster, plan));
    const auto run = simulate({model, cluster, costs, {}}, plan);
    const Status status = check_trace(run.lowered.graph, run.timeline);
    EXPECT_TRUE(status) << "seed " << seed << ": " << status.error().message;
    const Report& report = std::get<Report>(run.outcome);
    Duration busy;
    for (const Duration d : report.busy) busy += d;
    EXPECT_EQ(busy, report.compute_total);
    EXPECT_EQ(report.tasks, run.lowered.labels.size());
  }
}

// Two cores of one memory: every copy is a task of the core that sends, for the link's latency
// (1 us) and its bytes at 10 GB/s, so a core is busy for its kernels and its copies.
TEST(Simulate, ACopyByItsSenderIsTheSendersTime) {
  const Model model = *build_model("lenet", 32);
  const Cluster cluster = test_cluster(1, 2, 1, true);
  const Costs costs = *Costs::make(model, cluster, {});
  const auto run = simulate({model, cluster, costs, {}}, data_parallel_plan(model.graph, 2));
  Duration copies;
  for (const TaskId task : run.lowered.labels.ids()) {
    const TaskLabel& label = run.lowered.labels[task];
    if (label.kind != TaskKind::kSyncTransfer) continue;
    EXPECT_EQ(run.lowered.graph.resource(task), compute_resource(label.from));
    EXPECT_EQ(run.lowered.graph.duration(task), microseconds(1) + label.bytes / gb_per_s(10));
    copies += run.lowered.graph.duration(task);
  }
  const Report& report = std::get<Report>(run.outcome);
  EXPECT_GT(copies, microseconds(10));  // LeNet has ten weights
  EXPECT_EQ(report.busy[DeviceId(0)] + report.busy[DeviceId(1)], report.compute_total + copies);
  EXPECT_TRUE(check_trace(run.lowered.graph, run.timeline));
}

TEST(Simulate, AStragglerDelaysTheIteration) {
  const Model model = *build_model("lenet", 24);
  const Cluster even = test_cluster(1, 2);
  const Cluster uneven = test_cluster(1, 2, 0.5);
  const Costs costs = *Costs::make(model, even, {});
  const Plan plan = data_parallel_plan(model.graph, 2, SyncMode::kOverlapped);
  const Report fast = std::get<Report>(simulate({model, even, costs, {}}, plan).outcome);
  const Report slow = std::get<Report>(simulate({model, uneven, costs, {}}, plan).outcome);
  EXPECT_GT(slow.iteration_time, fast.iteration_time);
  // Half the speed, to half a picosecond a task.
  const int64_t error_ps =
      slow.busy[DeviceId(0)].picoseconds() - 2 * fast.busy[DeviceId(0)].picoseconds();
  EXPECT_LE(std::abs(error_ps), static_cast<int64_t>(fast.tasks));
}

}  // namespace
}  // namespace soapbox
