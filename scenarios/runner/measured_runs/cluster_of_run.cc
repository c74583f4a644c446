#include "scenarios/runner/measured_runs/cluster_of_run.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numeric>

#include "scenarios/runner/measured_runs/run_wording.h"
#include "scenarios/runner/scenario_files/cluster_file.h"

namespace soapbox::runner {
namespace {

// The GPU of a run: the first row whose words are all in the text, and whose memory is the stated
// one where it is stated.
struct GpuName {
  std::string_view word;
  std::string_view form;  // another word; empty: none is needed
  std::string_view hardware;
  int memory_gb;
  std::string_view cluster;    // whose node is taken
  std::string_view nearest{};  // what the GPU is taken for, where it is not itself
};
constexpr std::array kGpuNames = {
    GpuName{"gb300", "", "GB300-GPU-288GB", 288, "gb200_nvl72"},
    GpuName{"gb200", "", "GB200-GPU-186GB", 186, "gb200_nvl72"},
    GpuName{"b300", "", "B300-SXM-288GB", 288, "dgx_b200"},
    GpuName{"b200", "", "B200-SXM-180GB", 180, "dgx_b200"},
    GpuName{"gh200", "", "H100-SXM5-80GB", 80, "dgx_h200", "H100-SXM5-80GB"},
    GpuName{"gh200", "", "H200-SXM-141GB", 141, "dgx_h200", "H200-SXM-141GB"},
    GpuName{"h200", "", "H200-SXM-141GB", 141, "dgx_h200"},
    GpuName{"h100", "pcie", "H100-PCIe-80GB", 80, "dgx_h100"},
    GpuName{"h100", "nvl", "H100-NVL-94GB", 94, "dgx_h100"},
    GpuName{"h100", "", "H100-SXM5-80GB", 80, "dgx_h100"},
    GpuName{"h20", "", "H20-SXM-96GB", 96, "dgx_h100"},
    GpuName{"h800", "", "H800-SXM5-80GB", 80, "dgx_h100"},
    GpuName{"a100", "pcie", "A100-PCIe-80GB", 80, "dgx_a100"},
    GpuName{"a100", "pcie", "A100-PCIe-40GB", 40, "dgx_a100"},
    GpuName{"a100", "", "A100-SXM4-80GB", 80, "dgx_a100_80g"},
    GpuName{"a100", "", "A100-SXM4-40GB", 40, "dgx_a100"},
    GpuName{"a800", "", "A800-SXM4-80GB", 80, "dgx_a100_80g"},
    GpuName{"v100", "pcie", "V100-PCIe-32GB", 32, "dgx_v100"},
    GpuName{"v100", "pcie", "V100-PCIe-16GB", 16, "dgx_v100"},
    GpuName{"v100", "azure", "V100-PCIe-16GB", 16, "dgx_v100"},
    GpuName{"v100", "sxm3", "V100-SXM2-32GB", 32, "dgx_v100", "V100-SXM2-32GB"},
    GpuName{"v100", "", "V100-SXM2-32GB", 32, "dgx_v100"},
    GpuName{"v100", "", "V100-SXM2-16GB", 16, "dgx_v100"},
    GpuName{"p100", "pcie", "P100-PCIe-16GB", 16, "dgx_v100"},
    GpuName{"p100", "", "P100-SXM2-16GB", 16, "dgx_v100"},
    GpuName{"k80", "", "K80-GK210", 12, "dgx_v100"},
    // Instances of AWS.
    GpuName{"p5e", "", "H200-SXM-141GB", 141, "dgx_h200"},
    GpuName{"p5", "", "H100-SXM5-80GB", 80, "dgx_h100"},
    GpuName{"p4de", "", "A100-SXM4-80GB", 80, "dgx_a100_80g"},
    GpuName{"p4d", "", "A100-SXM4-40GB", 40, "dgx_a100"},
    GpuName{"titan", "xp", "TITAN-Xp", 12, "dgx_v100"},
    GpuName{"2080", "", "RTX-2080Ti", 11, "dgx_v100"},
    GpuName{"3090", "", "RTX-3090", 24, "dgx_a100"},
    GpuName{"4090", "", "RTX-4090", 24, "dgx_a100"},
    GpuName{"6000", "ada", "RTX-6000-Ada", 48, "dgx_a100"},
    GpuName{"a6000", "", "RTX-A6000", 48, "dgx_a100"},
    GpuName{"8000", "rtx", "Quadro-RTX-8000", 48, "dgx_v100"},
    GpuName{"l40", "", "L40S", 48, "dgx_a100"},
    GpuName{"a40", "", "A40", 48, "dgx_a100"},
    GpuName{"a10", "", "A10", 24, "dgx_a100"},
    GpuName{"l4", "", "L4", 24, "dgx_a100"},
    GpuName{"t4", "", "T4", 16, "dgx_v100"},
    GpuName{"p4", "", "P4", 8, "dgx_v100"},
    GpuName{"mi355", "", "MI355X", 288, "dgx_h100"},
    GpuName{"mi325", "", "MI325X", 256, "dgx_h100"},
    GpuName{"mi300", "", "MI300X", 192, "dgx_h100"},
    GpuName{"mi250", "", "MI250-GCD", 64, "dgx_a100"},
    GpuName{"mi210", "", "MI210", 64, "dgx_a100"},
    GpuName{"mi100", "", "MI100", 32, "dgx_a100"},
};

constexpr double kAdapterEfficiency = 0.96;  // of the line rate, as InfiniBand achieves

// Sold as 180 or 192 GB it is the same device.
bool is_near(double stated_gb, double gb) {
  return std::fabs(stated_gb - gb) < 0.1 * gb;
}

// As stated, or in the name of the GPU: "A100-40G", "H100_80GB_HBM3".
std::optional<double> memory_gb(const MeasuredRun& run) {
  if (run.gpu_mem_gb) return run.gpu_mem_gb;
  constexpr double kLeast = 8;
  const std::string text = lower_case(run.gpu);
  for (size_t g = text.find('g'); g != std::string::npos; g = text.find('g', g + 1)) {
    size_t begin = g;
    const size_t end = text.compare(g, 2, "gb") == 0 ? g + 2 : g + 1;
    const bool word_ends =
        end == text.size() ||
        (std::isalnum(static_cast<unsigned char>(text[end])) == 0 && text[end] != '/');
    const std::optional<double> value = number_before(text, g, &begin);
    if (value && word_ends && *value >= kLeast) return value;
  }
  return std::nullopt;
}

const GpuName* find_gpu(const MeasuredRun& run, const std::optional<double>& stated_gb) {
  const std::string text = lower_case(run.gpu);
  const GpuName* first = nullptr;
  for (const GpuName& row : kGpuNames) {
    if (!contains(text, row.word) || !contains(text, row.form)) continue;
    // A row of another form is not this GPU: "A100-SXM" is not on PCIe.
    if (first != nullptr && (row.word != first->word || row.form != first->form)) break;
    if (first == nullptr) first = &row;
    if (stated_gb && is_near(*stated_gb, row.memory_gb)) return &row;
  }
  return first;
}

bool on_pcie(const MeasuredRun& run, std::string_view hardware) {
  const std::string link = lower_case(run.intra_node_link);
  if (contains(link, "pcie")) return true;
  if (contains(link, "nvlink") || contains(link, "nvswitch")) return false;
  // By what the boards are.
  const bool module =
      contains(hardware, "SXM") || hardware.starts_with("GB") || hardware.starts_with("MI3");
  return !module;
}

BytesPerSecond pcie_bandwidth(const MeasuredRun& run, const NodeDescription& node) {
  const std::string link = lower_case(run.intra_node_link);
  // Achieved over 16 lanes, as in the catalogue of links.
  if (contains(link, "pcie3")) return gb_per_s(12.3);
  if (contains(link, "pcie4")) return gb_per_s(26.0);
  if (contains(link, "pcie5")) return gb_per_s(55.4);
  for (const CableDescription& cable : node.cables) {
    if (cable.type == "pcie") return cable.bandwidth;
  }
  return gb_per_s(12.3);
}

// GPUs of one NVLink domain that a job takes where a rack has 72: jobs are powers of two, or fill
// racks.
size_t used_of_rack(size_t gpus, size_t rack) {
  if (gpus <= rack) return gpus;
  for (size_t used = rack; used > rack / 2; used -= 4) {
    if (gpus % used == 0) return used;
  }
  return rack;
}

// Makes the described node one of `gpus` GPUs and `nics` adapters.
class NodeEditor {
 public:
  explicit NodeEditor(NodeDescription& node) : node_(node) {}

  void resize(size_t gpus, size_t nics) {
    if (gpus != node_.gpus) replace_mesh();
    node_.gpus = gpus;
    node_.nics = nics;
    // What hangs under what must divide evenly.
    const size_t groups = nics == 0 ? gpus : std::gcd(gpus, nics);
    bool has_pcie = false;
    for (auto& [name, count] : node_.switches) {
      if (name != "pcie") continue;
      count = groups;
      has_pcie = true;
    }
    const size_t cpus = has_pcie || groups % 2 == 0 ? groups : 1;
    node_.cpus = has_pcie ? (groups % 2 == 0 ? 2 : 1) : std::max<size_t>(cpus / 2, 1);
    if (node_.cpus == 1) {
      std::erase_if(node_.cables,
                    [](const CableDescription& cable) { return cable.mesh == "cpu*"; });
    }
    if (nics == 0) {
      std::erase_if(node_.cables,
                    [](const CableDescription& cable) { return cable.from == "nic*"; });
    }
  }

  // GPUs meet over PCIe alone.
  void drop_nvlink(BytesPerSecond pcie) {
    std::erase_if(node_.cables,
                  [](const CableDescription& cable) { return cable.type == "nvlink"; });
    std::erase_if(node_.switches, [](const auto& entry) { return entry.first == "nvswitch"; });
    for (CableDescription& cable : node_.cables) {
      if (cable.type == "pcie") cable.bandwidth = pcie;
    }
  }

 private:
  // A mesh of cables between certain GPUs, for another number of GPUs: a switch that gives each as
  // much as its cables together.
  void replace_mesh() {
    CableDescription merged;
    double gpu_links = 0;
    for (const CableDescription& cable : node_.cables) {
      if (cable.type != "nvlink" || cable.pairs.empty()) continue;
      merged = cable;
      gpu_links += cable.bandwidth.rate() * 2 * double(cable.pairs.size()) / double(node_.gpus);
    }
    if (merged.pairs.empty()) return;
    std::erase_if(node_.cables, [](const CableDescription& cable) {
      return cable.type == "nvlink" && !cable.pairs.empty();
    });
    merged.pairs.clear();
    merged.from = "gpu*";
    merged.to = "nvswitch0";
    merged.bandwidth = BytesPerSecond(gpu_links);
    node_.cables.push_back(merged);
    node_.switches.emplace_back("nvswitch", 1);
  }

  NodeDescription& node_;
};

struct Network {
  size_t nics = 0;
  BytesPerSecond bandwidth;
};

// Of one node, from what the run says of it and else as the shipped cluster has it.
Network network_of(const MeasuredRun& run, const NodeDescription& node,
                   const FabricDescription& fabric, Assumptions& assumptions) {
  const size_t gpus = static_cast<size_t>(run.gpus_per_node.value_or(int64_t(node.gpus)));
  const size_t usual = std::max<size_t>(1, node.nics * std::min(gpus, node.gpus) / node.gpus);
  const std::optional<NodeAdapters> stated = parse_adapters(run.inter_node_link);
  if (!stated) {
    if (run.num_gpus.value_or(1) > int64_t(gpus)) {
      assumptions.add(
          "inter_node_link",
          str_cat(usual, "x", std::round(fabric.bandwidth.rate() * 8e-9 / 0.97), "Gb/s per node"),
          run.inter_node_link.empty() ? "not stated, usual for the GPU"
                                      : "rate not stated, usual for the GPU");
    }
    return {usual, fabric.bandwidth};
  }
  const bool each_gpu = stated->rate == NodeAdapters::Rate::kOfEachGpu;
  const size_t count = each_gpu ? gpus : stated->count.value_or(usual);
  const bool together = stated->rate == NodeAdapters::Rate::kTogether;
  const double gbit_s = together ? stated->gbit_s / double(count) : stated->gbit_s;
  const double raw = gbit_s * 1e9 / 8;
  const double known = fabric.bandwidth.rate() / raw;
  if (known > 0.9 && known <= 1) return {count, fabric.bandwidth};
  return {count, BytesPerSecond(raw * kAdapterEfficiency)};
}

}  // namespace

std::optional<NodeAdapters> parse_adapters(std::string_view text) {
  using Rate = NodeAdapters::Rate;
  struct Unit {
    std::string_view text;
    double gbit_s;
  };
  constexpr std::array kUnits = {Unit{"gb/s", 1},   Unit{"gbit/s", 1}, Unit{"gbps", 1},
                                 Unit{"tb/s", 1e3}, Unit{"tbps", 1e3}, Unit{"gbe", 1},
                                 Unit{"gbit", 1},   Unit{"gb", 1}};
  const std::string lower = lower_case(text);
  const bool per_gpu = contains(lower, "per gpu");
  for (const Unit& unit : kUnits) {
    size_t at = lower.find(unit.text);
    if (at == std::string::npos) continue;
    const bool bytes = text.substr(at, 2) == "GB" || text.substr(at, 2) == "TB";
    while (at > 0 && lower[at - 1] == ' ') --at;
    size_t begin = at;
    std::optional<double> rate = number_before(lower, at, &begin);
    if (!rate) continue;
    const bool sold_in_bits = unit.text == "gbe" || unit.text == "gb" || unit.text == "gbit";
    *rate *= unit.gbit_s * (bytes && !sold_in_bits ? 8 : 1);
    if (per_gpu) return NodeAdapters{std::nullopt, *rate, Rate::kOfEachGpu};
    if (begin == 0 || lower[begin - 1] != 'x') {
      if (contains(lower, "per node")) return NodeAdapters{std::nullopt, *rate, Rate::kTogether};
      return NodeAdapters{1, *rate};
    }
    const std::optional<double> count = number_before(lower, begin - 1, &begin);
    if (!count || *count != std::floor(*count) || *count > 64) continue;
    return NodeAdapters{static_cast<size_t>(*count), *rate};
  }
  // A port of InfiniBand by its generation.
  for (const auto& [name, rate] :
       {Unit{"xdr", 800}, Unit{"ndr", 400}, Unit{"hdr", 200}, Unit{"edr", 100}, Unit{"fdr", 56}}) {
    if (contains(lower, name)) return NodeAdapters{std::nullopt, rate};
  }
  return std::nullopt;
}

Result<ClusterDescription> cluster_of_run(const MeasuredRun& run, const ScenarioFolder& scenarios,
                                          const HardwareCatalogue& catalogue,
                                          Assumptions& assumptions) {
  const std::optional<double> stated_gb = memory_gb(run);
  const GpuName* gpu = find_gpu(run, stated_gb);
  if (gpu == nullptr) {
    std::vector<std::string> known;
    for (const Hardware& device : catalogue.devices()) known.push_back(device.name);
    return bad_input(unknown_name("GPU", run.gpu, known));
  }
  const Result<Hardware> hardware = catalogue.find(gpu->hardware);
  if (!hardware) return hardware.error();
  if (!gpu->nearest.empty()) assumptions.add("gpu", gpu->nearest, "the nearest that is known");
  if (!stated_gb) assumptions.add("gpu_mem_gb", gpu->memory_gb, "not stated");
  const Result<std::string> path = scenarios.path(kClusterFiles, std::string(gpu->cluster));
  if (!path) return path.error();
  Result<ClusterDescription> cluster = read_cluster_description(*path, catalogue);
  if (!cluster) return cluster.error();
  SOAPBOX_CHECK(cluster->nodes.size() == 1 && cluster->fabric, "shipped clusters have equal nodes");

  NodeDescription& node = cluster->nodes.front();
  FabricDescription& fabric = *cluster->fabric;
  const auto num_gpus = static_cast<size_t>(*run.num_gpus);
  constexpr size_t kMostGpus = size_t{1} << 17;
  if (num_gpus > kMostGpus) {
    return bad_input(str_cat("num_gpus ", num_gpus, " is too many: at most ", kMostGpus));
  }
  const Network network = network_of(run, node, fabric, assumptions);
  size_t gpus = static_cast<size_t>(run.gpus_per_node.value_or(int64_t(node.gpus)));
  size_t nics = network.nics;
  if (!run.gpus_per_node) assumptions.add("gpus_per_node", gpus, "not stated, usual for the GPU");
  const bool rack =
      gpu->cluster == "gb200_nvl72" && !contains(lower_case(run.intra_node_link), "pcie");
  if (rack) {
    const size_t tray = std::max<size_t>(gpus, 1);
    gpus = used_of_rack(num_gpus, node.gpus);
    nics = std::max<size_t>(1, network.nics * gpus / tray);
    if (num_gpus > node.gpus && gpus != node.gpus) {
      assumptions.add("gpus_per_rack", gpus, "of 72, so that the job fills equal racks");
    }
  }
  gpus = std::min(gpus, num_gpus);  // a node of which a part is used is as one of that part
  if (gpus < node.gpus && gpus == num_gpus) nics = std::min(nics, gpus);
  node.hardware = *hardware;
  if (stated_gb && !is_near(*stated_gb, gpu->memory_gb)) {
    node.hardware.memory = Bytes(std::llround(*stated_gb * 0x1p30));
    assumptions.add("gpu", gpu->hardware, str_cat("with the stated memory of ", *stated_gb, " GB"));
  }
  if (on_pcie(run, gpu->hardware)) NodeEditor(node).drop_nvlink(pcie_bandwidth(run, node));
  NodeEditor(node).resize(gpus, nics);
  node.count = (num_gpus + gpus - 1) / gpus;
  node.count_max = node.count;
  fabric.bandwidth = network.bandwidth;
  fabric.rails = std::min(fabric.rails, nics);
  cluster->name = str_cat(gpu->cluster, ": ", node.count, " x ", gpus, " ", gpu->hardware, " of ",
                          node.hardware.memory.as_double() / 0x1p30, " GB, ", nics, " x ",
                          std::round(network.bandwidth.rate() / 1e8) / 10, " GB/s",
                          on_pcie(run, gpu->hardware)
                              ? str_cat(", PCIe ", pcie_bandwidth(run, node).rate() / 1e9, " GB/s")
                              : std::string());
  return cluster;
}

}  // namespace soapbox::runner
