// A made-up node as files in a folder, and a driver of made-up functions.
#include "calib/backend/node_topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace soapbox::calib {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class FakeNode : public testing::Test {
 protected:
  FakeNode() : root_(fs::temp_directory_path() / ("soapbox_node_" + std::to_string(getpid()))) {
    fs::remove_all(root_);
    file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\n");
  }
  ~FakeNode() override { fs::remove_all(root_); }

  void file(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  // "pci0000:00/0000:00:01.0/0000:01:00.0": every bridge on the way to the last, each with a link
  // from where all are listed. A link of 16 lanes of PCIe 4, but for the devices of `narrow`.
  void device(const std::string& path, int numa) {
    fs::path real = root_ / "sys/devices";
    const fs::path listed = root_ / "sys/bus/pci/devices";
    fs::create_directories(listed);
    for (const fs::path& part : fs::path(path)) {
      real /= part;
      fs::create_directories(real);
      if (part.string().starts_with("pci")) continue;
      std::ofstream(real / "numa_node") << numa << "\n";
      std::ofstream(real / "class") << "0x030200\n";
      std::ofstream(real / "max_link_speed") << "16.0 GT/s PCIe\n";
      std::ofstream(real / "max_link_width") << "16\n";
      std::error_code exists;
      fs::create_directory_symlink(real, listed / part, exists);
    }
  }
  void nic(const std::string& name, const std::string& path, int numa, const std::string& state) {
    device(path, numa);
    const std::string at = "sys/class/infiniband/" + name;
    file(at + "/ports/1/state", state);
    file(at + "/ports/1/rate", "200 Gb/sec (4X HDR)");
    fs::create_directory_symlink(root_ / "sys/devices" / path, root_ / at / "device");
  }
  Result<NodeTopology> read(const std::vector<std::string>& gpus,
                            std::map<std::string, std::vector<NvlinkEnd>> nvlinks = {}) {
    return read_node_topology(gpus, {root_.string(), [nvlinks](const std::string& gpu) {
                                       const auto at = nvlinks.find(gpu);
                                       return at == nvlinks.end() ? std::vector<NvlinkEnd>()
                                                                  : at->second;
                                     }});
  }

  fs::path root_;
};

const std::string kSwitch = "pci0000:00/0000:00:01.0/0000:01:00.0/";  // a port, a switch
const std::string kFirst = "0000:03:00.0";
const std::string kSecond = "0000:05:00.0";

TEST_F(FakeNode, DevicesBelowOneSwitchAreNestedInIt) {
  device(kSwitch + "0000:02:00.0/" + kFirst, 0);
  device(kSwitch + "0000:02:01.0/" + kSecond, 0);
  nic("mlx5_0", kSwitch + "0000:02:02.0/0000:07:00.0", 0, "4: ACTIVE");
  nic("mlx5_1", kSwitch + "0000:02:03.0/0000:09:00.0", 0, "1: DOWN");
  const Result<NodeTopology> node = read({kFirst, kSecond});
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_THAT(node->relations, ElementsAre("X", "PIX"));
  const std::string link = " class=\"0x030200\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\">\n";
  const auto pci = [&](const std::string& address, const std::string& inside) {
    return "<pci busid=\"" + address + "\"" + link + inside + "</pci>\n";
  };
  EXPECT_EQ(
      node->nccl_xml,
      "<system version=\"1\">\n<cpu numaid=\"0\" vendor=\"AuthenticAMD\">\n" +
          pci("0000:00:01.0",
              pci("0000:01:00.0",
                  pci("0000:02:00.0", pci(kFirst, "<gpu dev=\"0\" rank=\"0\">\n</gpu>\n")) +
                      pci("0000:02:01.0", pci(kSecond, "<gpu dev=\"1\" rank=\"1\">\n</gpu>\n")) +
                      pci("0000:02:02.0",
                          pci("0000:07:00.0",
                              "<nic><net name=\"mlx5_0\" dev=\"0\" speed=\"200000\"/></nic>\n")))) +
          "</cpu>\n</system>\n");
}

// One after the other further away.
TEST_F(FakeNode, RelationsAreThoseOfNvidiaSmi) {
  device(kSwitch + "0000:02:00.0/" + kFirst, 0);
  device(kSwitch + "0000:02:01.0/0000:0a:00.0/0000:0b:00.0/0000:0c:00.0", 0);
  device("pci0000:00/0000:00:02.0/0000:10:00.0", 0);
  device("pci0000:20/0000:20:01.0/0000:21:00.0", 0);
  device("pci0000:80/0000:80:01.0/0000:81:00.0", 1);
  const std::vector<std::string> gpus = {kFirst, "0000:0c:00.0", "0000:10:00.0", "0000:21:00.0",
                                         "0000:81:00.0"};
  EXPECT_THAT(read(gpus)->relations, ElementsAre("X", "PXB", "PHB", "NODE", "SYS"));
  const NvlinkEnd there = {false, "0000:81:00.0"};
  const NvlinkEnd back = {false, kFirst};
  EXPECT_THAT(read(gpus, {{kFirst, {there, there}}, {"0000:81:00.0", {back, back}}})->relations,
              ElementsAre("X", "PXB", "PHB", "NODE", "NV2"));
}

TEST_F(FakeNode, NvlinksAreCountedByTheirEndAndHiddenGpusLeftOut) {
  device(kSwitch + "0000:02:00.0/" + kFirst, -1);
  device(kSwitch + "0000:02:01.0/" + kSecond, -1);
  const NvlinkEnd to_switch = {true, "0000:c4:00.0"};
  const NvlinkEnd hidden = {false, "0000:99:00.0"};
  const Result<NodeTopology> node =
      read({kFirst, kSecond}, {{kFirst, {to_switch, to_switch, hidden}}, {kSecond, {to_switch}}});
  EXPECT_THAT(
      node->nccl_xml,
      HasSubstr("<gpu dev=\"0\" rank=\"0\">\n"
                "<nvlink target=\"0000:c4:00.0\" count=\"2\" tclass=\"0x068000\"/>\n</gpu>"));
  EXPECT_THAT(node->nccl_xml, Not(HasSubstr("0000:99:00.0")));
  EXPECT_THAT(node->nccl_xml, HasSubstr("numaid=\"0\""));  // -1: there is one
  EXPECT_THAT(node->relations, ElementsAre("X", "NV1"));
}

// A virtual machine: no RDMA, a virtual network card that does not say its speed, and one that
// does.
TEST_F(FakeNode, OtherNicsCountWhereNoneIsForRdma) {
  device("pci0000:00/" + kFirst, -1);
  device("pci0000:00/0000:00:05.0/virtio0", -1);
  device("pci0000:00/0000:00:06.0", -1);
  for (const auto& [name, path, speed] :
       {std::tuple("eth0", "pci0000:00/0000:00:05.0/virtio0", "-1"),
        std::tuple("eth1", "pci0000:00/0000:00:06.0", "25000")}) {
    const std::string at = std::string("sys/class/net/") + name;
    file(at + "/speed", speed);
    fs::create_directory_symlink(root_ / "sys/devices" / path, root_ / at / "device");
  }
  const Result<NodeTopology> node = read({kFirst});
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_THAT(node->nccl_xml, HasSubstr("<net name=\"eth1\" dev=\"0\" speed=\"25000\"/>"));
  EXPECT_THAT(node->nccl_xml, Not(HasSubstr("eth0")));
}

TEST_F(FakeNode, AGpuThatTheSystemDoesNotShowIsAnError) {
  const Result<NodeTopology> node = read({kFirst});
  ASSERT_FALSE(node);
  EXPECT_EQ(node.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(node.error().message, HasSubstr("/sys/bus/pci/devices/0000:03:00.0"));
}

// A driver that knows one GPU: of its links 0 and 1 lead to a switch, 2 is down, 3 to a GPU.
NvmlFunctions fake_driver() {
  NvmlFunctions driver;
  driver.device_of = [](const char* address, void** device) {
    static int the_one = 0;
    *device = &the_one;
    return std::strcmp(address, "0000:03:00.0") == 0 ? 0 : 6;
  };
  driver.clock_info = [](void*, int domain, unsigned* mhz) {
    *mhz = 1980;
    return domain == 1 ? 0 : 2;
  };
  driver.nvlink_state = [](void*, unsigned link, unsigned* is_up) {
    *is_up = link == 2 ? 0 : 1;
    return link < 4 ? 0 : 2;
  };
  driver.nvlink_remote = [](void*, unsigned link, NvmlFunctions::PciInfo* remote) {
    std::snprintf(remote->address, sizeof remote->address, "%s",
                  link == 3 ? "00000000:0F:00.0" : "00000000:C4:00.0");
    return link == 1 ? 3 : 0;  // some drivers do not say of a switch where it is
  };
  driver.nvlink_remote_type = [](void*, unsigned link, int* type) {
    *type = link < 3 ? 2 : 0;
    return 0;
  };
  return driver;
}

TEST(Nvml, LinksThatAreUpHaveTheirEnds) {
  const Nvml nvml(fake_driver());
  const std::vector<NvlinkEnd> ends = nvml.nvlinks("0000:03:00.0");
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_TRUE(ends[0].is_switch);
  EXPECT_EQ(ends[0].address, "0000:c4:00.0");
  EXPECT_TRUE(ends[1].is_switch);
  EXPECT_EQ(ends[1].address, "");
  EXPECT_FALSE(ends[2].is_switch);
  EXPECT_EQ(ends[2].address, "0000:0f:00.0");
  EXPECT_EQ(nvml.clock_mhz("0000:03:00.0"), 1980);
  EXPECT_TRUE(nvml.nvlinks("0000:04:00.0").empty());
  EXPECT_EQ(nvml.clock_mhz("0000:04:00.0"), 0);
}

TEST(Nvml, AddressesAreWrittenAsTheSystemDoes) {
  EXPECT_EQ(pci_address("00000000:1B:00.0"), "0000:1b:00.0");
  EXPECT_EQ(pci_address("00010000:1B:00.0"), "10000:1b:00.0");
  EXPECT_EQ(pci_address("0000:1b:00.0"), "0000:1b:00.0");
  EXPECT_EQ(pci_address(""), "");
}

TEST(Nvml, WithoutItsLibraryItSaysSo) {
  const Result<Nvml> nvml = Nvml::open();
  if (nvml) GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(nvml.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(nvml.error().message, HasSubstr("libnvidia-ml.so.1"));
}

}  // namespace
}  // namespace soapbox::calib
