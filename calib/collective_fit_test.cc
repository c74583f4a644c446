#include "calib/collective_fit.h"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::calib {
namespace {

const std::string kCollectives =
    std::string(SOAPBOX_SOURCE_DIR) + "/scenarios/profiles/collectives";

TEST(CollectiveFit, RegeneratesTheShippedProfilesByteForByte) {
  std::optional<CollectiveProfile> network;
  for (const FittedLibrary& library : fitted_libraries()) {
    const auto samples =
        read_collective_samples(kCollectives + "/samples", std::string(library.name));
    ASSERT_TRUE(samples) << samples.error().to_string();
    const CollectiveFit fit = fit_collectives(*samples, library, network ? &*network : nullptr);
    if (!network) network = fit.profile;
    std::ifstream file(str_cat(kCollectives, "/", library.name, ".toml"));
    std::ostringstream shipped;
    shipped << file.rdbuf();
    EXPECT_EQ(to_toml(fit, library), shipped.str())
        << "run soapbox_fit_collectives (scenarios/profiles/README.md)";
  }
}

}  // namespace
}  // namespace soapbox::calib
