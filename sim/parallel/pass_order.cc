#include "sim/parallel/pass_order.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/parallel/list_schedule.h"

namespace soapbox {
namespace {

std::vector<Pass> gpipe(int32_t microbatches) {
  std::vector<Pass> passes;
  for (int32_t m = 0; m < microbatches; ++m) passes.push_back({PassKind::kForward, 0, m});
  for (int32_t m = 0; m < microbatches; ++m) passes.push_back({PassKind::kBackward, 0, m});
  return passes;
}

// The forwards and the backwards of a stage in the order in which they run, which warm-up forwards
// first: then a forward and a backward in turn.
std::vector<Pass> one_forward_one_backward(const std::vector<Pass>& forwards,
                                           const std::vector<Pass>& backwards, size_t warm_up) {
  std::vector<Pass> passes;
  warm_up = std::min(warm_up, forwards.size());
  passes.insert(passes.end(), forwards.begin(),
                forwards.begin() + static_cast<std::ptrdiff_t>(warm_up));
  for (size_t i = 0; i < backwards.size(); ++i) {
    if (warm_up + i < forwards.size()) passes.push_back(forwards[warm_up + i]);
    passes.push_back(backwards[i]);
  }
  return passes;
}

// Micro-batches pass the chunks of a stage in groups of p (the last may be smaller): a group runs
// the first chunk, then the second, and so on. With one chunk this is plain 1F1B.
std::vector<Pass> interleaved(const PipelineShape& shape, int32_t stage) {
  const int32_t p = shape.stages;
  const int32_t v = shape.chunks_per_stage;
  std::vector<Pass> forwards;
  std::vector<Pass> backwards;
  for (int32_t first = 0; first < shape.microbatches; first += p) {
    const int32_t last = std::min(first + p, shape.microbatches);
    for (int32_t chunk = 0; chunk < v; ++chunk) {
      for (int32_t m = first; m < last; ++m) {
        forwards.push_back({PassKind::kForward, chunk, m});
        backwards.push_back({PassKind::kBackward, v - 1 - chunk, m});
      }
    }
  }
  const int32_t ahead = p - 1 - stage;
  const int32_t warm_up = v == 1 ? ahead : 2 * ahead + (v - 1) * p;
  // Fewer micro-batches than stages: the groups are short, and a warm-up that mixes chunks would
  // wait for a forward that stands behind a backward.
  const bool all_first = v > 1 && shape.microbatches % p != 0;
  return one_forward_one_backward(forwards, backwards,
                                  all_first ? forwards.size() : static_cast<size_t>(warm_up));
}

// Whether a pass ends with a message to another stage.
bool sends(const PipelineShape& shape, int32_t stage, int32_t position, PassKind kind) {
  if (kind == PassKind::kWeight) return false;
  const int32_t to = kind == PassKind::kForward ? position + 1 : position - 1;
  return to >= 0 && to < shape.position_count() && shape.stage_of(to) != stage;
}

}  // namespace

int32_t PipelineShape::position(int32_t stage, int32_t chunk) const {
  if (schedule == PipelineSchedule::kZbV) return chunk == 0 ? stage : 2 * stages - 1 - stage;
  return chunk * stages + stage;
}

int32_t PipelineShape::stage_of(int32_t position) const {
  if (schedule == PipelineSchedule::kZbV && position >= stages) return 2 * stages - 1 - position;
  return position % stages;
}

int32_t PipelineShape::chunk_of(int32_t position) const {
  return position / stages;
}

bool splits_backward(PipelineSchedule schedule) {
  return schedule == PipelineSchedule::kZb1p || schedule == PipelineSchedule::kZb2p ||
         schedule == PipelineSchedule::kZbV;
}

std::optional<std::vector<int32_t>> PassOrder::execution(const PipelineShape& shape) const {
  const int32_t positions = shape.position_count();
  // How many micro-batches have passed each position; micro-batches pass a position in order.
  std::vector<std::vector<char>> forward_done(
      static_cast<size_t>(positions), std::vector<char>(static_cast<size_t>(shape.microbatches)));
  auto backward_done = forward_done;
  const auto is_ready = [&](int32_t stage, const Pass& pass) {
    const int32_t at = shape.position(stage, pass.chunk);
    const size_t m = static_cast<size_t>(pass.microbatch);
    switch (pass.kind) {
      case PassKind::kForward:
        return at == 0 || forward_done[static_cast<size_t>(at - 1)][m] != 0;
      case PassKind::kBackward:
        return forward_done[static_cast<size_t>(at)][m] != 0 &&
               (at + 1 == positions || backward_done[static_cast<size_t>(at + 1)][m] != 0);
      case PassKind::kWeight:
        return backward_done[static_cast<size_t>(at)][m] != 0;
    }
    return false;
  };
  std::vector<int32_t> result;
  std::vector<size_t> next(stages.size(), 0);
  size_t remaining = 0;
  for (const std::vector<Pass>& passes : stages) remaining += passes.size();
  result.reserve(remaining);
  while (remaining > 0) {
    const size_t before = remaining;
    for (size_t s = 0; s < stages.size(); ++s) {
      while (next[s] < stages[s].size() && is_ready(static_cast<int32_t>(s), stages[s][next[s]])) {
        const Pass& pass = stages[s][next[s]++];
        const size_t at = static_cast<size_t>(shape.position(static_cast<int32_t>(s), pass.chunk));
        const size_t m = static_cast<size_t>(pass.microbatch);
        if (pass.kind == PassKind::kForward) forward_done[at][m] = 1;
        if (pass.kind == PassKind::kBackward) backward_done[at][m] = 1;
        result.push_back(static_cast<int32_t>(s));
        --remaining;
      }
    }
    if (remaining == before) return std::nullopt;
  }
  return result;
}

int32_t PassOrder::peak_in_flight(int32_t stage, bool split_backward) const {
  int32_t held = 0;
  int32_t peak = 0;
  for (const Pass& pass : stages[static_cast<size_t>(stage)]) {
    if (pass.kind == PassKind::kForward) peak = std::max(peak, ++held);
    if (pass.kind == (split_backward ? PassKind::kWeight : PassKind::kBackward)) --held;
  }
  return peak;
}

std::optional<Duration> longest_stage(const PassOrder& order, const PipelineShape& shape) {
  const std::optional<std::vector<int32_t>> execution = order.execution(shape);
  if (!execution) return std::nullopt;
  const auto positions = static_cast<size_t>(shape.position_count());
  const auto microbatches = static_cast<size_t>(shape.microbatches);
  std::vector<SimTime> forward_end(positions * microbatches);
  std::vector<SimTime> backward_end(positions * microbatches);
  struct Stage {
    size_t next = 0;
    SimTime start;
    SimTime free_at;
  };
  std::vector<Stage> stages(order.stages.size());
  for (const int32_t s : *execution) {
    Stage& stage = stages[static_cast<size_t>(s)];
    const Pass& pass = order.stages[static_cast<size_t>(s)][stage.next];
    const int32_t position = shape.position(s, pass.chunk);
    const auto at = static_cast<size_t>(position);
    const size_t here = at * microbatches + static_cast<size_t>(pass.microbatch);
    // What comes from another position takes a transfer, unless it is on the same stage.
    const auto arrival = [&](const std::vector<SimTime>& end, int32_t from) {
      const SimTime sent =
          end[static_cast<size_t>(from) * microbatches + static_cast<size_t>(pass.microbatch)];
      return shape.stage_of(from) == s ? sent : sent + shape.transfer;
    };
    SimTime start = stage.free_at;
    Duration duration = shape.weight[at];
    if (pass.kind == PassKind::kForward) {
      if (position > 0) start = std::max(start, arrival(forward_end, position - 1));
      duration = shape.forward[at];
    } else if (pass.kind == PassKind::kBackward) {
      if (at + 1 < positions) start = std::max(start, arrival(backward_end, position + 1));
      duration = shape.backward[at];
      if (!splits_backward(shape.schedule)) duration += shape.weight[at];
    }
    if (stage.next++ == 0) stage.start = start;
    stage.free_at = start + duration;
    if (pass.kind == PassKind::kForward) forward_end[here] = stage.free_at;
    if (pass.kind == PassKind::kBackward) backward_end[here] = stage.free_at;
    if (!shape.overlap_sends && sends(shape, s, position, pass.kind)) {
      stage.free_at = stage.free_at + shape.transfer;
    }
  }
  Duration longest;
  for (const Stage& stage : stages) longest = std::max(longest, stage.free_at - stage.start);
  return longest;
}

PassOrder make_pass_order(const PipelineShape& shape) {
  SOAPBOX_CHECK(shape.stages >= 1 && shape.chunks_per_stage >= 1 && shape.microbatches >= 1,
                "an empty pipeline");
  if (splits_backward(shape.schedule)) return list_schedule(shape);
  PassOrder order;
  for (int32_t stage = 0; stage < shape.stages; ++stage) {
    order.stages.push_back(shape.schedule == PipelineSchedule::kGPipe ? gpipe(shape.microbatches)
                                                                      : interleaved(shape, stage));
  }
  return order;
}

}  // namespace soapbox
