// Writing results so that a failure is never silent and never leaves half a file behind.
#pragma once

#include <string>
#include <string_view>

#include "sim/base/result.h"

namespace soapbox::runner {

// The whole file or nothing: a temporary file in the same folder, flushed to the disk, then renamed
// over `path`. What is not a regular file (a pipe, /dev/stdout) is written in place.
Status write_file(const std::string& path, std::string_view bytes);

// All of `bytes` to an open descriptor; `name` is for the error.
Status write_descriptor(int descriptor, std::string_view bytes, std::string_view name);

}  // namespace soapbox::runner
