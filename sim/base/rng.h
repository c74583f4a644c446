// Philox4x32-10: counter-based random numbers (Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011). A stream is (seed, stream index); draw k is a function of both and of k
// alone, so every thread count and every compiler gives the same numbers. No std:: distributions:
// they differ between standard libraries.
#pragma once

#include <array>
#include <cstdint>

#include "sim/base/check.h"

namespace soapbox {

// One block: four random words from a 128-bit counter and a 64-bit key.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                          std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53;
  constexpr uint64_t kMultiplier1 = 0xCD9E8D57;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * counter[0];
    const uint64_t p1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint32_t next_u32() {
    if (used_ == 4) {
      block_ = philox4x32(
          {static_cast<uint32_t>(block_index_), static_cast<uint32_t>(block_index_ >> 32),
           static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
          {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
      ++block_index_;
      used_ = 0;
    }
    return block_[used_++];
  }
  uint64_t next_u64() {
    const uint64_t low = next_u32();
    return low | static_cast<uint64_t>(next_u32()) << 32;
  }
  // Uniform in [0, bound), without bias (rejection). REQUIRES: bound > 0.
  uint32_t below(uint32_t bound) {
    SOAPBOX_CHECK(bound > 0, "empty range");
    const uint32_t threshold = (0u - bound) % bound;
    for (;;) {
      const uint64_t product = static_cast<uint64_t>(next_u32()) * bound;
      if (static_cast<uint32_t>(product) >= threshold) return static_cast<uint32_t>(product >> 32);
    }
  }
  // Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t block_index_ = 0;
  std::array<uint32_t, 4> block_{};
  uint32_t used_ = 4;
};

}  // namespace soapbox
