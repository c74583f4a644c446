// The driver's management library, opened when there is one: toolkits do not all bring its header.
#pragma once

#include <string>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::calib {

// Where an NVLink of a GPU that is up leads to.
struct NvlinkEnd {
  bool is_switch = false;
  std::string address;  // on the PCI bus, as below; of some switches: none
};

// An address on the PCI bus as the system writes it: four digits of domain, lower case. The driver
// gives eight.
std::string pci_address(std::string address);

// The functions that are used, by their C types; tests give their own. 0 is success everywhere.
struct NvmlFunctions {
  struct PciInfo {
    char short_address[16];
    unsigned domain;
    unsigned bus;
    unsigned device;
    unsigned device_id;
    unsigned subsystem_id;
    char address[32];
  };
  int (*device_of)(const char* address, void** device) = nullptr;
  int (*clock_info)(void* device, int domain, unsigned* mhz) = nullptr;
  int (*nvlink_state)(void* device, unsigned link, unsigned* is_up) = nullptr;
  int (*nvlink_remote)(void* device, unsigned link, PciInfo* remote) = nullptr;
  int (*nvlink_remote_type)(void* device, unsigned link, int* type) = nullptr;
};

class Nvml {
 public:
  // kUnavailable where the library is not there, cannot start or lacks a function.
  static Result<Nvml> open();
  explicit Nvml(const NvmlFunctions& functions) : functions_(functions) {}

  // Of the GPU at this address. In MHz, of the multiprocessors, now; 0 where nobody says.
  double clock_mhz(const std::string& address) const;
  std::vector<NvlinkEnd> nvlinks(const std::string& address) const;

 private:
  void* find(const std::string& address) const;  // null: no such GPU
  NvmlFunctions functions_;
};

}  // namespace soapbox::calib
