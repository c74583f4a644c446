#include "calib/fits/collective_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "calib/fits/pattern_search.h"
#include "sim/base/rng.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::calib {
namespace {

using Values = std::vector<double>;
using Rows = std::vector<CollectiveSample>;

constexpr size_t kProtocols = 3;
constexpr size_t kFewestSizes = 5;
constexpr size_t kFewestSegments = 3;
constexpr size_t kMostSegments = 6;
constexpr double kCurveTolerance = 0.02;
constexpr double kPercentile = 0.9;
constexpr double kSwitchEfficiency = 0.85;  // to start from: NCCL's constant for Hopper
constexpr double kSwitchLaunch = 25e-6;     // NCCL's constant
constexpr double kMicro = 1e-6;
constexpr double kPico = 1e-12;
constexpr double kGiga = 1e9;

double mean(const Values& values) {
  if (values.empty()) return -1;
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// The smallest value that is at least as large as this share of them.
double percentile(Values values) {
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  return values[static_cast<size_t>(std::ceil(kPercentile * count)) - 1];
}

// The costs of every system with one set of figures.
class Model {
 public:
  Model(const CollectiveSamples& samples, const CollectiveProfile& profile) {
    for (const CollectiveSystem& system : samples.systems) {
      costs_.push_back(GroupCosts::make(system.fabric, profile));
    }
  }
  double seconds(const CollectiveSample& row) const {
    return costs_[row.system].time(row.op, row.bytes, row.shape).time.seconds();
  }
  double error(const CollectiveSample& row) const {
    return std::fabs(seconds(row) / row.seconds - 1);
  }
  double misfit(const std::vector<Rows>& groups) const {
    double sum = 0;
    for (const Rows& rows : groups) {
      double of_group = 0;
      for (const CollectiveSample& row : rows) {
        const double ratio = seconds(row) / row.seconds;
        of_group += std::max(ratio, 1 / ratio) - 1;
      }
      sum += of_group / static_cast<double>(rows.size());
    }
    return sum / static_cast<double>(groups.size());
  }

 private:
  std::vector<GroupCosts> costs_;
};

// The rows of one collective on one system and shape: each group weighs the same.
using GroupKey = std::tuple<size_t, CollectiveOp, int64_t, int64_t>;
GroupKey group_of(const CollectiveSample& row) {
  return {row.system, row.op, row.shape.nodes, row.shape.ranks_per_node};
}

std::vector<Rows> fitted_groups(const CollectiveSamples& samples, bool also_between_nodes) {
  std::map<GroupKey, Rows> groups;
  for (const CollectiveSample& row : samples.rows) {
    if (row.held_out || (row.shape.nodes > 1 && !also_between_nodes)) continue;
    groups[group_of(row)].push_back(row);
  }
  std::vector<Rows> list;
  for (auto& [key, rows] : groups) list.push_back(std::move(rows));
  return list;
}

// LL sends 4 bytes of data in 8, LL128 120 in 128.
constexpr std::array<double, kProtocols> kMostEfficiency = {0.5, 0.9375, 1};

double efficiency(double value, double most = 1) {
  return std::min(most, rounded_to(value, 3));
}

constexpr size_t kNearValues = 3 * kProtocols + 2;

// Launch, step and efficiency inside nodes of each protocol, efficiency and launch of reducing
// switches;
// then, where there are more values, step and efficiency between nodes. A message between nodes
// waits no less than one inside.
CollectiveProfile with_values(CollectiveProfile profile, const Values& values) {
  for (size_t i = 0; i < kProtocols; ++i) {
    Protocol& protocol = profile.protocols[i];
    protocol.launch = rounded_to(values[3 * i] / kMicro, 3) * kMicro;
    protocol.near_step = rounded_to(values[3 * i + 1] / kMicro, 3) * kMicro;
    protocol.near_efficiency = efficiency(values[3 * i + 2], kMostEfficiency[i]);
    if (values.size() == kNearValues) continue;
    const double far_step = rounded_to(values[kNearValues + 2 * i] / kMicro, 3) * kMicro;
    protocol.far_step = std::max(far_step, protocol.near_step);
    protocol.far_efficiency = efficiency(values[kNearValues + 2 * i + 1], kMostEfficiency[i]);
  }
  profile.switch_reduction_efficiency = efficiency(values[3 * kProtocols]);
  profile.switch_reduction_launch = rounded_to(values[3 * kProtocols + 1] / kMicro, 3) * kMicro;
  return profile;
}

// The search finds a valley: several starts around the first one, each value up to a factor of
// three off.
Values best_of_starts(const Values& first, const std::function<double(const Values&)>& cost) {
  constexpr int kStarts = 24;
  constexpr double kSpread = 3;
  Rng rng(1);
  Values best;
  double least = std::numeric_limits<double>::infinity();
  for (int start = 0; start < kStarts; ++start) {
    Values values = first;
    for (double& value : values) {
      const double factor = 1 + (kSpread - 1) * rng.uniform();
      const bool up = rng.below(2) == 1;
      if (start > 0) value = up ? value * factor : value / factor;
    }
    pattern_search(values, cost);
    const double found = cost(values);
    if (found >= least) continue;
    least = found;
    best = std::move(values);
  }
  return best;
}

CollectiveProfile fit_protocols(const CollectiveSamples& samples, const FittedLibrary& library,
                                const CollectiveProfile* network) {
  CollectiveProfile profile = public_constants(library.link_type == "nvlink");
  profile.switch_reduction_ranks = library.switch_reduction_ranks;
  Values values;
  for (const Protocol& protocol : profile.protocols) {
    values.insert(values.end(), {protocol.launch, protocol.near_step, protocol.near_efficiency});
  }
  values.insert(values.end(), {kSwitchEfficiency, kSwitchLaunch});
  for (size_t i = 0; i < kProtocols; ++i) {
    Protocol& protocol = profile.protocols[i];
    if (network == nullptr) {
      values.insert(values.end(), {protocol.far_step, protocol.far_efficiency});
    } else {
      protocol.far_step = network->protocols[i].far_step;
      protocol.far_efficiency = network->protocols[i].far_efficiency;
    }
  }
  const std::vector<Rows> groups = fitted_groups(samples, network == nullptr);
  const auto misfit = [&](const Values& tried) {
    return Model(samples, with_values(profile, tried)).misfit(groups);
  };
  return with_values(profile, best_of_starts(values, misfit));
}

MeasuredCollective rounded(const MeasuredCollective& curve) {
  std::vector<AlphaBetaSegment> segments = curve.segments();
  for (AlphaBetaSegment& segment : segments) {
    segment.alpha_s = rounded_to(segment.alpha_s / kMicro, 4) * kMicro;
    segment.beta_s_per_byte = rounded_to(segment.beta_s_per_byte / kPico, 4) * kPico;
  }
  return *MeasuredCollective::make(std::move(segments));
}

// What a larger buffer takes bounds a smaller one: more is noise.
MeasuredCollective fit_curve(std::vector<MeasuredTime> times) {
  std::sort(times.begin(), times.end(),
            [](const MeasuredTime& a, const MeasuredTime& b) { return a.bytes < b.bytes; });
  for (size_t i = times.size() - 1; i > 0; --i) {
    times[i - 1].time = std::min(times[i - 1].time, times[i].time);
  }
  MeasuredCollective curve;
  for (size_t segments = kFewestSegments; segments <= kMostSegments; ++segments) {
    curve = rounded(MeasuredCollective::fit(times, segments).value());
    if (mean_error(curve, times) <= kCurveTolerance) break;
  }
  return curve;
}

bool same_shape(const CollectiveSample& row, const CollectiveCurve& curve) {
  return row.op == curve.op && row.shape.nodes == 1 && row.shape.ranks_per_node == curve.ranks;
}

double curve_error(const CollectiveCurve& curve, const CollectiveSample& row) {
  return std::fabs(curve.times.seconds(row.bytes.as_double()) / row.seconds - 1);
}

// Of held-out rows of such systems inside the sizes; else twice that of the fitted rows.
double interval_of(const CollectiveCurve& curve, const CollectiveSamples& samples) {
  Values held_out;
  Values fitted;
  for (const CollectiveSample& row : samples.rows) {
    const bool inside = row.bytes >= curve.first && row.bytes <= curve.times.segments().back().last;
    if (!same_shape(row, curve) || !inside || samples.systems[row.system].other) continue;
    (row.held_out ? held_out : fitted).push_back(curve_error(curve, row));
  }
  return rounded_to(held_out.empty() ? 2 * percentile(fitted) : percentile(held_out), 2);
}

double link_bandwidth(const Fabric& fabric, CollectiveOp op, int64_t ranks) {
  if (op == CollectiveOp::kSendRecv) return fabric.near_pair;
  return fabric.near_ring[static_cast<size_t>(ranks)];
}

std::vector<CollectiveCurve> fit_curves(const CollectiveSamples& samples) {
  struct Group {
    double bandwidth = 0;
    std::vector<MeasuredTime> times;
  };
  std::map<std::pair<CollectiveOp, int64_t>, Group> groups;
  for (const CollectiveSample& row : samples.rows) {
    if (row.held_out || row.shape.nodes != 1) continue;
    Group& group = groups[{row.op, row.shape.ranks_per_node}];
    group.bandwidth =
        link_bandwidth(samples.systems[row.system].fabric, row.op, row.shape.ranks_per_node);
    group.times.push_back({row.bytes, from_seconds(row.seconds)});
  }
  std::vector<CollectiveCurve> curves;
  for (const auto& [key, group] : groups) {
    if (group.times.size() < kFewestSizes) continue;
    CollectiveCurve curve{.op = key.first, .ranks = key.second, .times = fit_curve(group.times)};
    curve.link_bandwidth = group.bandwidth;
    curve.first = std::min_element(group.times.begin(), group.times.end(),
                                   [](const MeasuredTime& a, const MeasuredTime& b) {
                                     return a.bytes < b.bytes;
                                   })
                      ->bytes;
    curve.error = interval_of(curve, samples);
    curves.push_back(std::move(curve));
  }
  return curves;
}

std::vector<ShapeReport> report(const CollectiveSamples& samples,
                                const CollectiveProfile& profile) {
  CollectiveProfile protocols_only = profile;
  protocols_only.curves.clear();
  const Model model(samples, protocols_only);
  const Model whole(samples, profile);
  struct Errors {
    Values whole[2];
    Values model[2];
  };
  std::map<GroupKey, Errors> groups;
  for (const CollectiveSample& row : samples.rows) {
    Errors& errors = groups[group_of(row)];
    errors.model[row.held_out].push_back(model.error(row));
    errors.whole[row.held_out].push_back(whole.error(row));
  }
  std::vector<ShapeReport> reports;
  for (const auto& [group, errors] : groups) {
    const auto& [system, op, nodes, ranks] = group;
    reports.push_back({.system = samples.systems[system].name,
                       .other = samples.systems[system].other,
                       .op = op,
                       .shape = {.ranks_per_node = ranks, .nodes = nodes},
                       .fitted_rows = errors.model[0].size(),
                       .held_out_rows = errors.model[1].size(),
                       .whole_fitted = mean(errors.whole[0]),
                       .whole_held_out = mean(errors.whole[1]),
                       .model_fitted = mean(errors.model[0]),
                       .model_held_out = mean(errors.model[1])});
  }
  return reports;
}

double model_interval(const CollectiveSamples& samples, const CollectiveProfile& profile,
                      bool one_node) {
  const Model model(samples, profile);
  Values held_out;
  Values fitted;
  for (const CollectiveSample& row : samples.rows) {
    if (samples.systems[row.system].other || (row.shape.nodes == 1) != one_node) continue;
    (row.held_out ? held_out : fitted).push_back(model.error(row));
  }
  if (!held_out.empty()) return rounded_to(percentile(held_out), 2);
  return fitted.empty() ? -1 : rounded_to(2 * percentile(fitted), 2);
}

std::string percent(double error) {
  if (error < 0) return "     -";
  char text[16];
  std::snprintf(text, sizeof text, "%5.1f%%", 100 * error);
  return text;
}

std::string report_lines(const std::vector<ShapeReport>& reports) {
  std::string text =
      "# Mean absolute percentage errors, rows fitted / held out. all: as used; protocols: were\n"
      "# there no curves. *: another network or method, never fitted, in no interval.\n"
      "#   system              collective      nodes x ranks    rows      all             "
      "protocols\n";
  for (const ShapeReport& report : reports) {
    char line[160];
    std::snprintf(line, sizeof line,
                  "# %s %-19s %-15s %5lld x %-4lld  %4zu /%4zu  %s /%s  %s /%s\n",
                  report.other ? "*" : " ", report.system.c_str(),
                  std::string(collective_row(report.op).op_name).c_str(),
                  static_cast<long long>(report.shape.nodes),
                  static_cast<long long>(report.shape.ranks_per_node), report.fitted_rows,
                  report.held_out_rows, percent(report.whole_fitted).c_str(),
                  percent(report.whole_held_out).c_str(), percent(report.model_fitted).c_str(),
                  percent(report.model_held_out).c_str());
    text += line;
  }
  return text;
}

double in_micro(double seconds) {
  return rounded_to(seconds / kMicro, 4);
}

}  // namespace

std::span<const FittedLibrary> fitted_libraries() {
  static const std::array<FittedLibrary, 5> kLibraries = {{
      {"H100-SXM",
       {"H100-SXM5-80GB", "H200-SXM-141GB"},
       5,
       "NCCL on 8 H100 or H200 with NVSwitch, InfiniBand NDR"},
      {"A100-SXM",
       {"A100-SXM4-40GB", "A100-SXM4-80GB"},
       0,
       "NCCL on 8 A100 with NVSwitch, InfiniBand HDR"},
      {"V100-SXM", {"V100-SXM2-16GB", "V100-SXM2-32GB"}, 0, "NCCL on 8 V100 in a hybrid cube mesh"},
      {"B200-SXM", {"B200-SXM-180GB"}, 6, "NCCL on 8 B200 with NVSwitch"},
      {"GB200-NVL72", {"GB200-GPU-186GB"}, 6, "NCCL on racks of 72 GB200"},
  }};
  return kLibraries;
}

CollectiveFit fit_collectives(const CollectiveSamples& samples, const FittedLibrary& library,
                              const CollectiveProfile* network) {
  CollectiveFit fit;
  fit.profile = fit_protocols(samples, library, network);
  fit.profile.source = library.source;
  fit.profile.link_type = library.link_type;
  fit.profile.hardware.assign(library.hardware.begin(), library.hardware.end());
  fit.profile.provenance = Provenance::kCalibratedRoofline;
  fit.profile.near_error = model_interval(samples, fit.profile, true);
  fit.profile.far_error = model_interval(samples, fit.profile, false);
  if (fit.profile.far_error < 0) {  // nothing to compare with: the network's, at least its own
    fit.profile.far_error = std::max(fit.profile.near_error, network->far_error);
  }
  fit.profile.curves = fit_curves(samples);
  fit.reports = report(samples, fit.profile);
  return fit;
}

std::string to_toml(const CollectiveFit& fit, const FittedLibrary& library) {
  const CollectiveProfile& profile = fit.profile;
  std::string text = str_cat("# Generated by soapbox_fit_collectives from samples/", library.name,
                             ".csv; do not edit.\n", report_lines(fit.reports));
  std::vector<std::string> hardware;
  for (const std::string_view name : library.hardware)
    hardware.push_back(str_cat("\"", name, "\""));
  text += str_cat("hardware = [", join(hardware, ", "), "]\n");
  if (profile.link_type != CollectiveProfile().link_type) {
    text += str_cat("link_type = \"", profile.link_type, "\"\n");
  }
  text += str_cat("source = \"", profile.source, "\"\nnear_error = ", profile.near_error,
                  "\nfar_error = ", profile.far_error,
                  "\nswitch_reduction_ranks = ", profile.switch_reduction_ranks, "\n");
  if (profile.switch_reduction_ranks > 0) {
    text +=
        str_cat("switch_reduction_efficiency = ", profile.switch_reduction_efficiency,
                "\nswitch_reduction_launch_us = ", in_micro(profile.switch_reduction_launch), "\n");
  }
  for (const Protocol& protocol : profile.protocols) {
    text += str_cat("\n[[protocol]]\nlaunch_us = ", in_micro(protocol.launch),
                    "\nnear_step_us = ", in_micro(protocol.near_step),
                    "\nfar_step_us = ", in_micro(protocol.far_step),
                    "\nnear_efficiency = ", protocol.near_efficiency,
                    "\nfar_efficiency = ", protocol.far_efficiency, "\n");
  }
  for (const CollectiveCurve& curve : profile.curves) {
    text += str_cat("\n[[curve]]\nop = \"", collective_row(curve.op).op_name,
                    "\"\nranks = ", curve.ranks, "\nlink_gb_per_s = ", curve.link_bandwidth / kGiga,
                    "\nfirst_bytes = ", curve.first.count(), "\nerror = ", curve.error,
                    "\nsegments = [\n");
    for (const AlphaBetaSegment& segment : curve.times.segments()) {
      text += str_cat(
          "  {last_bytes = ", segment.last.count(), ", alpha_us = ", in_micro(segment.alpha_s),
          ", beta_ps_per_byte = ", rounded_to(segment.beta_s_per_byte / kPico, 4), "},\n");
    }
    text += "]\n";
  }
  return text;
}

}  // namespace soapbox::calib
