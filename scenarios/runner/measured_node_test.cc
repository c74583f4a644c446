// A node of four GPUs behind an NVSwitch whose copies and collectives have known rates.
#include "scenarios/runner/measured_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/test_program.h"
#include "scenarios/runner/topology_import/test_import.h"
#include "sim/collective/group_cost.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

// As calib/backend/node_topology.h writes it.
std::string topology() {
  std::string xml = "<system version=\"1\">\n<cpu numaid=\"0\" vendor=\"GenuineIntel\">\n";
  for (int gpu = 0; gpu < 4; ++gpu) {
    xml += "<pci busid=\"0000:1" + std::to_string(gpu) +
           ":00.0\" class=\"0x030200\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\">\n"
           "<gpu dev=\"" +
           std::to_string(gpu) +
           "\" rank=\"0\">\n<nvlink target=\"\" count=\"18\" tclass=\"0x068000\"/>\n"
           "</gpu>\n</pci>\n";
  }
  return xml + "</cpu>\n</system>\n";
}

calib::Sample sample_of(calib::Measurable what, double seconds) {
  calib::Sample sample;
  sample.point = {"p", what};
  sample.measured.cold_s = sample.measured.hot_s = {seconds};
  return sample;
}

constexpr double kAllReduceAlpha_s = 20e-6;
constexpr double kAllReduceRate = 150e9;

calib::SampleFile measured(const std::string& gpu) {
  calib::SampleFile file;
  file.header.processor.id = gpu;
  file.header.sm_count = 132;
  file.header.library = "a known library";
  file.header.started_at = "2026-01-01T00:00:00Z";
  file.header.topology = topology();
  file.header.relations = {"X", "NV18", "NV18", "NV18"};
  for (int64_t bytes = 1 << 10; bytes <= 1 << 30; bytes *= 2) {
    const auto n = static_cast<double>(bytes);
    using Kind = calib::StreamWork::Kind;
    file.samples.push_back(sample_of(calib::Stream{Kind::kToPeer, bytes, 1, 1}, 2e-6 + n / 360e9));
    file.samples.push_back(sample_of(calib::Stream{Kind::kToDevice, bytes, 1}, 2e-6 + n / 50e9));
    file.samples.push_back(sample_of(calib::Collective{CollectiveOp::kAllReduce, 4, bytes},
                                     kAllReduceAlpha_s + n / kAllReduceRate));
  }
  return file;
}

std::map<std::string, std::string> texts_of(const calib::SampleFile& file) {
  const auto texts = measured_node_texts(test_scenarios(), file);
  EXPECT_TRUE(texts) << texts.error().to_string();
  std::map<std::string, std::string> by_path;
  for (const calib::NamedText& text : *texts) by_path[text.path] = text.text;
  return by_path;
}

TEST(MeasuredNode, LinksHaveTheRatesThatCopiesReached) {
  const auto texts = texts_of(measured("H100-SXM5-80GB"));
  const std::string& toml = texts.at("clusters/gpu_node.toml");
  const auto catalogue = *HardwareCatalogue::read(test_scenarios().hardware_catalogue());
  const Cluster cluster = *make_cluster(*parse_cluster(toml, "made.toml", catalogue), 4);
  EXPECT_EQ(cluster.device_count(), 4U);
  const Route route = cluster.route(DeviceId(0), DeviceId(3));
  EXPECT_EQ(path_between(cluster, 0, 3).size(), 2U);  // the switch, the other GPU
  EXPECT_NEAR(cluster.links()[route.links[0]].bandwidth.rate() / 360e9, 1, 1e-3);
  EXPECT_THAT(toml, HasSubstr("bandwidth = \"50 GB/s\""));
  EXPECT_THAT(toml, HasSubstr("lanes = 18\n"));
  EXPECT_THAT(toml, HasSubstr("source = \"soapbox calibrate, 2026-01-01T00:00:00Z\""));
}

// Through the file, as a user would: what the simulator says of the collective is what it took.
TEST(MeasuredNode, CollectivesTakeWhatTheyTook) {
  const auto texts = texts_of(measured("H100-SXM5-80GB"));
  ProgramFolder folder;
  folder.file("profile.toml", texts.at("profiles/collectives/H100-SXM5-80GB.toml"));
  const Result<CollectiveProfile> profile = read_collective_profile(folder.path("profile.toml"));
  ASSERT_TRUE(profile) << profile.error().to_string();
  const auto catalogue = *HardwareCatalogue::read(test_scenarios().hardware_catalogue());
  const Cluster cluster =
      *make_cluster(*parse_cluster(texts.at("clusters/gpu_node.toml"), "made.toml", catalogue), 4);
  const GroupCosts costs = GroupCosts::make(cluster, &*profile);
  for (const int64_t bytes : {int64_t{5000}, int64_t{3} << 20, int64_t{1} << 30}) {
    const double took_s = kAllReduceAlpha_s + static_cast<double>(bytes) / kAllReduceRate;
    const CollectiveTime time =
        costs.time(CollectiveOp::kAllReduce, Bytes(bytes), {.ranks_per_node = 4});
    EXPECT_NEAR(time.time.seconds() / took_s, 1, 0.02) << bytes;
  }
}

// Names, multiprocessors and bytes as drivers give them.
TEST(MeasuredNode, AGpuIsFoundInTheCatalogueByWhatItsDriverSays) {
  const auto catalogue = *HardwareCatalogue::read(test_scenarios().hardware_catalogue());
  const auto id_of = [&](const std::string& name, int64_t sm_count, double gigabytes) {
    return catalogue_id(catalogue, {.name = name,
                                    .sm_count = sm_count,
                                    .memory_bytes = static_cast<int64_t>(gigabytes * 1e9)})
        .value_or("none");
  };
  EXPECT_EQ(id_of("NVIDIA H200", 132, 150.1), "H200-SXM-141GB");
  EXPECT_EQ(id_of("NVIDIA H200 NVL", 132, 150.1), "none");
  EXPECT_EQ(id_of("NVIDIA H100 80GB HBM3", 132, 85), "H100-SXM5-80GB");
  EXPECT_EQ(id_of("NVIDIA H100 PCIe", 114, 85), "H100-PCIe-80GB");
  EXPECT_EQ(id_of("NVIDIA A100-SXM4-40GB", 108, 42.3), "A100-SXM4-40GB");
  EXPECT_EQ(id_of("NVIDIA A100 80GB PCIe", 108, 85), "A100-PCIe-80GB");
  EXPECT_EQ(id_of("Tesla V100-PCIE-16GB", 80, 16.9), "V100-PCIe-16GB");
  EXPECT_EQ(id_of("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 16, 10), "none");
}

// Of GPUs that PCIe joins, too, a profile is used: it says so.
TEST(MeasuredNode, CollectivesOverPcieAreTheirs) {
  calib::SampleFile file = measured("A100-PCIe-40GB");
  std::string& xml = file.header.topology;
  for (size_t at = 0; (at = xml.find("<nvlink")) != std::string::npos;) {
    xml.erase(at, xml.find('\n', at) + 1 - at);
  }
  file.header.relations = {"X", "PHB", "PHB", "PHB"};
  const auto texts = texts_of(file);
  EXPECT_THAT(texts.at("profiles/collectives/A100-PCIe-40GB.toml"),
              HasSubstr("\nlink_type = \"pcie\"\n"));
  ProgramFolder folder;
  for (const auto& [path, text] : texts) {
    std::filesystem::create_directories(std::filesystem::path(folder.path(path)).parent_path());
    folder.file(path, text);
  }
  const auto catalogue = *HardwareCatalogue::read(test_scenarios().hardware_catalogue());
  const Cluster cluster =
      *make_cluster(*parse_cluster(texts.at("clusters/gpu_node.toml"), "made.toml", catalogue), 4);
  const auto costs = load_group_costs(ScenarioFolder(folder.path("")), cluster);
  ASSERT_TRUE(costs) << costs.error().to_string();
  const Bytes bytes = mebibytes(64);
  EXPECT_NEAR(costs->time(CollectiveOp::kAllReduce, bytes, {.ranks_per_node = 4}).time.seconds() /
                  (kAllReduceAlpha_s + bytes.as_double() / kAllReduceRate),
              1, 0.02);
}

TEST(MeasuredNode, AnUnknownGpuAndANodeThatIsNoneAreErrors) {
  const auto unknown = measured_node_texts(test_scenarios(), measured("H100-SXM6"));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("H100-SXM"));
  calib::SampleFile file = measured("H100-SXM5-80GB");
  file.header.topology = "<system></system>";
  EXPECT_THAT(measured_node_texts(test_scenarios(), file).error().to_string(),
              HasSubstr("the samples' topology:1"));
}

}  // namespace
}  // namespace soapbox::runner
