// The parallel plan of a measured run, and its batch.
#pragma once

#include "scenarios/runner/measured_runs/assumptions.h"
#include "scenarios/runner/measured_runs/measured_run.h"
#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox::runner {

// Whose fused attention: the device vendor's, which is written for the device, or one of the first
// two generations of FlashAttention, written for the A100.
enum class AttentionLibrary : uint8_t { kVendor, kFlash1, kFlash2 };

struct RunPlan {
  ParallelPlan plan;
  int64_t global_batch = 0;  // samples of one iteration
  int64_t devices = 0;       // that the plan uses
  // Where the run does not say what it recomputes: the plan has none of it, and so much may be
  // assumed where that does not fit; of `recompute_least` of the layers in any case.
  Recompute recompute_up_to = Recompute::kNone;
  double recompute_least = 0;
  // Nobody says what data ranks share, or whether tensor ranks share norms and dropouts: the plan
  // shares nothing, and what fits may be assumed.
  bool sharding_unsaid = false;
  bool sequence_unsaid = false;
  // What the framework sets aside on each device for its collectives, and what the last stage
  // holds besides one fp32 copy of its logits; negative where it holds none.
  Bytes communication_buffers;
  Bytes other_logits;
  double optimizer_share = 1;  // of the bytes of Adam's states in fp32
  bool no_update = false;      // the time is of forward and backward passes alone
  AttentionLibrary attention = AttentionLibrary::kVendor;
  // Layers are Transformer Engine's modules (Megatron Core and what stands on it).
  bool transformer_engine = false;
};

// `gpus_per_node`: of the run's cluster.
// Error: why there is no such plan: degrees that do not fit each other or the model, adapters
// beside frozen weights, degrees that nobody states.
Result<RunPlan> plan_of_run(const MeasuredRun& run, const Transformer& model, int64_t gpus_per_node,
                            Assumptions& assumptions);

}  // namespace soapbox::runner
