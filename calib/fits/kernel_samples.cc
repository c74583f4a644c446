#include "calib/fits/kernel_samples.h"

#include <array>
#include <string_view>

#include "calib/fits/held_out.h"
#include "sim/base/csv.h"

namespace soapbox::calib {
namespace {

constexpr double kMicrosecond = 1e-6;
constexpr double kFp32Bytes = 4;

double elements(int64_t a, int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

// The cells of a row in order: a split, perhaps a name, whole numbers, and a time in microseconds.
struct Row {
  bool held_out = false;
  std::string name;
  std::vector<int64_t> counts;
  double seconds = 0;
};

Result<Row> read_row(const CsvTable& table, size_t row, bool named, size_t counts) {
  Row values;
  const Result<bool> held_out = read_held_out(table, row);
  if (!held_out) return held_out.error();
  values.held_out = *held_out;
  size_t column = 1;
  if (named) values.name = table.text(row, column++);
  for (size_t i = 0; i < counts; ++i) {
    const Result<int64_t> count = table.count(row, column++);
    if (!count) return count.error();
    values.counts.push_back(*count);
  }
  const Result<double> time = table.positive(row, column);
  if (!time) return time.error();
  values.seconds = *time * kMicrosecond;
  return values;
}

Work product(ProductKind kind, const Gemm& gemm, double moved_elements) {
  Work work;
  work.kind = kind;
  work.product = gemm;
  work.product_bytes = kFp32Bytes * moved_elements;
  work.kernels = 1;
  return work;
}

Status read_products(const std::string& path, bool batched, std::vector<KernelSample>& samples) {
  static constexpr std::array<std::string_view, 5> kLinear = {"split", "m", "n", "k", "time_us"};
  static constexpr std::array<std::string_view, 6> kBatched = {"split", "batch", "m",
                                                               "n",     "k",     "time_us"};
  const auto table = batched ? CsvTable::read(path, kBatched) : CsvTable::read(path, kLinear);
  if (!table) return table.error();
  for (size_t i = 0; i < table->row_count(); ++i) {
    const Result<Row> row = read_row(*table, i, false, batched ? 4 : 3);
    if (!row) return row.error();
    const int64_t* size = row->counts.data();
    Gemm gemm;
    if (batched) gemm.batch = *size++;
    gemm.m = size[0];
    gemm.n = size[1];
    gemm.k = size[2];
    const double moved =
        static_cast<double>(gemm.batch) *
        (elements(gemm.m, gemm.k) + elements(gemm.k, gemm.n) + elements(gemm.m, gemm.n));
    const ProductKind kind = batched ? ProductKind::kGemm : ProductKind::kLinear;
    samples.push_back({product(kind, gemm, moved), row->seconds, row->held_out});
  }
  return ok();
}

Status read_convolutions(const std::string& path, KernelSamples& samples) {
  static constexpr std::array<std::string_view, 7> kColumns = {
      "split", "algorithm", "batch", "in_channels", "out_channels", "size", "time_us"};
  const auto table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  for (size_t i = 0; i < table->row_count(); ++i) {
    const Result<Row> row = read_row(*table, i, true, 4);
    if (!row) return row.error();
    const bool winograd = row->name == "winograd";
    if (!winograd && row->name != "direct") {
      return table->error(i, 1, "must be direct or winograd");
    }
    const int64_t in_channels = row->counts[1];
    const int64_t out_channels = row->counts[2];
    const int64_t size = winograd ? winograd_extent(row->counts[3]) : row->counts[3];
    const int64_t pixels = row->counts[0] * size * size;
    const Gemm gemm{1, pixels, out_channels, in_channels * 9};
    const double moved =
        elements(pixels, in_channels) + elements(pixels, out_channels) + elements(gemm.n, gemm.k);
    const ProductKind kind = winograd ? ProductKind::kWinograd : ProductKind::kConv;
    auto& target = winograd ? samples.winograd_conv : samples.direct_conv;
    target.push_back({product(kind, gemm, moved), row->seconds, row->held_out});
  }
  return ok();
}

Status read_streams(const std::string& path, KernelSamples& samples) {
  static constexpr std::array<std::string_view, 5> kColumns = {"split", "op", "rows", "cols",
                                                               "time_us"};
  const auto table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  for (size_t i = 0; i < table->row_count(); ++i) {
    const Result<Row> row = read_row(*table, i, true, 2);
    if (!row) return row.error();
    Work work;
    work.kernels = 1;
    double passes = 0;
    std::vector<KernelSample>* target = nullptr;
    if (row->name == "add") {
      passes = 3;
      target = &samples.add;
    } else if (row->name == "relu") {
      passes = 2;
      target = &samples.relu;
    } else if (row->name == "softmax") {
      passes = 4;  // as in work.cc
      target = &samples.softmax;
    } else {
      return table->error(i, 1, "must be add, relu or softmax");
    }
    work.stream_bytes = passes * kFp32Bytes * elements(row->counts[0], row->counts[1]);
    target->push_back({work, row->seconds, row->held_out});
  }
  return ok();
}

}  // namespace

Result<KernelSamples> read_kernel_samples(const std::string& prefix) {
  KernelSamples samples;
  Status status = read_products(prefix + "_linear.csv", false, samples.linear);
  if (status) status = read_products(prefix + "_bmm.csv", true, samples.batched);
  if (status) status = read_convolutions(prefix + "_conv3x3.csv", samples);
  if (status) status = read_streams(prefix + "_stream.csv", samples);
  if (!status) return status.error();
  return samples;
}

}  // namespace soapbox::calib
