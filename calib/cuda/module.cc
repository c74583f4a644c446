// The module libsoapbox_cuda.so: kernels of cuBLASLt, cuDNN and our own on the first GPU.
#include "calib/backend/kernel_module.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "calib/cuda/collectives.h"
#include "calib/cuda/device.h"
#include "calib/cuda/operators.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

std::string version_text(int version) {  // 13000 is 13.0
  return str_cat(version / 1000, ".", version % 1000 / 10);
}

class CudaModule : public KernelModule {
 public:
  CudaModule() : trace_(own_trace_.emplace()) {}
  // Another GPU, traced by the same trace: there is one in a process.
  CudaModule(int gpu, cuda::Trace& trace) : gpu_(gpu), trace_(trace) {}

  std::string library() const override {
    int runtime = 0;
    int driver = 0;
    cudaRuntimeGetVersion(&runtime);
    cudaDriverGetVersion(&driver);
    uint32_t cupti = 0;
    cuptiGetVersion(&cupti);
    return str_cat("CUDA ", version_text(runtime), ", driver for ", version_text(driver),
                   ", cuBLASLt ", cublasLtGetVersion(), ", cuDNN ", cudnnGetVersion(), ", CUPTI ",
                   cupti);
  }
  void enter_thread() override { cudaSetDevice(gpu_.number()); }
  KernelDevice* device() override { return &device_; }

  Result<KernelModule*> of_gpu(int64_t number) override {
    if (number == gpu_.number()) return this;
    return tried(str_cat("GPU ", number), [&]() -> KernelModule* {
      std::unique_ptr<CudaModule>& other = others_[number];
      if (other == nullptr) other = std::make_unique<CudaModule>(static_cast<int>(number), trace_);
      return other.get();
    });
  }

  Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op, const Extents& extents,
                                                  Phase phase) override {
    return made(str_cat("a kernel for ", to_string(op.kind)),
                [&](cuda::Launches& kernel) { cuda::add_operator(kernel, op, extents, phase); });
  }
  Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) override {
    return made("a kernel for a stream",
                [&](cuda::Launches& kernel) { cuda::add_stream(kernel, work); });
  }
  Result<std::unique_ptr<CollectiveGroup>> collectives(int64_t ranks, Bytes most) override {
    return tried(str_cat("collectives of ", ranks, " GPUs"), [&] {
      gpu_.give_back();
      return std::unique_ptr<CollectiveGroup>(
          std::make_unique<cuda::Collectives>(ranks, most, trace_));
    });
  }

 private:
  template <class Add>
  Result<std::unique_ptr<PreparedKernel>> made(const std::string& what, const Add& add) {
    return tried(what, [&] {
      gpu_.use();
      auto kernel = std::make_unique<cuda::Launches>(gpu_);
      add(*kernel);
      gpu_.wait();
      return std::unique_ptr<PreparedKernel>(std::move(kernel));
    });
  }
  template <class Make>
  static auto tried(const std::string& what, const Make& make) -> Result<decltype(make())> {
    try {
      return make();
    } catch (const std::exception& error) {  // Failure, std::bad_alloc
      cudaGetLastError();                    // forgotten, so that the next one can be made
      return Error{ErrorCode::kEnvironment, str_cat("cannot make ", what, ": ", error.what()), {}};
    }
  }

  cuda::Gpu gpu_;
  std::optional<cuda::Trace> own_trace_;
  cuda::Trace& trace_;
  cuda::Device device_ = cuda::Device(gpu_, trace_);
  std::map<int64_t, std::unique_ptr<CudaModule>> others_;
};

}  // namespace
}  // namespace soapbox::calib

extern "C" __attribute__((visibility("default"))) soapbox::calib::KernelModule*
soapbox_kernel_module(int abi, std::string* why) {
  if (abi != soapbox::calib::kKernelModuleAbi) return nullptr;
  try {
    static soapbox::calib::CudaModule module;
    return &module;
  } catch (const std::exception& error) {
    *why = error.what();
    return nullptr;
  }
}
