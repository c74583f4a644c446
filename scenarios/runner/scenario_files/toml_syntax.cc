#include "scenarios/runner/scenario_files/toml_syntax.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "sim/base/str.h"

namespace soapbox::runner {

Error toml_syntax_error(const std::string& drawing, const std::string& file) {
  std::istringstream lines(drawing);
  std::string message;
  std::getline(lines, message);
  if (message.starts_with("[error] ")) message.erase(0, 8);
  if (message.starts_with("toml::"))
    message.erase(0, std::min(message.find(": "), message.size() - 2) + 2);
  SourcePosition where{file, 0, 0};
  std::string hint;
  for (std::string line; std::getline(lines, line);) {
    const size_t bar = line.find(" | ");
    if (bar == std::string::npos) continue;
    const size_t digits = line.find_first_of("0123456789");
    if (digits < bar) {
      std::from_chars(line.data() + digits, line.data() + bar, where.line);
      continue;
    }
    const size_t mark = line.find_first_of("^~", bar);
    if (mark == std::string::npos) continue;
    where.column = static_cast<int>(mark - bar - 2);
    const size_t dashes = line.find_first_of(" -", mark);
    const size_t words =
        dashes == std::string::npos ? dashes : line.find_first_not_of(" -~", dashes);
    hint = words == std::string::npos ? "" : line.substr(words);
  }
  return bad_input(shown(message) + (hint.empty() ? "" : "; " + shown(hint)), where);
}

Status check_toml_depth(std::string_view text, const std::string& file) {
  constexpr int kMaxDepth = 100;
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kMaxDepth) {
      return bad_input(str_cat("brackets nested deeper than ", kMaxDepth), {file, 0, 0});
    }
  }
  return ok();
}

}  // namespace soapbox::runner
