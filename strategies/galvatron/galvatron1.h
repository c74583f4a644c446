// Galvatron v1: its cost model and its search, faithful to the published ones, quirks included.
//
// Source: Miao et al., PVLDB 16(3), 2022, and the artefact anonymous-cs-system/Galvatron@b079221.
// The model is analytic: predicted times and memory are its own, and are not what the simulator
// says of the same plan. What it does, per layer and whole batch B, on pp x tp x dp devices:
//
//   states    4 p / tp, p = fp32 parameters; times (1/dp + 0.025) where fully sharded
//   memory    states + activations(tp) B / dp   (GPipe: all micro-batches are held)
//   compute   F = t_fwd B / (dp tp), backward 2 F
//   data      2 (dp-1)/dp p/tp bytes, overlapped with (part of) the backward pass, both slowed
//             down by one coefficient while they overlap
//   tensor    k 2 (tp-1)/tp b seq hidden 4 bytes, k = 4 all-reduces (6 in a decoder)
//   sharded   half of the data traffic again, not overlapped
//   pipeline  compute (pp + m - 1) / (pp m) + the rest, m = micro-batches
//   all of it times 1.1
//
// Search: for every pp the stages are cut first (evenly, or greedily by memory where there is more
// than one type of layer), then each stage is solved by MemoryDp; the best pp is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "strategies/galvatron/strategy.h"

namespace soapbox::strategies::galvatron {

// What is known of one type of layers. MB are 2^20 bytes.
struct LayerProfile {
  std::string name;
  int32_t layers = 0;
  double parameter_mb = 0;                             // fp32, unsharded
  std::map<int32_t, double> activation_mb_per_sample;  // by tensor-parallel degree
  double forward_ms_per_sample = 0;
  double extra_overhead_ms = 0;  // of 24 layers, where gradients are reduced
  int64_t seq_len = 0;
  int64_t hidden = 0;
  bool decoder = false;  // cross attention: six all-reduces instead of four
};

// Inverse bus bandwidth in ms per MB of a group by pipeline degree, size and whether its ranks are
// neighbours. A group that is the whole stage is stored as consecutive.
class CommCoefficients {
 public:
  void set(int32_t pp, int32_t size, bool consecutive, double ms_per_mb);
  // 0 for a group of one. Aborts where the coefficient is missing.
  double at(int32_t pp, int32_t size, bool consecutive) const;
  bool has(int32_t pp, int32_t size, bool consecutive) const;

 private:
  std::map<std::tuple<int32_t, int32_t, bool>, double> ms_per_mb_;
};

struct Galvatron1Profile {
  std::vector<LayerProfile> layer_types;  // in order of execution
  double other_states_mb = 0;             // embedding and head
  double other_activation_mb_per_sample = 0;
  double context_mb = 1024;
  CommCoefficients comm;
  double overlap_slowdown = 1.3;
  double backward_over_forward = 2;
  // Micro-batches (may be a fraction: quirk) for a local batch.
  std::function<double(double local_batch, const LayerChoice&)> chunks;

  int32_t layer_count() const;
};

struct LayerMemory {
  double states_mb = 0;
  double activation_mb = 0;
  double total_mb() const { return states_mb + activation_mb; }
};
LayerMemory layer_memory(const Galvatron1Profile& profile, size_t layer_type,
                         const LayerChoice& choice, int64_t global_batch);
// Embedding, head and the framework's own, on the first stage.
double other_memory_mb(const Galvatron1Profile& profile, const LayerChoice& choice,
                       int64_t global_batch);
// Seconds of one layer for a whole iteration.
double layer_time_s(const Galvatron1Profile& profile, size_t layer_type, const LayerChoice& choice,
                    int64_t global_batch);

struct GalvatronPlan {
  double iteration_s = 0;  // predicted by the model above
  int32_t pp = 0;
  std::vector<int32_t> stage_layers = {};
  std::vector<LayerChoice> layers = {};
  std::vector<int64_t> stage_memory_mb = {};
};

// Layers of each stage: even (the remainder in the last stage), or for several types of layers
// filled from the last stage backwards up to the mean memory.
std::vector<int32_t> cut_stages(const Galvatron1Profile& profile, int32_t pp, int64_t global_batch,
                                std::span<const LayerChoice> space);

// The best plan of one global batch within `budget_mb` per device; nothing where none fits.
std::optional<GalvatronPlan> galvatron1_search(const Galvatron1Profile& profile,
                                               std::span<const LayerChoice> space,
                                               int64_t global_batch, int64_t budget_mb);

// The plan as run lengths: "2-4-1x1 2-2*-2x14 | 2-1-4x16".
std::string to_string(const GalvatronPlan& plan);

}  // namespace soapbox::strategies::galvatron
