#include "calib/cuda/nccl.h"

#include <dlfcn.h>

#include "calib/cuda/check.h"

namespace soapbox::calib::cuda {
namespace {

class Library {
 public:
  explicit Library(const char* name) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw Failure(str_cat("NCCL: ", dlerror()));
  }
  template <class Function>
  void find(const char* name, Function*& function) const {
    function = reinterpret_cast<Function*>(dlsym(handle_, name));
    if (function == nullptr) throw Failure(str_cat("NCCL: ", dlerror()));
  }

 private:
  void* handle_;  // open for the rest of the process
};

}  // namespace

Nccl Nccl::open(const char* name) {
  const Library library(name);
  Nccl nccl;
  library.find("ncclGetVersion", nccl.version);
  library.find("ncclGetErrorString", nccl.error_text);
  library.find("ncclCommInitAll", nccl.init_all);
  library.find("ncclCommDestroy", nccl.destroy);
  library.find("ncclGroupStart", nccl.group_start);
  library.find("ncclGroupEnd", nccl.group_end);
  library.find("ncclAllReduce", nccl.all_reduce);
  library.find("ncclReduceScatter", nccl.reduce_scatter);
  library.find("ncclAllGather", nccl.all_gather);
  library.find("ncclBroadcast", nccl.broadcast);
  library.find("ncclSend", nccl.send);
  library.find("ncclRecv", nccl.receive);
  return nccl;
}

void Nccl::check(int code) const {
  if (code != 0) throw Failure(str_cat("NCCL: ", error_text(code)));
}

}  // namespace soapbox::calib::cuda
