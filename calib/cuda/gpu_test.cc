// On a GPU: what kernels compute against the host's arithmetic, and the two timers against each
// other. Skipped, with CUDA's reason, where there is none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "calib/backend/node_topology.h"
#include "calib/cuda/collectives.h"
#include "calib/cuda/convolution.h"
#include "calib/cuda/device.h"
#include "calib/cuda/operators.h"
#include "calib/cuda/product.h"
#include "calib/probes/probe.h"
#include "calib/sampling/measure.h"

namespace soapbox::calib::cuda {
namespace {

class OnGpu : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    try {
      gpu_ = std::make_unique<Gpu>();
      trace_ = std::make_unique<Trace>();
      device_ = std::make_unique<Device>(*gpu_, *trace_);
    } catch (const Failure& failure) {
      why_ = failure.what();
    }
  }
  static void TearDownTestSuite() {
    device_.reset();
    trace_.reset();
    gpu_.reset();
  }
  void SetUp() override {
    if (device_ == nullptr) GTEST_SKIP() << why_;
  }
  static int64_t gpus() {
    int count = 0;
    check(cudaGetDeviceCount(&count));
    return count;
  }
  static std::vector<float> read(const Buffer& buffer, int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    gpu_->wait();
    check(cudaMemcpy(values.data(), buffer.data(), values.size() * sizeof(float),
                     cudaMemcpyDeviceToHost));
    return values;
  }
  static std::unique_ptr<Gpu> gpu_;
  static std::unique_ptr<Trace> trace_;
  static std::unique_ptr<Device> device_;
  static std::string why_;
};
std::unique_ptr<Gpu> OnGpu::gpu_;
std::unique_ptr<Trace> OnGpu::trace_;
std::unique_ptr<Device> OnGpu::device_;
std::string OnGpu::why_;

// |a - b| as a share of |b|, both as vectors.
double distance(const std::vector<float>& a, const std::vector<double>& b) {
  double apart = 0;
  double size = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    apart += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(apart / size);
}

TEST_F(OnGpu, ProductsOfEveryLayoutAreRight) {
  constexpr int64_t kBatch = 2;
  constexpr int64_t kM = 33;
  constexpr int64_t kN = 20;
  constexpr int64_t kK = 47;
  for (const Layout layout : {Layout::kTn, Layout::kNn, Layout::kNt}) {
    Launches kernel(*gpu_);
    add_product(kernel, {.batch = kBatch, .m = kM, .n = kN, .k = kK, .layout = layout});
    kernel.run();
    const auto a = read(kernel.buffers()[0], kBatch * kM * kK);
    const auto b = read(kernel.buffers()[1], kBatch * kK * kN);
    const auto c = read(kernel.buffers()[2], kBatch * kM * kN);
    std::vector<double> expected;
    for (int64_t i = 0; i < kBatch; ++i) {
      for (int64_t row = 0; row < kM; ++row) {
        for (int64_t column = 0; column < kN; ++column) {
          double sum = 0;
          for (int64_t k = 0; k < kK; ++k) {
            const int64_t at_a = layout == Layout::kNt ? k * kM + row : row * kK + k;
            const int64_t at_b = layout == Layout::kTn ? column * kK + k : k * kN + column;
            sum += double{a[static_cast<size_t>(i * kM * kK + at_a)]} *
                   double{b[static_cast<size_t>(i * kK * kN + at_b)]};
          }
          expected.push_back(sum);
        }
      }
    }
    EXPECT_LT(distance(c, expected), 1e-5) << static_cast<int>(layout);
  }
}

TEST_F(OnGpu, AConvolutionIsRight) {
  Operator op;
  op.kind = OpKind::kConv2d;
  op.kernel_h = op.kernel_w = 3;
  op.output_rank = 4;
  op.inputs.push_back({OpId(0),
                       {AxisMap::follow(0), AxisMap::whole(), AxisMap::window(2, 2, 3, 0),
                        AxisMap::window(3, 2, 3, 0)}});
  const Extents extents = {2, 3, 4, 5, 6, 1};  // samples, channels, height, width, input channels
  Launches kernel(*gpu_);
  add_convolution(kernel, op, extents, Phase::kForward);
  kernel.run();
  constexpr int64_t kHeight = 9;
  constexpr int64_t kWidth = 11;
  const auto x = read(kernel.buffers()[0], 2 * 6 * kHeight * kWidth);
  const auto y = read(kernel.buffers()[1], 2 * 3 * 4 * 5);
  const auto w = read(kernel.buffers()[2], 3 * 6 * 9);
  std::vector<double> expected;
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t h = 0; h < 4; ++h) {
        for (int64_t v = 0; v < 5; ++v) {
          double sum = 0;
          for (int64_t i = 0; i < 6 * 9; ++i) {
            const int64_t channel = i / 9;
            const int64_t row = 2 * h + i % 9 / 3;
            const int64_t column = 2 * v + i % 3;
            sum +=
                double{
                    x[static_cast<size_t>(((n * 6 + channel) * kHeight + row) * kWidth + column)]} *
                double{w[static_cast<size_t>(c * 54 + i)]};
          }
          expected.push_back(sum);
        }
      }
    }
  }
  EXPECT_LT(distance(y, expected), 1e-4);
}

Piece piece_of(OpKind kind, std::vector<int64_t> extents, Phase phase) {
  Piece piece;
  piece.kind = kind;
  piece.extents = std::move(extents);
  piece.phase = phase;
  return piece;
}

// Rows of 100 and of 256 take the narrow and the wide accesses.
TEST_F(OnGpu, SoftmaxRowsAreRight) {
  for (const int64_t length : {100, 256}) {
    constexpr int64_t kRows = 7;
    const Piece piece = piece_of(OpKind::kSoftmax, {kRows, length}, Phase::kForward);
    Launches kernel(*gpu_);
    add_operator(kernel, operator_of(piece), extents_of(piece), piece.phase);
    kernel.run();
    const auto x = read(kernel.buffers()[0], kRows * length);
    const auto y = read(kernel.buffers()[1], kRows * length);
    std::vector<double> expected;
    for (int64_t row = 0; row < kRows; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) {
        sum += std::exp(double{x[static_cast<size_t>(row * length + i)]});
      }
      for (int64_t i = 0; i < length; ++i) {
        expected.push_back(std::exp(double{x[static_cast<size_t>(row * length + i)]}) / sum);
      }
    }
    EXPECT_LT(distance(y, expected), 1e-5) << length;
  }
}

TEST_F(OnGpu, NormalisedRowsHaveTheirMeanAndScale) {
  constexpr int64_t kRows = 5;
  constexpr int64_t kLength = 384;
  Piece piece = piece_of(OpKind::kElementwise, {kRows, kLength}, Phase::kForward);
  piece.weighted = true;
  Launches kernel(*gpu_);
  add_operator(kernel, operator_of(piece), extents_of(piece), piece.phase);
  kernel.run();
  const auto x = read(kernel.buffers()[0], kRows * kLength);
  const auto scale = read(kernel.buffers()[2], kLength);
  const auto y = read(kernel.buffers()[3], kRows * kLength);
  std::vector<double> expected;
  for (int64_t row = 0; row < kRows; ++row) {
    const float* values = x.data() + row * kLength;
    double mean = 0;
    double variance = 0;
    for (int64_t i = 0; i < kLength; ++i) mean += double{values[i]} / kLength;
    for (int64_t i = 0; i < kLength; ++i) {
      variance += (values[i] - mean) * (values[i] - mean) / kLength;
    }
    for (int64_t i = 0; i < kLength; ++i) {
      expected.push_back((values[i] - mean) / std::sqrt(variance + 1e-5) *
                         double{scale[static_cast<size_t>(i)]});
    }
  }
  EXPECT_LT(distance(y, expected), 1e-4);
}

// Every kind of point of every probe can be made and run, in every type that it names.
TEST_F(OnGpu, EveryKindOfPointRuns) {
  std::set<std::string> seen;
  for (const ProbePoint& point : probe_points({.quick = true, .gpu = true}, 3)) {
    std::string what = point.probe;
    if (const auto* piece = std::get_if<Piece>(&point.what)) {
      what += to_string(piece->kind) + to_string(piece->phase) + to_string(piece->type);
    } else {
      what += std::to_string(static_cast<int>(std::get<Stream>(point.what).kind));
    }
    if (!seen.insert(what).second) continue;
    Launches kernel(*gpu_);
    ASSERT_NO_THROW({
      if (const auto* piece = std::get_if<Piece>(&point.what)) {
        add_operator(kernel, operator_of(*piece), extents_of(*piece), piece->phase);
      } else {
        const Stream& stream = std::get<Stream>(point.what);
        add_stream(kernel, {stream.kind, Bytes(stream.bytes), stream.inputs});
      }
      kernel.run();
    }) << what;
  }
  EXPECT_GT(seen.size(), 40U);
}

// A large product is bound by the device, so the tracing of single kernels and the replay of many,
// which nobody traces, must agree.
TEST_F(OnGpu, TheTwoTimersAgree) {
  Launches kernel(*gpu_);
  add_product(kernel, {.m = 4096, .n = 4096, .k = 4096, .type = DataType::kBf16});
  TimedRuns runs;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(device_->time(kernel, 10, runs));
  const Result<double> replay_s = device_->replay_seconds(kernel);
  ASSERT_TRUE(replay_s) << replay_s.error().message;
  EXPECT_EQ(runs.cold_s.size(), 50U);
  EXPECT_NEAR(*replay_s / median(runs.hot_s), 1, 0.1);
  EXPECT_GT(*replay_s, 2.0 * 4096 * 4096 * 4096 / 5e15);  // no GPU of these years is as fast
}

// The host does not wait for what it launches: a long product costs it no more than a second one
// of the same routine that is a thousand times shorter, and both some microseconds.
TEST_F(OnGpu, LaunchesCostTheHostTheSameWhateverTheDeviceDoes) {
  Launches long_one(*gpu_);
  add_product(long_one, {.m = 8192, .n = 8192, .k = 8192, .type = DataType::kBf16});
  Launches short_one(*gpu_);
  add_product(short_one, {.m = 512, .n = 512, .k = 512, .type = DataType::kBf16});
  const Result<std::vector<double>> times =
      device_->launch_seconds(std::vector<PreparedKernel*>{&long_one, &short_one});
  ASSERT_TRUE(times) << times.error().message;
  ASSERT_EQ(times->size(), 2U);
  for (const double seconds : *times) {
    EXPECT_GT(seconds, 5e-7);
    EXPECT_LT(seconds, 1e-4);
  }
}

TEST_F(OnGpu, ARunOfTasksHasTheirTimesInOrder) {
  Launches long_one(*gpu_);
  add_product(long_one, {.m = 2048, .n = 2048, .k = 2048});
  Launches short_one(*gpu_);
  add_stream(short_one, {StreamWork::Kind::kUpdate, Bytes(1 << 20), 2});
  const std::vector<DeviceTask> tasks = {{&long_one}, {}, {&short_one, &short_one}, {&long_one}};
  for (const LaunchMode mode : {LaunchMode::kStream, LaunchMode::kGraph}) {
    const auto loaded = device_->load(tasks, mode);
    ASSERT_TRUE(loaded) << loaded.error().message;
    ASSERT_TRUE((*loaded)->run());  // as often as one likes
    const Result<DeviceRun> run = (*loaded)->run();
    ASSERT_TRUE(run) << run.error().message;
    ASSERT_EQ(run->start_ns.size(), tasks.size());
    int64_t before = 0;
    for (size_t i = 0; i < tasks.size(); ++i) {
      EXPECT_GE(run->start_ns[i], before);
      EXPECT_GE(run->end_ns[i], run->start_ns[i]);
      before = run->end_ns[i];
    }
    EXPECT_NEAR(static_cast<double>(run->end_ns.back()), static_cast<double>(run->makespan_ns), 2);
    EXPECT_GT(run->end_ns[0] - run->start_ns[0], 5 * (run->end_ns[2] - run->start_ns[2]));
  }
}

TEST_F(OnGpu, BetweenTwoKernelsPassesMoreWhereTheHostLaunchesThem) {
  const Result<DispatchTimes> dispatch = device_->dispatch_times();
  ASSERT_TRUE(dispatch) << dispatch.error().message;
  EXPECT_GT(dispatch->launched_s, dispatch->replayed_s);
  EXPECT_LT(dispatch->launched_s, 2e-5);
}

// Every collective ends, and an all_reduce adds up: of one rank its own numbers, of two the sums.
TEST_F(OnGpu, CollectivesOfOneAndOfAllGpusAreRight) {
  constexpr int64_t kElements = 5000;
  const Bytes bytes(kElements * static_cast<int64_t>(sizeof(float)));
  for (const int64_t ranks : {int64_t{1}, gpus()}) {
    std::unique_ptr<Collectives> group;
    try {
      group = std::make_unique<Collectives>(ranks, bytes, *trace_);
    } catch (const Failure& failure) {
      GTEST_SKIP() << failure.what();
    }
    for (const CollectiveOp op :
         {CollectiveOp::kReduceScatter, CollectiveOp::kAllGather, CollectiveOp::kBroadcast,
          CollectiveOp::kAllToAll, CollectiveOp::kSendRecv, CollectiveOp::kAllReduce}) {
      const Result<double> seconds = group->run(op, bytes, 3);
      ASSERT_TRUE(seconds) << seconds.error().message;
      EXPECT_GT(*seconds, 0);
    }
    std::vector<double> sums(kElements, 0);
    std::vector<float> values(kElements);
    const auto read_back = [&](const float* data) {
      check(cudaMemcpy(values.data(), data, kElements * sizeof(float), cudaMemcpyDefault));
    };
    for (const Rank& rank : group->ranks()) {
      read_back(rank.send);
      for (size_t i = 0; i < values.size(); ++i) sums[i] += double{values[i]};
    }
    for (const Rank& rank : group->ranks()) {
      read_back(rank.receive);
      EXPECT_LT(distance(values, sums), 1e-5) << ranks;
    }
    EXPECT_FALSE(group->run(CollectiveOp::kAllReduce, bytes + bytes, 1));
  }
  EXPECT_THROW(Collectives(gpus() + 1, bytes, *trace_), Failure);
}

// One way its bytes arrive, by CUPTI's records of them; both ways take less than two one after the
// other where links are duplex, and never much more.
TEST_F(OnGpu, CopiesToAnotherGpuArrive) {
  if (gpus() < 2) GTEST_SKIP() << "one GPU";
  constexpr int64_t kFloats = 1 << 24;
  const Bytes bytes(kFloats * static_cast<int64_t>(sizeof(float)));
  Launches copy(*gpu_);
  add_stream(copy, {StreamWork::Kind::kToPeer, bytes, 1, 1});
  copy.run();
  EXPECT_EQ(read(copy.buffers()[0], kFloats), read(copy.buffers()[1], kFloats));
  TimedRuns there;
  const Status timed = device_->time(copy, 5, there);
  ASSERT_TRUE(timed) << timed.error().message;
  EXPECT_EQ(there.cold_s.size(), 5U);
  EXPECT_LT(bytes.as_double() / median(there.cold_s), 2e12);  // no link of these years is as fast
  Launches both(*gpu_);
  add_stream(both, {StreamWork::Kind::kBothWaysPeer, bytes, 1, 1});
  TimedRuns both_ways;
  ASSERT_TRUE(device_->time(both, 5, both_ways));
  EXPECT_LT(median(both_ways.cold_s), 2.5 * median(there.cold_s));
}

TEST_F(OnGpu, AnotherGpuComputesTheSame) {
  if (gpus() < 2) GTEST_SKIP() << "one GPU";
  std::vector<std::vector<float>> results;
  const Gpu other(1);
  for (const Gpu* const gpu : std::vector<const Gpu*>{gpu_.get(), &other}) {
    gpu->use();
    Launches kernel(*gpu);
    add_product(kernel, {.m = 64, .n = 64, .k = 64});
    gpu->wait();
    gpu_->use();  // a kernel finds its GPU by itself
    kernel.run();
    results.push_back(read(kernel.buffers()[2], 64 * 64));
  }
  gpu_->use();
  EXPECT_LT(distance(results[0], {results[1].begin(), results[1].end()}), 1e-6);
}

TEST_F(OnGpu, TheSystemShowsHowEveryGpuIsJoined) {
  const std::vector<std::string> addresses = device_->description().pci_addresses;
  ASSERT_EQ(std::ssize(addresses), gpus());
  const Result<NodeTopology> node = read_node_topology(
      addresses, {"", [](const std::string&) { return std::vector<NvlinkEnd>(); }});
  if (!node) GTEST_SKIP() << node.error().message;  // a sandbox without /sys
  EXPECT_EQ(node->relations.size(), addresses.size());
  for (const std::string& address : addresses) {
    EXPECT_NE(node->nccl_xml.find(address), std::string::npos) << address;
  }
}

TEST_F(OnGpu, MoreMemoryThanThereIsIsAnError) {
  Launches kernel(*gpu_);
  EXPECT_THROW(add_stream(kernel, {StreamWork::Kind::kCopy, Bytes(int64_t{1} << 50), 1}), Failure);
  cudaGetLastError();
}

}  // namespace
}  // namespace soapbox::calib::cuda
