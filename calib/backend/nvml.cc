#include "calib/backend/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>

#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr const char* kLibrary = "libnvidia-ml.so.1";
constexpr int kMultiprocessors = 1;  // of the clock's domains
constexpr int kSwitch = 2;           // of the types of an NVLink's other end
constexpr unsigned kMostNvlinks = 36;

template <class Function>
bool find_function(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

std::string pci_address(std::string address) {
  constexpr size_t kDomainDigits = 4;
  const size_t colon = address.find(':');
  if (colon != std::string::npos && colon > kDomainDigits) {
    const size_t zeros = std::min(address.find_first_not_of('0'), colon - kDomainDigits);
    address.erase(0, zeros);
  }
  for (char& c : address) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return address;
}

// The library stays open for the rest of the process.
Result<Nvml> Nvml::open() {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Error{ErrorCode::kUnavailable, str_cat("cannot open ", kLibrary, ": ", dlerror()), {}};
  }
  int (*start)() = nullptr;
  NvmlFunctions functions;
  if (!find_function(library, "nvmlInit_v2", start) ||
      !find_function(library, "nvmlDeviceGetHandleByPciBusId_v2", functions.device_of) ||
      !find_function(library, "nvmlDeviceGetClockInfo", functions.clock_info) ||
      !find_function(library, "nvmlDeviceGetNvLinkState", functions.nvlink_state) ||
      !find_function(library, "nvmlDeviceGetNvLinkRemotePciInfo_v2", functions.nvlink_remote) ||
      !find_function(library, "nvmlDeviceGetNvLinkRemoteDeviceType",
                     functions.nvlink_remote_type)) {
    return Error{ErrorCode::kUnavailable, str_cat(kLibrary, " is too old: ", dlerror()), {}};
  }
  if (const int code = start(); code != 0) {
    return Error{ErrorCode::kUnavailable, str_cat(kLibrary, " does not start: code ", code), {}};
  }
  return Nvml(functions);
}

void* Nvml::find(const std::string& address) const {
  void* device = nullptr;
  return functions_.device_of(address.c_str(), &device) == 0 ? device : nullptr;
}

double Nvml::clock_mhz(const std::string& address) const {
  void* const device = find(address);
  unsigned mhz = 0;
  if (device == nullptr || functions_.clock_info(device, kMultiprocessors, &mhz) != 0) return 0;
  return mhz;
}

// Numbers beyond a GPU's last link, and links that are down, have no state or are not up.
std::vector<NvlinkEnd> Nvml::nvlinks(const std::string& address) const {
  std::vector<NvlinkEnd> ends;
  void* const device = find(address);
  for (unsigned link = 0; device != nullptr && link < kMostNvlinks; ++link) {
    unsigned is_up = 0;
    if (functions_.nvlink_state(device, link, &is_up) != 0 || is_up == 0) continue;
    NvlinkEnd end;
    int type = 0;
    if (functions_.nvlink_remote_type(device, link, &type) == 0) end.is_switch = type == kSwitch;
    NvmlFunctions::PciInfo remote = {};
    if (functions_.nvlink_remote(device, link, &remote) == 0) {
      end.address = pci_address(remote.address);
    }
    if (end.is_switch || !end.address.empty()) ends.push_back(std::move(end));
  }
  return ends;
}

}  // namespace soapbox::calib
