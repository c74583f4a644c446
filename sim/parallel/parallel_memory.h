// Memory of a Transformer plan: what each stage's devices hold, when it is most, and of what.
//
// States, in bytes per parameter with p, g and o bytes for the parameter, its gradient and the
// optimiser (12 with 16-bit parameters: fp32 master weight and Adam's two moments; 8 with fp32),
// over s sharding ranks (Rajbhandari et al. 2020):
//   zero 0  p + g + o      zero 1  p + g + o / s      zero 2  p + (g + o) / s
//   zero 3  (p + g + o) / s, and two gathered layers
// A table that embedding and head share is held by both ends of a pipeline, states and all.
// Activations follow the passes of the schedule: a forward pass adds what its layers keep
// (layer_work.h), the last pass that needs it frees it, and while a backward pass runs the largest
// of its layers' transients is held: gradients of activations, what is recomputed, logits. Two
// library workspaces of 32 MiB come on top. This is what a framework has allocated at most; what
// its allocator reserves (fragments) and what lies outside of it (context, NCCL) is more.
#pragma once

#include <optional>
#include <vector>

#include "sim/parallel/pass_order.h"
#include "sim/parallel/stage_costs.h"
#include "sim/simulate/outcome.h"

namespace soapbox {

// Bytes that the states of so many parameters take on one of their shards, as above; without the
// two gathered layers.
struct StateBytes {
  double parameters = 0;
  double gradients = 0;
  double optimizer = 0;
  double total() const { return parameters + gradients + optimizer; }
  StateBytes& operator+=(const StateBytes& other) {
    parameters += other.parameters;
    gradients += other.gradients;
    optimizer += other.optimizer;
    return *this;
  }
};
StateBytes state_bytes(const Precision& precision, int32_t zero_stage, double count,
                       int32_t shards);

// Memory of one device of a stage over the passes of its schedule.
struct StageMemory {
  MemoryUse peak;                 // when it is most
  Bytes at_start;                 // held before the first pass
  std::vector<Bytes> after_pass;  // held after each pass of the order
};

std::vector<StageMemory> memory_of(const StageCosts& costs, const PassOrder& order);

// The stage that needs most.
size_t fullest_stage(const std::vector<StageMemory>& stages);

// Why the plan does not fit: the first device of the fullest stage, and its largest component.
std::optional<Infeasible> out_of_memory(const ParallelProblem& problem, const ParallelPlan& plan,
                                        const std::vector<StageMemory>& stages);

}  // namespace soapbox
