#include "calib/backend/kernel_module.h"

#include <dlfcn.h>

#include <filesystem>

#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

Error unavailable(std::string message) {
  return Error{ErrorCode::kUnavailable, std::move(message), {}};
}

std::string how_to_get(const std::string& name) {
  if (name == "cuda") return "it is built by 'cmake --preset cuda', which needs CUDA 13 and cuDNN";
  return "it is built where oneDNN is installed (libdnnl-dev)";
}

}  // namespace

Result<KernelModule*> open_kernel_module(const std::string& name, const std::string& folder) {
  const std::filesystem::path path =
      std::filesystem::path(folder) / str_cat("libsoapbox_", name, ".so");
  if (!std::filesystem::exists(path)) {
    return unavailable(str_cat("the backend '", name, "' needs the module '", path.string(),
                               "', which is not there: ", how_to_get(name)));
  }
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return unavailable(str_cat("the backend '", name, "' cannot be opened: ", dlerror()));
  }
  auto* const entry = reinterpret_cast<KernelModuleEntry*>(dlsym(library, kKernelModuleEntry));
  std::string why;
  KernelModule* const module = entry == nullptr ? nullptr : entry(kKernelModuleAbi, &why);
  if (!why.empty()) {
    return unavailable(str_cat("the backend '", name, "' has no device here: ", why));
  }
  if (module == nullptr) {
    return unavailable(
        str_cat("'", path.string(), "' is of another build than this program: build both again"));
  }
  return module;
}

}  // namespace soapbox::calib
