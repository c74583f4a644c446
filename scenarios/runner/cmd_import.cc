// soapbox import: a node's topology as another tool writes it, as a cluster file.
#include <array>
#include <optional>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/topology_import/nccl_topology.h"
#include "scenarios/runner/topology_import/topo_matrix.h"
#include "sim/base/find_row.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostNodes = 1 << 16;
constexpr int64_t kMostGbits = 100'000;

struct Importer {
  std::string_view name;
  Result<ImportedNode> (*read)(std::string_view text, const std::string& file,
                               const LinkFigures& figures);
};
constexpr std::array kImporters = {Importer{"nccl", node_from_nccl_xml},
                                   Importer{"topo", node_from_topo_matrix}};

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const auto importer = find_row(kImporters, "kind of topology", arguments.positional()[0]);
  if (!importer) return usage_error(importer.error().message);
  const std::string& path = arguments.positional()[1];
  const Result<std::string> gpu = arguments.required("gpu");
  if (!gpu) return gpu.error();
  const auto nodes = arguments.whole_number("nodes", 1, kMostNodes);
  if (!nodes) return nodes.error();
  const auto gbits = arguments.whole_number("nic-gbits", 1, kMostGbits);
  if (!gbits) return gbits.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<LinkFigures> figures = LinkFigures::read(*scenarios, *gpu);
  if (!figures) return figures.error();
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  Result<ImportedNode> node = (*importer)->read(*text, path, *figures);
  if (!node) return node.error();
  if (*gbits) node->nic_gbit_per_s = static_cast<double>(**gbits);
  Result<std::string> toml = cluster_toml(*node, *figures, static_cast<size_t>(nodes->value_or(1)));
  if (!toml) return usage_error(str_cat("import: ", toml.error().message));
  const std::optional<std::string> out = arguments.text("out");
  if (!out) return CommandResult{*std::move(toml)};
  const Status written = write_file(*out, *toml);
  if (!written) return written.error();
  return CommandResult{};
}

}  // namespace

CommandRow import_command() {
  return {"import", "Makes a cluster file of a topology that another tool wrote.",
          Syntax{.command = "import",
                 .positional = "nccl|topo FILE",
                 .min_positional = 2,
                 .max_positional = 2,
                 .options = {{"gpu", "NAME", "which GPU it is; see 'soapbox list hardware'"},
                             {"nodes", "N", "up to so many such nodes (default 1)"},
                             {"nic-gbits", "N", "Gbit/s of a NIC, where the file does not say it"},
                             {"out", "FILE", "the cluster file (default: stdout)"}},
                 .details = "topo: the text of 'nvidia-smi topo -m'. nccl: the XML that NCCL writes"
                            " to NCCL_TOPO_DUMP_FILE.\nBandwidths are those of scenarios/hardware."
                            " What the file does not say is in the sources of the result."},
          run};
}

}  // namespace soapbox::runner
