#include "calib/sampling/measure.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "calib/backend/precise_wait.h"

namespace soapbox::calib {
namespace {

double seconds(int64_t ns) {
  return static_cast<double>(ns) * 1e-9;
}

double empty_reading_s() {
  std::vector<double> readings;
  for (int i = 0; i < 101; ++i) {
    const int64_t before = thread_cpu_ns();
    readings.push_back(seconds(thread_cpu_ns() - before));
  }
  return median(readings);
}

}  // namespace

int64_t thread_cpu_ns() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

double median(std::span<const double> values) {
  SOAPBOX_CHECK(!values.empty(), "a median of something");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double median_deviation(std::span<const double> values) {
  const double middle = median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::fabs(value - middle));
  return median(distances);
}

MedianInterval median_interval(std::span<const double> values, Rng& rng) {
  constexpr int kResamples = 200;
  std::vector<double> medians;
  std::vector<double> resample(values.size());
  for (int i = 0; i < kResamples; ++i) {
    for (double& value : resample) value = values[rng.below(static_cast<uint32_t>(values.size()))];
    medians.push_back(median(resample));
  }
  std::sort(medians.begin(), medians.end());
  return {medians[kResamples / 40], medians[kResamples - 1 - kResamples / 40]};
}

Measurer::Measurer(const MeasureSpec& spec, uint64_t seed)
    : spec_(spec), rng_(seed), clock_s_(empty_reading_s()) {}

bool Measurer::is_narrow(const Measurement& so_far) {
  const MedianInterval interval = median_interval(so_far.cold_s, rng_);
  return (interval.high - interval.low) / 2 <= spec_.interval_share * median(so_far.cold_s);
}

bool Measurer::all_narrow(std::span<const Measurement> so_far) {
  return std::all_of(so_far.begin(), so_far.end(),
                     [this](const Measurement& one) { return is_narrow(one); });
}

Result<Measurement> Measurer::measure(PreparedKernel& kernel, KernelDevice& device) {
  TimedRuns runs;
  const int64_t begin_ns = steady_now_ns();
  Measurement out;
  do {
    Status timed = device.time(kernel, spec_.least_samples, runs);
    if (!timed) return timed.error();
    out.cold_s = runs.cold_s;
    out.hot_s = runs.hot_s;
  } while (!is_narrow(out) && out.cold_s.size() < spec_.most_samples &&
           seconds(steady_now_ns() - begin_ns) < spec_.most_seconds);
  out.clock_mhz = device.clock_mhz();
  const Result<double> replay_s = device.replay_seconds(kernel);
  if (!replay_s) return out;  // not every work can be replayed
  out.replay_s = *replay_s;
  const double apart = std::fabs(out.replay_s - median(out.hot_s));
  out.disturbed = apart > 0.1 * median(out.hot_s) && apart > 1.5e-6 ? 1 : 0;
  return out;
}

Result<Measurement> Measurer::measure(const Collective& collective, CollectiveGroup& group) {
  constexpr int64_t kWarmUp = 5;
  constexpr int64_t kLongest = 200;
  constexpr double kRow_s = 2e-3;
  const auto mean_of = [&](int64_t times) -> Result<double> {
    const Result<double> all = group.run(collective.op, Bytes(collective.bytes), times);
    if (!all) return all.error();
    return std::max(1e-9, *all / static_cast<double>(times));
  };
  const Result<double> first = mean_of(1);  // connects the ranks
  if (!first) return first.error();
  const Result<double> about = mean_of(kWarmUp);
  if (!about) return about.error();
  const auto times = std::clamp(static_cast<int64_t>(kRow_s / *about), int64_t{1}, kLongest);
  Measurement out;
  double spent_s = 0;
  do {
    const Result<double> mean = mean_of(times);
    if (!mean) return mean.error();
    out.cold_s.push_back(*mean);
    spent_s += *mean * static_cast<double>(times);
  } while (
      out.cold_s.size() < spec_.least_samples ||
      (!is_narrow(out) && out.cold_s.size() < spec_.most_samples && spent_s < spec_.most_seconds));
  return out;
}

std::vector<Measurement> Measurer::measure(std::span<PreparedKernel* const> kernels) {
  SOAPBOX_CHECK(!kernels.empty(), "something to measure");
  std::vector<Measurement> out(kernels.size());
  for (PreparedKernel* const kernel : kernels) {
    for (int i = 0; i < 3; ++i) kernel->run();  // code pages, buffers
  }
  const auto sample = [&](PreparedKernel& kernel, double& disturbed) {
    const int64_t wall = steady_now_ns();
    const int64_t cpu = thread_cpu_ns();
    kernel.run();
    const double took = seconds(thread_cpu_ns() - cpu);
    if (seconds(steady_now_ns() - wall) > 1.05 * took + 2e-6) ++disturbed;
    return std::max(1e-9, took - clock_s_);
  };
  const int64_t begin = thread_cpu_ns();
  const double most_seconds = spec_.most_seconds * static_cast<double>(kernels.size());
  size_t next_look = spec_.least_samples;
  for (size_t turn = 1; turn <= spec_.most_samples; ++turn) {
    for (PreparedKernel* const kernel : kernels) kernel->cool();
    for (size_t i = 0; i < kernels.size(); ++i) {
      out[i].cold_s.push_back(sample(*kernels[i], out[i].disturbed));
      out[i].hot_s.push_back(sample(*kernels[i], out[i].disturbed));
    }
    if (turn < next_look) continue;
    next_look += next_look / 2;
    if (all_narrow(out)) break;
    if (seconds(thread_cpu_ns() - begin) > most_seconds) break;
  }
  for (Measurement& one : out) one.disturbed /= static_cast<double>(2 * one.cold_s.size());
  return out;
}

}  // namespace soapbox::calib
