#include "results/reference.h"

#include <array>
#include <filesystem>
#include <map>

#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

constexpr std::array<std::string_view, 7> kColumns = {"model",  "cluster", "strategy", "devices",
                                                      "metric", "value",   "grade"};
enum : size_t { kModel, kCluster, kStrategy, kDevices, kMetric, kValue, kGrade };

const std::vector<std::string>& metrics() {
  static const std::vector<std::string> kMetrics = {"communication_gib", "compute_s_total",
                                                    "iteration_time_s", "samples_per_s_per_device",
                                                    "search_s"};
  return kMetrics;
}

Result<ReferenceRow> read_row(const CsvTable& csv, size_t row) {
  ReferenceRow reference;
  for (const size_t column : {kModel, kStrategy}) {
    if (csv.text(row, column).empty()) return csv.error(row, column, "must not be empty");
  }
  reference.model = csv.text(row, kModel);
  reference.cluster = csv.text(row, kCluster);
  reference.strategy = csv.text(row, kStrategy);
  reference.metric = csv.text(row, kMetric);
  reference.grade = csv.text(row, kGrade);
  const Result<int64_t> devices = csv.count(row, kDevices);
  if (!devices) return devices.error();
  reference.devices = *devices;
  bool known = false;
  for (const std::string& metric : metrics()) known = known || metric == reference.metric;
  if (!known) {
    return bad_input(unknown_name("metric", reference.metric, metrics()), csv.where(row, kMetric));
  }
  const Result<double> value = csv.positive(row, kValue);
  if (!value) return value.error();
  reference.value = *value;
  if (reference.grade != "P" && reference.grade != "D") {
    return csv.error(row, kGrade, "must be P (printed in the source) or D (digitised)");
  }
  return reference;
}

}  // namespace

Result<std::vector<ReferenceRow>> read_reference(const std::string& path) {
  const Result<CsvTable> csv = CsvTable::read(path, kColumns);
  if (!csv) return csv.error();
  const std::string figure = std::filesystem::path(path).stem().string();
  std::vector<ReferenceRow> rows;
  std::map<std::vector<std::string>, size_t> seen;
  for (size_t i = 0; i < csv->row_count(); ++i) {
    Result<ReferenceRow> row = read_row(*csv, i);
    if (!row) return row.error();
    row->figure = figure;
    const auto [first, is_new] = seen.try_emplace(
        {row->model, row->cluster, row->strategy, to_text(row->devices), row->metric}, i);
    if (!is_new) {
      return bad_input(str_cat("the same cell as in line ", csv->where(first->second, 0).line),
                       csv->where(i, 0));
    }
    rows.push_back(*std::move(row));
  }
  return rows;
}

std::optional<double> find_reference(std::span<const ReferenceRow> rows, std::string_view model,
                                     std::string_view cluster, std::string_view strategy,
                                     int64_t devices, std::string_view metric) {
  for (const ReferenceRow& row : rows) {
    if (row.model == model && row.cluster == cluster && row.strategy == strategy &&
        row.devices == devices && row.metric == metric) {
      return row.value;
    }
  }
  return std::nullopt;
}

}  // namespace soapbox::results
