#include "sim/cost/kernel_profile.h"

namespace soapbox {
namespace {

// Wide, because nobody measured: what devices reach of their datasheets differs by that much.
constexpr Interval kDatasheetInterval = {0.3, 0.6};

GemmFit datasheet_gemm(std::vector<GemmTile> tiles, double ramp) {
  GemmFit fit;
  fit.tiles = std::move(tiles);
  fit.quantisation = 0.7;
  fit.ramp = ramp;
  fit.unhidden = 0.1;
  fit.memory_efficiency = 0.8;
  fit.max_split = 8;
  fit.launch = microseconds(3);
  fit.interval = kDatasheetInterval;
  return fit;
}

}  // namespace

std::string to_string(GemmFamily family) {
  static constexpr std::array<const char*, kGemmFamilies> kNames = {
      "fp32_linear", "fp32_batched", "tensor_linear", "tensor_batched", "tensor_grouped"};
  return kNames[static_cast<size_t>(family)];
}

std::string to_string(MemoryFamily family) {
  static constexpr std::array<const char*, kMemoryFamilies> kNames = {"pass", "softmax",
                                                                      "embedding", "optimizer"};
  return kNames[static_cast<size_t>(family)];
}

size_t FactorGrid::node_count() const {
  size_t count = 1;
  for (const Axis& axis : axes) count *= static_cast<size_t>(axis.count);
  return count;
}

KernelProfile datasheet_kernel_profile() {
  // What libraries typically reach: 85 % of fp32 units, 75 % of tensor units, whose blocks need a
  // longer k to get under way; less with smaller blocks, which read their operands more often.
  const GemmFit fp32 = datasheet_gemm({{128, 128, 0.85}, {64, 64, 0.65}, {32, 32, 0.4}}, 16);
  const GemmFit tensor =
      datasheet_gemm({{256, 128, 0.75}, {128, 128, 0.68}, {64, 128, 0.5}, {64, 64, 0.4}}, 64);
  KernelProfile profile;
  profile.source = "round figures relative to the datasheet";
  profile.launch = microseconds(3);
  profile.gemm = {fp32, fp32, tensor, tensor, tensor};
  profile.attention_forward = {{0.45, 0.55, 0.5}, 0.6, kDatasheetInterval, ""};
  profile.attention_backward = {{0.38, 0.48, 0.4}, 0.6, kDatasheetInterval, ""};
  profile.memory.fill({0.8, kDatasheetInterval, ""});
  return profile;
}

}  // namespace soapbox
