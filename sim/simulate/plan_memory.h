// Memory of a plan that places operators: what every device holds over its timeline.
//
// For good:
//   parameters   the weight slices that its pieces use, each once (weight_slices.h)
//   gradients    of those; of a table with sparse gradients, the rows that have one
//   optimizer    nothing: plain SGD, whose two reads and one write Costs::update() charges too
//   buffers      two library workspaces (kWorkspaces)
// For a while, from the start of the first task named to the end of the last:
//   activations  an output, with what its operator keeps inside: its forward piece, to its backward
//                piece; without one, to the last send or piece here that reads it
//                an input that is not a part of one piece of this device, put together in a buffer:
//                the first transfer or the reading piece, to that piece's backward
//                samples: the start of the iteration, to the backward of the piece that reads them
//   buffers      input gradients: the backward piece, to the last send, sum or piece that takes
//                them; those that arrive: the first transfer, to the sum or piece that takes them
//                a sum of gradients: the sum, to the backward piece that takes it
//                at a parameter server, a gradient for each replica: its push, to the update
// Inside, operators keep what their backward cannot read from inputs and outputs: the input of a
// folded batch normalisation, an LSTM's gates and cells, the scores of attention. Folded
// activations are undone from their outputs, as ReLU and tanh.
//
// This is on the safe side: nothing is computed in place, consumers of one tensor have a gradient
// each, every reader has samples of its own. Rings add into the gradients themselves, through
// buffers of the library's. What allocator and libraries hold beside is
// SimulationOptions::reserved.
#pragma once

#include <optional>
#include <vector>

#include "sim/engine/engine.h"
#include "sim/simulate/lower.h"
#include "sim/simulate/outcome.h"
#include "sim/simulate/plan_blocks.h"

namespace soapbox {

// Of each piece: its output, and what its operator keeps inside.
Bytes output_bytes(const Operator& op, const OpConfig& config);
Bytes inside_bytes(const OpGraph& graph, OpId op, const OpConfig& config);

// Of the samples that a piece reads through an edge.
Bytes sample_bytes(const OpGraph& graph, EdgeId edge, const OpConfig& reader, size_t piece);

// Held in [from, until).
struct Allocation {
  DeviceId device;
  bool is_activation = true;  // else a buffer
  Bytes bytes;
  SimTime from;
  SimTime until;
};

struct PlanMemory {
  IdVector<DeviceId, MemoryUse> for_good;
  std::vector<Allocation> allocations;
};

// REQUIRES: `lowered` is of these blocks, and `timeline` of its graph.
PlanMemory memory_of(const OpGraph& graph, const Cluster& cluster, const Plan& plan,
                     const PlanBlocks& blocks, const Lowered& lowered, const Timeline& timeline);

// What a device holds from a moment on.
struct MemoryStep {
  DeviceId device;
  SimTime from;
  MemoryUse use;
};
// By device and time; the first step of a device is at the start. What is freed at a moment makes
// room for what is taken then.
std::vector<MemoryStep> memory_steps(const PlanMemory& memory);

// What each device holds when it holds most, the first time.
IdVector<DeviceId, MemoryUse> peak_memory(const PlanMemory& memory);
// The device that exceeds its memory most; where all fit, the one that leaves least.
DeviceId fullest_device(const Cluster& cluster, const IdVector<DeviceId, MemoryUse>& peaks);

// Why the plan does not fit, if it does not.
std::optional<Infeasible> out_of_memory(const Cluster& cluster, Bytes reserved,
                                        const IdVector<DeviceId, MemoryUse>& peaks);

}  // namespace soapbox
