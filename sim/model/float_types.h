// Names of the types that kernels compute in, as files write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/model/op.h"

namespace soapbox {

// "fp32", "tf32", "bf16", "fp16", "fp8".
std::vector<std::string> float_type_names();
std::optional<DataType> find_float_type(std::string_view name);

}  // namespace soapbox
