// Plan files: one JSON format with two kinds of plans.
//
//   "operators"  degrees and devices of every operator (plan.h, written by plan_json.cc)
//   "parallel"   how a stack of Transformer layers is laid over stages and ranks (parallel_plan.h):
//
//   {"format": "soapbox-plan", "version": 1, "kind": "parallel", "model": "gpt3_175b",
//    "seq_len": 2048, "cluster": "dgx_a100_80g", "devices": 64,
//    "pp": 4, "vpp": 1, "schedule": "1f1b", "micro_batch": 1, "microbatches": 16,
//    "chunk_begin": [0, 25, 49, 73],
//    "strategies": [{"tp": 8, "cp": 1, "dp": 2, "ep": 1, "zero": 1, "shard_group": 0,
//                    "sequence_parallel": true, "recompute": "selective"}],
//    "strategy_of_layer": [],
//    "precision": {"compute": "bf16", "gradients": "fp32", "parameters": "bf16"},
//    "flash_attention": true, "autocast": false, "overlap_gradients": true,
//    "overlap_parameters": true, "overlap_sends": true, "gathers_per_layer": 1,
//    "overlap_tensor": false, "expert_imbalance": 1.0, "dispatch_once_per_node": false}
//
// The names are those of the command line; pp x tp x cp x dp is the number of devices.
// `strategy_of_layer` has an entry for every layer, or none where all have the first strategy.
// `autocast`, `gathers_per_layer`, `expert_imbalance` and `dispatch_once_per_node` may be left out:
// false, 1, 1 and false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "sim/plan/parallel_plan.h"

namespace soapbox {

inline constexpr int kPlanVersion = 1;
inline constexpr std::string_view kPlanFormat = "soapbox-plan";
inline constexpr std::string_view kOperatorsKind = "operators";
inline constexpr std::string_view kParallelKind = "parallel";

// "operators" or "parallel". `file` is only for error positions (file:line:column), here and below.
Result<std::string> plan_kind(std::string_view text, const std::string& file);

// What a plan of kind "parallel" was made for: what it takes to load its problem.
struct ParallelPlanHeader {
  std::string model;
  int64_t seq_len = 0;
  std::string cluster;
  int64_t devices = 0;
};
Result<ParallelPlanHeader> parallel_plan_header(std::string_view text, const std::string& file);

std::string parallel_plan_to_json(const ParallelPlanHeader& header, const ParallelPlan& plan);
// Error: besides what is no such file, a plan for another model or sequence length, or one that
// check_parallel_plan() refuses for so many devices.
Result<ParallelPlan> parallel_plan_from_json(std::string_view text, const std::string& file,
                                             const Transformer& model, size_t device_count);

}  // namespace soapbox
