// soapbox collective, run as a user would.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::vector<std::string> all_reduce(std::vector<std::string> more) {
  std::vector<std::string> words = {"collective", "--op",      "all_reduce", "--bytes",
                                    "1MiB",       "--cluster", "dgx_h100"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

json result_of(const ProgramFolder& folder, std::vector<std::string> more) {
  more.insert(more.end(), {"--format", "json"});
  const Ran ran = folder.run(all_reduce(more));
  EXPECT_EQ(ran.exit_code, 0) << ran.messages;
  return json::parse(ran.output);
}

// 8 GPUs on NVSwitch: 2 x 7 steps of 0.6 us and 128 KiB at 396.4 GB/s; 2 x 7 x 8 x 4 messages.
TEST(CollectiveCommand, PrintsTheTimeOfARing) {
  const ProgramFolder folder;
  const json row = result_of(folder, {"--devices", "8", "--algorithm", "ring"});
  const double time = 14 * (0.6e-6 + 131072 / 396.4e9);
  EXPECT_NEAR(row.at("time_s").get<double>() / time, 1, 1e-6);
  EXPECT_NEAR(row.at("algbw_bytes_per_s").get<double>() / (1048576 / time), 1, 1e-6);
  EXPECT_NEAR(row.at("busbw_bytes_per_s").get<double>() / (1048576 / time * 14 / 8), 1, 1e-6);
  EXPECT_EQ(row.at("messages"), 112);
  EXPECT_EQ(row.at("events"), 14);
  EXPECT_EQ(row.at("folded"), true);
}

TEST(CollectiveCommand, FoldingChangesTheWorkAndNotTheTime) {
  const ProgramFolder folder;
  const std::vector<std::string> ring = {"--devices", "8", "--algorithm", "ring", "--chunks", "4"};
  std::vector<std::string> off = ring;
  off.insert(off.end(), {"--fold", "off"});
  const json folded = result_of(folder, ring);
  const json unfolded = result_of(folder, off);
  EXPECT_EQ(folded.at("time_s"), unfolded.at("time_s"));
  EXPECT_EQ(unfolded.at("events"), 4 * 8 * 14);
  EXPECT_EQ(folded.at("events"), 4 * 14);
}

TEST(CollectiveCommand, TellsWhatIsAllowed) {
  const ProgramFolder folder;
  const struct {
    std::vector<std::string> words;
    ExitCode code;
    std::string part;
  } cases[] = {
      {{"--algorithm", "rign"}, ExitCode::kUsage, "ring"},
      {{"--network", "wire"}, ExitCode::kUsage, "fair"},
      {{"--fold", "yes"}, ExitCode::kUsage, "off"},
      {{"--chunks", "0"}, ExitCode::kUsage, "chunks"},
      {{"--devices", "1"}, ExitCode::kBadInput, "at least 2"},
      {{"--stride", "2"}, ExitCode::kUsage, "--group-size"},
      {{"--group-size", "1"}, ExitCode::kUsage, "group-size"},
      {{"--group-size", "3", "--devices", "8"}, ExitCode::kBadInput, "groups of 3"},
      {{"--group-size", "4", "--stride", "4", "--devices", "8"}, ExitCode::kBadInput, "stride 4"},
      {{"--algorithm", "hierarchical", "--devices", "8"}, ExitCode::kBadInput, "several nodes"},
  };
  for (const auto& c : cases) {
    const Ran ran = folder.run(all_reduce(c.words));
    EXPECT_EQ(ran.exit_code, static_cast<int>(c.code)) << ran.messages;
    EXPECT_EQ(ran.output, "");
    EXPECT_THAT(ran.messages, HasSubstr(c.part));
  }
  EXPECT_THAT(folder.run({"collective", "--op", "all_reduce", "--cluster", "dgx_h100"}).messages,
              HasSubstr("bytes"));
  for (const char* const size : {"8000000TB", "257TiB", "9223372036854775807B"}) {
    const Ran ran =
        folder.run({"collective", "--op", "all_reduce", "--bytes", size, "--cluster", "dgx_h100"});
    EXPECT_EQ(ran.exit_code, static_cast<int>(ExitCode::kUsage)) << ran.messages;
    EXPECT_THAT(ran.messages, testing::AllOf(HasSubstr(size), HasSubstr("out of range")));
  }
}

// 8 A100 reduce 64 MiB in 579.9 us (scenarios/profiles/collectives/samples/A100-SXM.csv).
TEST(CollectiveCommand, AnswersFromMeasurementsWhereThereAreSome) {
  const ProgramFolder folder;
  const auto answer = [&](const std::string& cluster, std::vector<std::string> more) {
    std::vector<std::string> words = {"collective", "--op",      "all_reduce", "--bytes",
                                      "64MiB",      "--cluster", cluster,      "--devices",
                                      "8",          "--format",  "json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ran ran = folder.run(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.messages;
    return json::parse(ran.output);
  };
  const json measured = answer("dgx_a100", {});
  EXPECT_EQ(measured.at("provenance"), "interpolated");
  EXPECT_EQ(measured.at("network"), "measured");
  EXPECT_NEAR(measured.at("time_s").get<double>() / 579.9e-6, 1, 0.05);
  EXPECT_LT(measured.at("time_low_s").get<double>(), 579.9e-6);
  EXPECT_GT(measured.at("time_high_s").get<double>(), 579.9e-6);
  const json simulated = answer("dgx_a100", {"--network", "steps"});
  EXPECT_EQ(simulated.at("provenance"), "datasheet");
  EXPECT_GT(simulated.at("events").get<int64_t>(), 0);
  EXPECT_EQ(answer("env_b", {}).at("provenance"), "datasheet");
}

// Galvatron's two nodes of 8 GPUs: see Collective.NicSharingEmergesFromOneNicCapacity for the
// figures of the links, and for what one NIC can explain.
TEST(CollectiveCommand, StridedGroupsShareTheNic) {
  const ProgramFolder folder;
  const std::string cluster = folder.file("galvatron.toml", R"(
summary = "2 nodes of 8 GPUs"
source = "PKU-DAIR/Galvatron, hardware_configs"
[[node]]
count = 2
gpus = 8
gpu = "RTX-2080Ti"
nics = 1
[[node.link]]
from = "gpu*"
to = "cpu0"
type = "pcie"
bandwidth = "4.66 GB/s"
latency = "0.5 us"
source = "ring of 16"
[[node.link]]
from = "nic0"
to = "cpu0"
type = "pcie"
bandwidth = "12.3 GB/s"
latency = "0.5 us"
source = "PCIe 3.0"
[fabric]
type = "infiniband"
bandwidth = "8.6 GB/s"
latency = "1 us"
source = "pairs and quads"
)");
  const struct {
    const char* size;
    const char* stride;
    double measured;
  } cases[] = {{"16", "1", 4.66e9}, {"4", "4", 1.98e9}, {"2", "8", 1.16e9}};
  for (const auto& c : cases) {
    const Ran ran = folder.run({"collective", "--op", "all_reduce", "--bytes", "64MiB",
                                "--algorithm", "ring", "--chunks", "8", "--cluster", cluster,
                                "--group-size", c.size, "--stride", c.stride, "--format", "json"});
    ASSERT_EQ(ran.exit_code, 0) << ran.messages;
    const json row = json::parse(ran.output);
    EXPECT_NEAR(row.at("busbw_bytes_per_s").get<double>() / c.measured, 1, 0.09) << c.size;
  }
}

}  // namespace
}  // namespace soapbox::runner
