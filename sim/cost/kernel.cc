#include "sim/cost/kernel.h"

namespace soapbox {

std::string to_string(KernelKind kind) {
  switch (kind) {
    case KernelKind::kGemm:
      return "gemm";
    case KernelKind::kGroupedGemm:
      return "grouped gemm";
    case KernelKind::kAttention:
      return "attention";
    case KernelKind::kMemory:
      return "memory";
    case KernelKind::kSoftmax:
      return "softmax";
    case KernelKind::kEmbedding:
      return "embedding";
    case KernelKind::kOptimizer:
      return "optimizer";
  }
  return "unknown";
}

}  // namespace soapbox
