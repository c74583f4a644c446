// Measured collectives, and the systems that they were measured on.
#pragma once

#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/collective/group_cost.h"

namespace soapbox::calib {

struct CollectiveSystem {
  std::string name;
  std::string fabric_name;  // a row of fabrics.csv, and a cluster where there is one of that name
  Fabric fabric;
  // Of a network or a method of its own: its rows are compared with, and count for no interval.
  bool other = false;
};

struct CollectiveSample {
  size_t system = 0;  // in CollectiveSamples::systems
  CollectiveOp op = CollectiveOp::kAllReduce;
  GroupShape shape;
  Bytes bytes;
  double seconds = 0;
  bool held_out = false;  // only for reporting the error, never for fitting
};

struct CollectiveSamples {
  std::vector<CollectiveSystem> systems;
  std::vector<CollectiveSample> rows;
};

// Reads DIRECTORY/fabrics.csv, DIRECTORY/systems.csv and DIRECTORY/NAME.csv
// (scenarios/profiles/collectives/README.md).
Result<CollectiveSamples> read_collective_samples(const std::string& directory,
                                                  const std::string& name);

}  // namespace soapbox::calib
