// What a predicted figure rests on. Everything that predicts states it; a sum is as good as its
// worst part.
#pragma once

#include <cstdint>
#include <string>

namespace soapbox {

// From best to worst.
enum class Provenance : uint8_t {
  kMeasured,            // this very case
  kInterpolated,        // between measured cases
  kCalibratedRoofline,  // a model whose figures were fitted to measurements
  kDatasheet,           // a model with the figures of datasheets
};

inline std::string to_string(Provenance provenance) {
  switch (provenance) {
    case Provenance::kMeasured:
      return "measured";
    case Provenance::kInterpolated:
      return "interpolated";
    case Provenance::kCalibratedRoofline:
      return "calibrated roofline";
    case Provenance::kDatasheet:
      return "datasheet";
  }
  return "unknown";
}

}  // namespace soapbox
