#include "scenarios/runner/scenario_files/units_text.h"

#include <charconv>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKibi = 1024.0;

constexpr Unit kByteUnits[] = {
    {"B", 1},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", kKibi},
    {"MiB", kKibi* kKibi},
    {"GiB", kKibi* kKibi* kKibi},
    {"TiB", kKibi* kKibi* kKibi* kKibi},
};
constexpr Unit kBandwidthUnits[] = {
    {"B/s", 1},
    {"KB/s", 1e3},
    {"MB/s", 1e6},
    {"GB/s", 1e9},
    {"TB/s", 1e12},
    {"KiB/s", kKibi},
    {"MiB/s", kKibi* kKibi},
    {"GiB/s", kKibi* kKibi* kKibi},
    {"TiB/s", kKibi* kKibi* kKibi* kKibi},
    {"Kbit/s", 1e3 / 8},
    {"Mbit/s", 1e6 / 8},
    {"Gbit/s", 1e9 / 8},
    {"Tbit/s", 1e12 / 8},
};
constexpr Unit kDurationUnits[] = {
    {"ps", 1e-12}, {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}, {"h", 3600},
};

std::vector<std::string> names(std::span<const Unit> units) {
  std::vector<std::string> result;
  for (const Unit& unit : units) result.emplace_back(unit.name);
  return result;
}

// The number times the factor of its unit. `quantity` and `example` are for messages.
Result<double> parse(std::string_view text, std::span<const Unit> units, std::string_view quantity,
                     std::string_view example) {
  const std::string quoted = str_cat("'", text, "'");
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, number, std::chars_format::general);
  if (error == std::errc::result_out_of_range) return bad_input(quoted + " is out of range");
  if (error != std::errc() || !std::isfinite(number)) {
    return bad_input(str_cat(quoted, " is no ", quantity, "; write a number and its unit, as in '",
                             example, "'"));
  }
  std::string_view unit(after, static_cast<size_t>(end - after));
  if (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (unit.empty()) {
    return bad_input(str_cat(quoted, " has no unit, write for example '", example,
                             "'; known: ", join(names(units), ", ")));
  }
  if (std::signbit(number)) {
    return bad_input(str_cat(quoted, " is negative; a ", quantity, " is zero or more"));
  }
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    if (!std::isfinite(number * known.factor)) return bad_input(quoted + " is out of range");
    return number * known.factor;
  }
  return bad_input(str_cat(quoted, ": ", unknown_name("unit", unit, names(units))));
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const Result<double> count = parse(text, kByteUnits, "size", "16 GB");
  if (!count) return count.error();
  if (*count >= 0x1p63) return bad_input(str_cat("'", text, "' is out of range"));
  if (*count != std::floor(*count)) {
    return bad_input(str_cat("'", text, "' is not a whole number of bytes"));
  }
  return Bytes(static_cast<int64_t>(*count));
}

Result<BytesPerSecond> parse_bandwidth(std::string_view text) {
  const Result<double> rate = parse(text, kBandwidthUnits, "bandwidth", "12.5 GB/s");
  if (!rate) return rate.error();
  return BytesPerSecond(*rate);
}

Result<Duration> parse_duration(std::string_view text) {
  const Result<double> seconds = parse(text, kDurationUnits, "duration", "5 us");
  if (!seconds) return seconds.error();
  if (*seconds > 9e6) return bad_input(str_cat("'", text, "' is longer than 100 days"));
  return from_seconds(*seconds);
}

}  // namespace soapbox::runner
