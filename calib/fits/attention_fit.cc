#include "calib/fits/attention_fit.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "calib/fits/held_out.h"
#include "calib/fits/pattern_search.h"
#include "sim/base/csv.h"
#include "sim/cost/kernel_costs.h"

namespace soapbox::calib {

Result<std::vector<AttentionSample>> read_attention_samples(const std::string& path) {
  static constexpr std::array<std::string_view, 7> kColumns = {
      "split", "phase", "causal", "heads", "seq_len", "head_dim", "time_us"};
  const auto table = CsvTable::read(path, kColumns);
  if (!table) return table.error();
  std::vector<AttentionSample> samples;
  for (size_t row = 0; row < table->row_count(); ++row) {
    const Result<bool> held_out = read_held_out(*table, row);
    if (!held_out) return held_out.error();
    const std::string& phase = table->text(row, 1);
    if (phase != "forward" && phase != "backward") {
      return table->error(row, 1, "must be forward or backward");
    }
    const std::string& causal = table->text(row, 2);
    if (causal != "0" && causal != "1") return table->error(row, 2, "must be 0 or 1");
    const Result<int64_t> heads = table->count(row, 3);
    if (!heads) return heads.error();
    const Result<int64_t> seq_len = table->count(row, 4);
    if (!seq_len) return seq_len.error();
    const Result<int64_t> head_dim = table->count(row, 5);
    if (!head_dim) return head_dim.error();
    const Result<double> time = table->positive(row, 6);
    if (!time) return time.error();
    AttentionSample sample;
    sample.kernel.kind = KernelKind::kAttention;
    sample.kernel.type = DataType::kBf16;
    sample.kernel.gemm = {*heads, *seq_len, *seq_len, *head_dim};
    sample.kernel.causal = causal == "1";
    sample.kernel.backward = phase == "backward";
    sample.seconds = *time * 1e-6;
    sample.held_out = *held_out;
    samples.push_back(sample);
  }
  return samples;
}

FittedAttention fit_attention(const std::vector<AttentionSample>& samples, bool backward,
                              const Hardware& hardware, const AttentionFit& start,
                              Duration launch) {
  std::vector<const AttentionSample*> rows;
  for (const AttentionSample& sample : samples) {
    if (sample.kernel.backward == backward) rows.push_back(&sample);
  }
  const auto held_out = [](const AttentionSample* row) { return row->held_out; };
  std::stable_partition(rows.begin(), rows.end(), std::not_fn(held_out));
  const auto train =
      static_cast<size_t>(std::count_if(rows.begin(), rows.end(), std::not_fn(held_out)));
  const double small = start.efficiency[0] / start.efficiency[1];
  KernelProfile profile = datasheet_kernel_profile();
  profile.hardware = hardware.name;
  profile.launch = launch;
  AttentionFit& fit = backward ? profile.attention_backward : profile.attention_forward;
  // Values: efficiency at 128 and at 192, tail.
  const auto apply = [&](const std::vector<double>& v) {
    fit.efficiency = {rounded(small * v[0]), v[0], v[1]};
    fit.tail = v[2];
    Result<KernelCosts> costs = KernelCosts::make(hardware, &profile);
    SOAPBOX_CHECK(costs.has_value(), "the hardware of a fit has its figures");
    return *std::move(costs);
  };
  const SearchedFit found =
      search_fit({start.efficiency[1], start.efficiency[2], start.tail}, train, rows.size(),
                 [&](const std::vector<double>& v, size_t row) {
                   return apply(v).time(rows[row]->kernel).time.seconds() / rows[row]->seconds;
                 });
  apply(found.values);
  FittedAttention fitted{fit, found.report};
  fitted.fit.interval = found.interval;
  fitted.fit.fitted_on = hardware.name;
  return fitted;
}

}  // namespace soapbox::calib
