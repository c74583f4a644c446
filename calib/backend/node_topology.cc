#include "calib/backend/node_topology.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

namespace fs = std::filesystem;

// Where a device sits: below which NUMA node and host bridge, behind which bridges, itself the
// last.
struct Place {
  int64_t numa = 0;
  std::string host_bridge;
  std::vector<std::string> chain;
};

// "0000:1b:00.0"
bool is_pci_address(const std::string& name) {
  const size_t n = name.size();
  if (n < 12 || name[n - 2] != '.' || name[n - 5] != ':' || name[n - 8] != ':') return false;
  return std::isxdigit(static_cast<unsigned char>(name[0])) != 0;
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = std::isprint(static_cast<unsigned char>(c)) != 0 && c != '<' && c != '&';
    out += plain && c != '"' ? c : '?';
  }
  return out;
}

class Files {
 public:
  explicit Files(std::string root) : root_(std::move(root)) {}

  // The first line; empty: no such file, or none that can be read.
  std::string line(const std::string& path) const {
    std::ifstream file(root_ + path);
    std::string text;
    std::getline(file, text);
    return text;
  }
  std::vector<std::string> names(const std::string& folder) const {
    std::vector<std::string> names;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(root_ + folder, failed)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // Of the device that a link below /sys stands for; without a chain where it is none of PCI.
  Place place(const std::string& link) const {
    Place place;
    std::error_code failed;
    const fs::path real = fs::canonical(root_ + link, failed);
    for (const fs::path& part : real) {
      const std::string name = part.string();
      if (name.starts_with("pci") && name.find(':') != std::string::npos) place.host_bridge = name;
      if (is_pci_address(name)) place.chain.push_back(name);
    }
    if (!place.chain.empty()) {
      const std::string numa = line(device(place.chain.back()) + "/numa_node");
      place.numa = std::max(0L, std::strtol(numa.c_str(), nullptr, 10));  // -1: there is one
    }
    return place;
  }
  static std::string device(const std::string& address) {
    return str_cat("/sys/bus/pci/devices/", address);
  }
  std::string cpu_vendor() const {
    std::ifstream file(root_ + "/proc/cpuinfo");
    for (std::string text; std::getline(file, text);) {
      if (text.starts_with("vendor_id")) return text.substr(text.find(": ") + 2);
    }
    return "";
  }

 private:
  std::string root_;
};

// The PCI tree below one NUMA node.
struct Branch {
  std::map<std::string, Branch> below;  // by address
  std::string inside;                   // of a GPU or NIC
};

class Node {
 public:
  Node(const std::vector<std::string>& gpus, const NodeSources& sources)
      : gpus_(gpus), sources_(sources), files_(sources.root) {}

  Result<NodeTopology> read() {
    for (size_t i = 0; i < gpus_.size(); ++i) {
      const Place place = files_.place(Files::device(gpus_[i]));
      if (place.chain.empty()) {
        return Error{ErrorCode::kUnavailable,
                     str_cat("no ", sources_.root, Files::device(gpus_[i]), ", a GPU's address"),
                     {}};
      }
      places_.push_back(place);
      nvlinks_.push_back(sources_.nvlinks(gpus_[i]));
      std::erase_if(nvlinks_.back(), [this](const NvlinkEnd& end) {
        return !end.is_switch && std::ranges::find(gpus_, end.address) == gpus_.end();
      });
      leaf(place).inside =
          str_cat("<gpu dev=\"", i, "\" rank=\"", i, "\">\n", nvlink_xml(i), "</gpu>\n");
    }
    add_nics();
    NodeTopology topology;
    topology.nccl_xml = "<system version=\"1\">\n";
    for (const auto& [numa, branch] : roots_) {
      topology.nccl_xml +=
          str_cat("<cpu numaid=\"", numa, "\" vendor=\"", xml_text(files_.cpu_vendor()), "\">\n",
                  xml_of(branch), "</cpu>\n");
    }
    topology.nccl_xml += "</system>\n";
    for (size_t i = 0; i < gpus_.size(); ++i) topology.relations.push_back(relation_to_first(i));
    return topology;
  }

 private:
  Branch& leaf(const Place& place) {
    Branch* branch = &roots_[place.numa];
    for (const std::string& address : place.chain) branch = &branch->below[address];
    return *branch;
  }

  std::string nvlink_xml(size_t gpu) const {
    std::map<std::pair<bool, std::string>, int64_t> counts;
    for (const NvlinkEnd& end : nvlinks_[gpu]) ++counts[{end.is_switch, end.address}];
    std::string xml;
    for (const auto& [end, count] : counts) {
      xml += str_cat("<nvlink target=\"", xml_text(end.second), "\" count=\"", count,
                     "\" tclass=\"", end.first ? "0x068000" : "0x030200", "\"/>\n");
    }
    return xml;
  }

  void add_nic(const std::string& name, const Place& place, double mbit_per_s) {
    if (place.chain.empty() || !(mbit_per_s > 0)) return;
    leaf(place).inside += str_cat("<nic><net name=\"", xml_text(name), "\" dev=\"", nics_++,
                                  "\" speed=\"", static_cast<int64_t>(mbit_per_s), "\"/></nic>\n");
  }
  // Those that can reach a GPU's memory; where there are none, those of the system's network.
  void add_nics() {
    const std::string rdma = "/sys/class/infiniband/";
    for (const std::string& name : files_.names(rdma)) {
      double mbit_per_s = 0;
      for (const std::string& port : files_.names(str_cat(rdma, name, "/ports"))) {
        const std::string at = str_cat(rdma, name, "/ports/", port);
        if (files_.line(at + "/state").find("ACTIVE") == std::string::npos) continue;
        mbit_per_s += 1000 * std::strtod(files_.line(at + "/rate").c_str(), nullptr);
      }
      add_nic(name, files_.place(str_cat(rdma, name, "/device")), mbit_per_s);
    }
    if (nics_ > 0) return;
    const std::string net = "/sys/class/net/";
    for (const std::string& name : files_.names(net)) {
      const std::string speed = files_.line(str_cat(net, name, "/speed"));
      add_nic(name, files_.place(str_cat(net, name, "/device")),
              std::strtod(speed.c_str(), nullptr));
    }
  }

  std::string xml_of(const Branch& branch) const {
    std::string xml = branch.inside;
    for (const auto& [address, inner] : branch.below) {
      const auto says = [&, &at = address](const char* name) {
        return xml_text(files_.line(str_cat(Files::device(at), "/", name)));
      };
      // What it may become: a link that has nothing to do runs slower.
      xml += str_cat("<pci busid=\"", address, "\" class=\"", says("class"), "\" link_speed=\"",
                     says("max_link_speed"), "\" link_width=\"", says("max_link_width"), "\">\n",
                     xml_of(inner), "</pci>\n");
    }
    return xml;
  }

  std::string relation_to_first(size_t gpu) const {
    if (gpu == 0) return "X";
    const auto leads = [](const NvlinkEnd& end, const std::string& to) {
      return end.is_switch || end.address == to;
    };
    const int64_t there = std::ranges::count_if(
        nvlinks_[0], [&](const NvlinkEnd& end) { return leads(end, gpus_[gpu]); });
    const int64_t back = std::ranges::count_if(
        nvlinks_[gpu], [&](const NvlinkEnd& end) { return leads(end, gpus_[0]); });
    if (const int64_t links = std::min(there, back); links > 0) return str_cat("NV", links);
    const Place& a = places_[0];
    const Place& b = places_[gpu];
    if (a.numa != b.numa) return "SYS";
    if (a.host_bridge != b.host_bridge) return "NODE";
    size_t common = 0;
    while (common + 1 < std::min(a.chain.size(), b.chain.size()) &&
           a.chain[common] == b.chain[common]) {
      ++common;
    }
    if (common == 0) return "PHB";
    // Below one switch each has its port, and is behind it.
    const size_t further = std::max(a.chain.size(), b.chain.size()) - common;
    return further <= 2 ? "PIX" : "PXB";
  }

  const std::vector<std::string>& gpus_;
  const NodeSources& sources_;
  Files files_;
  std::vector<Place> places_;
  std::vector<std::vector<NvlinkEnd>> nvlinks_;
  std::map<int64_t, Branch> roots_;  // by NUMA node
  size_t nics_ = 0;
};

}  // namespace

Result<NodeTopology> read_node_topology(const std::vector<std::string>& gpus,
                                        const NodeSources& sources) {
  return Node(gpus, sources).read();
}

}  // namespace soapbox::calib
