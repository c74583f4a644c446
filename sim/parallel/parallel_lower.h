// Lowering of Transformer plans: model x plan x cluster x costs -> task graph.
//
// Every rank has a compute resource, one for exchanges that it waits for, one for the traffic of
// parameters and gradients, and two for what it sends to the next and to the previous stage. A pass
// of a micro-batch is, for each layer, kernels and exchanges in turn; the ranks of an exchange wait
// for each other, and it is one task for all of them. Passes of a stage follow each other in the
// order of its schedule.
//
// Data traffic: with zero_stage < 3 the gradients of a layer are reduced once its last backward
// pass has run (or at the end, without overlap), and with zero_stage 1 and 2 parameters are
// gathered before its first forward pass (or after the update, without overlap). With 3, parameters
// are gathered before each pass, one layer ahead, and gradients reduced after each.
//
// Folding. Two ranks of a stage are equivalent when their devices have the same hardware and speed:
// groups have the same shape at every offset (rank_layout.h), so every task of one has a twin of
// the same length on the other, which by induction over the task ids starts at the same time. Then
// one rank stands for all of its stage, and the outcome is the same to the picosecond.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/task_graph.h"
#include "sim/parallel/layer_cost.h"
#include "sim/parallel/pass_order.h"
#include "sim/parallel/stage_costs.h"

namespace soapbox {

enum class ParallelTaskKind : uint8_t {
  kForward,
  kBackward,
  kWeight,
  kExchange,  // tensor, context or expert ranks
  kSend,      // to the next or the previous stage
  kGather,    // parameters
  kReduce,    // gradients
  kOptimizer,
};
std::string to_string(ParallelTaskKind kind);

struct ParallelTask {
  ParallelTaskKind kind = ParallelTaskKind::kForward;
  int32_t stage = 0;
  int32_t rank = 0;  // of the stage; with folding 0 stands for all
  int32_t layer = -1;
  int32_t microbatch = -1;
};

struct ParallelLowered {
  TaskGraph graph{0};
  IdVector<TaskId, ParallelTask> tasks;
  int32_t stages = 1;
  int32_t ranks_per_stage = 1;  // simulated ones
  bool folded = false;
  // By stage, for each pass of its order: the last task of its first rank.
  std::vector<std::vector<TaskId>> pass_ends;

  static constexpr uint32_t kResourcesPerRank = 5;
  ResourceId compute_of(int32_t stage, int32_t rank) const {
    return ResourceId(static_cast<uint32_t>(stage * ranks_per_stage + rank) * kResourcesPerRank);
  }
};

// Whether all ranks of every stage are equivalent.
bool can_fold(const Cluster& cluster);

// REQUIRES: check_parallel_plan() accepts the plan, and `order` is of this plan and can be run.
ParallelLowered lower_parallel(const StageCosts& costs, const PassOrder& order, bool fold);

}  // namespace soapbox
