// Which program decided a result: what a stored run is identified by, besides its input.
#pragma once

#include <string>

namespace soapbox::runner {

// 16 hexadecimal digits over the sources of sim/ and strategies/, tests and benchmarks aside. The
// same for every preset and machine: build type and compiler may not matter. code_fingerprint.cmake
// makes it with every build.
std::string code_fingerprint();

}  // namespace soapbox::runner
