// Screening: every plan of a Megatron-style space in closed form, the best ones simulated.
//
// With p stages of v chunks, m micro-batches, and t_i = f_i + b_i the time of one micro-batch on
// stage i (layers and the exchanges that they wait for, sim/parallel/layer_cost.h):
//
//   gpipe, 1f1b   (m - 1) max t_i + sum t_i        interleaved   m max t_i + (p - 1) mean t_i / v
//   zb1           m max t_i + (p - 1)(f + b - w)   zb2           m max t_i + (p - 1)(f + b - 2 w)
//   zbv           m max t_i
//
// (a step of zbv and zb2 never below m max t_i; f, b, w: means over the stages), then what of the
// data traffic stays exposed, and the update. The passes are those beside this traffic: kernels
// take longer while it runs, with ZeRO-3 none is shorter than its own, and sends that do not
// overlap are in them. Memory: states, and activations of as many micro-batches as the schedule
// holds. The same layer prices serve all plans that differ in schedule, chunks and sharding alone.
//
// Bound. A stage runs its kernels and the exchanges that they wait for one after the other, so an
// iteration, simulated or in closed form, takes at least m t_i on every stage, hence m times their
// mean, and the overhead of a step. A plan whose bound is not below the k-th best closed form so
// far is counted as pruned and costs no more. What this proves: no pruned plan is among the best k
// in closed form, and none takes less than `pruned_bound` when simulated; where the best simulated
// time is not above it, nothing better was pruned. O(1) per plan but for the stages.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sim/parallel/simulate_parallel.h"

namespace soapbox::strategies {

// The values that each degree may take; a plan takes one of each.
struct ScreenSpace {
  std::vector<int32_t> tensor;
  std::vector<int32_t> pipeline;
  std::vector<int32_t> chunks;
  std::vector<int32_t> context;
  std::vector<int32_t> expert;
  std::vector<int32_t> zero;
  std::vector<int64_t> microbatch;
  std::vector<bool> sequence_parallel;
  std::vector<Recompute> recompute;
  std::vector<PipelineSchedule> schedules;
  std::vector<ParallelPlan> bases = {{}};  // precision, flash attention and overlaps
  int64_t global_batch = 1;

  // Everything that the devices and the model allow.
  static ScreenSpace all(const Transformer& model, int64_t devices, int64_t global_batch);
};

struct ScreenEntry {
  ParallelPlan plan;
  Duration analytic;
  Duration bound;  // no simulation of the plan takes less
  // Simulated event by event; it may turn out not to fit. Tasks and timelines are not kept: they
  // would be most of the memory of a screening.
  Outcome outcome;
  MemoryUse memory;  // the peak of the stage that needs most
};

struct ScreenOutcome {
  uint64_t configurations = 0;  // plans that fit the devices and the model
  uint64_t feasible = 0;        // of those evaluated, the ones that fit in memory
  uint64_t evaluated = 0;
  uint64_t pruned = 0;                   // by their bound
  std::optional<Duration> pruned_bound;  // the least of these; absent: none was pruned
  bool interrupted = false;
  std::vector<ScreenEntry> best;  // in the order of their simulated times

  // Whether no pruned plan can be faster than the best one when both are simulated.
  bool proves_best() const;
};

// `keep_going` is asked now and then; after it has said no the outcome counts as interrupted, and
// has the best plan so far alone.
ScreenOutcome screen(const ParallelProblem& problem, const ScreenSpace& space, size_t best_count,
                     const std::function<bool()>& keep_going);

}  // namespace soapbox::strategies
