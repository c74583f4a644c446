// Calls of CUDA's libraries that fail become exceptions with the library's own words; the module's
// front door (module.cc) turns them into errors.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <cupti.h>

#include <stdexcept>
#include <string>

#include "sim/base/str.h"

namespace soapbox::calib::cuda {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t code) {
  if (code != cudaSuccess) throw Failure(str_cat("CUDA: ", cudaGetErrorString(code)));
}

inline void check(cublasStatus_t code) {
  if (code != CUBLAS_STATUS_SUCCESS) {
    throw Failure(str_cat("cuBLAS: ", cublasLtGetStatusString(code)));
  }
}

inline void check(cudnnStatus_t code) {
  if (code != CUDNN_STATUS_SUCCESS) throw Failure(str_cat("cuDNN: ", cudnnGetErrorString(code)));
}

inline void check(CUptiResult code) {
  if (code == CUPTI_SUCCESS) return;
  const char* text = nullptr;
  cuptiGetResultString(code, &text);
  throw Failure(str_cat("CUPTI: ", text == nullptr ? "unknown error" : text, " (",
                        static_cast<int>(code), ")"));
}

}  // namespace soapbox::calib::cuda
