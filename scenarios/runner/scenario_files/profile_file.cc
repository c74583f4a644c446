#include "scenarios/runner/scenario_files/profile_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <utility>
#include <vector>

#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/str.h"
#include "sim/cost/measured_table.h"
#include "sim/model/float_types.h"

namespace soapbox::runner {
namespace {

constexpr TomlTable::IntegerRange kCounts = {1, std::numeric_limits<int64_t>::max()};
constexpr TomlTable::NumberRange kNotNegative = {};
constexpr TomlTable::NumberRange kPositive = {1e-6, 1e6};

ProductShape read_product(const TomlTable& table) {
  ProductShape shape;
  shape.latency = table.number("latency", kNotNegative);
  shape.ramp = table.number("ramp", kNotNegative);
  shape.long_k_penalty = table.number("long_k_penalty", kNotNegative);
  shape.max_split = table.integer("max_split", kCounts);
  for (const TomlTable& tile : table.tables("tiles")) {
    shape.tiles.push_back({tile.integer("m", kCounts), tile.integer("n", kCounts),
                           tile.number("efficiency", kPositive),
                           tile.number("passes", kNotNegative)});
  }
  if (shape.tiles.empty()) table.fail("at least one tile is needed");
  return shape;
}

DataType read_type(const TomlTable& file) {
  // Where the file has failed, any.
  return find_float_type(file.choice("type", float_type_names())).value_or(DataType::kFp32);
}

// The generated file: everything of a shape except the launch.
Status read_fit(const std::string& path, Profile& profile) {
  const Result<TomlTable> file = read_toml_file(path);
  if (!file) return file.error();
  profile.fitted_on = file->string("measured_on");
  profile.fit_source = file->string("source");
  profile.fitted_type = read_type(*file);
  profile.shape.memory_efficiency = file->number("memory_efficiency", {1e-6, 1});
  for (size_t kind = 0; kind < kProductKinds; ++kind) {
    const std::string name = to_string(static_cast<ProductKind>(kind));
    profile.shape.products[kind] = read_product(file->table(name));
  }
  return file->finish();
}

std::vector<Anchor> read_anchors(const TomlTable& file) {
  std::vector<Anchor> anchors;
  for (const TomlTable& table : file.tables("anchor")) {
    Anchor anchor;
    anchor.model = table.string("model");
    anchor.variants = table.strings("variants");
    anchor.batch = table.integer("batch", kCounts);
    anchor.iteration_time = table.duration("iteration_time");
    anchor.source = table.string("source");
    for (const Anchor& other : anchors) {
      if (other.covers(anchor.model)) {
        table.fail("model", str_cat("model '", anchor.model, "' already has an anchor"));
      }
      for (const std::string& variant : anchor.variants) {
        if (other.covers(variant)) {
          table.fail("variants", str_cat("model '", variant, "' already has an anchor"));
        }
      }
    }
    anchors.push_back(std::move(anchor));
  }
  return anchors;
}

}  // namespace

Result<Profile> read_profile(const std::string& path) {
  const Result<TomlTable> file = read_toml_file(path);
  if (!file) return file.error();
  Profile profile;
  profile.hardware = file->string("hardware");
  profile.source = file->string("source");
  profile.shape.launch = file->duration("launch");
  const std::string fit = file->string("fit");
  const bool has_table = file->has("measured");
  const std::string measured = has_table ? file->string("measured") : "";
  const std::vector<std::string> switches = {"off", "on"};
  if (file->has("nearby")) profile.nearby = file->choice("nearby", switches) == "on";
  profile.anchors = read_anchors(*file);
  if (!profile.anchors.empty()) {
    profile.unanchored_scale = file->number("unanchored_scale", kPositive);
  }
  if (Status status = file->finish(); !status) return status.error();
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (Status status = read_fit((folder / fit).string(), profile); !status) return status.error();
  if (has_table) {
    Result<MeasuredTable> table =
        MeasuredTable::read((folder / measured).string(), profile.hardware);
    if (!table) return table.error();
    profile.table = std::make_shared<const MeasuredTable>(*std::move(table));
  }
  return profile;
}

Result<std::map<std::string, Profile>> read_profiles(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() == ".toml") paths.push_back(entry->path().string());
  }
  if (code) {
    return bad_input(str_cat("cannot list the profiles: ", code.message()), {directory, 0, 0});
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, Profile> profiles;
  for (const std::string& path : paths) {
    Result<Profile> profile = read_profile(path);
    if (!profile) return profile.error();
    const std::string hardware = profile->hardware;
    if (!profiles.emplace(hardware, *std::move(profile)).second) {
      return bad_input(str_cat("a second profile of hardware '", hardware, "'"), {path, 0, 0});
    }
  }
  return profiles;
}

}  // namespace soapbox::runner
