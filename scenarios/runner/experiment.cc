#include "scenarios/runner/experiment.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "results/reference.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/check.h"
#include "sim/base/find_row.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"
#include "strategies/uniap/own_models.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostDevices = 1 << 20;
constexpr uint64_t kDefaultBudget = 1000;

// Keeps an error of another reader, at the key whose value it was given.
void fail_with(const TomlTable& table, std::string_view key, const Error& error) {
  table.fail(key, error.where.file.empty() ? error.message : error.to_string());
}

void check_names(const TomlTable& table, std::string_view key, std::string_view kind,
                 std::span<const std::string> names, std::span<const std::string> known) {
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      table.fail(key, unknown_name(kind, name, known));
    }
  }
}

SyncMode read_sync_key(const TomlTable& table, SyncMode otherwise) {
  const std::string text = table.string_or("sync", to_string(otherwise));
  const Result<SyncMode> sync = parse_sync_mode(text);
  if (!sync) table.fail("sync", sync.error().message);
  return sync ? *sync : otherwise;
}

SimulationOptions read_simulation_keys(const TomlTable& table) {
  SimulationOptions options;
  const std::string text = table.string_or("network", to_string(options.network));
  const Result<NetworkModel> network = parse_network_model(text);
  if (!network) table.fail("network", network.error().message);
  options.network =
      network ? *network : NetworkModel::kFair;  // what follows is no error of its own
  const auto read = [&](std::string_view key, double& factor) {
    factor = table.number_or(key, 1, {.low = 1, .high = kMostSlowdown});
    if (table.has(key) && options.network != NetworkModel::kFair) {
      table.fail(key, str_cat("'", key, "' needs network = \"fair\""));
    }
  };
  read("compute_slowdown", options.compute_slowdown);
  read("communication_slowdown", options.communication_slowdown);
  return options;
}

std::optional<uint64_t> read_budget(const TomlTable& table) {
  if (!table.has("budget")) return std::nullopt;
  return static_cast<uint64_t>(table.integer("budget", {.low = 1}));
}

// A list that must name something, each once.
template <class Item>
void check_list(const TomlTable& table, std::string_view key, const std::vector<Item>& items) {
  if (items.empty()) table.fail(key, str_cat("'", key, "' must name at least one"));
  for (size_t i = 0; i < items.size(); ++i) {
    if (std::find(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(i), items[i]) !=
        items.begin() + static_cast<std::ptrdiff_t>(i)) {
      table.fail(key, str_cat("'", key, "' has ", items[i], " twice"));
    }
  }
}

// The same for planners: Transformers, and samples of all devices together.
void read_planner_instances(const TomlTable& table, Experiment& experiment) {
  const std::vector<std::string> models = table.strings("models");
  check_list(table, "models", models);
  for (const std::string& model : models) {
    const auto known = find_transformer(model);
    if (!known) fail_with(table, "models", known.error());
  }
  const std::vector<std::string> clusters = table.strings("clusters");
  check_list(table, "clusters", clusters);
  const std::vector<int64_t> batches =
      table.integers("global_batch", {.low = 1, .high = kMostSamples});
  check_list(table, "global_batch", batches);
  for (const std::string& model : models) {
    for (const std::string& cluster : clusters) {
      for (const int64_t batch : batches) {
        Contest contest;
        contest.problem = {.model = model, .cluster = cluster, .devices = {}, .batch = batch};
        contest.where = table.where("clusters");
        experiment.contests.push_back(std::move(contest));
      }
    }
  }
}

void read_instances(const TomlTable& table, const ScenarioFolder& scenarios,
                    const SimulationOptions& simulation, Experiment& experiment) {
  const std::vector<std::string> models = table.strings("models");
  check_list(table, "models", models);
  for (const std::string& model : models) {
    if (Status known = check_model_name(scenarios, model); !known) {
      fail_with(table, "models", known.error());
    }
  }
  const std::vector<std::string> clusters = table.strings("clusters");
  check_list(table, "clusters", clusters);
  const std::vector<int64_t> devices = table.integers("devices", {.low = 1, .high = kMostDevices});
  check_list(table, "devices", devices);
  std::optional<int64_t> batch_per_device;
  if (table.has("batch_per_device")) {
    batch_per_device = table.integer("batch_per_device", {.low = 1, .high = kMostSamples});
  }
  const std::optional<uint64_t> budget = read_budget(table);
  for (const std::string& model : models) {
    for (const std::string& cluster : clusters) {
      for (const int64_t count : devices) {
        Contest contest;
        contest.problem.model = model;
        contest.problem.cluster = cluster;
        contest.problem.devices = count;
        contest.problem.simulation = simulation;
        if (batch_per_device) contest.problem.batch = *batch_per_device * count;
        contest.budget = budget;
        contest.where = table.where("clusters");
        experiment.contests.push_back(std::move(contest));
      }
    }
  }
}

// The keys of a search, which a recipe does not have.
void read_search_keys(const TomlTable& table, Contestant& contestant) {
  contestant.method.kind = MethodSpec::Kind::kSearcher;
  contestant.method.name = table.choice("search", row_names(strategies::searcher_table()));
  contestant.method.budget = read_budget(table).value_or(kDefaultBudget);
  contestant.method.settings.beta = table.number_or("beta", 0, {});
  contestant.method.settings.proposals = table.string_or("proposals", "");
  contestant.method.settings.starts = table.strings("starts");
  const std::vector<int64_t> seeds = table.integers("seeds", {});
  if (table.has("seeds")) check_list(table, "seeds", seeds);
  contestant.seeds.assign(seeds.begin(), seeds.end());
  if (contestant.seeds.empty()) contestant.seeds = {0};
}

Contestant read_planner(const TomlTable& table) {
  const std::vector<std::string> cost_models = {"own", "soapbox"};
  Contestant contestant;
  if (!table.has("planner")) table.fail("planners race with planners alone: give a 'planner'");
  contestant.method.name = table.choice("planner", row_names(strategies::uniap::planner_table()));
  contestant.planner = PlannerMethod();
  if (table.has("cost_model")) {
    contestant.planner->own_cost_model = table.choice("cost_model", cost_models) == "own";
  }
  const bool has_own = strategies::uniap::find_own_model(contestant.method.name) != nullptr;
  if (contestant.planner->own_cost_model && !has_own) {
    table.fail("cost_model",
               str_cat(contestant.method.name, " was published without a cost model"));
  }
  if (table.has("oracle")) {
    contestant.planner->oracle = static_cast<uint64_t>(table.integer("oracle", {.low = 0}));
  }
  contestant.seeds = {0};
  contestant.label = table.string_or("label", contestant.method.name);
  contestant.reference = table.string_or("reference", "");
  return contestant;
}

Contestant read_method(const TomlTable& table, SyncMode sync) {
  Contestant contestant;
  if (table.has("recipe") == table.has("search")) {
    table.fail("a method has either 'recipe' or 'search'");
  }
  if (table.has("search")) {
    read_search_keys(table, contestant);
  } else {
    if (table.has("recipe"))
      contestant.method.name = table.choice("recipe", row_names(strategies::recipe_table()));
    contestant.seeds = {0};
  }
  contestant.method.settings.sync = read_sync_key(table, sync);
  contestant.label = table.string_or("label", contestant.method.name);
  contestant.reference = table.string_or("reference", "");
  return contestant;
}

void read_methods(const TomlTable& root, SyncMode sync, bool planners, Experiment& experiment) {
  const std::vector<TomlTable> tables = root.tables("methods");
  if (tables.empty()) root.fail("an experiment has at least one [[methods]]");
  std::vector<std::string> labels;
  for (const TomlTable& table : tables) {
    Contestant contestant = planners ? read_planner(table) : read_method(table, sync);
    if (std::find(labels.begin(), labels.end(), contestant.label) != labels.end()) {
      table.fail(str_cat("two methods are called '", contestant.label, "'; give one a 'label'"));
    }
    labels.push_back(contestant.label);
    experiment.contestants.push_back(std::move(contestant));
  }
  experiment.baseline = root.string_or("baseline", "");
  if (!experiment.baseline.empty()) {
    const std::vector<std::string> baseline = {experiment.baseline};
    check_names(root, "baseline", "method of this experiment", baseline, labels);
  }
}

void read_published(const TomlTable& root, const std::string& path, Experiment& experiment) {
  if (!root.has("published")) return;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const std::string file = (folder / root.string("published")).lexically_normal().string();
  Result<std::vector<results::ReferenceRow>> rows = results::read_reference(file);
  if (!rows) return fail_with(root, "published", rows.error());
  experiment.published = *std::move(rows);
}

// The published strategies that methods name must exist.
void check_references(const TomlTable& root, const Experiment& experiment) {
  std::vector<std::string> known;
  for (const results::ReferenceRow& row : experiment.published) {
    if (std::find(known.begin(), known.end(), row.strategy) == known.end()) {
      known.push_back(row.strategy);
    }
  }
  const std::vector<TomlTable> tables = root.tables("methods");
  for (size_t i = 0; i < tables.size(); ++i) {
    const std::vector<std::string> name = {experiment.contestants[i].reference};
    if (!name.front().empty()) {
      check_names(tables[i], "reference", "strategy of the published figure", name, known);
    }
  }
}

// The name becomes a file name.
bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

}  // namespace

Result<Experiment> read_experiment(const ScenarioFolder& scenarios, const std::string& path) {
  Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  const Result<TomlTable> root = parse_toml(*text, path);
  if (!root) return root.error();
  Experiment experiment;
  experiment.text = *std::move(text);
  experiment.name = root->string("name");
  if (root->good() && !is_plain_name(experiment.name)) {
    root->fail("name", "'name' may have letters, digits, '_' and '-' only");
  }
  read_published(*root, path, experiment);
  const SimulationOptions simulation = read_simulation_keys(*root);
  const SyncMode sync = read_sync_key(*root, SyncMode::kOverlapped);
  const std::vector<TomlTable> methods = root->tables("methods");
  const bool planners = std::any_of(methods.begin(), methods.end(),
                                    [](const TomlTable& table) { return table.has("planner"); });
  const std::vector<TomlTable> instances = root->tables("instances");
  if (instances.empty()) root->fail("an experiment has at least one [[instances]]");
  for (const TomlTable& table : instances) {
    if (planners) {
      read_planner_instances(table, experiment);
    } else {
      read_instances(table, scenarios, simulation, experiment);
    }
  }
  read_methods(*root, sync, planners, experiment);
  if (root->good()) check_references(*root, experiment);
  if (Status status = root->finish(); !status) return status.error();
  return experiment;
}

std::vector<PlannedRun> expand(const Experiment& experiment) {
  std::vector<PlannedRun> runs;
  for (size_t contest = 0; contest < experiment.contests.size(); ++contest) {
    for (size_t i = 0; i < experiment.contestants.size(); ++i) {
      for (const uint64_t seed : experiment.contestants[i].seeds) {
        runs.push_back({contest, i, seed});
      }
    }
  }
  return runs;
}

bool is_of_planners(const Experiment& experiment) {
  return !experiment.contestants.empty() && experiment.contestants.front().planner.has_value();
}

Result<PlannerSearchSpec> planner_spec(const Experiment& experiment, const PlannedRun& run) {
  const Contest& contest = experiment.contests[run.contest];
  const Contestant& contestant = experiment.contestants[run.contestant];
  SOAPBOX_CHECK(contestant.planner.has_value(), "not a planner");
  const auto costs = published_precision(contest.problem.model);
  if (!costs) return costs.error();
  PlannerSearchSpec spec;
  spec.method = contestant.method.name;
  spec.problem = {
      contest.problem.model, contest.problem.cluster, contest.problem.devices, {}, *costs};
  spec.global_batch = *contest.problem.batch;
  spec.own_cost_model = contestant.planner->own_cost_model;
  if (contestant.planner->oracle) spec.oracle = {*contestant.planner->oracle, run.seed};
  return spec;
}

MethodSpec method_of(const Experiment& experiment, const PlannedRun& run) {
  MethodSpec method = experiment.contestants[run.contestant].method;
  const std::optional<uint64_t>& budget = experiment.contests[run.contest].budget;
  if (budget && method.kind == MethodSpec::Kind::kSearcher) method.budget = *budget;
  return method;
}

}  // namespace soapbox::runner
