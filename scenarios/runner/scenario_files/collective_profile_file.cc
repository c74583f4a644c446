#include "scenarios/runner/scenario_files/collective_profile_file.h"

#include <algorithm>
#include <set>
#include <utility>

#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::runner {
namespace {

constexpr double kMicro = 1e-6;
constexpr double kPico = 1e-12;
constexpr double kGiga = 1e9;
constexpr TomlTable::NumberRange kMicroseconds = {0, 1e6};
constexpr TomlTable::NumberRange kEfficiency = {1e-6, 1};
constexpr TomlTable::NumberRange kError = {0, 10};
constexpr TomlTable::IntegerRange kRanks = {2, 1024};

Protocol read_protocol(const TomlTable& table) {
  return {.launch = table.number("launch_us", kMicroseconds) * kMicro,
          .near_step = table.number("near_step_us", kMicroseconds) * kMicro,
          .far_step = table.number("far_step_us", kMicroseconds) * kMicro,
          .near_efficiency = table.number("near_efficiency", kEfficiency),
          .far_efficiency = table.number("far_efficiency", kEfficiency)};
}

CollectiveCurve read_curve(const TomlTable& table) {
  const TomlTable::IntegerRange sizes = {1, kMostCollectiveBytes.count()};
  std::vector<std::string> names;
  for (const CollectiveRow& row : collective_table()) names.emplace_back(row.op_name);
  CollectiveCurve curve;
  const Result<CollectiveOp> op = find_collective(table.choice("op", names));
  if (op) curve.op = *op;  // else the file has failed
  curve.ranks = table.integer("ranks", kRanks);
  curve.link_bandwidth = table.number("link_gb_per_s", {1e-3, 1e9}) * kGiga;
  curve.first = Bytes(table.integer("first_bytes", sizes));
  curve.error = table.number("error", kError);
  std::vector<AlphaBetaSegment> segments;
  for (const TomlTable& segment : table.tables("segments")) {
    segments.push_back({Bytes(segment.integer("last_bytes", sizes)),
                        segment.number("alpha_us", kMicroseconds) * kMicro,
                        segment.number("beta_ps_per_byte", {0, 1e9}) * kPico});
  }
  if (!table.good()) return curve;
  Result<MeasuredCollective> times = MeasuredCollective::make(std::move(segments));
  if (!times) {
    table.fail("segments", times.error().message);
  } else if (curve.first > times->segments().back().last) {
    table.fail("first_bytes", "more than the last segment's last_bytes");
  } else {
    curve.times = *std::move(times);
  }
  return curve;
}

bool is_nvlink(const Fabric& fabric) {
  return fabric.near_type.starts_with("nvlink");
}

bool covers(const CollectiveProfile& profile, const std::string& hardware) {
  return std::ranges::find(profile.hardware, hardware) != profile.hardware.end();
}

// Whether a profile may be of this hardware: its file names it. Reading the files of other devices
// took longer than simulating a plan.
Result<bool> mentions(const std::string& path, const std::string& hardware) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return text->find(str_cat("\"", hardware, "\"")) != std::string::npos;
}

}  // namespace

Result<CollectiveProfile> read_collective_profile(const std::string& path) {
  const Result<TomlTable> file = read_toml_file(path);
  if (!file) return file.error();
  CollectiveProfile profile;
  profile.provenance = Provenance::kCalibratedRoofline;
  profile.hardware = file->strings("hardware");
  if (profile.hardware.empty()) file->fail("hardware", "at least one device is needed");
  profile.link_type = file->string_or("link_type", profile.link_type);
  profile.source = file->string("source");
  profile.near_error = file->number("near_error", kError);
  profile.far_error = file->number("far_error", kError);
  profile.switch_reduction_ranks = file->integer("switch_reduction_ranks", {0, 1024});
  if (profile.switch_reduction_ranks > 0) {
    profile.switch_reduction_efficiency = file->number("switch_reduction_efficiency", kEfficiency);
    profile.switch_reduction_launch =
        file->number("switch_reduction_launch_us", kMicroseconds) * kMicro;
  }
  for (const TomlTable& table : file->tables("protocol")) {
    profile.protocols.push_back(read_protocol(table));
  }
  if (profile.protocols.empty()) file->fail("at least one [[protocol]] is needed");
  std::set<std::pair<CollectiveOp, int64_t>> seen;
  for (const TomlTable& table : file->tables("curve")) {
    profile.curves.push_back(read_curve(table));
    const CollectiveCurve& curve = profile.curves.back();
    if (!seen.emplace(curve.op, curve.ranks).second) {
      table.fail(str_cat("a second curve of ", collective_row(curve.op).op_name, " among ",
                         curve.ranks, " ranks"));
    }
  }
  if (Status status = file->finish(); !status) return status.error();
  return profile;
}

Result<std::optional<CollectiveProfile>> find_collective_profile(const ScenarioFolder& scenarios,
                                                                 const std::string& hardware) {
  std::optional<CollectiveProfile> found;
  for (const std::string& name : scenarios.names(kCollectiveProfileFiles)) {
    const Result<std::string> path = scenarios.path(kCollectiveProfileFiles, name);
    if (!path) return path.error();
    const Result<bool> mentioned = mentions(*path, hardware);
    if (!mentioned) return mentioned.error();
    if (!*mentioned) continue;
    Result<CollectiveProfile> profile = read_collective_profile(*path);
    if (!profile) return profile.error();
    if (!covers(*profile, hardware)) continue;
    if (found) {
      return bad_input(str_cat("a second profile of hardware '", hardware, "'"), {*path, 0, 0});
    }
    found = *std::move(profile);
  }
  return found;
}

Result<GroupCosts> load_group_costs(const ScenarioFolder& scenarios, const Cluster& cluster) {
  Fabric fabric = survey_fabric(cluster);
  const bool nvlink = is_nvlink(fabric);
  const auto profile = find_collective_profile(scenarios, cluster.hardware()[HardwareId(0)].name);
  if (!profile) return profile.error();
  const auto covered = [&](const Hardware& hardware) { return covers(**profile, hardware.name); };
  const auto& kinds = cluster.hardware();
  if (!*profile || !fabric.near_type.starts_with((*profile)->link_type) ||
      !std::all_of(kinds.begin(), kinds.end(), covered)) {
    return GroupCosts::make(std::move(fabric), public_constants(nvlink));
  }
  return GroupCosts::make(std::move(fabric), **profile);
}

}  // namespace soapbox::runner
