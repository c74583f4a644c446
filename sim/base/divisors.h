// The divisors of a number: what degrees of parallelism and numbers of micro-batches are tried.
#pragma once

#include <cstdint>
#include <vector>

namespace soapbox {

// Ascending, 1 and n included. O(n). REQUIRES: n fits T.
template <typename T = int64_t>
std::vector<T> divisors(int64_t n) {
  std::vector<T> found;
  for (int64_t d = 1; d <= n; ++d) {
    if (n % d == 0) found.push_back(static_cast<T>(d));
  }
  return found;
}

}  // namespace soapbox
