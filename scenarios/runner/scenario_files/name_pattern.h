// Patterns over the names of a cluster's parts: "gpu3", "gpu*", "gpu[0-3]", "node*.nic0".
#pragma once

#include <string_view>

namespace soapbox::runner {

// `*` stands for any characters but a dot, `[LOW-HIGH]` for a decimal number in that range, every
// other character for itself.
bool matches_pattern(std::string_view pattern, std::string_view name);

}  // namespace soapbox::runner
