// Quantities as people write them: a number and its unit, with or without a space between.
//
// "12.5 GB/s", "100 Gbit/s", "5 us", "1 MiB", "16 GB". A bare number is refused,
// and so is a unit that two people would read in two ways ("Gb/s", "G"). K, M, G, T are powers of
// 1000, Ki, Mi, Gi, Ti powers of 1024; bits and bytes are spelt out. Errors have no position: a
// reader of a file adds its own.
#pragma once

#include <string_view>

#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::runner {

// Zero is a quantity; negative numbers, NaN and infinities are not.
Result<Bytes> parse_bytes(std::string_view text);  // a whole number of bytes
Result<BytesPerSecond> parse_bandwidth(std::string_view text);
Result<Duration> parse_duration(std::string_view text);  // rounded to the nearest picosecond

}  // namespace soapbox::runner
