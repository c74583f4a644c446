#include "scenarios/runner/scenario_files/hardware_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

// Every column of the file, in its order. Figures are positive numbers or empty; the program reads
// some of them, and all are checked.
struct Column {
  std::string_view name;
  bool is_figure;
};
constexpr std::array kColumns = {
    Column{"id", false},
    Column{"vendor", false},
    Column{"arch", false},
    Column{"compute_capability", false},
    Column{"form_factor", false},
    Column{"year", true},
    Column{"sm_or_cu", true},
    Column{"boost_mhz", true},
    Column{"mem_gb", true},
    Column{"mem_type", false},
    Column{"mem_bw_gbs", true},
    Column{"l2_mb", true},
    Column{"llc_mb", true},
    Column{"fp64_tflops", true},
    Column{"fp32_tflops", true},
    Column{"tf32_tflops", true},
    Column{"fp16_tflops", true},
    Column{"bf16_tflops", true},
    Column{"fp8_tflops", true},
    Column{"fp4_tflops", true},
    Column{"int8_tops", true},
    Column{"scaleup", false},
    Column{"scaleup_links", true},
    Column{"scaleup_uni_gbs", true},
    Column{"pcie_gen", true},
    Column{"pcie_lanes", true},
    Column{"pcie_uni_gbs", true},
    Column{"power_w", true},
    Column{"achieved_gemm_tflops", true},
    Column{"achieved_gemm_what", false},
    Column{"achieved_fp32_gemm_tflops", true},
    Column{"achieved_mem_gbs", true},
    Column{"achieved_mem_what", false},
    Column{"confidence", false},
    Column{"source", false},
    Column{"notes", false},
};

constexpr size_t column_index(std::string_view name) {
  size_t index = 0;
  while (kColumns[index].name != name) ++index;
  return index;
}

// A figure of a row; zero where the cell is empty.
Result<double> figure(const CsvTable& csv, size_t row, size_t column) {
  if (csv.text(row, column).empty()) return 0.0;
  const Result<double> value = csv.positive(row, column);
  if (!value) return csv.error(row, column, "must be a positive number, or empty if unknown");
  return *value;
}

Result<Hardware> read_row(const CsvTable& csv, size_t row) {
  std::array<double, kColumns.size()> figures{};
  for (size_t column = 0; column < kColumns.size(); ++column) {
    if (!kColumns[column].is_figure) continue;
    const Result<double> value = figure(csv, row, column);
    if (!value) return value.error();
    figures[column] = *value;
  }
  for (const std::string_view name : {"id", "mem_gb", "mem_bw_gbs", "sm_or_cu", "source"}) {
    if (csv.text(row, column_index(name)).empty()) {
      return csv.error(row, column_index(name), "must not be empty");
    }
  }
  constexpr size_t kUnits = column_index("sm_or_cu");
  if (figures[kUnits] != std::floor(figures[kUnits]) || figures[kUnits] > 1e6) {
    return csv.error(row, kUnits, "must be a whole number up to 1000000");
  }
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  constexpr size_t kMemory = column_index("mem_gb");
  if (figures[kMemory] > 1e6) return csv.error(row, kMemory, "must be at most 1000000");
  const auto tflops = [&](std::string_view name) {
    return FlopsPerSecond(figures[column_index(name)] * 1e12);
  };
  Hardware hardware;
  hardware.name = csv.text(row, column_index("id"));
  hardware.fp32_peak = tflops("fp32_tflops");
  hardware.tf32_peak = tflops("tf32_tflops");
  hardware.fp16_peak = tflops("fp16_tflops");
  hardware.bf16_peak = tflops("bf16_tflops");
  hardware.fp8_peak = tflops("fp8_tflops");
  hardware.fp4_peak = tflops("fp4_tflops");
  hardware.memory_bandwidth = gb_per_s(figures[column_index("mem_bw_gbs")]);
  hardware.memory = Bytes(std::llround(figures[kMemory] * kGibibyte));
  hardware.sm_count = static_cast<int>(figures[kUnits]);
  hardware.source = csv.text(row, column_index("source"));
  return hardware;
}

}  // namespace

Result<HardwareCatalogue> HardwareCatalogue::read(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse(*text, path);
}

Result<HardwareCatalogue> HardwareCatalogue::parse(std::string_view text, const std::string& file) {
  std::array<std::string_view, kColumns.size()> names;
  std::transform(kColumns.begin(), kColumns.end(), names.begin(),
                 [](const Column& column) { return column.name; });
  const Result<CsvTable> table = CsvTable::parse(text, file, names);
  if (!table) return table.error();
  const CsvTable& csv = *table;
  HardwareCatalogue catalogue;
  for (size_t row = 0; row < csv.row_count(); ++row) {
    Result<Hardware> device = read_row(csv, row);
    if (!device) return device.error();
    if (catalogue.find(device->name)) return csv.error(row, 0, "is given twice");
    catalogue.devices_.push_back(std::move(*device));
    const Result<double> best = figure(csv, row, column_index("achieved_gemm_tflops"));
    if (!best) return best.error();
    catalogue.best_products_.emplace_back(*best * 1e12);
  }
  return catalogue;
}

Result<Hardware> HardwareCatalogue::find(std::string_view id) const {
  std::vector<std::string> known;
  for (const Hardware& device : devices_) {
    if (device.name == id) return device;
    known.push_back(device.name);
  }
  return bad_input(unknown_name("hardware", id, known));
}

FlopsPerSecond HardwareCatalogue::best_product(std::string_view id) const {
  for (size_t i = 0; i < devices_.size(); ++i) {
    if (devices_[i].name == id) return best_products_[i];
  }
  return {};
}

}  // namespace soapbox::runner
