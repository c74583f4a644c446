// Plan: everything a strategy decides, as a value.
//
// Per operator a degree for each dimension of its iteration space and a device for every resulting
// task; per plan, how weight gradients are combined. Pieces are equal-sized, so a degree divides
// its dimension. Tasks are numbered row-major over the degrees: the last dimension varies fastest.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"

namespace soapbox {

struct OpConfig {
  std::array<int32_t, kMaxDims> degrees = {1, 1, 1, 1, 1, 1};
  std::vector<DeviceId> devices;  // one per task; the same device may appear more than once

  size_t task_count() const { return devices.size(); }
  friend bool operator==(const OpConfig&, const OpConfig&) = default;
};

// How the gradients of a weight that is replicated over several devices are combined.
//   kSerial           analytic, added after the makespan, no overlap (FlexFlow v1.0's script):
//                     sum over weights of W (g - 1) / intra-node rate + W (n - 1) / inter-node rate
//   kParameterServer  one replica of each distinct slice is its server: the others send it their
//                     gradient and receive the new weights, after all backward work (the default
//                     of FlexFlow's r20.12)
//   kBulk             ring all-reduce of every slice after all backward work (bulk synchronous)
//   kOverlapped       ring all-reduce of a slice as soon as its last gradient is ready
enum class SyncMode : uint8_t { kSerial, kParameterServer, kBulk, kOverlapped };
std::string to_string(SyncMode mode);
Result<SyncMode> parse_sync_mode(std::string_view text);

struct Plan {
  IdVector<OpId, OpConfig> ops;
  SyncMode sync = SyncMode::kOverlapped;
  friend bool operator==(const Plan&, const Plan&) = default;
};

// The piece of the iteration space that task `task` of an operator computes.
std::array<Range, kMaxDims> piece_of(const Operator& op, const OpConfig& config, size_t task);

// The number of tasks that the degrees ask for (their product).
size_t task_count(const OpConfig& config);

// Whether the plan fits the model and the cluster: degrees divide their dimensions and are 1 where
// a dimension is not divisible, one known device per task. The error names operator and dimension,
// the offending value and the allowed ones. Knows nothing of any searcher.
Status check_plan(const OpGraph& graph, const Cluster& cluster, const Plan& plan);
// One operator of it.
Status check_config(const Operator& op, const OpConfig& config, size_t device_count);

// Machine-written JSON, versioned; states the model so that a plan for another model is refused.
std::string plan_to_json(const Model& model, const Cluster& cluster, const Plan& plan);
// `file` is only for error positions (file:line:column).
Result<Plan> plan_from_json(std::string_view text, const std::string& file, const Model& model,
                            const Cluster& cluster);

}  // namespace soapbox
