#include "results/rows.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace soapbox::results {
namespace {

RunKey example_key() {
  return {
      {"nmt", "k80_16x4", 64, 4096, "fifo", "c0575"}, {"mcmc", "{\"beta\":50}"}, 7, 1000, "abc"};
}

TEST(Identity, IsA128BitHashAndTheSameInEveryRelease) {
  // FNV-1a of the canonical text, computed by ten lines of Python apart from this code.
  EXPECT_EQ(identity(example_key()), "bae9e4ddee0779d497f736eb9120e9c8");
  EXPECT_EQ(identity(RunKey()), "4d9bb8bde943f4b4d2cfdad3e20ba610");
}

TEST(Identity, EveryInputChangesIt) {
  const std::vector<std::function<void(RunKey&)>> changes = {
      [](RunKey&) {},
      [](RunKey& key) { key.instance.model = "nmt_fused"; },
      [](RunKey& key) { key.instance.cluster = "p100_4x4"; },
      [](RunKey& key) { key.instance.devices = 63; },
      [](RunKey& key) { key.instance.batch = 4095; },
      [](RunKey& key) { key.instance.network = "fair"; },
      [](RunKey& key) { key.instance.costs = "c0576"; },
      [](RunKey& key) { key.method.name = "hill"; },
      [](RunKey& key) { key.method.settings = "{\"beta\":51}"; },
      [](RunKey& key) { key.seed = 8; },
      [](RunKey& key) { key.budget = 1001; },
      [](RunKey& key) { key.code = "abd"; },
  };
  std::set<std::string> seen;
  for (const auto& change : changes) {
    RunKey key = example_key();
    change(key);
    EXPECT_EQ(identity(key).size(), 32U);
    EXPECT_TRUE(seen.insert(identity(key)).second) << "change " << seen.size();
  }
}

TEST(Identity, TextCannotMoveFromOneFieldToTheNext) {
  const auto id = [](std::string model, std::string cluster) {
    RunKey key = example_key();
    key.instance.model = std::move(model);
    key.instance.cluster = std::move(cluster);
    return identity(key);
  };
  EXPECT_NE(id("ab", "c"), id("a", "bc"));
  EXPECT_NE(id("ab", ""), id("", "ab"));
  // Even a text that imitates the separators of the canonical text.
  EXPECT_NE(id("a\ncluster 1:b", "c"), id("a", "b\ncluster 1:c"));
  EXPECT_NE(id("a", "b\ndevices 2:64"), id("a\ncluster 1:b", "64"));
}

TEST(Identity, BothHalvesDependOnEveryInput) {
  RunKey other = example_key();
  other.seed = 8;
  const std::string a = identity(example_key());
  const std::string b = identity(other);
  EXPECT_NE(a.substr(0, 16), b.substr(0, 16));
  EXPECT_NE(a.substr(16), b.substr(16));
  EXPECT_NE(a.substr(0, 16), a.substr(16));
}

TEST(RunStatus, OnlyRunsThatEndedAreFinal) {
  EXPECT_TRUE(is_final(RunStatus::kOk));
  EXPECT_TRUE(is_final(RunStatus::kInfeasible));
  EXPECT_FALSE(is_final(RunStatus::kInterrupted));
  EXPECT_FALSE(is_final(RunStatus::kFailed));
}

}  // namespace
}  // namespace soapbox::results
