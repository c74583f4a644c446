#include "calib/fits/roofline_fit.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>

#include "calib/fits/pattern_search.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

using Values = std::vector<double>;

struct Measuring {
  double host_floor = 0;
  double intercept = 0;
};

double predicted(const Roofline& roofline, const Measuring& measuring, const Work& work) {
  return std::max(measuring.host_floor,
                  measuring.intercept + roofline.run_seconds(work, DataType::kFp32));
}

// The rows that a fit may see. Random shapes are mostly large, but pieces of plans are small: every
// octave of m counts as much as another, unless it has few rows.
struct TrainingRow {
  Work work;
  double seconds = 0;
  double weight = 0;  // 1 in sum
};

std::vector<TrainingRow> training_rows(const std::vector<KernelSample>& samples, double at_least) {
  constexpr size_t kFewRows = 50;
  std::vector<TrainingRow> rows;
  for (const KernelSample& sample : samples) {
    if (sample.held_out || sample.seconds < at_least) continue;
    rows.push_back({sample.work, sample.seconds, 0});
  }
  const auto octave_of = [](const TrainingRow& row) {
    const int64_t m = std::max<int64_t>(1, row.work.product.m);
    return static_cast<size_t>(std::bit_width(static_cast<uint64_t>(m)));
  };
  std::array<size_t, 65> rows_of_octave{};
  for (const TrainingRow& row : rows) ++rows_of_octave[octave_of(row)];
  double sum = 0;
  for (TrainingRow& row : rows) {
    row.weight = 1.0 / static_cast<double>(std::max(kFewRows, rows_of_octave[octave_of(row)]));
    sum += row.weight;
  }
  for (TrainingRow& row : rows) row.weight /= sum;
  return rows;
}

double misfit(const Roofline& roofline, const Measuring& measuring,
              const std::vector<TrainingRow>& rows) {
  double sum = 0;
  for (const TrainingRow& row : rows) {
    const double ratio = predicted(roofline, measuring, row.work) / row.seconds;
    sum += row.weight * (std::max(ratio, 1 / ratio) - 1);
  }
  return sum;
}

FamilyReport report_on(std::string family, const Roofline& roofline, const Measuring& measuring,
                       const std::vector<KernelSample>& samples, double at_least = 0) {
  FamilyReport report;
  report.family = std::move(family);
  report.host_floor_us = measuring.host_floor * 1e6;
  report.intercept_us = measuring.intercept * 1e6;
  Values held_out_ratios;
  for (const KernelSample& sample : samples) {
    if (sample.seconds < at_least) continue;
    const double ratio = predicted(roofline, measuring, sample.work) / sample.seconds;
    if (sample.held_out) {
      held_out_ratios.push_back(ratio);
      report.held_out_mape += std::fabs(ratio - 1);
    } else {
      report.fitted_mape += std::fabs(ratio - 1);
      ++report.fitted_rows;
    }
  }
  report.held_out_rows = held_out_ratios.size();
  report.fitted_mape /= static_cast<double>(std::max<size_t>(1, report.fitted_rows));
  report.held_out_mape /= static_cast<double>(std::max<size_t>(1, report.held_out_rows));
  if (!held_out_ratios.empty()) {
    std::sort(held_out_ratios.begin(), held_out_ratios.end());
    report.held_out_bias = held_out_ratios[held_out_ratios.size() / 2];
  }
  return report;
}

// The bandwidth that passes over memory reach, from three kernels that share nothing else.
void fit_memory(const KernelSamples& samples, const Hardware& hardware, RooflineFit& fit) {
  const std::vector<const std::vector<KernelSample>*> families = {&samples.add, &samples.relu,
                                                                  &samples.softmax};
  // Values: efficiency, then host floor and intercept of each family.
  Values values = {0.7, 45e-6, 15e-6, 55e-6, 15e-6, 60e-6, 15e-6};
  const auto apply = [&](const Values& v) {
    fit.shape.memory_efficiency = v[0];
    return Roofline(fit.shape, hardware);
  };
  const auto measuring_of = [](const Values& v, size_t family) {
    return Measuring{v[1 + 2 * family], v[2 + 2 * family]};
  };
  std::vector<std::vector<TrainingRow>> rows;
  for (const auto* family : families) rows.push_back(training_rows(*family, 0));
  pattern_search(values, [&](const Values& v) {
    const Roofline roofline = apply(v);
    double sum = 0;
    for (size_t family = 0; family < families.size(); ++family) {
      sum += misfit(roofline, measuring_of(v, family), rows[family]);
    }
    return sum;
  });
  values[0] = rounded(values[0]);
  const Roofline roofline = apply(values);
  const std::array<const char*, 3> names = {"add", "relu", "softmax"};
  for (size_t family = 0; family < families.size(); ++family) {
    fit.reports.push_back(
        report_on(names[family], roofline, measuring_of(values, family), *families[family]));
  }
}

// One kind of product: host floor, intercept, latency, ramp, long-k penalty, then
// efficiency and passes of every tile of `start`. A parameter that starts at zero stays zero.
void fit_product(ProductKind kind, const ProductShape& start,
                 const std::vector<KernelSample>& samples, const Hardware& hardware,
                 double at_least, RooflineFit& fit) {
  ProductShape& shape = fit.shape.products[static_cast<size_t>(kind)];
  shape = start;
  Values values = {45e-6, 15e-6, start.latency, start.ramp, start.long_k_penalty};
  const size_t first_tile = values.size();
  for (const Tile& tile : start.tiles) {
    values.push_back(tile.efficiency);
    values.push_back(tile.passes);
  }
  const auto apply = [&](const Values& v) {
    shape.latency = v[2];
    shape.ramp = v[3];
    shape.long_k_penalty = v[4];
    for (size_t tile = 0; tile < shape.tiles.size(); ++tile) {
      shape.tiles[tile].efficiency = v[first_tile + 2 * tile];
      shape.tiles[tile].passes = v[first_tile + 2 * tile + 1];
    }
    return Roofline(fit.shape, hardware);
  };
  const std::vector<TrainingRow> rows = training_rows(samples, at_least);
  pattern_search(values, [&](const Values& v) { return misfit(apply(v), {v[0], v[1]}, rows); });
  for (size_t i = 2; i < values.size(); ++i) values[i] = rounded(values[i]);
  fit.reports.push_back(
      report_on(to_string(kind), apply(values), {values[0], values[1]}, samples, at_least));
}

}  // namespace

std::array<ProductShape, kProductKinds> gpu_product_starts() {
  // Tile shapes are those in the names of the kernels that the libraries chose for these samples.
  // Splits of k: the samples do not show them; weight gradients need them, because their result is
  // small and their k is the number of samples and positions.
  const ProductShape linear{
      {{128, 32, 0.6, 0.1}, {32, 128, 0.5, 0.1}, {64, 64, 0.6, 0.1}, {128, 128, 0.7, 0.1}},
      0.5,
      20,
      1.0,
      4};
  const ProductShape gemm{
      {{128, 64, 0.7, 0.1}, {64, 128, 0.6, 0.1}, {128, 128, 0.7, 0.1}, {32, 32, 0.4, 0.1}},
      0.5,
      20,
      0,
      16};
  const ProductShape conv{
      {{128, 128, 0.6, 0.1}, {128, 64, 0.6, 0.1}, {128, 32, 0.6, 0.1}}, 0.5, 20, 0, 32};
  // Transforms inside one kernel, and apart from it: then larger patches save more multiplications.
  const ProductShape winograd{
      {{128, 32, 1.5, 0.1}, {64, 64, 1.5, 0.1}, {128, 128, 2.5, 4}}, 0.5, 100, 0, 1};
  return {linear, gemm, conv, winograd};
}

RooflineFit fit_roofline(const KernelSamples& samples, const FittedDevice& device) {
  Hardware hardware;
  hardware.name = device.name;
  hardware.fp32_peak = device.fp32_peak;
  hardware.memory_bandwidth = device.memory_bandwidth;
  hardware.sm_count = device.sm_count;
  const auto [linear, gemm, conv, winograd] = gpu_product_starts();
  RooflineFit fit;
  fit_memory(samples, hardware, fit);
  fit_product(ProductKind::kLinear, linear, samples.linear, hardware, 0, fit);
  fit_product(ProductKind::kGemm, gemm, samples.batched, hardware, 0, fit);
  fit_product(ProductKind::kConv, conv, samples.direct_conv, hardware, 600e-6, fit);
  fit_product(ProductKind::kWinograd, winograd, samples.winograd_conv, hardware, 600e-6, fit);
  return fit;
}

std::span<const FittedDevice> fitted_devices() {
  static const std::array<FittedDevice, 2> kDevices = {{
      {"A100-PCIe-40GB", tflops_per_s(19.5), gb_per_s(1555), 108,
       "sitar-lab/NeuSight@6945927, fp32 without TF32, PyTorch 2.1, CUDA 12.1; convolutions on the "
       "80 GB board"},
      {"P100-PCIe-16GB", tflops_per_s(9.3), gb_per_s(732), 56,
       "sitar-lab/NeuSight@6945927, fp32 without TF32, PyTorch 2.1, CUDA 12.1"},
  }};
  return kDevices;
}

std::string to_toml(const RooflineFit& fit, const FittedDevice& device) {
  std::string text = str_cat(
      "# Generated by soapbox_fit from scenarios/profiles/kernels; do not edit.\n"
      "# Mean absolute percentage errors, fitted rows / held-out rows:\n");
  for (const FamilyReport& report : fit.reports) {
    char line[160];
    std::snprintf(line, sizeof line,
                  "#   %-9s %5zu / %4zu rows  %5.1f %% / %5.1f %%  held-out median ratio %.2f, "
                  "host floor %.0f us, intercept %.0f us\n",
                  report.family.c_str(), report.fitted_rows, report.held_out_rows,
                  100 * report.fitted_mape, 100 * report.held_out_mape, report.held_out_bias,
                  report.host_floor_us, report.intercept_us);
    text += line;
  }
  return str_cat(text, "measured_on = \"", device.name, "\"\nsource = \"", device.source, "\"\n",
                 shape_toml(fit.shape));
}

std::string shape_toml(const RooflineShape& shape) {
  std::string text =
      str_cat("type = \"fp32\"\nmemory_efficiency = ", shape.memory_efficiency, "\n");
  for (size_t kind = 0; kind < kProductKinds; ++kind) {
    const ProductShape& product = shape.products[kind];
    text +=
        str_cat("\n[", to_string(static_cast<ProductKind>(kind)), "]\nlatency = ", product.latency,
                "\nramp = ", product.ramp, "\nlong_k_penalty = ", product.long_k_penalty,
                "\nmax_split = ", product.max_split, "\ntiles = [\n");
    for (const Tile& tile : product.tiles) {
      text += str_cat("  {m = ", tile.m, ", n = ", tile.n, ", efficiency = ", tile.efficiency,
                      ", passes = ", tile.passes, "},\n");
    }
    text += "]\n";
  }
  return text;
}

}  // namespace soapbox::calib
