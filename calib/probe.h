// Probes: what a calibration measures. A probe is a family of kernels and a function that says at
// which sizes. To add one: probe_NAME.cc with that function, and a row in probe.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "calib/kernel_module.h"
#include "sim/base/rng.h"
#include "sim/model/graph.h"

namespace soapbox::calib {

// An operator's piece as a cost model sees it, without a graph around it.
struct Piece {
  OpKind kind = OpKind::kLinear;
  std::vector<int64_t> extents;  // per dimension of the iteration space
  Phase phase = Phase::kForward;
  int64_t kernel_h = 1;  // convolution and pooling; the stride is that of both directions
  int64_t kernel_w = 1;
  int64_t stride = 1;
  int64_t inputs = 1;
  bool weighted = false;  // kElementwise: a normalisation
  friend auto operator<=>(const Piece&, const Piece&) = default;
};
struct Stream {
  StreamWork::Kind kind = StreamWork::Kind::kCopy;
  int64_t bytes = 0;
  int64_t inputs = 2;
  friend auto operator<=>(const Stream&, const Stream&) = default;
};

struct ProbePoint {
  std::string probe;  // the row's name, or "model NAME"
  std::variant<Piece, Stream> what;
};

// The operator that a piece is of, and what it amounts to.
Operator operator_of(const Piece& piece);
Extents extents_of(const Piece& piece);
Work work_of(const Piece& piece);
Work work_of(const Stream& stream);
// The same, whichever it is.
Work work_of(const ProbePoint& point);

struct ProbeRow {
  std::string_view name;
  std::string_view summary;
  // Appends pieces or streams; `quick`: about a third of them. `rng` draws sizes.
  void (*points)(bool quick, Rng& rng, std::vector<std::variant<Piece, Stream>>& out);
};
std::span<const ProbeRow> probe_table();  // sorted by name

// The points of all probes. Phases without work are left out.
std::vector<ProbePoint> probe_points(bool quick, uint64_t seed);
// The pieces of a model's operators in plans of up to `most_pieces` pieces (powers of two), each
// once; the updates of its weights and the exchange of its tensors.
std::vector<ProbePoint> model_points(const Model& model, int64_t most_pieces);

// For the probes: all three phases; log-uniform whole numbers.
void add_phases(Piece piece, std::vector<std::variant<Piece, Stream>>& out);
int64_t log_uniform(int64_t low, int64_t high, Rng& rng);

// One function for each row.
using ProbeFunction = void(bool, Rng&, std::vector<std::variant<Piece, Stream>>&);
ProbeFunction probe_attention, probe_conv, probe_elementwise, probe_embedding, probe_linear,
    probe_lstm, probe_memory, probe_normalisation, probe_pool, probe_softmax;

}  // namespace soapbox::calib
