// The bytes of an input file, or one line that says why they cannot be had.
#pragma once

#include <string>

#include "sim/base/result.h"

namespace soapbox::runner {

// Files and pipes (/dev/stdin; a pipe gives its bytes once). Refuses folders, and more than 1 GB.
// Errors: kEnvironment where the file is there and cannot be read, kBadInput where it is not there.
Result<std::string> read_text_file(const std::string& path);

}  // namespace soapbox::runner
