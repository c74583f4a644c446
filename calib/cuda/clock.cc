#include "calib/cuda/clock.h"

#include <dlfcn.h>

namespace soapbox::calib::cuda {
namespace {

constexpr int kMultiprocessors = 1;  // NVML_CLOCK_SM

template <class Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

Clock::Clock() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) return;
  const auto start = find<int (*)()>(library_, "nvmlInit_v2");
  const auto handle = find<int (*)(unsigned, void**)>(library_, "nvmlDeviceGetHandleByIndex_v2");
  if (start == nullptr || handle == nullptr || start() != 0) return;
  if (handle(0, &device_) != 0) return;
  clock_info_ = find<int (*)(void*, int, unsigned*)>(library_, "nvmlDeviceGetClockInfo");
}

Clock::~Clock() {
  if (library_ != nullptr) dlclose(library_);
}

double Clock::mhz() const {
  unsigned mhz = 0;
  if (clock_info_ == nullptr || clock_info_(device_, kMultiprocessors, &mhz) != 0) return 0;
  return mhz;
}

}  // namespace soapbox::calib::cuda
