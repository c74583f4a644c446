// The same plan on two devices of one module, and on a device with a memory of its own beside one
// without: what differs is who copies, and how. The second device is a core that says it is a GPU.
#include "calib/runs/mixed_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "calib/backend/cores.h"
#include "calib/backend/test_device.h"
#include "sim/cost/cost.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"

namespace soapbox::calib {
namespace {

using Kind = StreamWork::Kind;

// Kernels of another module, counted by kind; copies between memories are copies of as many bytes.
class CountingModule : public KernelModule {
 public:
  CountingModule(KernelModule& real, bool own_memory, int64_t number = 0)
      : real_(real), own_memory_(own_memory), device_(number) {}
  std::string library() const override { return real_.library(); }
  KernelDevice* device() override { return own_memory_ ? &device_ : nullptr; }
  void enter_thread() override { real_.enter_thread(); }
  Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op, const Extents& extents,
                                                  Phase phase) override {
    ++pieces;
    return real_.prepare(op, extents, phase);
  }
  Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) override {
    bytes[work.kind] += work.bytes.count();
    const bool moves = work.kind == Kind::kToDevice || work.kind == Kind::kFromDevice ||
                       work.kind == Kind::kToPeer;
    if (work.kind == Kind::kToPeer) peers.insert(work.peer);
    return real_.prepare(moves ? StreamWork{Kind::kCopy, work.bytes, 1} : work);
  }
  size_t pieces = 0;
  std::map<Kind, int64_t> bytes;
  std::set<int64_t> peers;

 private:
  KernelModule& real_;
  bool own_memory_;
  NoDevice device_;
};

class Mixed : public testing::Test {
 protected:
  void SetUp() override {
    const Result<KernelModule*> module = open_kernel_module("cpu", SOAPBOX_BINARY_DIR);
    if (!module) GTEST_SKIP() << module.error().message;
    real_ = *module;
    if (usable_cores().size() < 2) GTEST_SKIP() << "one core";
  }
  // All bytes that leave a device.
  int64_t transferred(DeviceId from) const {
    int64_t bytes = 0;
    for (const TaskLabel& label : lowered_.labels) {
      const bool moves = label.kind == TaskKind::kForwardTransfer ||
                         label.kind == TaskKind::kBackwardTransfer ||
                         label.kind == TaskKind::kSyncTransfer;
      if (moves && label.from == from) bytes += label.bytes.count();
    }
    return bytes;
  }
  void expect_a_real_run(CountingModule& first, CountingModule& second) {
    DeviceModules modules;
    modules.push_back(&first);
    modules.push_back(&second);
    const auto prepared = MixedRun::prepare(model_, cluster_, plan_, lowered_, modules, {});
    ASSERT_TRUE(prepared) << prepared.error().message;
    const Result<GraphRun> run = (*prepared)->run();
    ASSERT_TRUE(run) << run.error().message;
    for (const TaskId task : lowered_.labels.ids()) {
      EXPECT_LE(run->start_ns[task], run->end_ns[task]);
      EXPECT_LE(run->end_ns[task], run->makespan_ns);
      for (const TaskId next : lowered_.graph.successors(task)) {
        EXPECT_LE(run->end_ns[task], run->start_ns[next]);
      }
    }
  }

  KernelModule* real_ = nullptr;
  const Model model_ = *build_model("lenet", 8);
  const Cluster cluster_ = test_cluster(1, 2);
  const Plan plan_ = [this] {  // every other operator on the second device, the last in halves
    Plan plan = data_parallel_plan(model_.graph, 2);
    for (const OpId op : model_.graph.ops().ids()) {
      if (op.index() + 1 == model_.graph.ops().size()) continue;
      plan.ops[op].degrees[0] = 1;
      plan.ops[op].devices = {DeviceId(static_cast<uint32_t>(op.index() % 2))};
    }
    return plan;
  }();
  const Costs costs_ = *Costs::make(model_, cluster_, {});
  const Lowered lowered_ = lower(model_, cluster_, costs_, plan_);
};

TEST_F(Mixed, CoresCopyAndAGpuIsCopiedToAndFrom) {
  CountingModule core(*real_, false);
  CountingModule other_core(*real_, false);
  expect_a_real_run(core, other_core);
  CountingModule gpu(*real_, true);
  CountingModule host(*real_, false);
  expect_a_real_run(gpu, host);

  const int64_t there = transferred(DeviceId(0));
  const int64_t back = transferred(DeviceId(1));
  EXPECT_GT(there, 0);
  EXPECT_GT(back, 0);
  EXPECT_EQ(core.bytes[Kind::kCopy], there);
  EXPECT_EQ(other_core.bytes[Kind::kCopy], back);
  EXPECT_EQ(gpu.bytes[Kind::kFromDevice], there);  // all by the GPU's module
  EXPECT_EQ(gpu.bytes[Kind::kToDevice], back);
  EXPECT_EQ(gpu.bytes[Kind::kCopy] + host.bytes[Kind::kCopy], 0);
  // The rest is the same.
  EXPECT_EQ(gpu.pieces, core.pieces);
  EXPECT_EQ(host.pieces, other_core.pieces);
  EXPECT_EQ(gpu.bytes[Kind::kUpdate], core.bytes[Kind::kUpdate]);
  EXPECT_EQ(host.bytes[Kind::kUpdate], other_core.bytes[Kind::kUpdate]);
  EXPECT_GT(host.pieces, 5U);
}

TEST_F(Mixed, GpusCopyToEachOther) {
  CountingModule first(*real_, true, 0);
  CountingModule second(*real_, true, 1);
  expect_a_real_run(first, second);
  EXPECT_EQ(first.bytes[Kind::kToPeer], transferred(DeviceId(0)));
  EXPECT_EQ(second.bytes[Kind::kToPeer], transferred(DeviceId(1)));
  EXPECT_EQ(first.peers, std::set<int64_t>{1});
  EXPECT_EQ(second.peers, std::set<int64_t>{0});
  for (CountingModule* const module : {&first, &second}) {
    for (const Kind kind : {Kind::kCopy, Kind::kToDevice, Kind::kFromDevice}) {
      EXPECT_EQ(module->bytes[kind], 0);
    }
  }
}

TEST_F(Mixed, MoreDevicesThanCoresAreRefused) {
  const size_t count = usable_cores().size() + 1;
  CountingModule core(*real_, false);
  const Cluster many = test_cluster(1, count);
  const auto prepared =
      MixedRun::prepare(model_, many, plan_, lowered_, DeviceModules(count, &core), {});
  ASSERT_FALSE(prepared);
  EXPECT_THAT(prepared.error().message, testing::HasSubstr("cores to be them"));
}

}  // namespace
}  // namespace soapbox::calib
