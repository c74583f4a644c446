// soapbox_fit scenarios/profiles/kernels/p100_pcie > scenarios/profiles/fits/P100-PCIe-16GB.toml
#include <cstdio>

#include "calib/roofline_fit.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: soapbox_fit scenarios/profiles/kernels/p100_pcie\n");
    return 2;
  }
  const auto samples = soapbox::calib::read_kernel_samples(argv[1]);
  if (!samples) {
    std::fprintf(stderr, "%s\n", samples.error().to_string().c_str());
    return 4;
  }
  const soapbox::Hardware device = soapbox::calib::p100_pcie();
  const auto fit = soapbox::calib::fit_roofline(*samples, device);
  const std::string text =
      soapbox::calib::to_toml(fit, device.name, soapbox::calib::kP100PcieSource);
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 1 : 0;
}
