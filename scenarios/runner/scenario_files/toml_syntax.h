// What a TOML parser's complaints become: one line with a position.
#pragma once

#include <string>
#include <string_view>

#include "sim/base/result.h"

namespace soapbox::runner {

// toml11's message in several lines with a drawing, as one line. The drawing's last marked line is
// where the parser gave up:
//    3 | b = @
//      |     ^--- unknown value
Error toml_syntax_error(const std::string& drawing, const std::string& file);

// Refuses brackets nested deeper than any scenario has: the parser recurses.
Status check_toml_depth(std::string_view text, const std::string& file);

}  // namespace soapbox::runner
