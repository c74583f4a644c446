// The processor that this program runs on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace soapbox::calib {

struct Processor {
  std::string id;        // "AMD-EPYC-25-17": vendor's name, family and model
  std::string name;      // as the system gives it
  size_t cores = 1;      // that this process may use
  double clock_mhz = 0;  // now; 0 where the system does not say
  int64_t second_cache_bytes = 0;
  int64_t memory_bytes = 0;
  std::string system;  // kernel's name and version
};
Processor this_processor();
// From the text of /proc/cpuinfo: id, name and clock.
Processor parse_processor(const std::string& cpuinfo);

// The cores that this process may use, ascending.
std::vector<int> usable_cores();
// Keeps the calling thread on one core; false where the system refuses.
bool pin_to_core(int core);
// Lets it use these.
bool pin_to_cores(const std::vector<int>& cores);

}  // namespace soapbox::calib
