// The device's clock, asked of the driver's management library. It is opened when there is one:
// toolkits do not all bring its header.
#pragma once

namespace soapbox::calib::cuda {

class Clock {
 public:
  Clock();
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  ~Clock();
  double mhz() const;  // of the multiprocessors, now; 0 where nobody says

 private:
  void* library_ = nullptr;
  void* device_ = nullptr;
  int (*clock_info_)(void* device, int domain, unsigned* mhz) = nullptr;
};

}  // namespace soapbox::calib::cuda
