// soapbox_fit_kernels scenarios/profiles
//
// Writes kernel_profiles/HARDWARE.toml in that folder from the measured kernels beside it, and
// prints how far off every fit is.
#include <cstdio>
#include <fstream>
#include <string>

#include "calib/fits/kernel_fits.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: soapbox_fit_kernels scenarios/profiles\n");
    return 2;
  }
  const std::string folder = argv[1];
  const auto fits = soapbox::calib::fit_kernels(folder);
  if (!fits) {
    std::fprintf(stderr, "%s\n", fits.error().to_string().c_str());
    return 4;
  }
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = folder + "/kernel_profiles/" + name;
    std::ofstream file(path);
    file << text;
    file.flush();
    if (!file) std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
    return file.good();
  };
  for (const soapbox::KernelProfile& profile : fits->profiles) {
    if (!write(profile.hardware + ".toml", soapbox::calib::to_toml(profile))) return 75;
  }
  const std::string table = soapbox::calib::to_table(*fits);
  if (!write("errors.txt", table)) return 75;
  return std::fputs(table.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? 75 : 0;
}
