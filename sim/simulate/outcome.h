// Outcome: what one simulated training iteration gives. An infeasible plan is a value, not an
// error.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "sim/cluster/cluster.h"

namespace soapbox {

// What a device's memory holds.
struct MemoryUse {
  Bytes parameters;
  Bytes gradients;
  Bytes optimizer;    // moments and master weights
  Bytes activations;  // kept for the backward pass
  Bytes buffers;      // gradients of activations, gathered parameters, what is recomputed, logits
  Bytes total() const { return parameters + gradients + optimizer + activations + buffers; }
  friend bool operator==(const MemoryUse&, const MemoryUse&) = default;
};
// Its parts by name, in their order.
std::array<std::pair<std::string_view, Bytes>, 5> components_of(const MemoryUse& use);
// The name of its largest part.
std::string_view largest_component(const MemoryUse& use);

// What libraries take of the framework's allocator for good: a workspace of cuBLAS and one of
// Transformer Engine, 32 MiB each by default.
inline constexpr Bytes kWorkspaces = mebibytes(64);

struct Report {
  Duration iteration_time;
  // The 90 % interval of the true iteration time; zero where costs do not say.
  Duration low;
  Duration high;
  double samples_per_s = 0;
  double samples_per_s_per_device = 0;
  // Bytes moved by transfers, counted as the published figures count them: a parameter server's own
  // replica pushes and pulls too, so data parallelism moves 2 N W (FlexFlow Fig 7b, OptCNN Fig 8).
  Bytes communication;
  Bytes network;                      // of those, the bytes that leave their device
  Duration compute_total;             // summed over all devices
  IdVector<DeviceId, Duration> busy;  // compute time of each device
  Duration lower_bound;               // proven: no schedule of this plan's tasks is shorter
  std::string lower_bound_kind;       // "critical_path", "work" or "link": what it rests on
  // (iteration time - lower bound) / lower bound
  double gap() const {
    return lower_bound > Duration() ? iteration_time.seconds() / lower_bound.seconds() - 1 : 0;
  }
  uint64_t tasks = 0;
  uint64_t events = 0;
  MemoryUse memory;        // the peak of the device whose memory leaves least, or is exceeded most
  Bytes available_memory;  // of that device, for tensors
  // Transformer plans only: FLOPs that the model asks for over the peak rate of all devices; the
  // shares of an iteration, on average over the devices, in which none of their kernels runs
  // because a pipeline fills or drains, and because of traffic.
  double mfu = 0;
  double bubble_fraction = 0;
  Duration exposed_communication;
  std::string provenance;   // where the costs come from
  uint64_t trace_hash = 0;  // over every task's start and end: equal runs, equal hashes
};

struct Infeasible {
  enum class Reason : uint8_t { kOutOfMemory, kDeadlock };
  Reason reason = Reason::kDeadlock;
  DeviceId device;
  std::string component;  // what does not fit, or what waits
  Bytes needed;
  Bytes available;
};

// "76.4 GiB".
std::string gibibytes_text(Bytes bytes);
// "node0.gpu0 needs 91 GiB (optimizer of stage 0 most), 77 GiB are there".
std::string describe(const Cluster& cluster, const Infeasible& reason);

using Outcome = std::variant<Report, Infeasible>;

}  // namespace soapbox
