#include "sim/model/float_types.h"

#include <array>

namespace soapbox {
namespace {

constexpr std::array kFloatTypes = {DataType::kFp32, DataType::kTf32, DataType::kBf16,
                                    DataType::kFp16, DataType::kFp8};

}  // namespace

std::vector<std::string> float_type_names() {
  std::vector<std::string> names;
  for (const DataType type : kFloatTypes) names.push_back(to_string(type));
  return names;
}

std::optional<DataType> find_float_type(std::string_view name) {
  for (const DataType type : kFloatTypes) {
    if (to_string(type) == name) return type;
  }
  return std::nullopt;
}

}  // namespace soapbox
