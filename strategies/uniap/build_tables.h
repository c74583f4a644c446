// From the costs of layers to the tables of UniAP's optimisation. Where the paper leaves open what
// a term contains, a named switch says it.
//
//   A[u, k] = F + B' + T + G + (gradients + update) share
//
// with F the forward pass, B' the backward pass together with what is overlapped with it, T the
// tensor-parallel collectives and G the gathers of sharded parameters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/base/result.h"
#include "strategies/uniap/cost_tables.h"
#include "strategies/uniap/layer_costs.h"

namespace soapbox::strategies::uniap {

// Gradients are reduced once per iteration, but p_i is counted c times.
//   kOnce   1/c of it is in A: the c counts of the slowest stage add up to one
//   kInside all of it is in A, as if every micro-batch reduced
enum class GradientSync : uint8_t { kOnce, kInside };

// Where a transfer between stages counts.
//   kCommunicationStage  in o_j, a stage of its own that overlaps with computing (Eq. 3)
//   kComputeStage        spread over the layers of the stages, in A, with o_j = 0 (Galvatron)
enum class Transfers : uint8_t { kCommunicationStage, kComputeStage };

enum class Backward : uint8_t { kProfiled, kTwiceForward };

// Micro-batches whose activations a stage holds: all of them, or stages - i. A single stage holds
// one either way.
enum class PipelineMemory : uint8_t { kGPipe, k1F1B };

// Traffic t beside computing b, both on one device.
//   kNone    t + b
//   kSlowed  each is slowed down while both run, by a factor of its own; one factor for both is
//            Galvatron's form
enum class Overlap : uint8_t { kNone, kSlowed };

// Sharded parameters are fetched while the layer before computes, or before the layer may start
// (Galvatron).
enum class Gathers : uint8_t { kPrefetched, kExposed };

struct TableOptions {
  GradientSync gradient_sync = GradientSync::kOnce;
  Transfers transfers = Transfers::kCommunicationStage;
  Backward backward = Backward::kProfiled;
  PipelineMemory memory = PipelineMemory::kGPipe;
  Overlap overlap = Overlap::kSlowed;
  Gathers gathers = Gathers::kPrefetched;
  double compute_slowdown = 1.0;  // while gradients are reduced
  double traffic_slowdown = 1.0;
  // Activations take so many times what the backward pass needs of them: frameworks hold gradients
  // beside them and fragments, and a profiler that reads peaks counts both.
  double activation_factor = 1.0;
};

// "gradient_sync=once", ...: sets one switch by name. The error names the switch or the value and
// what is allowed.
Status set_option(TableOptions& options, std::string_view name, std::string_view value);

// Seconds of traffic and computing together (see Overlap).
double overlapped(const TableOptions& options, double traffic_s, double compute_s);

// REQUIRES: stages divides the devices, microbatches divides the global batch.
CostTables build_tables(const LayerCosts& costs, const TableOptions& options, int32_t stages,
                        int64_t microbatches, int64_t global_batch);

}  // namespace soapbox::strategies::uniap
