#include "scenarios/runner/run_factors_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr std::array<std::string_view, 11> kColumns = {
    "hardware", "compute",  "product",          "narrow",       "attention", "exchange",
    "overlap",  "issue_us", "step_overhead_ms", "reserved_gib", "source"};
enum : size_t {
  kHardware,
  kCompute,
  kProduct,
  kNarrow,
  kAttention,
  kExchange,
  kOverlap,
  kIssue,
  kStep,
  kReserved
};
constexpr double kMost = 1e6;

}  // namespace

Result<RunFactorTable> RunFactorTable::read(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse(*text, path);
}

Result<RunFactorTable> RunFactorTable::parse(std::string_view text, const std::string& file) {
  const Result<CsvTable> csv = CsvTable::parse(text, file, kColumns);
  if (!csv) return csv.error();
  RunFactorTable table;
  for (size_t row = 0; row < csv->row_count(); ++row) {
    const std::string& family = csv->text(row, kHardware);
    for (const auto& [known, factors] : table.rows_) {
      if (known == family) return csv->error(row, kHardware, "is given twice");
    }
    std::array<double, kColumns.size()> figures{};
    for (size_t column = kCompute; column <= kReserved; ++column) {
      if (csv->text(row, column).empty()) continue;
      const Result<double> value = csv->positive(row, column);
      if (!value) return value.error();
      if (*value > kMost) return csv->error(row, column, "must be at most 1000000");
      figures[column] = *value;
    }
    RunFactors factors;
    const auto take = [&](size_t column, double& factor) {
      if (figures[column] > 0) factor = figures[column];
    };
    take(kCompute, factors.compute);
    take(kProduct, factors.product);
    take(kNarrow, factors.narrow);
    take(kAttention, factors.attention);
    take(kExchange, factors.exchange);
    factors.overlap = figures[kOverlap];
    factors.issue = from_seconds(figures[kIssue] * 1e-6);
    factors.step_overhead = from_seconds(figures[kStep] * 1e-3);
    if (figures[kReserved] > 0) {
      factors.reserved = Bytes(std::llround(figures[kReserved] * double(gibibytes(1).count())));
    }
    table.rows_.emplace_back(family, factors);
  }
  const bool has_rest = std::any_of(table.rows_.begin(), table.rows_.end(),
                                    [](const auto& row) { return row.first == "*"; });
  if (!has_rest) return bad_input("no line for '*', all other hardware", {file, 1, 1});
  std::stable_sort(table.rows_.begin(), table.rows_.end(), [](const auto& a, const auto& b) {
    return (a.first == "*" ? 0 : a.first.size()) > (b.first == "*" ? 0 : b.first.size());
  });
  return table;
}

const RunFactors& RunFactorTable::of(std::string_view hardware) const {
  for (const auto& [family, factors] : rows_) {
    if (family == "*" || hardware.starts_with(family)) return factors;
  }
  SOAPBOX_CHECK(false, "the table has a line for '*'");
}

}  // namespace soapbox::runner
