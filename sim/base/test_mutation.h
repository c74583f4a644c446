// For tests of readers: texts that are nearly right. Seeded, so that a text that brings a reader
// down can be made again.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "sim/base/rng.h"

namespace soapbox {

// What formats are made of, and what numbers, lists and encodings end at.
inline constexpr std::array<std::string_view, 32> kMutationWords = {"-",
                                                                    "0",
                                                                    "-1",
                                                                    "1e999",
                                                                    "nan",
                                                                    "inf",
                                                                    "99999999999999999999",
                                                                    "9223372036854775807",
                                                                    "\"",
                                                                    "'",
                                                                    "{",
                                                                    "}",
                                                                    "[",
                                                                    "]",
                                                                    ",",
                                                                    ":",
                                                                    "=",
                                                                    "<",
                                                                    ">",
                                                                    "&",
                                                                    "/",
                                                                    ".",
                                                                    "\\",
                                                                    "\n",
                                                                    "\r\n",
                                                                    "\t",
                                                                    " ",
                                                                    "#",
                                                                    "\xff",
                                                                    "\xc3",
                                                                    std::string_view("\0", 1),
                                                                    "null"};

// One to three changes: bytes exchanged, words put in, parts cut out or doubled.
inline std::string mutated(std::string text, Rng& rng) {
  const auto below = [&rng](size_t bound) { return rng.below(static_cast<uint32_t>(bound)); };
  const uint32_t edits = 1 + rng.below(3);
  for (uint32_t edit = 0; edit < edits && !text.empty(); ++edit) {
    const size_t at = below(text.size());
    switch (rng.below(4)) {
      case 0:
        text[at] = text[below(text.size())];
        break;
      case 1:
        text.replace(at, rng.below(2), kMutationWords[below(kMutationWords.size())]);
        break;
      case 2:
        text.erase(at, 1 + rng.below(24));
        break;
      default:
        text.insert(below(text.size()), text.substr(at, 1 + rng.below(24)));
    }
  }
  return text;
}

}  // namespace soapbox
