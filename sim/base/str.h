// Strings: building, joining, the nearest known name for a misspelt one, and a stable 64-bit hash.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace soapbox {

// The shortest decimal text that reads back as the same double: equal bits give equal bytes.
std::string to_text(double value);
// To so many significant digits, as printf's %g.
std::string to_digits(double value, int count);
inline std::string to_text(std::integral auto value) {
  return std::to_string(value);
}
inline std::string to_text(std::string_view value) {
  return std::string(value);
}
inline std::string to_text(const char* value) {
  return value;
}

// str_cat("degree ", 3, " of ", name).
template <class... Parts>
std::string str_cat(const Parts&... parts) {
  std::string text;
  (text.append(to_text(parts)), ...);
  return text;
}

std::string join(std::span<const std::string> parts, std::string_view separator);

// Foreign text fit for one line of a message: control characters become '?', and what is longer
// than 60 bytes is cut.
std::string shown(std::string_view text);

// The shortest candidate that begins with `name`, or else the one with the smallest edit distance,
// whatever the case; empty if none is near (more than a third of the name's letters wrong).
std::string nearest_name(std::string_view name, std::span<const std::string> candidates);

// "unknown model 'alexnt'; did you mean 'alexnet'? known: alexnet, ..." -- the project's one way to
// refuse a name. `kind` is the noun, e.g. "model".
std::string unknown_name(std::string_view kind, std::string_view name,
                         std::span<const std::string> known);

// FNV-1a over bytes; stable between machines and releases, so it may be stored.
inline constexpr uint64_t kHashSeed = 0xcbf29ce484222325;
uint64_t hash_bytes(std::string_view bytes, uint64_t seed = kHashSeed);
// 16 lower-case hexadecimal digits.
std::string hex(uint64_t value);

}  // namespace soapbox
