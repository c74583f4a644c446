// What a device is: the datasheet figures that costs and memory checks start from.
#pragma once

#include <string>

#include "sim/base/units.h"

namespace soapbox {

struct Hardware {
  std::string name{};  // an id of the hardware catalogue, e.g. "P100-SXM2-16GB"
  FlopsPerSecond fp32_peak{};
  FlopsPerSecond tf32_peak{};  // zero where the device has no such units
  FlopsPerSecond fp16_peak{};
  FlopsPerSecond bf16_peak{};
  FlopsPerSecond fp8_peak{};
  FlopsPerSecond fp4_peak{};
  BytesPerSecond memory_bandwidth{};
  Bytes memory{};
  int sm_count = 0;  // streaming multiprocessors or compute units: the width of one wave
  std::string source{};
};

}  // namespace soapbox
