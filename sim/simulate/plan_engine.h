// Simulates a plan straight from its blocks, without making a task graph: the inner loop of every
// search.
//
// The timeline equals lower() and FifoEngine (engine/engine.h) task by task. What is saved:
//   - A piece's transfers are no events. They are ready when the piece ends, so one event at that
//     moment lets them queue at their links one after the other, in the order of their ids in
//     lower(). A transfer costs a few nanoseconds where a task of a graph costs a hundred, and at
//     64 devices nine tasks of ten are transfers.
//   - What pieces send is read in place from the rows of sends.h, a run of equal transfers at a
//     time; where every piece of a producer sends to every piece of a consumer, only the last of
//     them looks at what may now start.
// Events are ordered by (time, slot), slots by the structural order, so that resources serve in the
// order of (ready time, id). An event is a piece that is ready, or (later in the order) one that
// ends and has something to send over a link.
//
// With a limit the run ends as soon as the makespan provably exceeds it. For every resource
//     makespan >= idle time so far + all of its work + the least that follows any of it,
// and for every task makespan >= its end + what follows it at least (TailBounds).
//
// O(sends + tasks log tasks); no allocation once the buffers have grown.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/engine/engine.h"
#include "sim/engine/event_queue.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"
#include "sim/simulate/lower_bound.h"
#include "sim/simulate/plan_blocks.h"
#include "sim/simulate/sends.h"

namespace soapbox {

class PlanEngine {
 public:
  // Both are borrowed.
  PlanEngine(const OpGraph& graph, const Cluster& cluster);

  // The makespan. REQUIRES: blocks and sends are the plan's.
  SimTime run(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends);
  // The makespan; nothing if it exceeds the limit. REQUIRES: the bounds hold for the plan.
  std::optional<SimTime> run(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends,
                             const TailBounds& bounds, SimTime limit);
  // Every task's times, by the ids of lower(): for tests and traces.
  Timeline record(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends);

  uint64_t events() const { return events_; }  // of all runs so far

 private:
  enum class Kind : uint8_t { kForward, kSum, kBackward, kBarrier, kSync };
  // Like tasks of one block, in neighbouring slots.
  struct Group {
    Kind kind;
    uint32_t id;     // of the operator, edge or weight
    uint32_t first;  // slot
    uint32_t then;   // first slot of the own backward, after a forward
    uint32_t ports_begin;
    uint32_t ports_end;
  };
  // What the events of a slot read.
  struct Job {
    int64_t duration_ps;
    uint32_t resource;
    uint32_t group;
  };
  // Where the ends of a group's slots lead to over one edge.
  struct Port {
    const SendRows* sends;
    uint32_t pieces;        // first slot
    uint32_t sums;          // first slot
    uint32_t senders_left;  // of an all-to-all
    uint32_t receivers;     // of an all-to-all; 0 for other edges
  };
  struct ResourceState {
    int64_t free_ps = 0;
    int64_t idle_ps = 0;
  };
  // What a weight's gradient waits for: the weights of an operator, each with the operator's place
  // among the weight's users.
  struct Use {
    WeightId weight;
    uint32_t user;
  };

  static constexpr uint32_t kNone = UINT32_MAX;

  void lay_out(const Plan& plan, const PlanBlocks& blocks, const PlanSends& sends);
  void lay_out_forward(OpId op);
  void lay_out_backward(OpId op);
  void lay_out_weights();
  void lay_out_ports();
  void begin_group(Kind kind, uint32_t id);
  void add_slot(ResourceId resource, Duration duration, uint32_t waits_for);
  void add_port(const SendRows& sends, size_t senders, uint32_t pieces, uint32_t sums,
                uint32_t receivers);
  bool sends_over_links(const Group& group, uint32_t index) const;

  template <bool kLimited, bool kRecorded>
  bool simulate();
  template <bool kLimited, bool kRecorded>
  bool finish(uint32_t slot, int64_t end_ps);
  template <bool kLimited, bool kRecorded>
  bool send(Port& port, uint32_t sender, int64_t end_ps, uint32_t& next_task);
  template <bool kLimited>
  bool occupy(ResourceState& state, uint32_t resource, int64_t ready_ps);
  void reach(ResourceState& state, int64_t time_ps);
  void arrive(uint32_t slot, int64_t time_ps);
  void signal_weights(OpId op, uint32_t piece, int64_t end_ps);
  bool is_too_late(const Group& group, int64_t end_ps) const;

  uint32_t number_tasks();
  void note(uint32_t task, int64_t ready_ps, int64_t duration_ps, int64_t end_ps);

  const OpGraph& graph_;
  const Cluster& cluster_;
  IdVector<OpId, std::vector<Use>> uses_;

  // Of the current run.
  const Plan* plan_ = nullptr;
  const PlanBlocks* blocks_ = nullptr;
  const PlanSends* sends_ = nullptr;
  const TailBounds* bounds_ = nullptr;
  int64_t limit_ps_ = 0;
  int64_t makespan_ps_ = 0;
  uint64_t events_ = 0;
  std::vector<Group> groups_;
  std::vector<Port> ports_;
  std::vector<Job> jobs_;                    // by slot
  std::vector<int64_t> ready_ps_;            // by slot: the last arrival so far
  std::vector<uint32_t> waits_for_;          // by slot: arrivals still to come
  IdVector<OpId, uint32_t> forward_first_;   // slots
  IdVector<OpId, uint32_t> backward_first_;  // kNone where nothing has a gradient
  IdVector<EdgeId, uint32_t> sums_first_;
  IdVector<WeightId, uint32_t> sync_first_;
  uint32_t barrier_ = kNone;  // its slot
  std::vector<ResourceState> resources_;
  EventQueue queue_;

  // While recording.
  Timeline* timeline_ = nullptr;
  std::vector<uint32_t> task_of_;    // each slot's task, by its id in lower()
  std::vector<uint32_t> next_task_;  // and the id of its next transfer
};

}  // namespace soapbox
