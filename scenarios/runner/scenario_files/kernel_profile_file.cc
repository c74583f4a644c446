#include "scenarios/runner/scenario_files/kernel_profile_file.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr TomlTable::NumberRange kShare = {0, 1};
constexpr TomlTable::NumberRange kEfficiency = {1e-3, 1};
constexpr TomlTable::NumberRange kNotNegative = {};
constexpr TomlTable::NumberRange kFactor = {0.01, 100};
constexpr TomlTable::NumberRange kAddend = {-1, 100};

// A tile's efficiency may be a little above 1: a device can run above the clock of its datasheet.
constexpr TomlTable::NumberRange kTileEfficiency = {1e-3, 1.5};

Interval read_interval(const TomlTable& table) {
  return {table.number("low", kShare), table.number("high", kNotNegative)};
}

FactorGrid read_factor(const TomlTable& table, TomlTable::NumberRange range) {
  FactorGrid grid;
  for (size_t axis = 0; axis < FactorGrid::kAxes; ++axis) {
    const TomlTable at = table.table(FactorGrid::kAxisNames[axis]);
    grid.axes[axis].first = static_cast<int>(at.integer("first", {0, 40}));
    grid.axes[axis].step = static_cast<int>(at.integer("step", {1, 40}));
    grid.axes[axis].count = static_cast<int>(at.integer("count", {1, 64}));
  }
  grid.factors = table.numbers("values", range);
  if (table.good() && grid.factors.size() != grid.node_count()) {
    table.fail("values", str_cat("'values' has ", grid.factors.size(), " numbers; the axes make ",
                                 grid.node_count(), " nodes"));
  }
  return grid;
}

template <size_t kCount, class Value>
std::array<Value, kCount> exactly(const TomlTable& table, const char* key,
                                  const std::vector<Value>& values) {
  std::array<Value, kCount> array{};
  if (values.size() == kCount) {
    std::copy(values.begin(), values.end(), array.begin());
  } else {
    table.fail(key, str_cat("'", key, "' has ", values.size(), " values; it must have ", kCount));
  }
  return array;
}

MeasuredRange read_range(const TomlTable& table) {
  MeasuredRange range;
  const auto side = [&](const char* key) {
    return exactly<FactorGrid::kAxes>(table, key, table.integers(key, {1, int64_t{1} << 40}));
  };
  const bool from = table.has("measured_from");
  const bool to = table.has("measured_to");
  if (!from && !to) return range;
  range.low = side("measured_from");
  range.high = side("measured_to");
  for (size_t axis = 0; table.good() && axis < FactorGrid::kAxes; ++axis) {
    if (range.low[axis] > range.high[axis]) {
      table.fail("measured_to",
                 str_cat("'measured_to' has ", range.high[axis], " for ",
                         FactorGrid::kAxisNames[axis], ", 'measured_from' ", range.low[axis]));
    }
  }
  return range;
}

GemmFit read_gemm(const TomlTable& table) {
  GemmFit fit;
  fit.interval = read_interval(table);
  fit.fitted_on = table.string_or("fitted_on", "");
  fit.launch = table.duration("launch");
  fit.quantisation = table.number("quantisation", kShare);
  fit.ramp = table.number("ramp", {0, 1e6});
  fit.unhidden = table.number("unhidden", kShare);
  fit.memory_efficiency = table.number("memory_efficiency", kEfficiency);
  fit.max_split = table.integer("max_split", {1, 1024});
  fit.role = exactly<3>(table, "role", table.numbers("role", kFactor));
  fit.range = read_range(table);
  for (const TomlTable& tile : table.tables("tiles")) {
    GemmTile side;
    for (const auto& [key, value] : {std::pair{"m", &side.m}, std::pair{"n", &side.n}}) {
      *value = tile.integer(key, {1, 65536});
      if (tile.good() && !std::has_single_bit(static_cast<uint64_t>(*value))) {
        tile.fail(key, str_cat("'", key, "' is ", *value, "; it must be a power of two"));
      }
    }
    side.efficiency = tile.number("efficiency", kTileEfficiency);
    fit.tiles.push_back(side);
  }
  if (fit.tiles.empty()) table.fail("at least one tile is needed");
  if (const auto factor = table.table_if("factor")) fit.factor = read_factor(*factor, kFactor);
  if (const auto added = table.table_if("unaligned")) fit.unaligned = read_factor(*added, kAddend);
  return fit;
}

AttentionFit read_attention(const TomlTable& table) {
  AttentionFit fit;
  fit.interval = read_interval(table);
  fit.fitted_on = table.string_or("fitted_on", "");
  fit.efficiency = exactly<3>(table, "efficiency", table.numbers("efficiency", kEfficiency));
  fit.tail = table.number("tail", kNotNegative);
  return fit;
}

MemoryFit read_memory(const TomlTable& table) {
  MemoryFit fit;
  fit.interval = read_interval(table);
  fit.fitted_on = table.string_or("fitted_on", "");
  fit.efficiency = table.number("efficiency", kEfficiency);
  return fit;
}

}  // namespace

Result<KernelProfile> read_kernel_profile(const std::string& path) {
  const Result<TomlTable> file = read_toml_file(path);
  if (!file) return file.error();
  KernelProfile profile;
  profile.hardware = file->string("hardware");
  profile.source = file->string("source");
  profile.launch = file->duration("launch");
  for (size_t family = 0; family < kGemmFamilies; ++family) {
    profile.gemm[family] = read_gemm(file->table(to_string(static_cast<GemmFamily>(family))));
  }
  profile.attention_forward = read_attention(file->table("attention_forward"));
  profile.attention_backward = read_attention(file->table("attention_backward"));
  for (size_t family = 0; family < kMemoryFamilies; ++family) {
    profile.memory[family] = read_memory(file->table(to_string(static_cast<MemoryFamily>(family))));
  }
  if (Status status = file->finish(); !status) return status.error();
  return profile;
}

Result<std::map<std::string, KernelProfile>> read_kernel_profiles(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() == ".toml") paths.push_back(entry->path().string());
  }
  if (code) {
    return bad_input(str_cat("cannot list the kernel profiles: ", code.message()),
                     {directory, 0, 0});
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, KernelProfile> profiles;
  for (const std::string& path : paths) {
    Result<KernelProfile> profile = read_kernel_profile(path);
    if (!profile) return profile.error();
    const std::string hardware = profile->hardware;
    if (!profiles.emplace(hardware, *std::move(profile)).second) {
      return bad_input(str_cat("a second kernel profile of hardware '", hardware, "'"),
                       {path, 0, 0});
    }
  }
  return profiles;
}

Result<IdVector<HardwareId, KernelCosts>> cluster_kernel_costs(const ScenarioFolder& scenarios,
                                                               const Cluster& cluster) {
  const std::vector<std::string> known = scenarios.names(kKernelProfileFiles);
  IdVector<HardwareId, KernelCosts> costs;
  for (const Hardware& hardware : cluster.hardware()) {
    std::optional<KernelProfile> profile;
    if (std::find(known.begin(), known.end(), hardware.name) != known.end()) {
      const Result<std::string> path = scenarios.path(kKernelProfileFiles, hardware.name);
      if (!path) return path.error();
      Result<KernelProfile> read = read_kernel_profile(*path);
      if (!read) return read.error();
      profile = *std::move(read);
    }
    Result<KernelCosts> made = KernelCosts::make(hardware, profile ? &*profile : nullptr);
    if (!made) return made.error();
    costs.push_back(*std::move(made));
  }
  return costs;
}

}  // namespace soapbox::runner
