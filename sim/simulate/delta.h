// Delta simulation of plans: keeps the blocks and the timeline of a current plan, and after a
// change of some operators' configurations rebuilds only their blocks and repairs only what they
// disturb.
//
// Results equal simulate() to the picosecond, task by task: tasks carry the structural order of
// lower() as their keys. Changing one operator with p pieces whose edges have q pairs costs O(p +
// q) to rebuild, plus the visits of the repair (engine/delta_engine.h). With a limit, the lower
// bound of the changed plan (lower_bound.h) comes first: most of a search's proposals end there,
// before any task exists.
//
// Where flows share links (NetworkModel::kFair) a change reaches every flow that shares a link with
// a changed one, and so on: there is no untouched rest to keep. What is saved there is the
// simulation of every proposal that the bound refuses; the others run in full, so results are exact
// as well.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "sim/engine/delta_engine.h"
#include "sim/engine/flow_engine.h"
#include "sim/plan/plan.h"
#include "sim/simulate/blocks.h"
#include "sim/simulate/lower_bound.h"
#include "sim/simulate/simulate.h"
#include "sim/simulate/sync.h"

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

  // Every task of the current timeline in structural order: what a full run must equal.
  struct TaskTimes {
    uint64_t key;
    SimTime ready;
    SimTime start;
    SimTime end;
  };
  std::vector<TaskTimes> timeline() const;
  uint64_t visits() const { return engine_.visits(); }

 private:
  struct OpState {
    std::vector<TaskId> forward;   // by piece
    std::vector<TaskId> backward;  // by piece; empty where nothing has a gradient
  };

  // The blocks of a change, in the order of touched_*.
  struct Blocks {
    std::vector<OpBlock> ops;
    std::vector<EdgeBlock> edges;
    std::vector<SyncBlock> weights;
  };
  // What the current plan had where a pending change differs.
  struct Before {
    std::vector<OpState> ops;
    std::vector<std::vector<TaskId>> edges;
    std::vector<std::vector<TaskId>> weights;
    std::vector<OpProfile> op_profiles;
    std::vector<EdgeProfile> edge_profiles;
    std::vector<SyncProfile> weight_profiles;
  };

  bool shares_links() const { return problem_.options.network == NetworkModel::kFair; }
  Duration run_flows(const Plan& plan);
  void make_blocks(const Plan& plan);
  void exchange_profiles(const Plan& plan);
  void restore_profiles();
  void remove_tasks();
  void build_tasks(const Plan& plan);
  void build_op(OpId op, const Plan& plan, const OpBlock& block);
  void build_edge(EdgeId edge, const Plan& plan, const EdgeBlock& block);
  void build_edge_backward(EdgeId edge, const Plan& plan, const EdgeBlock& block);
  void build_weight(WeightId weight, const SyncBlock& block);
  void remove_all(std::span<const TaskId> tasks);
  void touch(std::span<const OpId> changed);
  TaskId add_compute(uint64_t key, DeviceId device, Duration duration);
  TaskId add_transfer(uint64_t key, DeviceId from, DeviceId to, Bytes bytes, MeetingEnd end);

  Problem problem_;
  DeltaEngine engine_;
  FlowEngine flow_engine_;  // used, with the timeline, where flows share links
  Timeline timeline_;
  IdVector<OpId, OpState> ops_;
  IdVector<EdgeId, std::vector<TaskId>> edges_;
  IdVector<WeightId, std::vector<TaskId>> weights_;
  TaskId all_backward_;  // if has_backward_barrier()

  PlanBounds bounds_;
  Duration serial_;  // of the current plan, or of the pending one

  std::vector<OpId> touched_ops_;
  std::vector<EdgeId> touched_edges_;
  std::vector<WeightId> touched_weights_;
  Blocks blocks_;
  Before before_;
  Duration serial_before_;
  bool edited_ = false;  // the pending change reached the engine
};

}  // namespace soapbox
