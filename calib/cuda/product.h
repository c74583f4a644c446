// Matrix products by cuBLASLt, with the algorithm that its heuristic puts first, as frameworks use
// it: fp32 without tf32, tf32, bf16 and fp16 with sums in fp32, fp8 (E4M3) with results in bf16.
#pragma once

#include <cstdint>

#include "calib/cuda/launches.h"

namespace soapbox::calib::cuda {

// Row-major c (m x n) = a b, `batch` times; which operands are stored transposed is the layout.
//   kTn  a m x k, b n x k: forward of a linear layer; the only one that fp8 has
//   kNn  a m x k, b k x n: gradient of its input
//   kNt  a k x m, b k x n: gradient of its weight
enum class Layout : uint8_t { kTn, kNn, kNt };
struct Product {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  Layout layout = Layout::kTn;
  DataType type = DataType::kFp32;
  bool relu = false;  // folded into the product
  int64_t times = 1;
};
// Adds it with buffers of its own. Throws Failure, also where the library has no such product.
void add_product(Launches& kernel, const Product& product);

}  // namespace soapbox::calib::cuda
