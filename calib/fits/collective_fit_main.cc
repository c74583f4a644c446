// soapbox_fit_collectives scenarios/profiles/collectives: fits every file of it to samples/.
#include <cstdio>
#include <optional>
#include <string>

#include "calib/fits/collective_fit.h"
#include "sim/base/str.h"

namespace {

int fail(const std::string& message, int exit_code) {
  std::fprintf(stderr, "%s\n", message.c_str());
  return exit_code;
}

bool write_file(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written;
}

}  // namespace

int main(int argc, char** argv) {
  using soapbox::str_cat;
  if (argc != 2) return fail("usage: soapbox_fit_collectives scenarios/profiles/collectives", 2);
  std::optional<soapbox::CollectiveProfile> network;
  for (const soapbox::calib::FittedLibrary& library : soapbox::calib::fitted_libraries()) {
    const auto samples = soapbox::calib::read_collective_samples(str_cat(argv[1], "/samples"),
                                                                 std::string(library.name));
    if (!samples) return fail(samples.error().to_string(), 4);
    const auto fit =
        soapbox::calib::fit_collectives(*samples, library, network ? &*network : nullptr);
    if (!network) network = fit.profile;
    const std::string path = str_cat(argv[1], "/", library.name, ".toml");
    if (!write_file(path, soapbox::calib::to_toml(fit, library))) {
      return fail(str_cat("cannot write ", path), 1);
    }
  }
  return 0;
}
