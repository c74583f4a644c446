#include "calib/fits/product_samples.h"

#include <array>
#include <string_view>

#include "calib/fits/held_out.h"
#include "sim/base/csv.h"

namespace soapbox::calib {
namespace {

constexpr std::array<std::string_view, 8> kColumns = {"split", "role", "batch",      "m",
                                                      "n",     "k",    "accumulate", "time_us"};

double elements(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

Kernel product(const Gemm& gemm, GemmRole role, DataType type, bool accumulate, bool grouped) {
  Kernel kernel;
  kernel.kind = grouped ? KernelKind::kGroupedGemm : KernelKind::kGemm;
  kernel.type = type;
  kernel.gemm = gemm;
  kernel.role = role;
  const double size = static_cast<double>(size_bytes(type));
  // What is added to is read and written in fp32.
  const double result = accumulate ? 8 : size;
  kernel.bytes = static_cast<double>(gemm.batch) *
                 (size * (elements(gemm.m, gemm.k) + elements(gemm.k, gemm.n)) +
                  result * elements(gemm.m, gemm.n));
  return kernel;
}

}  // namespace

Result<std::vector<ProductSample>> read_product_samples(const std::string& path, DataType type,
                                                        bool grouped) {
  const auto table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  std::vector<ProductSample> samples;
  for (size_t row = 0; row < table->row_count(); ++row) {
    ProductSample sample;
    const Result<bool> held_out = read_held_out(*table, row);
    if (!held_out) return held_out.error();
    sample.held_out = *held_out;
    std::array<int64_t, 4> sides{};
    for (size_t i = 0; i < sides.size(); ++i) {
      const Result<int64_t> side = table->count(row, 2 + i);
      if (!side) return side.error();
      sides[i] = *side;
    }
    const auto [batch, m, n, k] = sides;
    const std::string& accumulates = table->text(row, 6);
    if (accumulates != "0" && accumulates != "1") return table->error(row, 6, "must be 0 or 1");
    const auto add = [&](const Gemm& gemm, GemmRole role) {
      sample.kernels.push_back(product(gemm, role, type, accumulates == "1", grouped));
    };
    const std::string& role = table->text(row, 1);
    if (role == "forward") {
      add({batch, m, n, k}, GemmRole::kForward);
    } else if (role == "input_gradient") {
      add({batch, m, n, k}, GemmRole::kInputGradient);
    } else if (role == "weight_gradient") {
      add({batch, m, n, k}, GemmRole::kWeightGradient);
    } else if (role == "backward") {
      add({batch, m, k, n}, GemmRole::kInputGradient);
      add({batch, n, k, m}, GemmRole::kWeightGradient);
    } else {
      return table->error(row, 1, "must be forward, input_gradient, weight_gradient or backward");
    }
    const Result<double> time = table->positive(row, 7);
    if (!time) return time.error();
    sample.seconds = *time * 1e-6;
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace soapbox::calib
