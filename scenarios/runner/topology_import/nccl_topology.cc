#include "scenarios/runner/topology_import/nccl_topology.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "scenarios/runner/topology_import/xml_document.h"
#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

std::string attribute(const XmlElement& element, const std::string& name) {
  const auto found = element.attributes.find(name);
  return found == element.attributes.end() ? "" : found->second;
}

Error missing(const XmlElement& element, std::string_view name) {
  return bad_input(str_cat("<", element.name, "> has no ", name), element.where);
}

Result<int64_t> whole_number(const XmlElement& element, const std::string& name, int64_t highest) {
  const std::string text = attribute(element, name);
  if (text.empty()) return missing(element, name);
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, value);
  if (failed == std::errc() && stop == end && value >= 0 && value <= highest) return value;
  return bad_input(str_cat(name, " of <", element.name, "> is '", shown(text),
                           "'; allowed: whole numbers from 0 to ", highest),
                   element.where);
}

// PCI addresses are hexadecimal, in either case.
std::string bus_id(const XmlElement& element, const std::string& name) {
  std::string text = attribute(element, name);
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

const XmlElement* child(const XmlElement& element, std::string_view name) {
  const auto found = std::ranges::find(element.children, name, &XmlElement::name);
  return found == element.children.end() ? nullptr : &*found;
}

class NcclTopology {
 public:
  explicit NcclTopology(const LinkFigures& figures) : figures_(figures) {}
  Result<ImportedNode> read(const XmlElement& system, const std::string& file);

 private:
  struct Gpu {
    const XmlElement* element;
    std::string vertex_above;
    LinkFigure figure;
    size_t index = 0;  // in the cluster file
  };

  Status read_below(const XmlElement& parent, const std::string& above,
                    std::optional<LinkFigure> cable);
  Status read_pci(const XmlElement& pci, const std::string& above, std::optional<LinkFigure> cable);
  Status read_nic(const XmlElement& nic, const std::string& above, const LinkFigure& cable);
  Status number_gpus();
  Status add_nvlinks();
  Status add_gpu_nvlinks(const Gpu& gpu, std::map<std::pair<size_t, size_t>, int64_t>& between);
  Result<LinkFigure> cable_of(const XmlElement& pci) const;

  const LinkFigures& figures_;
  ImportedNode node_;
  std::map<int64_t, Gpu> gpus_;             // by dev
  std::map<std::string, int64_t> bus_ids_;  // of GPUs: their dev
};

// "16.0 GT/s PCIe" is the fourth generation; each doubles the one before.
Result<LinkFigure> NcclTopology::cable_of(const XmlElement& pci) const {
  const std::string speed = attribute(pci, "link_speed");
  const std::string width = attribute(pci, "link_width");
  int64_t generation = figures_.pcie_generation();
  int64_t lanes = 16;
  if (!speed.empty() && speed != "Unknown speed" && speed != "Unknown") {
    const double rate = std::strtod(speed.c_str(), nullptr);
    const std::vector<double> rates = {2.5, 5, 8, 16, 32, 64};
    const auto found = std::ranges::find(rates, rate);
    if (found == rates.end()) {
      return bad_input(str_cat("link_speed of <pci> is '", shown(speed),
                               "'; allowed: 2.5, 5, 8, 16, 32 or 64 GT/s"),
                       pci.where);
    }
    generation = found - rates.begin() + 1;
  }
  if (!width.empty() && width != "0" && width != "255") {
    const Result<int64_t> stated = whole_number(pci, "link_width", 32);
    if (!stated) return stated.error();
    lanes = *stated;
  }
  return figures_.pcie(generation, lanes);
}

Status NcclTopology::read_nic(const XmlElement& nic, const std::string& above,
                              const LinkFigure& cable) {
  const XmlElement* net = child(nic, "net");
  if (net == nullptr) return ok();  // a NIC without a port in use
  double gbit_per_s = 0;
  for (const XmlElement& port : nic.children) {
    if (port.name != "net") continue;
    const Result<int64_t> speed = whole_number(port, "speed", 100'000'000);  // Mbit/s
    if (!speed) return speed.error();
    gbit_per_s += static_cast<double>(*speed) / 1000;
  }
  node_.join_pcie(str_cat("nic", node_.nics.size()), above, cable);
  const std::string name = attribute(*net, "name");
  node_.nics.push_back(name.empty() ? str_cat("net", node_.nics.size()) : shown(name));
  node_.nic_gbit_per_s = std::max(node_.nic_gbit_per_s, gbit_per_s);
  return ok();
}

// `cable`: the narrowest since `above`, where bridges with one thing below were passed.
Status NcclTopology::read_pci(const XmlElement& pci, const std::string& above,
                              std::optional<LinkFigure> cable) {
  Result<LinkFigure> own = cable_of(pci);
  if (!own) return own.error();
  if (!cable || own->bandwidth < cable->bandwidth) cable = *own;
  if (const XmlElement* gpu = child(pci, "gpu")) {
    const Result<int64_t> dev = whole_number(*gpu, "dev", 255);
    if (!dev) return dev.error();
    if (!gpus_.emplace(*dev, Gpu{gpu, above, *cable}).second) {
      return bad_input(str_cat("two GPUs have dev ", *dev), gpu->where);
    }
    const std::string id = bus_id(pci, "busid");
    if (id.empty()) return missing(pci, "busid");
    bus_ids_[id] = *dev;
    return ok();
  }
  if (const XmlElement* nic = child(pci, "nic")) return read_nic(*nic, above, *cable);
  const auto below = std::ranges::count(pci.children, "pci", &XmlElement::name);
  if (below < 2) return read_below(pci, above, cable);
  std::string name = str_cat("pcie", node_.pcie_switches++);
  node_.join_pcie(name, above, *cable);
  return read_below(pci, name, std::nullopt);
}

Status NcclTopology::read_below(const XmlElement& parent, const std::string& above,
                                std::optional<LinkFigure> cable) {
  for (const XmlElement& element : parent.children) {
    if (element.name == "pci") {
      if (Status status = read_pci(element, above, cable); !status) return status;
    }
    if (element.name == "nic") {  // beside the PCI tree: virtual, or of the host itself
      const LinkFigure host = figures_.pcie(figures_.pcie_generation(), 16);
      if (Status status = read_nic(element, above, host); !status) return status;
    }
  }
  return ok();
}

Status NcclTopology::number_gpus() {
  for (auto& [dev, gpu] : gpus_) {
    gpu.index = node_.gpus++;
    node_.join_pcie(str_cat("gpu", gpu.index), gpu.vertex_above, gpu.figure);
  }
  return ok();
}

Status NcclTopology::add_gpu_nvlinks(const Gpu& gpu,
                                     std::map<std::pair<size_t, size_t>, int64_t>& between) {
  int64_t sum = 0;
  int64_t to_switch = 0;
  for (const XmlElement& link : gpu.element->children) {
    if (link.name != "nvlink") continue;
    const Result<int64_t> count = whole_number(link, "count", 1000);
    if (!count) return count.error();
    sum += *count;
    if (sum > figures_.nvlinks()) {
      return bad_input(str_cat("the GPU has ", sum, " NVLinks and more; allowed: ",
                               figures_.nvlinks(), ", those of ", figures_.gpu()),
                       link.where);
    }
    const std::string kind = bus_id(link, "tclass");
    if (kind.starts_with("0x0680")) {
      to_switch += *count;
      continue;
    }
    const auto peer = bus_ids_.find(bus_id(link, "target"));
    if (peer == bus_ids_.end()) {
      return bad_input(str_cat("the NVLink's target '", shown(attribute(link, "target")),
                               "' is no GPU of this file, and its tclass '",
                               shown(attribute(link, "tclass")), "' no NVSwitch (0x068000)"),
                       link.where);
    }
    between[{gpu.index, gpus_.at(peer->second).index}] += *count;
  }
  if (to_switch > 0) node_.join_nvswitch(gpu.index, to_switch, figures_);
  return ok();
}

Status NcclTopology::add_nvlinks() {
  std::map<std::pair<size_t, size_t>, int64_t> between;
  for (const auto& [dev, gpu] : gpus_) {
    if (Status status = add_gpu_nvlinks(gpu, between); !status) return status;
  }
  for (const auto& [ends, count] : between) {
    const auto& [a, b] = ends;
    const auto back = between.find({b, a});
    const int64_t other = back == between.end() ? 0 : back->second;
    if (other != count) {
      const auto at = std::next(gpus_.begin(), static_cast<std::ptrdiff_t>(a));
      return bad_input(str_cat("gpu", a, " has ", count, " NVLinks to gpu", b,
                               ", the other way round it is ", other),
                       at->second.element->where);
    }
    if (a < b) node_.join_gpus(a, b, count, figures_);
  }
  return ok();
}

Result<ImportedNode> NcclTopology::read(const XmlElement& system, const std::string& file) {
  if (system.name != "system") {
    return bad_input(
        str_cat("<", shown(system.name), "> is not NCCL's topology, whose root is <system>"),
        system.where);
  }
  node_.origin = str_cat("NCCL topology, ", file);
  node_.cpus = 0;
  bool amd = false;
  for (const XmlElement& cpu : system.children) {
    if (cpu.name != "cpu") continue;
    amd = amd || attribute(cpu, "vendor") == "AuthenticAMD";
    const std::string name = str_cat("cpu", node_.cpus++);
    if (Status status = read_below(cpu, name, std::nullopt); !status) return status.error();
  }
  if (node_.cpus == 0) return bad_input("no <cpu> in <system>", system.where);
  if (gpus_.empty()) return bad_input("no <gpu> in <system>", system.where);
  if (Status status = number_gpus(); !status) return status.error();
  if (Status status = add_nvlinks(); !status) return status.error();
  node_.socket = figures_.socket(amd);
  return std::move(node_);
}

}  // namespace

Result<ImportedNode> node_from_nccl_xml(std::string_view text, const std::string& file,
                                        const LinkFigures& figures) {
  const Result<XmlElement> system = parse_xml(text, file);
  if (!system) return system.error();
  return NcclTopology(figures).read(*system, file);
}

}  // namespace soapbox::runner
