// Delta simulation of plans: keeps what a current plan was lowered to, and after a change of some
// operators' configurations lowers only those operators, their edges and their weights again.
//
// Results equal simulate() to the picosecond, task by task. A proposal ends at the first of four
// steps that decides it:
//   1  the lower bound (lower_bound.h) of the changed operators and all that is unchanged exceeds
//      the limit: no transfer is even lowered
//   2  the lower bound of the whole changed plan exceeds it: no event is simulated
//   3  the simulation (plan_engine.h) exceeds it as soon as idle time and what must follow say so
//   4  it runs to the end
// Changing one operator with p pieces whose edges have q pairs costs O(p + q) and the events; edges
// that are equal, as those of the steps of an unrolled layer, are lowered once. Rejecting a
// proposal puts back what was exchanged; nothing is simulated.
//
// FlexFlow (SysML 2019, section 5.3) repairs the old timeline task by task instead. In training
// iterations nearly every task after a change starts at another time, and to visit a task in place
// (find it, unlink it, tell its successors) costs five times what simulating it costs.
//
// Where flows share links (NetworkModel::kFair), or transfers queue with their senders' tasks
// (Link::copied_by_sender), steps 1 and 2 come first as well; what they do not refuse is lowered to
// a task graph, and flows run until they end or the limit has passed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/engine/flow_engine.h"
#include "sim/plan/plan.h"
#include "sim/simulate/lower_bound.h"
#include "sim/simulate/memory_bound.h"
#include "sim/simulate/plan_engine.h"
#include "sim/simulate/sends.h"
#include "sim/simulate/simulate.h"

namespace soapbox {

class DeltaSimulation {
 public:
  explicit DeltaSimulation(const Problem& problem);

  // Simulates `plan` from nothing and makes it current. REQUIRES: check_plan() accepts it.
  Duration reset(const Plan& plan);
  // The iteration time of `plan`, which differs from the current one in `changed` alone; nothing if
  // it exceeds `limit`. Then accept() (not after nothing) or reject() must follow.
  std::optional<Duration> propose(const Plan& plan, std::span<const OpId> changed,
                                  std::optional<Duration> limit = {});
  void accept();
  void reject();
  // By how much the fullest device of `plan`, the current or the proposed one, exceeds its memory;
  // zero where all fit. Simulates only where the bound of memory_bound.h does not fit.
  Bytes excess(const Plan& plan) const;

  // Every task's times under `plan`, the current or the proposed one, by the ids of lower(): what a
  // full run must equal. Not where proposals run as task graphs.
  Timeline timeline(const Plan& plan) { return engine_.record(plan, blocks_, sends_); }
  uint64_t events() const { return engine_.events(); }  // simulated so far

 private:
  // All that depends on the configurations that an operator, edge or weight touches.
  struct OpPart {
    OpBlock block;
    OpProfile profile;
  };
  struct EdgePart {
    EdgeBlock block;
    std::shared_ptr<const EdgeSends> sends;
    EdgeProfile profile;
    std::shared_ptr<const EdgeMemory> memory;
  };
  struct WeightPart {
    SyncBlock block;
    SyncSends sends;
    SyncProfile profile;
  };

  // What is pending: nothing, other operators, or other edges and weights as well.
  enum class Pending : uint8_t { kNothing, kOps, kAll };

  std::optional<SimTime> run_task_graph(const Plan& plan, SimTime limit);
  void touch(std::span<const OpId> changed);
  void make_ops(const Plan& plan);
  void make_edges(const Plan& plan);
  EdgePart make_edge(EdgeId edge, const Plan& plan);
  void make_weights(const Plan& plan);
  void exchange_ops();
  void exchange_edges_and_weights();
  void exchange_profiles();
  bool ops_exceed(Duration limit);
  bool exceeds(Duration limit);

  Problem problem_;
  TransferTable transfers_;
  EdgeSender sender_;
  PlanEngine engine_;
  bool runs_task_graphs_;
  FlowEngine flow_engine_;  // for those, with the timeline
  FifoEngine fifo_engine_;
  Timeline timeline_;

  PlanBlocks blocks_;  // of the current plan, or of the pending one
  PlanSends sends_;
  PlanBounds bounds_;
  PlanEdgeMemory edge_memory_;
  DemandSum demands_;
  Duration serial_;

  std::vector<OpId> touched_ops_;
  std::vector<EdgeId> touched_edges_;
  std::vector<WeightId> touched_weights_;
  std::vector<OpPart> op_parts_;  // of the touched; with a change pending, the current plan's
  std::vector<EdgePart> edge_parts_;
  std::vector<WeightPart> weight_parts_;
  Pending pending_ = Pending::kNothing;

  IdVector<EdgeId, uint32_t> edge_shapes_;
  std::vector<uint32_t> part_of_shape_;  // the last of edge_parts_ that has the shape
  EdgeBlock edge_block_;                 // scratch
};

}  // namespace soapbox
