#include "sim/plan/plan.h"

#include <algorithm>

#include "sim/base/str.h"

namespace soapbox {

namespace {

constexpr std::array<std::pair<SyncMode, std::string_view>, 4> kSyncModes = {{
    {SyncMode::kSerial, "serial"},
    {SyncMode::kParameterServer, "parameter_server"},
    {SyncMode::kBulk, "bulk"},
    {SyncMode::kOverlapped, "overlapped"},
}};

std::string divisors_text(int64_t size) {
  std::string text;
  for (int64_t degree = 1; degree <= size && text.size() < 60; ++degree) {
    if (size % degree == 0) text += (text.empty() ? "" : ", ") + std::to_string(degree);
  }
  return text;
}

Status check_degree(const Operator& op, const Dim& dim, int32_t degree) {
  const auto where = [&] {
    return str_cat("operator '", op.name, "': degree ", degree, " of dimension '", dim.name, "'");
  };
  if (degree < 1) return bad_input(where() + " is not positive");
  if (!dim.divisible && degree != 1) {
    return bad_input(where() + ": this dimension cannot be split; allowed: 1");
  }
  if (dim.size % degree != 0) {
    return bad_input(str_cat(where(), " does not divide its size ", dim.size,
                             "; allowed: ", divisors_text(dim.size)));
  }
  return ok();
}

}  // namespace

std::string to_string(SyncMode mode) {
  for (const auto& [value, name] : kSyncModes) {
    if (value == mode) return std::string(name);
  }
  return "?";
}

Result<SyncMode> parse_sync_mode(std::string_view text) {
  std::vector<std::string> names;
  for (const auto& [value, name] : kSyncModes) {
    if (name == text) return value;
    names.emplace_back(name);
  }
  return Error{ErrorCode::kBadInput, unknown_name("synchronisation mode", text, names), {}};
}

size_t task_count(const OpConfig& config) {
  size_t count = 1;
  for (const int32_t degree : config.degrees) count *= static_cast<size_t>(degree);
  return count;
}

std::array<Range, kMaxDims> piece_of(const Operator& op, const OpConfig& config, size_t task) {
  std::array<Range, kMaxDims> piece{};
  size_t rest = task;
  for (size_t d = op.dims.size(); d-- > 0;) {
    const auto degree = static_cast<size_t>(config.degrees[d]);
    const int64_t extent = op.dims[d].size / config.degrees[d];
    const auto index = static_cast<int64_t>(rest % degree);
    rest /= degree;
    piece[d] = {index * extent, (index + 1) * extent};
  }
  return piece;
}

Status check_config(const Operator& op, const OpConfig& config, size_t device_count) {
  for (size_t d = 0; d < kMaxDims; ++d) {
    if (d >= op.dims.size()) {
      if (config.degrees[d] == 1) continue;
      return bad_input(str_cat("operator '", op.name, "' has only ", op.dims.size(),
                               " dimensions, but degree ", d, " is ", config.degrees[d]));
    }
    if (Status status = check_degree(op, op.dims[d], config.degrees[d]); !status) return status;
  }
  const size_t tasks = task_count(config);
  if (config.devices.size() != tasks) {
    return bad_input(str_cat("operator '", op.name, "' has ", tasks, " tasks, but ",
                             config.devices.size(), " devices are given"));
  }
  for (const DeviceId device : config.devices) {
    if (device.valid() && device.index() < device_count) continue;
    return bad_input(str_cat("operator '", op.name, "': device ",
                             device.valid() ? std::to_string(device.value()) : "(none)",
                             " is out of range; allowed: 0 to ", device_count - 1));
  }
  return ok();
}

Status check_plan(const OpGraph& graph, const Cluster& cluster, const Plan& plan) {
  if (plan.ops.size() != graph.ops().size()) {
    return bad_input(str_cat("the plan configures ", plan.ops.size(), " operators, the model has ",
                             graph.ops().size()));
  }
  for (const OpId op : graph.ops().ids()) {
    Status status = check_config(graph.op(op), plan.ops[op], cluster.device_count());
    if (!status) return status;
  }
  return ok();
}

}  // namespace soapbox
