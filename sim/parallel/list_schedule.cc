// A stage that is free looks at what has arrived. It prefers a backward pass, since others wait for
// it; then a forward pass, of its later chunk first, while it holds fewer micro-batches than the
// schedule's memory allows; then a weight pass, for which nobody waits. What varies between the
// rules:
//
//   patience  a stage that could only run W waits instead, when a pass is known to arrive within
//             this share of W
//   in turn   after a backward pass a forward pass goes first
//
// Memory, in activations of one micro-batch on one stage: zb1 and zbv hold at most p (as 1f1b does
// on its first stage), zb2 2 p. A backward pass frees all but `weight_share` of its micro-batch,
// the weight pass the rest; so the smaller this share, the more weight passes can be put off to
// where a stage would idle.
//
// The orders that the papers draw are tried as well: they have the least bubble where all stages
// take the same times, which list scheduling does not always find.

#include "sim/parallel/list_schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <queue>
#include <utility>

#include "sim/base/check.h"

namespace soapbox {
namespace {

constexpr int64_t kParts = 1024;  // of the activations of one chunk of a micro-batch

// Activations of chunks of micro-batches that a stage may hold.
int32_t memory_limit(const PipelineShape& shape) {
  return shape.schedule == PipelineSchedule::kZb1p ? shape.stages : 2 * shape.stages;
}

struct Rule {
  int64_t patience_percent = 0;  // of W
  bool in_turn = false;
};

// One run of the list scheduler.
class Scheduler {
 public:
  Scheduler(const PipelineShape& shape, Rule rule)
      : shape_(shape),
        rule_(rule),
        weight_parts_(std::llround(shape.weight_share * static_cast<double>(kParts))),
        states_(static_cast<size_t>(shape.stages)) {
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
    int64_t held = 0;             // in parts of a chunk's activations
  };

  void wake(int32_t stage, SimTime time) { events_.push({time, stage}); }

  // Whether a stage may run another forward of this chunk. A first chunk leaves room for the second
  // one of a micro-batch on its way: the V would lock up.
  bool has_room(const State& state, int32_t chunk) const {
    const bool first_of_v = shape_.schedule == PipelineSchedule::kZbV && chunk == 0;
    return state.held + kParts <= (memory_limit(shape_) - first_of_v) * kParts;
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
      if (!has_arrived(queue, now) || !has_room(state, chunk)) continue;
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
      if (has_room(state, chunk)) consider(state.forwards[static_cast<size_t>(chunk)]);
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
        state.held += kParts;
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
        state.held -= kParts - weight_parts_;
        state.weights.push_back({pass.chunk, pass.microbatch});
        if (at > 0) deliver(PassKind::kBackward, at, at - 1, pass.microbatch, state.free_at);
        break;
      case PassKind::kWeight:
        state.held -= weight_parts_;
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
  int64_t weight_parts_;
  std::vector<State> states_;
  PassOrder order_;
  using Event = std::pair<SimTime, int32_t>;  // a stage may have something to do
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

// Orders by phases, as ZB-H1 and ZB-H2 are drawn (Qi et al., ICLR 2024, Figures 2 and 3): a warm-up
// of forward passes, then B, W, F in turn, the weight passes so many micro-batches behind.
struct Slopes {
  double warm_up = 0;  // more forward passes in the warm-up, per stage towards the first
  double behind = 0;   // later weight passes, per stage towards the last
};

// Stage i of p runs 1 + (p - 1 - i) a forward passes first, and its weight passes b i behind. A
// backward pass comes back after a hop of F + B + 2 transfers per stage, so nobody idles in the
// beginning with a = hop / F; in the end stage 0 has to fill what the last stage gained by putting
// off W, so nobody does with b = hop / W. Memory allows 1 + (p - 1) a and 1 + (p - 1) b
// weight_share micro-batches: with F = B = W and weight_share = 1, a = b = 1 is H1 and a = b = 2 is
// H2.
Slopes fitting_slopes(const PipelineShape& shape, bool as_much_as_fits) {
  const auto longest = [](const std::vector<Duration>& times) {
    return std::max_element(times.begin(), times.end())->seconds();
  };
  const double forward = longest(shape.forward);
  const double weight = longest(shape.weight);
  const double hop = forward + longest(shape.backward) + 2 * shape.transfer.seconds();
  const double others = std::max(1, shape.stages - 1);
  const double room = memory_limit(shape) - 1;
  Slopes slopes{room / others, room / others};
  if (shape.weight_share > 0) slopes.behind /= shape.weight_share;
  if (as_much_as_fits) return slopes;
  if (forward > 0) slopes.warm_up = std::min(slopes.warm_up, hop / forward);
  if (weight > 0) slopes.behind = std::min(slopes.behind, hop / weight);
  return slopes;
}

std::vector<Pass> phases(const PipelineShape& shape, int32_t stage, const Slopes& slopes) {
  const auto most = static_cast<double>(shape.microbatches);
  const double limit = memory_limit(shape);
  const double wanted = std::ceil(1 + (shape.stages - 1 - stage) * slopes.warm_up - 1e-9);
  const auto warm_up = static_cast<int32_t>(std::min({wanted, limit, most}));
  double room = most;
  if (shape.weight_share > 0) room = std::floor((limit - warm_up) / shape.weight_share + 1e-9);
  const auto behind =
      static_cast<int32_t>(std::min({std::ceil(stage * slopes.behind - 1e-9), room, most}));
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
  const auto offer_stages = [&](const auto& passes_of) {
    PassOrder order;
    for (int32_t stage = 0; stage < shape.stages; ++stage) order.stages.push_back(passes_of(stage));
    offer(std::move(order));
  };
  if (shape.schedule == PipelineSchedule::kZbV) {
    offer_stages([&](int32_t s) { return v_phases(shape.stages, s, shape.microbatches); });
  } else {
    for (const bool as_much_as_fits : {true, false}) {
      const Slopes slopes = fitting_slopes(shape, as_much_as_fits);
      offer_stages([&](int32_t s) { return phases(shape, s, slopes); });
    }
  }
  SOAPBOX_CHECK(shortest.has_value(), "a rule that runs every pass");
  return best;
}

}  // namespace soapbox
