#include "calib/fits/pass_fit.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "calib/fits/held_out.h"
#include "sim/base/csv.h"

namespace soapbox::calib {

Result<std::vector<PassSample>> read_pass_samples(const std::string& path) {
  static constexpr std::array<std::string_view, 5> kColumns = {"split", "family", "op", "bytes",
                                                               "time_us"};
  const auto table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  std::vector<PassSample> samples;
  for (size_t row = 0; row < table->row_count(); ++row) {
    PassSample sample;
    const Result<bool> held_out = read_held_out(*table, row);
    if (!held_out) return held_out.error();
    sample.held_out = *held_out;
    size_t family = 0;
    while (family < kMemoryFamilies &&
           to_string(static_cast<MemoryFamily>(family)) != table->text(row, 1)) {
      ++family;
    }
    if (family == kMemoryFamilies) {
      return table->error(row, 1, "must be pass, softmax, embedding or optimizer");
    }
    sample.family = static_cast<MemoryFamily>(family);
    const Result<double> bytes = table->positive(row, 3);
    if (!bytes) return bytes.error();
    const Result<double> time = table->positive(row, 4);
    if (!time) return time.error();
    sample.bytes = *bytes;
    sample.seconds = *time * 1e-6;
    samples.push_back(sample);
  }
  return samples;
}

FittedPasses fit_passes(const std::vector<PassSample>& samples, MemoryFamily family,
                        const Hardware& hardware) {
  std::vector<PassSample> rows;
  for (const PassSample& sample : samples) {
    if (sample.family == family) rows.push_back(sample);
  }
  const auto held_out = [](const PassSample& row) { return row.held_out; };
  std::stable_partition(rows.begin(), rows.end(), std::not_fn(held_out));
  const auto train =
      static_cast<size_t>(std::count_if(rows.begin(), rows.end(), std::not_fn(held_out)));
  const double bandwidth = hardware.memory_bandwidth.rate();
  // Values: efficiency, intercept in units of 10 us.
  const SearchedFit found =
      search_fit({0.8, 1}, train, rows.size(), [&](const std::vector<double>& v, size_t row) {
        const double seconds = 1e-5 * v[1] + rows[row].bytes / (std::min(1.0, v[0]) * bandwidth);
        return seconds / rows[row].seconds;
      });
  return {{std::min(1.0, found.values[0]), found.interval, hardware.name}, found.report};
}

}  // namespace soapbox::calib
