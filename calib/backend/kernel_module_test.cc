#include "calib/backend/kernel_module.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "sim/model/models.h"

namespace soapbox::calib {
namespace {

using testing::HasSubstr;

TEST(KernelModule, AMissingModuleSaysWhereItComesFrom) {
  const Result<KernelModule*> cuda = open_kernel_module("cuda", "/nowhere");
  ASSERT_FALSE(cuda);
  EXPECT_EQ(cuda.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(cuda.error().message,
            "the backend 'cuda' needs the module '/nowhere/libsoapbox_cuda.so', which is not there:"
            " it is built by 'cmake --preset cuda', which needs CUDA 13 and cuDNN");
  EXPECT_THAT(open_kernel_module("cpu", "/nowhere").error().message, HasSubstr("libdnnl-dev"));
}

class CpuModule : public testing::Test {
 protected:
  void SetUp() override {
    const Result<KernelModule*> module = open_kernel_module("cpu", SOAPBOX_BINARY_DIR);
    if (!module) GTEST_SKIP() << module.error().message;
    module_ = *module;
    module_->enter_thread();
  }
  KernelModule* module_ = nullptr;
};

// Every phase with work of every operator of models that have all kinds of them.
TEST_F(CpuModule, EveryKindOfOperatorRuns) {
  EXPECT_THAT(module_->library(), HasSubstr("oneDNN "));
  size_t kernels = 0;
  for (const char* const name : {"lenet", "nmt", "rnntc"}) {
    const Result<Model> model = build_model(name, 2);
    ASSERT_TRUE(model);
    std::set<OpKind> seen;
    for (const Operator& op : model->graph.ops()) {
      if (!seen.insert(op.kind).second) continue;
      Extents extents = {1, 1, 1, 1, 1, 1};
      for (size_t dim = 0; dim < op.dims.size(); ++dim) {
        // Small, but with whole windows and gates.
        extents[dim] = std::min<int64_t>(op.dims[dim].size, dim == op.output_rank ? 64 : 8);
      }
      const PieceWork work = work_of(op, extents);
      for (const auto& [phase, part] : {std::pair(Phase::kForward, work.forward),
                                        std::pair(Phase::kBackwardInput, work.backward_input),
                                        std::pair(Phase::kBackwardWeight, work.backward_weight)}) {
        if (part.kernels == 0) continue;
        const auto kernel = module_->prepare(op, extents, phase);
        ASSERT_TRUE(kernel) << kernel.error().message;
        (*kernel)->run();
        ++kernels;
      }
    }
  }
  // conv2d, pool2d, linear, softmax; embedding, lstm, attention, linear, softmax; and so on.
  EXPECT_GE(kernels, 20U);
}

TEST_F(CpuModule, StreamsRunAndOneThreadIsEnough) {
  for (const StreamWork::Kind kind :
       {StreamWork::Kind::kUpdate, StreamWork::Kind::kSum, StreamWork::Kind::kCopy}) {
    const auto kernel = module_->prepare(StreamWork{kind, Bytes(1 << 20), 2});
    ASSERT_TRUE(kernel) << kernel.error().message;
    (*kernel)->run();
  }
  std::thread other([this] {
    module_->enter_thread();
    (*module_->prepare(StreamWork{StreamWork::Kind::kUpdate, Bytes(4096), 2}))->run();
  });
  other.join();
}

TEST_F(CpuModule, TooLargeABufferIsAnError) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer ends the program where memory cannot be had";
#endif
  const auto kernel =
      module_->prepare(StreamWork{StreamWork::Kind::kCopy, Bytes(int64_t{1} << 60), 2});
  ASSERT_FALSE(kernel);
  EXPECT_EQ(kernel.error().code, ErrorCode::kEnvironment);
}

}  // namespace
}  // namespace soapbox::calib
