#include "scenarios/runner/topology_import/imported_node.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

// A TOML basic string.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return out + '"';
}

std::string gb_per_s_text(BytesPerSecond bandwidth) {
  return str_cat(quoted(str_cat(std::round(bandwidth.rate() / 1e6) / 1e3, " GB/s")));
}

bool same_kind(const ImportedLink& a, const ImportedLink& b) {
  return std::tuple(a.type, a.lanes, a.figure.bandwidth, a.latency) ==
         std::tuple(b.type, b.lanes, b.figure.bandwidth, b.latency);
}

std::string link_table(const std::vector<ImportedLink>& links, const ImportedLink& kind) {
  std::string text = "\n[[node.link]]\npairs = [";
  size_t in_line = 0;
  for (const ImportedLink& link : links) {
    if (!same_kind(link, kind)) continue;
    text += str_cat(in_line % 6 == 0 ? "\n  " : " ", quoted(str_cat(link.from, "-", link.to)), ",");
    ++in_line;
  }
  text += "\n]\n";
  if (kind.lanes > 1) text += str_cat("lanes = ", kind.lanes, "\n");
  return text + str_cat("type = ", quoted(kind.type),
                        "\nbandwidth = ", gb_per_s_text(kind.figure.bandwidth),
                        "\nlatency = ", quoted(kind.latency),
                        "\nsource = ", quoted(kind.figure.source), "\n");
}

std::string node_table(const ImportedNode& node, const LinkFigures& figures, size_t nodes) {
  std::string text = str_cat("\n[[node]]\ncount = 1\n");
  if (nodes > 1) text += str_cat("count_max = ", nodes, "  # with --devices\n");
  text += str_cat("gpus = ", node.gpus, "\ngpu = ", quoted(figures.gpu()), "\ncpus = ", node.cpus,
                  "\n");
  if (!node.nics.empty()) {
    text += str_cat("nics = ", node.nics.size(), "  # ", shown(join(node.nics, ", ")), "\n");
  }
  std::vector<std::string> switches;
  if (node.nvswitch) switches.emplace_back("nvswitch = 1");
  if (node.pcie_switches > 0) switches.push_back(str_cat("pcie = ", node.pcie_switches));
  if (!switches.empty()) text += str_cat("switches = { ", join(switches, ", "), " }\n");
  return text;
}

}  // namespace

void ImportedNode::join_nvswitch(size_t gpu, int64_t lanes, const LinkFigures& figures) {
  nvswitch = true;
  links.push_back({str_cat("gpu", gpu), "nvswitch0", "nvlink", lanes, figures.nvlink(), "0.3 us"});
}

void ImportedNode::join_gpus(size_t a, size_t b, int64_t lanes, const LinkFigures& figures) {
  links.push_back(
      {str_cat("gpu", a), str_cat("gpu", b), "nvlink", lanes, figures.nvlink(), "0.6 us"});
}

void ImportedNode::join_pcie(std::string from, std::string to, LinkFigure figure) {
  links.push_back({std::move(from), std::move(to), "pcie", 1, std::move(figure), "0.5 us"});
}

Result<std::string> cluster_toml(const ImportedNode& node, const LinkFigures& figures,
                                 size_t nodes) {
  if (nodes > 1 && node.nics.empty()) {
    return bad_input(str_cat("a node without NICs cannot be one of ", nodes));
  }
  if (nodes > 1 && node.nic_gbit_per_s <= 0) {
    return bad_input("the rate of the NICs is not known: give it as --nic-gbits");
  }
  std::string text =
      str_cat("summary = ", quoted(str_cat("nodes of ", node.gpus, " ", figures.gpu())),
              "\nsource = ", quoted(node.origin), "\n", node_table(node, figures, nodes));
  for (size_t i = 0; i < node.links.size(); ++i) {
    const auto same = [&](const ImportedLink& other) { return same_kind(other, node.links[i]); };
    const auto first = node.links.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::none_of(node.links.begin(), first, same)) {
      text += link_table(node.links, node.links[i]);
    }
  }
  if (node.cpus > 1) {
    text += str_cat("\n[[node.link]]\nmesh = \"cpu*\"\ntype = \"socket\"\nbandwidth = ",
                    gb_per_s_text(node.socket.bandwidth),
                    "\nlatency = \"0.5 us\"\nsource = ", quoted(node.socket.source), "\n");
  }
  if (nodes > 1) {
    const LinkFigure network = figures.network(node.nic_gbit_per_s);
    text += str_cat(
        "\n# One switch that does not block. Add rails and [[fabric.tier]] where there",
        " are.\n[fabric]\ntype = \"network\"\nbandwidth = ", gb_per_s_text(network.bandwidth),
        "\nlatency = \"1 us\"\nsource = ", quoted(network.source), "\n");
  }
  return text;
}

}  // namespace soapbox::runner
