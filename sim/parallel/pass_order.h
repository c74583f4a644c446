// PassOrder: the order in which every stage of a pipeline runs the passes of its micro-batches.
//
// p stages, v chunks of layers per stage, m micro-batches. A forward pass F of a chunk waits for
// the F of the chunk before it in order of execution, a backward pass B for the B of the chunk
// after it. With the zero-bubble schedules B computes input gradients alone and a weight pass W the
// rest.
//
// Bubbles, as a share of the time that a stage computes (with F, B, W the times of one
// micro-batch):
//   gpipe, 1f1b   (p - 1) / m                    Huang et al. 2019; Narayanan et al. 2021
//   interleaved   (p - 1) / (v m)                Narayanan et al. 2021
//   zb1           (p - 1)(F + B - W) / (m (F + B + W))     Qi et al., ICLR 2024: ZB-H1
//   zb2           (p - 1)(F + B - 2 W) / (m (F + B + W))   ZB-H2; less where a backward pass frees
//                 memory (weight_share), none once (p - 1)(F + B) / W weight passes can be put off
//   zbv           0 for F = B = W                Qi et al., NeurIPS 2024
//
// The zero-bubble papers measure a bubble on the stage with the longest time from its first pass to
// the end of its last (longest_stage()): stages need not end together, since the next iteration
// follows stage by stage.
//
// gpipe, 1f1b and interleaved are fixed rules. The zero-bubble orders are made by list scheduling
// with the stages' times, as the papers' automatic scheduler does; several rules are tried and the
// shortest order kept (list_schedule.cc). O(v m p log p) per rule.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/units.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox {

enum class PassKind : uint8_t { kForward, kBackward, kWeight };

struct Pass {
  PassKind kind = PassKind::kForward;
  int32_t chunk = 0;  // of the stage: 0 .. chunks_per_stage - 1
  int32_t microbatch = 0;
  friend bool operator==(const Pass&, const Pass&) = default;
};

// Where the passes of a pipeline run, and for how long about.
struct PipelineShape {
  PipelineSchedule schedule = PipelineSchedule::k1F1B;
  int32_t stages = 1;
  int32_t chunks_per_stage = 1;
  int32_t microbatches = 1;
  // By position in order of execution (stages x chunks_per_stage of them); used by the zero-bubble
  // schedules alone. `transfer`: from one position to the next.
  std::vector<Duration> forward;
  std::vector<Duration> backward;
  std::vector<Duration> weight;
  Duration transfer;
  // Whether a stage goes on while it sends; else its next pass waits until the message is out.
  bool overlap_sends = true;
  // Of the activations that a forward pass leaves, what is still held between the backward and the
  // weight pass: 0 .. 1.
  double weight_share = 1;

  int32_t position_count() const { return stages * chunks_per_stage; }
  // The position in order of execution of a stage's chunk, and back. Chunks wrap around the stages;
  // with zbv the second goes back from the last stage to the first.
  int32_t position(int32_t stage, int32_t chunk) const;
  int32_t stage_of(int32_t position) const;
  int32_t chunk_of(int32_t position) const;
};

// Whether weight gradients are a pass of their own.
bool splits_backward(PipelineSchedule schedule);

struct PassOrder {
  std::vector<std::vector<Pass>> stages;  // each stage's passes, first to last

  // One entry per pass, so that every pass comes after those it waits for: the stage whose next
  // pass runs. Nothing if the order cannot be run to its end.
  std::optional<std::vector<int32_t>> execution(const PipelineShape& shape) const;
  // The most micro-batches (of one chunk, chunks added) that a stage holds activations of at once:
  // from the forward pass to the last backward or weight pass.
  int32_t peak_in_flight(int32_t stage, bool split_backward) const;
};

// The longest time that any stage takes from its first pass to the end of its last, every pass as
// early as its order and what it waits for allow. Nothing if the order cannot be run. With
// schedules that do not split the backward pass it takes backward + weight. REQUIRES: the shape has
// its times.
std::optional<Duration> longest_stage(const PassOrder& order, const PipelineShape& shape);

// REQUIRES: stages, chunks_per_stage and microbatches at least 1; chunks_per_stage 1 but for
// interleaved, 2 for zbv.
PassOrder make_pass_order(const PipelineShape& shape);

}  // namespace soapbox
