// A stage that is free looks at what has arrived. It prefers a backward pass, since others wait for
// it; then a forward pass, of its later chunk first, while it holds fewer micro-batches than the
// schedule's memory allows; then a weight pass, for which nobody waits. What varies between the
// rules:
//
//   patience  a stage that could only run W waits instead, when a pass is known to arrive within
//             this share of W
//   in turn   after a backward pass a forward pass goes first
//
// Memory, in micro-batches of one stage's layers: zb1 and zbv hold at most p (as 1f1b does on its
// first stage), zb2 2 p - 1.
//
// The orders that the papers draw are tried as well: they have the least bubble where all stages
// take the same times, which list scheduling does not always find.

#include "sim/parallel/list_schedule.h"

#include <algorithm>
#include <array>
#include <deque>
#include <queue>
#include <utility>

#include "sim/base/check.h"

namespace soapbox {
namespace {

struct Rule {
  int64_t patience_percent = 0;  // of W
  bool in_turn = false;
};

// One run of the list scheduler.
class Scheduler {
 public:
  Scheduler(const PipelineShape& shape, Rule rule)
      : shape_(shape), rule_(rule), states_(static_cast<size_t>(shape.stages)) {
    order_.stages.resize(states_.size());
    const auto chunks = static_cast<size_t>(shape.chunks_per_stage);
    for (State& state : states_) {
      state.forwards.resize(chunks);
      state.backwards.resize(chunks);
    }
    // The first position has all its input from the start.
    for (int32_t m = 0; m < shape.microbatches; ++m) {
      states_[0].forwards[0].push_back({SimTime(), m});
    }
  }

  PassOrder run() {
    for (int32_t stage = 0; stage < shape_.stages; ++stage) wake(stage, SimTime());
    while (!events_.empty()) {
      const auto [time, stage] = events_.top();
      events_.pop();
      if (states_[static_cast<size_t>(stage)].free_at <= time) choose(stage, time);
    }
    return std::move(order_);
  }

 private:
  struct Arrival {
    SimTime time;
    int32_t microbatch = 0;
  };
  struct State {
    SimTime free_at;
    std::vector<std::deque<Arrival>> forwards;  // by chunk, in order of arrival
    std::vector<std::deque<Arrival>> backwards;
    std::deque<std::pair<int32_t, int32_t>> weights;  // chunk, micro-batch: input gradients done
    bool after_backward = false;  // its last forward or backward pass was a backward one
    int32_t held = 0;             // chunks of micro-batches
  };

  void wake(int32_t stage, SimTime time) { events_.push({time, stage}); }

  // Chunks of micro-batches that a stage may hold before it runs another forward of this chunk. A
  // first chunk leaves room for the second one of a micro-batch on its way: the V would lock up.
  int32_t memory_limit(int32_t chunk) const {
    switch (shape_.schedule) {
      case PipelineSchedule::kZb2p:
        return 2 * shape_.stages - 1;
      case PipelineSchedule::kZbV:
        return 2 * shape_.stages - (chunk == 0 ? 1 : 0);
      default:
        return shape_.stages;
    }
  }

  static bool has_arrived(const std::deque<Arrival>& queue, SimTime now) {
    return !queue.empty() && queue.front().time <= now;
  }

  // A backward frees memory in the end, so of two the one of the later position goes first.
  bool try_backward(int32_t stage, SimTime now) {
    State& state = states_[static_cast<size_t>(stage)];
    for (int32_t chunk = shape_.chunks_per_stage - 1; chunk >= 0; --chunk) {
      std::deque<Arrival>& queue = state.backwards[static_cast<size_t>(chunk)];
      if (!has_arrived(queue, now)) continue;
      const int32_t microbatch = queue.front().microbatch;
      queue.pop_front();
      start({PassKind::kBackward, chunk, microbatch}, stage, now);
      return true;
    }
    return false;
  }

  bool try_forward(int32_t stage, SimTime now) {
    State& state = states_[static_cast<size_t>(stage)];
    for (int32_t chunk = shape_.chunks_per_stage - 1; chunk >= 0; --chunk) {
      std::deque<Arrival>& queue = state.forwards[static_cast<size_t>(chunk)];
      if (!has_arrived(queue, now) || state.held >= memory_limit(chunk)) continue;
      const int32_t microbatch = queue.front().microbatch;
      queue.pop_front();
      start({PassKind::kForward, chunk, microbatch}, stage, now);
      return true;
    }
    return false;
  }

  void choose(int32_t stage, SimTime now) {
    State& state = states_[static_cast<size_t>(stage)];
    if (rule_.in_turn && state.after_backward && try_forward(stage, now)) return;
    if (try_backward(stage, now) || try_forward(stage, now)) return;
    if (state.weights.empty()) return;  // an arrival will wake it
    const auto [chunk, microbatch] = state.weights.front();
    const Duration weight = shape_.weight[static_cast<size_t>(shape_.position(stage, chunk))];
    const std::optional<SimTime> next = next_arrival(stage);
    if (next && (*next - now) * 100 < weight * rule_.patience_percent) return;
    state.weights.pop_front();
    start({PassKind::kWeight, chunk, microbatch}, stage, now);
  }

  // The first arrival that is on its way and could be run when it is there.
  std::optional<SimTime> next_arrival(int32_t stage) const {
    const State& state = states_[static_cast<size_t>(stage)];
    std::optional<SimTime> first;
    const auto consider = [&](const std::deque<Arrival>& queue) {
      if (!queue.empty() && (!first || queue.front().time < *first)) first = queue.front().time;
    };
    for (int32_t chunk = 0; chunk < shape_.chunks_per_stage; ++chunk) {
      consider(state.backwards[static_cast<size_t>(chunk)]);
      if (state.held < memory_limit(chunk)) consider(state.forwards[static_cast<size_t>(chunk)]);
    }
    return first;
  }

  void start(const Pass& pass, int32_t stage, SimTime now) {
    State& state = states_[static_cast<size_t>(stage)];
    const int32_t at = shape_.position(stage, pass.chunk);
    const auto index = static_cast<size_t>(at);
    order_.stages[static_cast<size_t>(stage)].push_back(pass);
    switch (pass.kind) {
      case PassKind::kForward:
        ++state.held;
        state.after_backward = false;
        state.free_at = now + shape_.forward[index];
        if (at + 1 < shape_.position_count()) {
          deliver(PassKind::kForward, at, at + 1, pass.microbatch, state.free_at);
        } else {
          deliver(PassKind::kBackward, at, at, pass.microbatch, state.free_at);
        }
        break;
      case PassKind::kBackward:
        state.free_at = now + shape_.backward[index];
        state.after_backward = true;
        state.weights.push_back({pass.chunk, pass.microbatch});
        if (at > 0) deliver(PassKind::kBackward, at, at - 1, pass.microbatch, state.free_at);
        break;
      case PassKind::kWeight:
        --state.held;
        state.free_at = now + shape_.weight[index];
        break;
    }
    wake(stage, state.free_at);
  }

  void deliver(PassKind kind, int32_t from, int32_t to, int32_t microbatch, SimTime end) {
    const int32_t stage = shape_.stage_of(to);
    const bool same = shape_.stage_of(from) == stage;
    const SimTime arrival = same ? end : end + shape_.transfer;
    State& state = states_[static_cast<size_t>(stage)];
    auto& queues = kind == PassKind::kForward ? state.forwards : state.backwards;
    queues[static_cast<size_t>(shape_.chunk_of(to))].push_back({arrival, microbatch});
    wake(stage, arrival);
  }

  const PipelineShape& shape_;
  Rule rule_;
  std::vector<State> states_;
  PassOrder order_;
  using Event = std::pair<SimTime, int32_t>;  // a stage may have something to do
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

// The drawn orders ZB-H1 and ZB-H2 (Qi et al., ICLR 2024, Figures 2 and 3): 1F1B with a longer
// warm-up, and weight passes so far behind that every stage holds as many micro-batches as the
// first.
std::vector<Pass> h_phases(const PipelineShape& shape, int32_t stage) {
  const bool h2 = shape.schedule == PipelineSchedule::kZb2p;
  const int32_t held = h2 ? 2 * shape.stages - 1 : shape.stages;
  const int32_t warm_up = std::min(held - (h2 ? 2 : 1) * stage, shape.microbatches);
  const int32_t behind = held - warm_up;
  std::vector<Pass> passes;
  for (int32_t m = 0; m < warm_up; ++m) passes.push_back({PassKind::kForward, 0, m});
  for (int32_t m = 0; m < shape.microbatches; ++m) {
    passes.push_back({PassKind::kBackward, 0, m});
    if (m >= behind) passes.push_back({PassKind::kWeight, 0, m - behind});
    if (m + warm_up < shape.microbatches) passes.push_back({PassKind::kForward, 0, m + warm_up});
  }
  for (int32_t m = std::max(0, shape.microbatches - behind); m < shape.microbatches; ++m) {
    passes.push_back({PassKind::kWeight, 0, m});
  }
  return passes;
}

// The phases of the V (Qi et al., NeurIPS 2024), with n the micro-batches and i the stage: the
// first chunk fills the pipeline, then both chunks, then every pass is followed by its like.
std::vector<Pass> v_phases(int32_t stages, int32_t stage, int32_t microbatches) {
  std::vector<Pass> passes;
  // The phases need 2 p - 1 micro-batches; those that are not there are left out in the end.
  const int32_t numbered = std::max(microbatches, 2 * stages - 1);
  // [kind][chunk]: the next micro-batch.
  std::array<std::array<int32_t, 2>, 3> next{};
  const auto run = [&](PassKind kind, int32_t chunk) {
    int32_t& microbatch = next[static_cast<size_t>(kind)][static_cast<size_t>(chunk)];
    if (microbatch == numbered) return;
    if (microbatch < microbatches) passes.push_back({kind, chunk, microbatch});
    ++microbatch;
  };
  const auto count = [&](PassKind kind, size_t chunk) {
    return next[static_cast<size_t>(kind)][chunk];
  };
  using enum PassKind;
  for (int32_t k = 0; k < 2 * (stages - stage) - 1; ++k) run(kForward, 0);
  for (int32_t k = 0; k < stage; ++k) {
    run(kForward, 1);
    run(kForward, 0);
  }
  for (int32_t k = 0; k < stages - stage; ++k) {
    run(kForward, 1);
    run(kBackward, 1);
    run(kWeight, 1);
  }
  while (count(kForward, 1) < count(kForward, 0) || count(kForward, 0) < numbered) {
    run(kForward, 0);
    run(kBackward, 0);
    run(kWeight, 0);
    run(kForward, 1);
    run(kBackward, 1);
    run(kWeight, 1);
  }
  for (int32_t k = 0; k < stage; ++k) {
    run(kBackward, 0);
    run(kBackward, 1);
  }
  for (int32_t k = 0; k < stages - stage; ++k) {
    run(kBackward, 0);
    run(kWeight, 0);
  }
  while (count(kWeight, 1) < numbered) run(kWeight, 1);
  while (count(kWeight, 0) < numbered) run(kWeight, 0);
  return passes;
}

bool runs_every_pass(const PassOrder& order, const PipelineShape& shape) {
  size_t passes = 0;
  for (const std::vector<Pass>& stage : order.stages) passes += stage.size();
  return passes ==
         3 * static_cast<size_t>(shape.position_count()) * static_cast<size_t>(shape.microbatches);
}

}  // namespace

PassOrder list_schedule(const PipelineShape& shape) {
  const auto positions = static_cast<size_t>(shape.position_count());
  SOAPBOX_CHECK(shape.forward.size() == positions && shape.backward.size() == positions &&
                    shape.weight.size() == positions,
                "one time per position");
  PassOrder best;
  std::optional<Duration> shortest;
  const auto offer = [&](PassOrder order) {
    if (!runs_every_pass(order, shape)) return;
    const std::optional<Duration> time = longest_stage(order, shape);
    if (!time || (shortest && *time >= *shortest)) return;
    shortest = time;
    best = std::move(order);
  };
  for (const int64_t patience_percent : {0, 50, 100}) {
    for (const bool in_turn : {false, true}) {
      offer(Scheduler(shape, {patience_percent, in_turn}).run());
    }
  }
  PassOrder drawn;
  for (int32_t stage = 0; stage < shape.stages; ++stage) {
    drawn.stages.push_back(shape.schedule == PipelineSchedule::kZbV
                               ? v_phases(shape.stages, stage, shape.microbatches)
                               : h_phases(shape, stage));
  }
  offer(std::move(drawn));
  SOAPBOX_CHECK(shortest.has_value(), "a rule that runs every pass");
  return best;
}

}  // namespace soapbox
