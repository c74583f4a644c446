// The module libsoapbox_cuda.so: kernels of cuBLASLt, cuDNN and our own on the first GPU.
#include "calib/backend/kernel_module.h"

#include <memory>
#include <utility>

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
  void enter_thread() override { cudaSetDevice(0); }
  KernelDevice* device() override { return &device_; }

  Result<std::unique_ptr<PreparedKernel>> prepare(const Operator& op, const Extents& extents,
                                                  Phase phase) override {
    return made(to_string(op.kind),
                [&](cuda::Launches& kernel) { cuda::add_operator(kernel, op, extents, phase); });
  }
  Result<std::unique_ptr<PreparedKernel>> prepare(const StreamWork& work) override {
    return made("a stream", [&](cuda::Launches& kernel) { cuda::add_stream(kernel, work); });
  }

 private:
  template <class Add>
  Result<std::unique_ptr<PreparedKernel>> made(const std::string& what, const Add& add) {
    try {
      auto kernel = std::make_unique<cuda::Launches>(gpu_);
      add(*kernel);
      gpu_.wait();
      return std::unique_ptr<PreparedKernel>(std::move(kernel));
    } catch (const std::exception& error) {  // Failure, std::bad_alloc
      cudaGetLastError();                    // forgotten, so that the next kernel can be made
      return Error{ErrorCode::kEnvironment,
                   str_cat("cannot make a kernel for ", what, ": ", error.what()),
                   {}};
    }
  }

  cuda::Gpu gpu_;
  cuda::Device device_ = cuda::Device(gpu_);
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
