// Probes: what a calibration measures. A probe is a family of kernels and a function that says at
// which sizes. To add one: probe_NAME.cc with that function, and a row in probe.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "sim/base/rng.h"
#include "sim/collective/algorithms.h"
#include "sim/cost/piece.h"
#include "sim/model/graph.h"

namespace soapbox::calib {

struct Stream {
  StreamWork::Kind kind = StreamWork::Kind::kCopy;
  int64_t bytes = 0;
  int64_t inputs = 2;
  int64_t peer = 0;  // of copies between GPUs: the other one
  bool is_pass() const { return kind <= StreamWork::Kind::kCopy; }  // over the device's memory
  friend auto operator<=>(const Stream&, const Stream&) = default;
};

// Of the first so many GPUs of a node; bytes as in sim/collective/collective.h.
struct Collective {
  CollectiveOp op = CollectiveOp::kAllReduce;
  int64_t ranks = 2;
  int64_t bytes = 0;
  friend auto operator<=>(const Collective&, const Collective&) = default;
};

using Measurable = std::variant<Piece, Stream, Collective>;

struct ProbePoint {
  std::string probe;  // the row's name, or "model NAME"
  Measurable what;
};

// What a stream amounts to; those that are no passes over memory have no work, as collectives.
Work work_of(const Stream& stream);
Work work_of(const Collective& collective);
// The same of either.
Work work_of(const ProbePoint& point);

// What sizes are for.
struct ProbeScope {
  bool quick = false;               // about a third of the points
  bool gpu = false;                 // sizes that fill one, types that it has, copies to and from it
  int64_t gpus = 1;                 // that collectives can be of
  std::vector<int64_t> peers = {};  // GPUs that the first one exchanges copies with
};

struct ProbeRow {
  std::string_view name;
  std::string_view summary;
  // Appends what to measure, nothing for a device that lacks what is measured. `rng` draws sizes.
  void (*points)(const ProbeScope& scope, Rng& rng, std::vector<Measurable>& out);
};
std::span<const ProbeRow> probe_table();  // sorted by name

// The points of all probes. Phases without work are left out.
std::vector<ProbePoint> probe_points(const ProbeScope& scope, uint64_t seed);
// The pieces of a model's operators in plans of up to `most_pieces` pieces (powers of two), each
// once; the updates of its weights and the exchange of its tensors.
std::vector<ProbePoint> model_points(const Model& model, int64_t most_pieces);

// For the probes: all three phases; log-uniform whole numbers.
void add_phases(Piece piece, std::vector<Measurable>& out);
int64_t log_uniform(int64_t low, int64_t high, Rng& rng);

// One function for each row.
using ProbeFunction = void(const ProbeScope&, Rng&, std::vector<Measurable>&);
ProbeFunction probe_attention, probe_collective, probe_conv, probe_elementwise, probe_embedding,
    probe_host_copy, probe_launch, probe_linear, probe_loopback, probe_lstm, probe_memory,
    probe_normalisation, probe_overlap, probe_peer_copy, probe_pool, probe_softmax;

}  // namespace soapbox::calib
