// One mixed integer quadratic program as a JSON file: what `soapbox solve` reads.
#pragma once

#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "strategies/miqp/instance.h"

namespace soapbox::runner {

// The keys of an instance, for the help. `null` in a table of costs means "not allowed".
extern const std::string_view kInstanceKeys;

// Reads strictly: unknown, missing and repeated keys, wrong shapes, negative and non-finite
// numbers, edges out of range and cycles are refused with the position of the value, the value and
// what is allowed.
Result<miqp::RealInstance> instance_from_json(std::string_view text, const std::string& file);
// The same from a file, in integers.
Result<miqp::Instance> load_instance(const std::string& path);

}  // namespace soapbox::runner
