// The bytes of an input file, or one line that says why they cannot be had.
#pragma once

#include <string>

#include "sim/base/result.h"

namespace soapbox::runner {

// Refuses what is no regular file, and files over 1 GB. Errors: kEnvironment where the file is
// there and cannot be read, kBadInput where it is not there.
Result<std::string> read_text_file(const std::string& path);

}  // namespace soapbox::runner
