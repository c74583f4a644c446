// soapbox check: reads one input as the other commands would, and says what is in it.
#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/experiment.h"
#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/parallel_problem.h"
#include "scenarios/runner/planning/galvatron_files.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/race.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/str.h"
#include "sim/plan/parallel_plan_json.h"

namespace soapbox::runner {
namespace {

// A stack: sizes of a layer are those of the largest, as Swin's widths grow.
Result<Record> check_transformer_model(const ScenarioFolder& scenarios, const std::string& name,
                                       const Arguments& arguments, const Console& console) {
  const auto seq_len = arguments.whole_number("seq-len", 1, kMostTokens);
  if (!seq_len) return seq_len.error();
  const Result<LoadedTransformer> loaded = load_transformer(scenarios, name, *seq_len);
  if (!loaded) return loaded.error();
  say_notes(console, name, loaded->notes);
  const Transformer* stack = &loaded->model;
  TransformerLayer largest;
  for (const TransformerLayer& layer : stack->layers) {
    largest.hidden = std::max(largest.hidden, layer.hidden);
    largest.vocab = std::max(largest.vocab, layer.vocab);
    largest.attention.heads = std::max(largest.attention.heads, layer.attention.heads);
    largest.attention.kv_heads = std::max(largest.attention.kv_heads, layer.attention.kv_heads);
    largest.mlp.hidden = std::max(largest.mlp.hidden, layer.mlp.hidden);
    largest.mlp.experts = std::max(largest.mlp.experts, layer.mlp.experts);
  }
  Record record;
  record.add("model", stack->name);
  record.add("source", stack->source);
  record.add("layers", stack->block_count());
  record.add("hidden", largest.hidden);
  record.add("heads", largest.attention.heads);
  record.add("kv_heads", largest.attention.kv_heads);
  record.add("ffn_hidden", largest.mlp.hidden);
  record.add("experts", largest.mlp.experts);
  record.add("vocabulary", largest.vocab);
  record.add("seq_len", stack->seq_len);
  record.add("parameters", stack->parameter_count());
  record.add("active_parameters", stack->active_parameters());
  record.add("forward_flops_per_sample", stack->forward_flops_per_sample());
  record.add("model_flops_per_sample", stack->model_flops_per_sample());
  return record;
}

Result<Record> check_model(const std::string& name, const Arguments& arguments,
                           const Console& console) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  if (is_transformer(name) && !arguments.has("batch")) {
    return check_transformer_model(*scenarios, name, arguments, console);
  }
  const auto batch = arguments.whole_number("batch", 1, kMostSamples);
  if (!batch) return batch.error();
  const auto seq_len = arguments.whole_number("seq-len", 1, kMostTokens);
  if (!seq_len) return seq_len.error();
  const Result<LoadedModel> loaded = load_model(*scenarios, name, {*batch, 1}, *seq_len);
  if (!loaded) return loaded.error();
  say_notes(console, name, loaded->notes);
  const Model* model = &loaded->model;
  const OpGraph& graph = model->graph;
  Flops backward;
  for (const Operator& op : graph.ops()) backward += op.backward_flops();
  Record record;
  record.add("model", model->name);
  record.add("batch", model->batch);
  record.add("operators", graph.ops().size());
  record.add("tensors", graph.edges().size());
  record.add("weights", graph.weights().size());
  record.add("parameters", graph.parameter_count());
  record.add("forward_flops", graph.forward_flops().count());
  record.add("backward_flops", backward.count());
  return record;
}

Result<Record> check_cluster(const std::string& name, const Arguments& arguments, const Console&) {
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  std::optional<size_t> limit;
  if (*devices) limit = static_cast<size_t>(**devices);
  const Result<Cluster> cluster = load_cluster(*scenarios, name, limit);
  if (!cluster) return cluster.error();
  std::map<std::string, size_t> link_types;
  for (const Link& link : cluster->links()) ++link_types[link.type];
  std::map<std::string, size_t> hardware;
  for (const DeviceId device : cluster->devices().ids()) {
    ++hardware[cluster->hardware_of(device).name];
  }
  Record record;
  record.add("cluster", cluster->name());
  record.add("nodes", cluster->node_count());
  record.add("devices", cluster->device_count());
  for (const auto& [kind, count] : hardware) record.add(str_cat("devices of ", kind), count);
  record.add("vertices", cluster->vertices().size());
  record.add("links", cluster->links().size());
  for (const auto& [type, count] : link_types) record.add(str_cat("links of ", type), count);
  return record;
}

Result<Record> check_parallel_plan_file(const std::string& text, const std::string& path,
                                        const Arguments& arguments, const Console& console) {
  const Result<ParallelPlanHeader> header = parallel_plan_header(text, path);
  if (!header) return header.error();
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  const ParallelProblemSpec spec{.model = arguments.text_or("model", header->model),
                                 .cluster = arguments.text_or("cluster", header->cluster),
                                 .devices = devices->value_or(header->devices),
                                 .seq_len = header->seq_len};
  const auto loaded = load_parallel_problem(spec, console);
  if (!loaded) return loaded.error();
  const ParallelProblem& problem = (*loaded)->problem();
  const Result<ParallelPlan> plan =
      parallel_plan_from_json(text, path, problem.model, problem.cluster.device_count());
  if (!plan) return plan.error();
  Record record;
  record.add("kind", std::string(kParallelKind));
  record.add("model", problem.model.name);
  record.add("seq_len", problem.model.seq_len);
  record.add("cluster", problem.cluster.name());
  record.add("devices", problem.cluster.device_count());
  record.add("stages", plan->pipeline_parallel);
  record.add("microbatches", plan->microbatches);
  record.add("schedule", to_string(plan->schedule));
  record.add("layer_strategies", plan->strategies.size());
  return record;
}

// A plan says itself what it is for; --model and --cluster ask whether it fits another problem.
Result<Record> check_plan_file(const std::string& path, const Arguments& arguments,
                               const Console& console) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  const Result<std::string> kind = plan_kind(*text, path);
  if (!kind) return kind.error();
  if (*kind == kParallelKind) {
    return check_parallel_plan_file(*text, path, arguments, console);
  }
  ProblemSpec spec;
  const nlohmann::json root = nlohmann::json::parse(*text, nullptr, false);
  const auto stated = [&root](const char* key) {
    return root.is_object() && root.contains(key) && root[key].is_string()
               ? root[key].get<std::string>()
               : std::string();
  };
  const auto count = [&root](const char* key) {
    return root.is_object() && root.contains(key) && root[key].is_number_integer()
               ? std::optional(root[key].get<int64_t>())
               : std::nullopt;
  };
  spec.model = arguments.text_or("model", stated("model"));
  spec.cluster = arguments.text_or("cluster", stated("cluster"));
  spec.batch = count("batch");
  if (!arguments.has("cluster")) spec.devices = count("devices");
  const Result<std::optional<int64_t>> devices = read_devices(arguments);
  if (!devices) return devices.error();
  if (*devices) spec.devices = *devices;
  if (spec.model.empty() || spec.cluster.empty()) {
    return bad_input("not a plan: it names no model and cluster", {path, 1, 1});
  }
  const auto loaded = load_problem(spec, console);
  if (!loaded) {
    Error error = loaded.error();
    if (error.where.file.empty()) error.where = {path};
    return error;
  }
  const Result<Plan> plan = plan_from_json(*text, path, (*loaded)->model(), (*loaded)->cluster());
  if (!plan) return plan.error();
  size_t tasks = 0;
  for (const OpConfig& config : plan->ops) tasks += config.task_count();
  Record record;
  record.add("kind", std::string(kOperatorsKind));
  record.add("model", (*loaded)->model().name);
  record.add("batch", (*loaded)->model().batch);
  record.add("cluster", (*loaded)->cluster().name());
  record.add("devices", (*loaded)->cluster().device_count());
  record.add("sync", to_string(plan->sync));
  record.add("operators", plan->ops.size());
  record.add("pieces", tasks);
  return record;
}

// What a profile of Galvatron's holds, or why it cannot be right.
Result<Record> check_galvatron(const std::string& path, const Arguments&, const Console&) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  const Result<GalvatronProfile> profile = parse_galvatron_profile(*text, path);
  if (!profile) return profile.error();
  Record record;
  record.add("layer_times", profile->layers.size());
  record.add("bandwidths", profile->bandwidths.size());
  record.add("message_times", profile->messages.size());
  if (profile->overlap > 0) record.add("overlap", profile->overlap);
  return record;
}

Result<Record> check_experiment(const std::string& name, const Arguments&, const Console&) {
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const Result<std::string> path = scenarios->path(kExperimentFiles, name);
  if (!path) return path.error();
  const Result<Experiment> experiment = read_experiment(*scenarios, *path);
  if (!experiment) return experiment.error();
  const Result<Race> race = Race::prepare(*scenarios, *experiment);
  if (!race) return race.error();
  uint64_t evaluations = 0;
  for (const RaceEntry& entry : race->entries) {
    evaluations += std::max<uint64_t>(entry.key.budget, 1);
  }
  Record record;
  record.add("experiment", experiment->name);
  record.add("instances", experiment->contests.size());
  record.add("methods", experiment->contestants.size());
  record.add("runs", race->entries.size());
  record.add("evaluations", evaluations);
  return record;
}

struct Check {
  std::string_view kind;
  Result<Record> (*check)(const std::string&, const Arguments&, const Console&);
  std::vector<std::string_view> options;  // of its own, besides --format
};

const std::vector<Check>& checks() {
  static const std::vector<Check> kChecks = {
      {"cluster", check_cluster, {"devices"}},
      {"experiment", check_experiment, {}},
      {"galvatron", check_galvatron, {}},
      {"model", check_model, {"batch", "seq-len"}},
      {"plan", check_plan_file, {"model", "cluster", "devices"}}};
  return kChecks;
}

Status check_options(const Check& check, const Arguments& arguments) {
  for (const std::string_view option : {"model", "cluster", "devices", "batch", "seq-len"}) {
    const bool applies =
        std::find(check.options.begin(), check.options.end(), option) != check.options.end();
    if (!applies && arguments.has(option)) {
      return usage_error(str_cat("check: --", option, " does not apply to ", check.kind));
    }
  }
  return ok();
}

// What a file is, for those who do not say.
Result<std::string> kind_of_file(const std::string& path) {
  for (const Check& check : checks()) {
    if (check.kind == path) return usage_error(str_cat("check ", path, ": missing NAME|FILE"));
  }
  if (path.ends_with(".json")) {
    const Result<std::string> text = read_text_file(path);
    if (!text) return text.error();
    return std::string(text->find("\"model_type\"") != std::string::npos ? "model" : "plan");
  }
  if (!path.ends_with(".toml")) {
    return usage_error(str_cat("check: say what '", path,
                               "' is: check model|cluster|plan|experiment|galvatron ", path));
  }
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  for (const auto& [table, kind] :
       {std::pair("[[methods]]", "experiment"), std::pair("[[instances]]", "experiment"),
        std::pair("[[layer]]", "model")}) {
    if (text->find(table) != std::string::npos) return std::string(kind);
  }
  return std::string("cluster");
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const std::vector<std::string>& words = arguments.positional();
  const Result<std::string> guessed = words.size() == 1 ? kind_of_file(words[0]) : words[0];
  if (!guessed) return guessed.error();
  const std::string& kind = *guessed;
  std::vector<std::string> known;
  for (const Check& check : checks()) {
    known.emplace_back(check.kind);
    if (check.kind != kind) continue;
    const Status applicable = check_options(check, arguments);
    if (!applicable) return applicable.error();
    const Result<Record> record = check.check(words.back(), arguments, console);
    if (!record) return record.error();
    return CommandResult{record->render(*format)};
  }
  return usage_error(unknown_name("kind of input", kind, known));
}

}  // namespace

CommandRow check_command() {
  return {
      "check", "Reads an input as the other commands would, and says what is in it.",
      Syntax{.command = "check",
             .positional = "[model|cluster|plan|experiment|galvatron] NAME|FILE",
             .min_positional = 1,
             .max_positional = 2,
             .options = {{"devices", "N", "for cluster and plan: the first N devices"},
                         {"batch", "N", "for model: the global batch; a Transformer's operators"},
                         {"seq-len", "N", "for model: tokens of a Transformer's sample"},
                         {"model", "NAME|FILE", "for plan: instead of the model it names"},
                         {"cluster", "NAME|FILE", "for plan: instead of the one it names"},
                         format_option()}},
      run};
}

}  // namespace soapbox::runner
