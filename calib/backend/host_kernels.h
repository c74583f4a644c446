// Kernels of a processor that need no library: rows of tables, copies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "sim/base/rng.h"

namespace soapbox::calib {

// Takes bytes out of all caches of the processor.
inline void flush([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#if defined(__x86_64__)
  constexpr size_t kLine = 64;
  const char* line = static_cast<const char*>(data);
  for (size_t i = 0; i < bytes; i += kLine) __builtin_ia32_clflush(line + i);
  __builtin_ia32_mfence();
#endif
}

template <class T>
void flush(const std::vector<T>& values) {
  flush(values.data(), values.size() * sizeof(T));
}

// Rows of a table far larger than the caches, at random; backward they are added to.
class Embedding : public PreparedKernel {
 public:
  Embedding(int64_t count, int64_t channels, Phase phase)
      : channels_(static_cast<size_t>(channels)),
        gathers_(phase == Phase::kForward),
        table_(kTableFloats / channels_ * channels_, 0.5f),
        vectors_(static_cast<size_t>(count) * channels_, 0.25f) {
    Rng rng(2);
    const auto table_rows = static_cast<uint32_t>(table_.size() / channels_);
    for (int64_t i = 0; i < count; ++i) offsets_.push_back(rng.below(table_rows) * channels_);
  }
  void run() override {
    float* vector = vectors_.data();
    for (const size_t offset : offsets_) {
      float* row = table_.data() + offset;
      if (gathers_) {
        std::memcpy(vector, row, channels_ * sizeof(float));
      } else {
        for (size_t i = 0; i < channels_; ++i) row[i] += vector[i];
      }
      vector += channels_;
    }
  }
  void cool() override {
    flush(vectors_);
    for (const size_t offset : offsets_) flush(table_.data() + offset, channels_ * sizeof(float));
  }

 private:
  static constexpr size_t kTableFloats = size_t{1} << 24;
  size_t channels_;
  bool gathers_;
  std::vector<float> table_;
  std::vector<float> vectors_;
  std::vector<size_t> offsets_;
};

class Copy : public PreparedKernel {
 public:
  explicit Copy(size_t bytes) : from_(bytes, 1), to_(bytes, 2) {}
  void run() override { std::memcpy(to_.data(), from_.data(), from_.size()); }
  void cool() override {
    flush(from_);
    flush(to_);
  }

 private:
  std::vector<char> from_;
  std::vector<char> to_;
};

}  // namespace soapbox::calib
