// The plan file: JSON, written by the program.
//
//   {"format": "soapbox-plan", "version": 1, "kind": "operators", "model": "lenet", "batch": 128,
//    "cluster": "p100_4x4", "devices": 2, "sync": "overlapped",
//    "operators": {"conv1": {"degrees": {"sample": 2}, "devices": [0, 1]}, ...}}
//
// Degrees that are 1 are left out. Every operator of the model appears exactly once. Files of
// before there were two kinds have no "kind" (parallel_plan_json.h has the other one).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/base/json_object.h"
#include "sim/base/str.h"
#include "sim/plan/parallel_plan_json.h"
#include "sim/plan/plan.h"

namespace soapbox {

namespace {

using Json = nlohmann::ordered_json;

// Reads one plan document; remembers the text to point at the line that an error is about.
class PlanReader {
 public:
  PlanReader(std::string_view text, const std::string& file, const Model& model,
             const Cluster& cluster)
      : text_(text), file_(file), model_(model), cluster_(cluster) {}

  Result<Plan> read();

 private:
  Error error_at(size_t offset, std::string message) const {
    int line = 1;
    int column = 1;
    for (const char c : text_.substr(0, std::min(offset, text_.size()))) {
      column = c == '\n' ? 1 : column + 1;
      line += c == '\n' ? 1 : 0;
    }
    return bad_input(std::move(message), {file_, line, column});
  }
  // The offset of the first `"name"` at or after `from`.
  size_t offset_of(std::string_view name, size_t from = 0) const {
    const size_t found = text_.find(str_cat("\"", name, "\""), from);
    return found == std::string_view::npos ? from : found;
  }
  Error error_in(std::string_view name, std::string message) const {
    return error_at(offset_of(name, operators_offset_), std::move(message));
  }

  Status check_keys(const Json& object, const std::vector<std::string>& known, size_t from) const;
  Status check_header(const Json& root) const;
  Result<OpConfig> read_config(const Operator& op, const Json& value) const;
  Result<int64_t> integer(const Json& value, std::string_view what, size_t offset) const;

  std::string_view text_;
  const std::string& file_;
  const Model& model_;
  const Cluster& cluster_;
  size_t operators_offset_ = 0;
};

Status PlanReader::check_keys(const Json& object, const std::vector<std::string>& known,
                              size_t from) const {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return error_at(offset_of(key, from), unknown_name("key", key, known));
    }
  }
  return ok();
}

Result<int64_t> PlanReader::integer(const Json& value, std::string_view what, size_t offset) const {
  if (!value.is_number_integer()) {
    return error_at(offset, str_cat(what, " must be an integer, not ", value.dump()));
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() > (uint64_t{1} << 62)) {
    return error_at(offset, str_cat(what, " is too large: ", value.dump()));
  }
  return value.get<int64_t>();
}

Status PlanReader::check_header(const Json& root) const {
  if (!root.is_object()) return error_at(0, "a plan is a JSON object");
  if (root.contains("kind") && root["kind"] != kOperatorsKind) {
    return error_at(offset_of("kind"), str_cat("kind is ", root["kind"].dump(), ", expected \"",
                                               kOperatorsKind, "\": a degree per operator"));
  }
  static const std::vector<std::string> kKeys = {"format",  "version", "kind", "model",    "batch",
                                                 "cluster", "devices", "sync", "operators"};
  if (Status status = check_keys(root, kKeys, 0); !status) return status;
  for (const char* const key : {"format", "version", "model", "sync", "operators"}) {
    if (!root.contains(key)) return error_at(0, str_cat("missing key '", key, "'"));
  }
  if (root["format"] != kPlanFormat) {
    return error_at(offset_of("format"), str_cat("format is ", root["format"].dump(),
                                                 ", expected \"", kPlanFormat, "\""));
  }
  if (root["version"] != kPlanVersion) {
    return error_at(offset_of("version"), str_cat("version is ", root["version"].dump(),
                                                  ", this program reads version ", kPlanVersion));
  }
  if (root["model"] != model_.name) {
    return error_at(offset_of("model"), str_cat("the plan is for model ", root["model"].dump(),
                                                ", not for '", model_.name, "'"));
  }
  if (!root["sync"].is_string()) return error_at(offset_of("sync"), "sync must be a string");
  if (!root["operators"].is_object()) {
    return error_at(offset_of("operators"), "operators must be an object");
  }
  return ok();
}

Result<OpConfig> PlanReader::read_config(const Operator& op, const Json& value) const {
  if (!value.is_object()) return error_in(op.name, "an operator's configuration is an object");
  const size_t from = offset_of(op.name, operators_offset_);
  if (Status status = check_keys(value, {"degrees", "devices"}, from); !status) {
    return status.error();
  }
  OpConfig config;
  std::vector<std::string> dim_names;
  for (const Dim& dim : op.dims) dim_names.push_back(dim.name);
  if (value.contains("degrees")) {
    if (!value["degrees"].is_object()) return error_in(op.name, "degrees must be an object");
    for (const auto& [name, degree] : value["degrees"].items()) {
      const size_t offset = offset_of(name, from);
      const auto found = std::find(dim_names.begin(), dim_names.end(), name);
      if (found == dim_names.end()) {
        return error_at(offset, str_cat("operator '", op.name,
                                        "': ", unknown_name("dimension", name, dim_names)));
      }
      const Result<int64_t> number = integer(degree, "a degree", offset);
      if (!number) return number.error();
      const int64_t clamped = std::clamp<int64_t>(*number, -1, INT32_MAX);
      config.degrees[static_cast<size_t>(found - dim_names.begin())] =
          static_cast<int32_t>(clamped);
    }
  }
  if (!value.contains("devices") || !value["devices"].is_array()) {
    return error_at(from, str_cat("operator '", op.name, "': devices must be a list of integers"));
  }
  for (const Json& device : value["devices"]) {
    const Result<int64_t> number = integer(device, "a device", from);
    if (!number) return number.error();
    if (*number < 0 || *number >= static_cast<int64_t>(cluster_.device_count())) {
      return error_at(from,
                      str_cat("operator '", op.name, "': device ", *number,
                              " is out of range; allowed: 0 to ", cluster_.device_count() - 1));
    }
    config.devices.push_back(DeviceId(static_cast<uint32_t>(*number)));
  }
  if (Status status = check_config(op, config, cluster_.device_count()); !status) {
    return error_at(from, status.error().message);
  }
  return config;
}

Result<Plan> PlanReader::read() {
  Json root;
  try {
    root = Json::parse(text_);
  } catch (const Json::exception&) {
    const JsonFault fault = json_fault(text_);
    return error_at(fault.offset, fault.message);
  }
  if (Status status = check_header(root); !status) return status.error();
  Plan plan;
  const Result<SyncMode> sync = parse_sync_mode(root["sync"].get<std::string>());
  if (!sync) return error_at(offset_of("sync"), sync.error().message);
  plan.sync = *sync;

  operators_offset_ = offset_of("operators");
  const Json& operators = root["operators"];
  std::vector<std::string> names;
  for (const Operator& op : model_.graph.ops()) names.push_back(op.name);
  if (Status status = check_keys(operators, names, operators_offset_); !status) {
    return status.error();
  }
  for (const OpId id : model_.graph.ops().ids()) {
    const Operator& op = model_.graph.op(id);
    const auto found = operators.find(op.name);
    if (found == operators.end()) {
      return error_at(operators_offset_, str_cat("operator '", op.name, "' has no configuration"));
    }
    Result<OpConfig> config = read_config(op, *found);
    if (!config) return config.error();
    plan.ops.push_back(*std::move(config));
  }
  return plan;
}

}  // namespace

std::string plan_to_json(const Model& model, const Cluster& cluster, const Plan& plan) {
  std::string text = "{\n";
  const auto field = [&](const char* key, const Json& value) {
    text += str_cat("  ", Json(key).dump(), ": ", value.dump(), ",\n");
  };
  field("format", kPlanFormat);
  field("version", kPlanVersion);
  field("kind", kOperatorsKind);
  field("model", model.name);
  field("batch", model.batch);
  field("cluster", cluster.name());
  field("devices", cluster.device_count());
  field("sync", to_string(plan.sync));
  text += "  \"operators\": {\n";
  for (const OpId id : model.graph.ops().ids()) {
    const Operator& op = model.graph.op(id);
    Json degrees = Json::object();
    for (size_t d = 0; d < op.dims.size(); ++d) {
      if (plan.ops[id].degrees[d] != 1) degrees[op.dims[d].name] = plan.ops[id].degrees[d];
    }
    Json devices = Json::array();
    for (const DeviceId device : plan.ops[id].devices) devices.push_back(device.value());
    const Json config = {{"degrees", degrees}, {"devices", devices}};
    text += str_cat("    ", Json(op.name).dump(), ": ", config.dump(),
                    id.index() + 1 < model.graph.ops().size() ? ",\n" : "\n");
  }
  return text + "  }\n}\n";
}

Result<Plan> plan_from_json(std::string_view text, const std::string& file, const Model& model,
                            const Cluster& cluster) {
  return PlanReader(text, file, model, cluster).read();
}

}  // namespace soapbox
