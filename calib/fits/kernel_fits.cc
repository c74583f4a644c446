#include "calib/fits/kernel_fits.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>

#include "calib/fits/attention_fit.h"
#include "calib/fits/kernel_samples.h"
#include "calib/fits/pass_fit.h"
#include "calib/fits/product_fit.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr size_t kAnchors = 5;

constexpr size_t index(GemmFamily family) {
  return static_cast<size_t>(family);
}

Hardware device(std::string name, double fp32_tflops, double half_tflops, double memory_gb_s,
                int sm_count) {
  Hardware hardware;
  hardware.name = std::move(name);
  hardware.fp32_peak = tflops_per_s(fp32_tflops);
  hardware.fp16_peak = tflops_per_s(half_tflops);
  hardware.bf16_peak = tflops_per_s(half_tflops);
  hardware.memory_bandwidth = gb_per_s(memory_gb_s);
  hardware.sm_count = sm_count;
  return hardware;
}

const Hardware& device_named(std::string_view name) {
  for (const Hardware& hardware : measured_devices()) {
    if (hardware.name == name) return hardware;
  }
  SOAPBOX_CHECK(false, "no such measured device");
}

FactorGrid::Axis every_other_octave(int first, int last) {
  return {first, 2, (last - first) / 2 + 1};
}

// Products of one family that were measured on one device. Tiles are those in the names of the
// kernels that the libraries chose, where the source has names; batches are never cut along k.
struct ProductSource {
  const char* device;
  GemmFamily family;
  DataType type;
  Timing timing;
  Roles roles;
  std::vector<GemmTile> tiles;
  int64_t max_split;
  int64_t least_side = 1;  // of m, n and k: smaller products are left out
};

std::vector<ProductSource> product_sources() {
  const std::vector<GemmTile> large = {
      {256, 128, 0.75}, {128, 128, 0.68}, {64, 128, 0.5}, {64, 64, 0.4}};
  const std::vector<GemmTile> squares = {{128, 128, 0.8}, {64, 64, 0.75}, {32, 32, 0.7}};
  // Of our own random shapes, half are below what layers have, and take what launching takes.
  constexpr int64_t kLayerSide = 64;
  using enum GemmFamily;
  return {
      {"P100-PCIe-16GB",
       kFp32Linear,
       DataType::kFp32,
       Timing::kHost,
       Roles::kNone,
       {{128, 32, 0.6}, {32, 128, 0.6}, {64, 64, 0.6}, {128, 128, 0.7}},
       4},
      {"P100-PCIe-16GB",
       kFp32Batched,
       DataType::kFp32,
       Timing::kHost,
       Roles::kNone,
       {{128, 64, 0.7}, {64, 128, 0.7}, {128, 128, 0.7}, {32, 32, 0.4}},
       1},
      {"V100-PCIe-32GB", kFp32Linear, DataType::kFp32, Timing::kHost, Roles::kNone, squares, 4},
      {"V100-PCIe-32GB",
       kFp32Batched,
       DataType::kFp32,
       Timing::kHost,
       Roles::kNone,
       {{64, 64, 0.8}, {32, 128, 0.7}, {128, 32, 0.7}},
       1},
      {"A100-PCIe-40GB", kFp32Linear, DataType::kFp32, Timing::kHost, Roles::kNone, squares, 4},
      {"A100-PCIe-40GB",
       kFp32Batched,
       DataType::kFp32,
       Timing::kHost,
       Roles::kNone,
       {{128, 128, 0.8}},
       1},
      {"H200-SXM-141GB", kFp32Linear, DataType::kFp32, Timing::kDevice, Roles::kEach, squares, 8,
       kLayerSide},
      {"V100-SXM2-32GB", kTensorLinear, DataType::kFp16, Timing::kHost, Roles::kOneForBoth, large,
       8},
      {"V100-SXM2-32GB", kTensorBatched, DataType::kFp16, Timing::kHost, Roles::kOneForBoth, large,
       1},
      {"A100-SXM4-80GB", kTensorLinear, DataType::kFp16, Timing::kDevice, Roles::kNone, large, 8},
      {"A100-PCIe-80GB", kTensorLinear, DataType::kBf16, Timing::kLong, Roles::kEach, large, 8},
      {"H100-SXM5-80GB", kTensorLinear, DataType::kFp16, Timing::kDevice, Roles::kNone, large, 8},
      {"H200-SXM-141GB", kTensorLinear, DataType::kBf16, Timing::kDevice, Roles::kEach, large, 8},
      {"B200-SXM-180GB", kTensorLinear, DataType::kBf16, Timing::kLong, Roles::kEach, large, 8},
      {"B200-SXM-180GB", kTensorGrouped, DataType::kBf16, Timing::kHost, Roles::kEach, large, 1},
  };
}

ProductFitStart start_of(const ProductSource& source) {
  ProductFitStart start;
  start.fit = datasheet_kernel_profile().gemm[index(source.family)];
  start.fit.tiles = source.tiles;
  start.fit.max_split = source.max_split;
  start.timing = source.timing;
  start.roles = source.roles;
  // Random shapes, many of them narrow: these do say it.
  if (source.type == DataType::kFp32) start.least_memory_efficiency = 0.2;
  const bool batched = source.family == GemmFamily::kFp32Batched ||
                       source.family == GemmFamily::kTensorBatched ||
                       source.family == GemmFamily::kTensorGrouped;
  start.fit.factor.axes = {batched ? every_other_octave(1, 9) : FactorGrid::Axis{},
                           every_other_octave(4, 14), every_other_octave(6, 16),
                           every_other_octave(6, 16)};
  // A third of the nodes: few rows say what breaking sectors costs.
  start.fit.unaligned.axes = {
      batched ? FactorGrid::Axis{1, 4, 3} : FactorGrid::Axis{}, {4, 6, 2}, {4, 6, 3}, {4, 6, 3}};
  start.smooth = batched ? 0.1 : 0.05;
  start.shrink = 0.02;
  return start;
}

// The samples of the operator models' fits (kernel_samples.h) are fp32 products, too.
void append(const std::vector<KernelSample>& from, std::vector<ProductSample>& to) {
  for (const KernelSample& sample : from) {
    Kernel kernel;
    kernel.kind = KernelKind::kGemm;
    kernel.type = DataType::kFp32;
    kernel.gemm = sample.work.product;
    kernel.bytes = sample.work.product_bytes;
    to.push_back({{kernel}, sample.seconds, sample.held_out});
  }
}

Result<std::vector<ProductSample>> read_products(const std::string& folder,
                                                 const std::string& device, GemmFamily family,
                                                 DataType type) {
  if (type == DataType::kFp32 && (device == "P100-PCIe-16GB" || device == "A100-PCIe-40GB")) {
    const Result<KernelSamples> kernels = read_kernel_samples(folder + "/kernels/" + device);
    if (!kernels) return kernels.error();
    std::vector<ProductSample> samples;
    append(family == GemmFamily::kFp32Linear ? kernels->linear : kernels->batched, samples);
    return samples;
  }
  return read_product_samples(
      str_cat(folder, "/kernel_samples/", device, "_", to_string(family), ".csv"), type,
      family == GemmFamily::kTensorGrouped);
}

// All fits, by device.
struct DeviceFits {
  std::array<FittedProducts, kGemmFamilies> products;
  AttentionFit attention_forward;
  AttentionFit attention_backward;
  std::array<MemoryFit, kMemoryFamilies> memory;
};
using Fits = std::map<std::string, DeviceFits>;

Status fit_all_products(const std::string& folder, Fits& fits, KernelFits& result) {
  for (const ProductSource& source : product_sources()) {
    auto samples = read_products(folder, source.device, source.family, source.type);
    if (!samples) return samples.error();
    std::erase_if(*samples, [&](const ProductSample& sample) {
      const Gemm& gemm = sample.kernels.front().gemm;
      return std::min({gemm.m, gemm.n, gemm.k}) < source.least_side;
    });
    FittedProducts fitted =
        fit_products(*samples, source.family, device_named(source.device), start_of(source));
    result.lines.push_back({source.device, to_string(source.family), fitted.formula, fitted.report,
                            repeat_errors(*samples, fitted.fit.interval)});
    fits[source.device].products[index(source.family)] = std::move(fitted);
  }
  return ok();
}

Status fit_all_attention(const std::string& folder, Fits& fits, KernelFits& result) {
  const KernelProfile datasheet = datasheet_kernel_profile();
  for (const char* name : {"A100-PCIe-80GB", "B200-SXM-180GB"}) {
    const auto samples =
        read_attention_samples(str_cat(folder, "/kernel_samples/", name, "_attention.csv"));
    if (!samples) return samples.error();
    for (const bool backward : {false, true}) {
      const AttentionFit& start =
          backward ? datasheet.attention_backward : datasheet.attention_forward;
      FittedAttention fitted =
          fit_attention(*samples, backward, device_named(name), start, datasheet.launch);
      (backward ? fits[name].attention_backward : fits[name].attention_forward) = fitted.fit;
      result.lines.push_back(
          {name, backward ? "attention_backward" : "attention_forward", {}, fitted.report, {}});
    }
  }
  return ok();
}

Status fit_all_passes(const std::string& folder, Fits& fits, KernelFits& result) {
  const std::array<std::pair<const char*, MemoryFamily>, 8> kMeasured = {{
      {"V100-PCIe-32GB", MemoryFamily::kPass},
      {"V100-PCIe-32GB", MemoryFamily::kSoftmax},
      {"A100-PCIe-40GB", MemoryFamily::kPass},
      {"A100-PCIe-40GB", MemoryFamily::kSoftmax},
      {"A100-SXM4-80GB", MemoryFamily::kEmbedding},
      {"H100-SXM5-80GB", MemoryFamily::kEmbedding},
      {"H200-SXM-141GB", MemoryFamily::kPass},
      {"H200-SXM-141GB", MemoryFamily::kSoftmax},
  }};
  for (const auto& [name, family] : kMeasured) {
    const auto samples =
        read_pass_samples(str_cat(folder, "/kernel_samples/", name, "_passes.csv"));
    if (!samples) return samples.error();
    const FittedPasses fitted = fit_passes(*samples, family, device_named(name));
    fits[name].memory[static_cast<size_t>(family)] = fitted.fit;
    result.lines.push_back({name, to_string(family), {}, fitted.report, {}});
  }
  // No rows of the B200 are public, only what SimuMax fitted to its own (passes, cross-entropy).
  constexpr Interval kUnstated = {0.3, 0.4};
  auto& b200 = fits["B200-SXM-180GB"].memory;
  b200[static_cast<size_t>(MemoryFamily::kPass)] = {0.666, kUnstated, "B200-SXM-180GB"};
  b200[static_cast<size_t>(MemoryFamily::kSoftmax)] = {0.325, kUnstated, "B200-SXM-180GB"};
  return ok();
}

// What a shipped profile takes from which measured device; null: by datasheet.
struct ProfileSource {
  const char* hardware;
  const char* fp32;
  const char* fp32_batched;
  const char* tensor;
  const char* batched;  // null: as a single product
  const char* grouped;  // null: as a single product
  const char* attention;
  const char* passes;  // and softmax
  const char* embedding;
};

constexpr const char* kP100 = "P100-PCIe-16GB";
constexpr const char* kV100 = "V100-PCIe-32GB";
constexpr const char* kV100Sxm = "V100-SXM2-32GB";
constexpr const char* kA100 = "A100-PCIe-40GB";
constexpr const char* kA100Pcie80 = "A100-PCIe-80GB";
constexpr const char* kA100Sxm = "A100-SXM4-80GB";
constexpr const char* kH100 = "H100-SXM5-80GB";
constexpr const char* kH200 = "H200-SXM-141GB";
constexpr const char* kB200 = "B200-SXM-180GB";

constexpr ProfileSource kProfileSources[] = {
    {"P100-PCIe-16GB", kP100, kP100, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
    {"P100-SXM2-16GB", kP100, kP100, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
    {"V100-PCIe-16GB", kV100, kV100, kV100Sxm, kV100Sxm, nullptr, nullptr, kV100, nullptr},
    {"V100-PCIe-32GB", kV100, kV100, kV100Sxm, kV100Sxm, nullptr, nullptr, kV100, nullptr},
    {"V100-SXM2-16GB", kV100, kV100, kV100Sxm, kV100Sxm, nullptr, nullptr, kV100, nullptr},
    {"V100-SXM2-32GB", kV100, kV100, kV100Sxm, kV100Sxm, nullptr, nullptr, kV100, nullptr},
    {"A100-PCIe-40GB", kA100, kA100, kA100Pcie80, nullptr, nullptr, kA100Pcie80, kA100, kA100Sxm},
    {"A100-PCIe-80GB", kA100, kA100, kA100Pcie80, nullptr, nullptr, kA100Pcie80, kA100, kA100Sxm},
    {"A100-SXM4-40GB", kA100, kA100, kA100Sxm, nullptr, nullptr, kA100Pcie80, kA100, kA100Sxm},
    {"A100-SXM4-80GB", kA100, kA100, kA100Sxm, nullptr, nullptr, kA100Pcie80, kA100, kA100Sxm},
    {"A800-SXM4-80GB", kA100, kA100, kA100Sxm, nullptr, nullptr, kA100Pcie80, kA100, kA100Sxm},
    {"H100-PCIe-80GB", kH200, kA100, kH100, nullptr, nullptr, nullptr, kA100, kH100},
    {"H100-SXM5-80GB", kH200, kA100, kH100, nullptr, nullptr, nullptr, kA100, kH100},
    {"H800-SXM5-80GB", kH200, kA100, kH100, nullptr, nullptr, nullptr, kA100, kH100},
    {"H200-SXM-141GB", kH200, kA100, kH200, nullptr, nullptr, nullptr, kA100, kH100},
    {"B200-SXM-180GB", kA100, kA100, kB200, nullptr, kB200, kB200, kB200, kH100},
    {"GB200-GPU-186GB", kA100, kA100, kB200, nullptr, kB200, kB200, kB200, kH100},
};

std::string described(const ProfileSource& source) {
  std::vector<std::string> parts;
  const auto part = [&](const char* what, const char* from) {
    if (from != nullptr) parts.push_back(str_cat(what, " fitted to kernels of ", from));
  };
  part("fp32 products", source.fp32);
  if (source.fp32_batched != source.fp32) part("fp32 batched products", source.fp32_batched);
  part("fp16 and bf16 products", source.tensor);
  part("attention", source.attention);
  part("passes over memory", source.passes);
  part("embedding", source.embedding);
  return join(parts, ", ") + ", relative to the datasheets; the rest by datasheet";
}

KernelProfile profile_of(const ProfileSource& source, const Fits& fits) {
  KernelProfile profile = datasheet_kernel_profile();
  profile.hardware = source.hardware;
  profile.source = described(source);
  const auto product = [&](const char* from, GemmFamily family) {
    return fits.at(from).products[index(family)].fit;
  };
  profile.gemm[index(GemmFamily::kFp32Linear)] = product(source.fp32, GemmFamily::kFp32Linear);
  profile.gemm[index(GemmFamily::kFp32Batched)] =
      product(source.fp32_batched, GemmFamily::kFp32Batched);
  // Without tensor units a shorter type runs on the same units at its own peak.
  const GemmFit tensor = source.tensor != nullptr
                             ? product(source.tensor, GemmFamily::kTensorLinear)
                             : product(source.fp32, GemmFamily::kFp32Linear);
  profile.gemm[index(GemmFamily::kTensorLinear)] = tensor;
  profile.gemm[index(GemmFamily::kTensorBatched)] =
      source.batched != nullptr ? product(source.batched, GemmFamily::kTensorBatched) : tensor;
  profile.gemm[index(GemmFamily::kTensorGrouped)] =
      source.grouped != nullptr ? product(source.grouped, GemmFamily::kTensorGrouped) : tensor;
  if (source.attention != nullptr) {
    profile.attention_forward = fits.at(source.attention).attention_forward;
    profile.attention_backward = fits.at(source.attention).attention_backward;
  }
  const auto memory = [&](const char* from, MemoryFamily family) {
    const auto at = static_cast<size_t>(family);
    if (from != nullptr) profile.memory[at] = fits.at(from).memory[at];
  };
  memory(source.passes, MemoryFamily::kPass);
  memory(source.passes, MemoryFamily::kSoftmax);
  memory(source.embedding, MemoryFamily::kEmbedding);
  return profile;
}

Status try_transfers(const std::string& folder, const Fits& fits, KernelFits& result) {
  struct Trial {
    const char* source;
    const char* target;
    GemmFamily family;
    bool same_architecture = false;
  };
  using enum GemmFamily;
  constexpr Trial kTrials[] = {
      {kA100, kA100Pcie80, kFp32Linear, true},
      {kA100, kH100, kFp32Linear},
      {kA100, "T4", kFp32Linear},
      {kA100, kV100, kFp32Linear},
      {kA100, kP100, kFp32Linear},
      {kV100, kH100, kFp32Linear},
      {kH200, kH100, kFp32Linear, true},
      {kV100, kA100, kFp32Linear},
      {kA100, kA100Pcie80, kFp32Batched, true},
      {kA100, "T4", kFp32Batched},
      {kA100, kV100, kFp32Batched},
      {kV100, kA100, kFp32Batched},
      {kA100Sxm, kH100, kTensorLinear},
      {kA100Sxm, kA100Pcie80, kTensorLinear, true},
      {kH100, kB200, kTensorLinear},
      {kH100, kA100Sxm, kTensorLinear},
      {kA100Sxm, kV100Sxm, kTensorLinear},
  };
  for (const Trial& trial : kTrials) {
    const DataType type = trial.family == kTensorLinear ? DataType::kFp16 : DataType::kFp32;
    const auto samples = read_products(folder, trial.target, trial.family, type);
    if (!samples) return samples.error();
    const TransferredProducts moved =
        transfer_products(fits.at(trial.source).products[index(trial.family)], trial.family,
                          device_named(trial.target), *samples, kAnchors, trial.same_architecture);
    result.transfers.push_back(
        {trial.source, trial.target, to_string(trial.family), moved.unanchored, moved.anchored});
  }
  return ok();
}

}  // namespace

std::span<const Hardware> measured_devices() {
  static const std::array<Hardware, 10> kDevices = {
      device("P100-PCIe-16GB", 9.3, 18.7, 732, 56),
      device("T4", 8.14, 65.1, 320, 40),
      device("V100-PCIe-32GB", 14, 112, 897, 80),
      device("V100-SXM2-32GB", 15.7, 125, 900, 80),
      device("A100-PCIe-40GB", 19.5, 312, 1555, 108),
      device("A100-PCIe-80GB", 19.5, 312, 1935, 108),
      device("A100-SXM4-80GB", 19.5, 312, 2039, 108),
      device("H100-SXM5-80GB", 66.9, 989.4, 3350, 132),
      device("H200-SXM-141GB", 66.9, 989.4, 4800, 132),
      device("B200-SXM-180GB", 80, 2250, 8000, 148),
  };
  return kDevices;
}

Result<KernelFits> fit_kernels(const std::string& folder) {
  KernelFits result;
  Fits fits;
  Status status = fit_all_products(folder, fits, result);
  if (status) status = fit_all_attention(folder, fits, result);
  if (status) status = fit_all_passes(folder, fits, result);
  if (status) status = try_transfers(folder, fits, result);
  if (!status) return status.error();
  for (const ProfileSource& source : kProfileSources) {
    result.profiles.push_back(profile_of(source, fits));
  }
  return result;
}

}  // namespace soapbox::calib
