// soapbox_fit NAME scenarios/profiles/kernels/NAME > scenarios/profiles/fits/NAME.toml
#include <cstdio>
#include <string_view>

#include "calib/fits/roofline_fit.h"

int main(int argc, char** argv) {
  for (const soapbox::calib::FittedDevice& device : soapbox::calib::fitted_devices()) {
    if (argc != 3 || std::string_view(argv[1]) != device.name) continue;
    const auto samples = soapbox::calib::read_kernel_samples(argv[2]);
    if (!samples) {
      std::fprintf(stderr, "%s\n", samples.error().to_string().c_str());
      return 4;
    }
    const std::string text =
        soapbox::calib::to_toml(soapbox::calib::fit_roofline(*samples, device), device);
    return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
  }
  std::fprintf(stderr, "usage: soapbox_fit NAME scenarios/profiles/kernels/NAME, where NAME is\n");
  for (const auto& device : soapbox::calib::fitted_devices()) {
    std::fprintf(stderr, "  %s\n", device.name);
  }
  return 2;
}
