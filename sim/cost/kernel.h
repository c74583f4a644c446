// Kernel: one device kernel of a Transformer layer as cost models see it, with nothing of the
// device in it.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/units.h"
#include "sim/cost/profile.h"
#include "sim/cost/work.h"
#include "sim/model/op.h"

namespace soapbox {

enum class KernelKind : uint8_t {
  kGemm,         // batch independent products (m x k)(k x n)
  kGroupedGemm,  // one product per expert: batch experts, m rows each
  kAttention,    // fused (flash) attention: scores, softmax and sum in one kernel
  kMemory,       // bound by memory: norms, activations, residuals, dropout, rotary, copies
  kSoftmax,      // unfused softmax over rows, and cross-entropy
  kEmbedding,    // gather, or scatter-add of its gradient
  kOptimizer,    // one fused pass over all states of many parameters
};
std::string to_string(KernelKind kind);

// Which product of a linear layer: they differ in layout and so in speed.
enum class GemmRole : uint8_t { kForward, kInputGradient, kWeightGradient };

struct Kernel {
  KernelKind kind = KernelKind::kMemory;
  DataType type = DataType::kBf16;  // of the operands
  // kGemm, kGroupedGemm: the product. kAttention: batch = samples x heads, m = queries,
  // n = keys seen by the last query, k = head dimension.
  Gemm gemm;
  GemmRole role = GemmRole::kForward;
  bool causal = false;    // kAttention
  bool backward = false;  // kAttention: dQ, dK and dV with recomputed scores
  // Read and written once, operands of a product included.
  double bytes = 0;
  int64_t launches = 1;  // kernels that it stands for
};

struct KernelTime {
  Duration time;
  // The 90 % interval of the true time is [time x (1 - low), time x (1 + high)].
  double low = 0;
  double high = 0;
  Provenance provenance = Provenance::kDatasheet;
};

}  // namespace soapbox
