#include "sim/plan/parallel_plan_json.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "sim/base/json_object.h"
#include "sim/base/str.h"

namespace soapbox {
namespace {

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
// Products of three degrees, or of a degree and samples, stay within 64 bits.
constexpr JsonObject::Range kDegree = {1, 1 << 20};
constexpr JsonObject::Range kChunks = {1, 1 << 10};
constexpr JsonObject::Range kGathers = {1, 1 << 10};
constexpr JsonObject::Range kSamples = {1, 1 << 24};

constexpr std::array kComputeTypes = {DataType::kFp32, DataType::kTf32, DataType::kBf16,
                                      DataType::kFp16, DataType::kFp8,  DataType::kFp4};
constexpr std::array kStoredTypes = {DataType::kFp32, DataType::kBf16, DataType::kFp16};

int32_t degree(JsonObject& object, std::string_view key, JsonObject::Range range = kDegree) {
  return static_cast<int32_t>(object.integer({key}, range));
}

bool flag(JsonObject& object, std::string_view key) {
  if (!object.has(key)) object.fail(key, str_cat("missing key '", key, "'; allowed: true, false"));
  return object.flag_or(key, false);
}

// A name as the command line has it.
template <typename T>
T named(JsonObject& object, std::string_view key, Result<T> (*parse)(std::string_view)) {
  const std::string text = object.text(key);
  const Result<T> value = parse(text);
  if (value) return *value;
  object.fail(key, value.error().message);
  return T();
}

template <size_t N>
DataType type_of(JsonObject& object, std::string_view key, const std::array<DataType, N>& allowed) {
  const std::string text = object.text(key);
  std::vector<std::string> names;
  for (const DataType type : allowed) {
    if (to_string(type) == text) return type;
    names.push_back(to_string(type));
  }
  object.fail(key, unknown_name(key, text, names));
  return allowed.front();
}

Result<JsonObject> parse_document(std::string_view text, const std::string& file) {
  Result<JsonObject> root = JsonObject::parse(text, file);
  if (!root) return root.error();
  const std::string format = root->text("format");
  if (format != kPlanFormat) {
    root->fail("format", str_cat("format is '", shown(format), "', expected '", kPlanFormat, "'"));
  }
  const int64_t version = root->integer({"version"}, {0, kMost});
  if (version != kPlanVersion) {
    root->fail("version",
               str_cat("version is ", version, ", this program reads version ", kPlanVersion));
  }
  const std::string kind = root->text_or("kind", std::string(kOperatorsKind));
  if (kind != kOperatorsKind && kind != kParallelKind) {
    root->fail("kind",
               unknown_name("kind", kind,
                            std::array{std::string(kOperatorsKind), std::string(kParallelKind)}));
  }
  if (Status status = root->status(); !status) return status.error();
  return root;
}

ParallelPlanHeader read_header(JsonObject& root) {
  ParallelPlanHeader header;
  if (root.text_or("kind", std::string(kOperatorsKind)) != kParallelKind) {
    root.fail("kind", str_cat("kind is '", kOperatorsKind, "', expected '", kParallelKind,
                              "': a plan of Transformer layers"));
  }
  header.model = root.text("model");
  header.seq_len = root.integer({"seq_len"}, {1, kMost});
  header.cluster = root.text_or("cluster", "");
  header.devices = root.integer({"devices"}, kDegree);
  return header;
}

Result<std::vector<LayerStrategy>> read_strategies(JsonObject& root) {
  Result<std::vector<JsonObject>> objects = root.objects("strategies");
  if (!objects) return objects.error();
  std::vector<LayerStrategy> strategies;
  for (JsonObject& object : *objects) {
    LayerStrategy s;
    s.tensor_parallel = degree(object, "tp");
    s.context_parallel = degree(object, "cp");
    s.data_parallel = degree(object, "dp");
    s.expert_parallel = degree(object, "ep");
    s.zero_stage = degree(object, "zero", {0, 3});
    s.shard_group = degree(object, "shard_group", {0, kMost});
    s.sequence_parallel = flag(object, "sequence_parallel");
    s.recompute = named(object, "recompute", parse_recompute);
    if (Status status = object.strict_status(); !status) return status.error();
    strategies.push_back(s);
  }
  return strategies;
}

Result<Precision> read_precision(JsonObject& root) {
  if (!root.has("precision")) root.fail("precision", "missing key 'precision'");
  Result<JsonObject> object = root.object("precision");
  if (!object) return object.error();
  if (Status status = root.status(); !status) return status.error();
  Precision precision;
  precision.compute = type_of(*object, "compute", kComputeTypes);
  precision.gradients = type_of(*object, "gradients", kStoredTypes);
  precision.parameters = type_of(*object, "parameters", kStoredTypes);
  if (Status status = object->strict_status(); !status) return status.error();
  return precision;
}

Result<ParallelPlan> read_plan(JsonObject& root) {
  ParallelPlan plan;
  plan.pipeline_parallel = degree(root, "pp");
  plan.chunks_per_stage = degree(root, "vpp", kChunks);
  plan.schedule = named(root, "schedule", parse_schedule);
  plan.microbatch = root.integer({"micro_batch"}, kSamples);
  plan.microbatches = root.integer({"microbatches"}, kSamples);
  plan.chunk_begin.clear();
  for (const int64_t begin : root.integers("chunk_begin", {0, kMost})) {
    plan.chunk_begin.push_back(static_cast<int32_t>(begin));
  }
  const int64_t most = std::numeric_limits<uint16_t>::max();
  for (const int64_t strategy : root.integers("strategy_of_layer", {0, most})) {
    plan.strategy_of_layer.push_back(static_cast<uint16_t>(strategy));
  }
  plan.flash_attention = flag(root, "flash_attention");
  plan.autocast = root.flag_or("autocast", false);
  plan.overlap_gradients = flag(root, "overlap_gradients");
  plan.overlap_parameters = flag(root, "overlap_parameters");
  plan.overlap_sends = flag(root, "overlap_sends");
  plan.gathers_per_layer =
      static_cast<int32_t>(root.integer_or({"gathers_per_layer"}, 1, kGathers));
  plan.overlap_tensor = flag(root, "overlap_tensor");
  constexpr double kMostImbalance = 1e6;
  plan.expert_imbalance = root.number_or("expert_imbalance", 1, 1, kMostImbalance);
  plan.dispatch_once_per_node = root.flag_or("dispatch_once_per_node", false);
  Result<std::vector<LayerStrategy>> strategies = read_strategies(root);
  if (!strategies) return strategies.error();
  plan.strategies = *std::move(strategies);
  const Result<Precision> precision = read_precision(root);
  if (!precision) return precision.error();
  plan.precision = *precision;
  return plan;
}

// What check_parallel_plan() complains of begins with the name of a key, or with one of a strategy.
Error refused(const JsonObject& root, const Error& error) {
  const std::string key = error.message.substr(0, error.message.find(' '));
  return bad_input(error.message, root.where(root.has(key) ? key : "strategies"));
}

}  // namespace

Result<std::string> plan_kind(std::string_view text, const std::string& file) {
  Result<JsonObject> root = parse_document(text, file);
  if (!root) return root.error();
  return root->text_or("kind", std::string(kOperatorsKind));
}

Result<ParallelPlanHeader> parallel_plan_header(std::string_view text, const std::string& file) {
  Result<JsonObject> root = parse_document(text, file);
  if (!root) return root.error();
  ParallelPlanHeader header = read_header(*root);
  if (Status status = root->status(); !status) return status.error();
  return header;
}

std::string parallel_plan_to_json(const ParallelPlanHeader& header, const ParallelPlan& plan) {
  using Json = nlohmann::ordered_json;
  std::string text = "{\n";
  const auto field = [&](std::string_view key, const Json& value, const char* end = ",\n") {
    text += str_cat("  \"", key, "\": ", value.dump(), end);
  };
  field("format", kPlanFormat);
  field("version", kPlanVersion);
  field("kind", kParallelKind);
  field("model", header.model);
  field("seq_len", header.seq_len);
  field("cluster", header.cluster);
  field("devices", header.devices);
  field("pp", plan.pipeline_parallel);
  field("vpp", plan.chunks_per_stage);
  field("schedule", to_string(plan.schedule));
  field("micro_batch", plan.microbatch);
  field("microbatches", plan.microbatches);
  field("chunk_begin", plan.chunk_begin);
  text += "  \"strategies\": [\n";
  for (const LayerStrategy& s : plan.strategies) {
    const Json strategy = {{"tp", s.tensor_parallel},
                           {"cp", s.context_parallel},
                           {"dp", s.data_parallel},
                           {"ep", s.expert_parallel},
                           {"zero", s.zero_stage},
                           {"shard_group", s.shard_group},
                           {"sequence_parallel", s.sequence_parallel},
                           {"recompute", to_string(s.recompute)}};
    text += str_cat("    ", strategy.dump(), &s == &plan.strategies.back() ? "\n" : ",\n");
  }
  text += "  ],\n";
  field("strategy_of_layer", plan.strategy_of_layer);
  field("precision", {{"compute", to_string(plan.precision.compute)},
                      {"gradients", to_string(plan.precision.gradients)},
                      {"parameters", to_string(plan.precision.parameters)}});
  field("flash_attention", plan.flash_attention);
  field("autocast", plan.autocast);
  field("overlap_gradients", plan.overlap_gradients);
  field("overlap_parameters", plan.overlap_parameters);
  field("overlap_sends", plan.overlap_sends);
  field("gathers_per_layer", plan.gathers_per_layer);
  field("overlap_tensor", plan.overlap_tensor);
  field("expert_imbalance", plan.expert_imbalance);
  field("dispatch_once_per_node", plan.dispatch_once_per_node, "\n");
  return text + "}\n";
}

Result<ParallelPlan> parallel_plan_from_json(std::string_view text, const std::string& file,
                                             const Transformer& model, size_t device_count) {
  Result<JsonObject> root = parse_document(text, file);
  if (!root) return root.error();
  const ParallelPlanHeader header = read_header(*root);
  Result<ParallelPlan> plan = read_plan(*root);
  if (Status status = root->status(); !status) return status.error();
  if (!plan) return plan.error();
  if (Status status = root->strict_status(); !status) return status.error();
  const auto differs = [&](const char* key, const auto& stated, const auto& given) {
    return bad_input(str_cat("the plan is for ", key, " ", stated, ", not for ", given),
                     root->where(key));
  };
  if (header.model != model.name) return differs("model", header.model, model.name);
  if (header.seq_len != model.seq_len) return differs("seq_len", header.seq_len, model.seq_len);
  if (header.devices != static_cast<int64_t>(device_count)) {
    return differs("devices", header.devices, device_count);
  }
  const Status fits = check_parallel_plan(model, *plan, device_count);
  if (!fits) return refused(*root, fits.error());
  return plan;
}

}  // namespace soapbox
