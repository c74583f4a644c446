// Looking for words in the cells of a table of runs, which sources write as they like.
#pragma once

#include <algorithm>
#include <cctype>
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

}  // namespace soapbox::runner
