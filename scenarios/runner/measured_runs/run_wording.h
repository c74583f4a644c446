// Looking for words in the cells of a table of runs, which sources write as they like.
#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace soapbox::runner {

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// Of a cell in lower case that says yes or no.
inline bool says_yes(std::string_view text) {
  return text.starts_with("yes") || text == "true" || text == "on" || text == "1";
}
inline bool says_no(std::string_view text) {
  return text == "no" || text.starts_with("no ") || text.starts_with("none") || text == "false" ||
         text == "off" || text == "0";
}

// The positive number that ends before `end`; sets where it begins.
inline std::optional<double> number_before(std::string_view text, size_t end, size_t* begin) {
  size_t from = end;
  while (from > 0 &&
         (std::isdigit(static_cast<unsigned char>(text[from - 1])) != 0 || text[from - 1] == '.')) {
    --from;
  }
  double value = 0;
  const auto [stop, status] = std::from_chars(text.data() + from, text.data() + end, value);
  if (status != std::errc() || stop != text.data() + end || value <= 0) return std::nullopt;
  *begin = from;
  return value;
}

// "ZeRO-3", "zero stage 3" and "zero3" alike: no '-', '_', '=' or blank before a digit.
inline std::string joined_numbers(std::string_view text) {
  std::string joined;
  for (const char c : lower_case(text)) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      while (!joined.empty() && std::string_view("-_= ").find(joined.back()) != std::string::npos) {
        joined.pop_back();
      }
    }
    joined += c;
  }
  return joined;
}

}  // namespace soapbox::runner
