// soapbox list: the names that the other commands accept.
#include <algorithm>
#include <array>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/experiment.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/model/transformer_graph.h"
#include "sim/model/transformers.h"
#include "sim/simulate/simulate.h"
#include "strategies/searcher.h"

namespace soapbox::runner {
namespace {

using results::Table;

void add_model(Table& table, const Model& model, std::string_view summary) {
  table.add_row({model.name,
                 {},
                 {},
                 model.graph.ops().size(),
                 model.graph.parameter_count(),
                 model.graph.forward_flops().count() / 1e9 / static_cast<double>(model.batch),
                 model.batch,
                 summary});
}

void add_transformer(Table& table, const TransformerRow& row) {
  const Transformer stack = make_transformer(row);
  int64_t hidden = 0;
  for (const TransformerLayer& layer : stack.layers) hidden = std::max(hidden, layer.hidden);
  const Result<Model> model = operator_graph(stack, 1);
  table.add_row({row.name, stack.block_count(), hidden,
                 model ? results::Cell(model->graph.ops().size()) : results::Cell(),
                 stack.parameter_count(), stack.forward_flops_per_sample() / 1e9,
                 row.batch_per_device, row.source});
}

// The model table, then that of Transformers, then the files.
Result<Table> list_models() {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  Table table({{"name"},
               {"layers"},
               {"hidden"},
               {"operators"},
               {"parameters"},
               {"forward_gflops_per_sample", 2},
               {"batch_per_device"},
               {"summary"}});
  for (const ModelRow& row : model_table()) {
    const Result<Model> model = row.build(row.batch_per_device);
    if (!model) return model.error();
    add_model(table, *model, row.summary);
  }
  for (const TransformerRow& row : transformer_table()) add_transformer(table, row);
  for (const std::string& name : scenarios->names(kModelFiles)) {
    const Result<LoadedModel> model = load_model(*scenarios, name, {});
    if (!model) return model.error();
    add_model(table, model->model, str_cat("scenarios/models/", name, ".toml"));
  }
  return table;
}

Result<Table> list_recipes() {
  Table table({{"name"}, {"summary"}});
  for (const auto& row : strategies::recipe_table()) table.add_row({row.name, row.summary});
  for (const ParallelRecipe& row : parallel_recipe_table()) {
    table.add_row({row.name, str_cat("Transformers: ", row.summary)});
  }
  return table;
}

Result<Table> list_methods() {
  Table table({{"name"}, {"summary"}});
  for (const auto& row : strategies::searcher_table()) table.add_row({row.name, row.summary});
  return table;
}

Result<Table> list_networks() {
  Table table({{"name"}, {"summary"}});
  for (const NetworkModelRow& row : network_model_table()) table.add_row({row.name, row.summary});
  return table;
}

Result<Table> list_clusters() {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<HardwareCatalogue> catalogue =
      HardwareCatalogue::read(scenarios->hardware_catalogue());
  if (!catalogue) return catalogue.error();
  Table table({{"name"}, {"devices"}, {"devices_max"}, {"summary"}});
  for (const std::string& name : scenarios->names(kClusterFiles)) {
    const Result<std::string> path = scenarios->path(kClusterFiles, name);
    if (!path) return path.error();
    const Result<ClusterDescription> cluster = read_cluster_description(*path, *catalogue);
    if (!cluster) return cluster.error();
    table.add_row(
        {cluster->name, cluster->device_count(), cluster->device_count_max(), cluster->summary});
  }
  return table;
}

Result<Table> list_hardware() {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<HardwareCatalogue> catalogue =
      HardwareCatalogue::read(scenarios->hardware_catalogue());
  if (!catalogue) return catalogue.error();
  Table table({{"name"},
               {"fp32_tflops"},
               {"fp16_tflops"},
               {"memory_gb_per_s"},
               {"memory_gib"},
               {"sm_count"},
               {"source"}});
  for (const Hardware& device : catalogue->devices()) {
    table.add_row({device.name, device.fp32_peak.rate() / 1e12, device.fp16_peak.rate() / 1e12,
                   device.memory_bandwidth.rate() / 1e9,
                   device.memory.as_double() / gibibytes(1).as_double(), device.sm_count,
                   device.source});
  }
  return table;
}

Result<Table> list_experiments() {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  Table table({{"name"}, {"runs"}});
  for (const std::string& name : scenarios->names(kExperimentFiles)) {
    const Result<std::string> path = scenarios->path(kExperimentFiles, name);
    if (!path) return path.error();
    const Result<Experiment> experiment = read_experiment(*scenarios, *path);
    if (!experiment) return experiment.error();
    table.add_row({name, expand(*experiment).size()});
  }
  return table;
}

struct Listing {
  std::string_view name;
  Result<Table> (*make)();
};
constexpr std::array kListings = {
    Listing{"clusters", list_clusters}, Listing{"experiments", list_experiments},
    Listing{"hardware", list_hardware}, Listing{"methods", list_methods},
    Listing{"models", list_models},     Listing{"networks", list_networks},
    Listing{"recipes", list_recipes}};

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const std::string& name = arguments.positional()[0];
  std::vector<std::string> known;
  for (const Listing& listing : kListings) {
    known.emplace_back(listing.name);
    if (listing.name != name) continue;
    const Result<Table> table = listing.make();
    if (!table) return table.error();
    return CommandResult{results::render(*table, *format)};
  }
  return usage_error(unknown_name("kind of name", name, known));
}

}  // namespace

CommandRow list_command() {
  return {"list", "Prints the names that the other commands accept.",
          Syntax{.command = "list",
                 .positional = "clusters|experiments|hardware|methods|models|networks|recipes",
                 .min_positional = 1,
                 .max_positional = 1,
                 .options = {format_option()}},
          run};
}

}  // namespace soapbox::runner
