#include "scenarios/runner/scenario_files/name_pattern.h"

#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>

namespace soapbox::runner {

namespace {

struct Range {
  uint64_t low = 0;
  uint64_t high = 0;
  size_t length = 0;  // of "[0-3]"
};

// The range that a pattern begins with, if it does.
std::optional<Range> leading_range(std::string_view pattern) {
  const size_t close = pattern.find(']');
  if (pattern.empty() || pattern[0] != '[' || close == std::string_view::npos) return std::nullopt;
  Range range;
  range.length = close + 1;
  const char* const end = pattern.data() + close;
  const auto low = std::from_chars(pattern.data() + 1, end, range.low);
  if (low.ec != std::errc() || low.ptr == end || *low.ptr != '-') return std::nullopt;
  const auto high = std::from_chars(low.ptr + 1, end, range.high);
  if (high.ec != std::errc() || high.ptr != end) return std::nullopt;
  return range;
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    const std::string_view rest = pattern.substr(1);
    for (size_t taken = 0;; ++taken) {
      if (matches_pattern(rest, name.substr(taken))) return true;
      if (taken == name.size() || name[taken] == '.') return false;
    }
  }
  if (const std::optional<Range> range = leading_range(pattern)) {
    size_t digits = 0;
    while (digits < name.size() && std::isdigit(static_cast<unsigned char>(name[digits])) != 0) {
      ++digits;
    }
    uint64_t number = 0;
    const auto read = std::from_chars(name.data(), name.data() + digits, number);
    if (digits == 0 || read.ec != std::errc()) return false;
    if (number < range->low || number > range->high) return false;
    return matches_pattern(pattern.substr(range->length), name.substr(digits));
  }
  return !name.empty() && pattern[0] == name[0] &&
         matches_pattern(pattern.substr(1), name.substr(1));
}

}  // namespace soapbox::runner
