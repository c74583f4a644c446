// Galvatron-2: its cost model and its search, faithful to the published ones, quirks included.
//
// Source: AFDWang/Hetu-Galvatron@0beac24 (Apache-2.0), which plans Transformers of a few types of
// layers (the repeated blocks) between an embedding and a head. Predicted times and memory are its
// own, and are not what the simulator says of the same plan. For one layer on pp x tp x dp devices,
// b samples of a micro-batch on one data rank, d = dp (tp x dp with Ulysses):
//
//   states    4 p / tp, p = fp32 parameters (not divided by tp with Ulysses); times the ratio of
//             ZeRO-2 or ZeRO-3 over d ranks, which depends on how gradients are kept
//   memory    states + activations(tp) x samples that a stage holds under its schedule
//   compute   F = t b / tp, backward 2 F, 3 F where activations are computed again
//   data      2 (dp-1)/dp p/tp bytes (half in 16 bits) overlapped with all or half of the backward
//             pass, both slowed down by one coefficient
//   tensor    4 (6) collectives of the hidden vectors, by the measured table or the line through it
//   sharded   half of the data traffic again, not overlapped
//   pipeline  pp x 2 b seq hidden x 4 bytes, spread over the layers of a type (of all stages)
//
// An iteration of stages C_0 .. C_{pp-1} (without, F_i with gradients), m micro-batches:
//
//   max( sum C + (m-1) C_last,
//        max(w C_0, sum of the other C) + C_0 max(0, m + 1 - pp) ),  w = min(pp-1, m-1)
//   + max(0, max_i (F_i - sum of C_0 .. C_i))
//
// Search: for all bounds on tp, ways to place the vocabulary and to shard it, kinds of tensor
// parallelism and pp: even stages, then MemoryDp in each; the best is kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "strategies/galvatron/strategy.h"

namespace soapbox::strategies::galvatron {

// Milliseconds of a collective by its size: the measured points, the line through them elsewhere.
// An all-reduce is stored as its half, one reduce-scatter or all-gather.
class MessageCurve {
 public:
  void add(int64_t megabytes, double ms) { points_ms_[megabytes] = ms; }
  double at(double bytes) const;
  double line(double bytes) const;

 private:
  std::map<int64_t, double> points_ms_;
};

// Memory of embedding and head together, by the degree of their tensor parallelism.
struct VocabMemory {
  std::map<int32_t, double> states_mb;
  std::map<int32_t, double> activation_mb_per_sample;
};

// ms of a forward pass of so many samples: a line.
struct ForwardTime {
  double ms_per_sample = 0;
  double fixed_ms = 0;
  double at(double samples) const { return ms_per_sample * samples + fixed_ms; }
  // The least squares line through (samples, ms); through the origin where there is one point or
  // the line would cross zero before it. REQUIRES: a point; above 0.
  static ForwardTime fit(std::span<const std::pair<double, double>> points);
};

// Layers of one type, in the order of execution.
struct Galvatron2Layers {
  int32_t layers = 0;
  int64_t hidden = 0;
  int64_t seq_len = 0;
  ForwardTime forward;                                 // of one layer
  double parameter_mb = 0;                             // of one layer, fp32
  std::map<int32_t, double> activation_mb_per_sample;  // by tensor-parallel degree
  double checkpoint_mb_per_sample = 0;
};

// Sizes in MB of 2^20 bytes; a bus bandwidth of 1 GB/s takes 1 ms per MB, as published.
struct Galvatron2Profile {
  std::vector<Galvatron2Layers> types;
  ForwardTime vocab;                                               // embedding and head together
  VocabMemory vocab_alone;                                         // where there is no pipeline
  VocabMemory vocab_first, vocab_last;                             // first and last stage of one
  std::map<std::pair<int32_t, bool>, double> all_reduce_gb_per_s;  // by ranks, neighbours or not
  std::map<int32_t, double> p2p_gb_per_s;                          // by pp
  std::map<int32_t, MessageCurve> all_reduce, all_to_all;          // by ranks
  double overlap_slowdown = 1;

  int32_t layer_count() const;
};

// The published engine that is followed. The formulas above are the earlier one's; the later one is
// PKU-DAIR/Hetu-Galvatron@cea12ff, files below galvatron/core. In it,
//
//   - cost_model/components/layer_cost.py: a layer's micro-batch follows from its own data ranks
//     (own_bounds); tensor parallelism is priced by the table, Megatron's by 6 gathers (9 with
//     checkpointing); Ulysses reduces gradients over tp x dp ranks; all of the backward pass
//     overlaps; GPipe holds all micro-batches; Ulysses always divides what checkpointing keeps
//   - cost_model/components/embedding_lmhead_cost.py: so does the vocabulary's micro-batch; its
//     gradients have 16 bits, its gathers are looked up in the table; both ends of a pipeline have
//     their own parameters; one data rank shards nothing
//   - search_engine/search_engine.py: tp has no lower bound; pp <= m; stages are even; the ranks of
//     a tensor group are neighbours
//   - search_engine/dynamic_programming.py: transitions cost only where tp differs under Megatron's
//     sequence parallelism; the vocabulary is split in a way a layer may be, where all layers are
//     alike in theirs
//
// Strategies whose data ranks cannot share a micro-batch evenly are left out: it drops the rest.
enum class Galvatron2Engine : uint8_t { kEarlier, kLater };

struct Galvatron2Options {
  Galvatron2Engine engine = Galvatron2Engine::kEarlier;
  int32_t devices = 8;
  int64_t memory_mb = 24 * 1024;  // of a device
  int64_t global_batch = 8;
  int64_t chunks = 1;  // micro-batches
  bool mixed_precision = true;
  bool zero2 = false;              // data parallelism that is not fully sharded shards gradients
  bool one_forward = false;        // 1F1B; else GPipe
  bool async_grad_reduce = true;   // gradients stay in 16 bits until they are reduced
  bool sequence_parallel = false;  // Megatron's
  bool ulysses = false;            // "tp+sp": Ulysses as a second kind of tensor parallelism
  bool fine_grained = true;        // each layer its own strategy; else all the same

  bool later() const { return engine == Galvatron2Engine::kLater; }
};

// min_tp is the smallest tensor-parallel degree of the search, whose micro-batches hold
// `microbatch` samples.
struct Galvatron2Bounds {
  int32_t min_tp = 1, max_tp = 1;
  int64_t microbatch = 1;
};
// The bounds that count for groups of `tp` ranks: the search's, or with the later engine their own.
Galvatron2Bounds own_bounds(const Galvatron2Options& options, const Galvatron2Bounds& bounds,
                            int32_t pp, int32_t tp);

// A layer's memory in MB on `stage`.
double layer_memory_mb(const Galvatron2Layers& type, const Galvatron2Options& options,
                       const LayerChoice& choice, const Galvatron2Bounds& bounds, int32_t stage);

// How embedding and head are split: over `tp` ranks by vocabulary or (sp) by sequence; their
// parameters fully sharded or not.
struct VocabChoice {
  int32_t tp = 1;
  bool sp = false;
  bool sdp = false;
  friend bool operator==(const VocabChoice&, const VocabChoice&) = default;
};
// MB on every stage of embedding, head and the framework's own 1024; `first` is the first strategy
// of the space (quirk: its degrees stand for all).
std::vector<double> vocab_memory_mb(const Galvatron2Profile& profile,
                                    const Galvatron2Options& options, const LayerChoice& first,
                                    const Galvatron2Bounds& bounds, const VocabChoice& vocab);
// Seconds of embedding and head on every stage.
std::vector<double> vocab_time_s(const Galvatron2Profile& profile, const Galvatron2Options& options,
                                 int32_t pp, const Galvatron2Bounds& bounds,
                                 const VocabChoice& vocab, bool with_gradients);

// Seconds of one layer for `samples` over all data ranks.
double layer_time_s(const Galvatron2Profile& profile, const Galvatron2Layers& type,
                    const Galvatron2Options& options, const LayerChoice& choice, double samples,
                    bool with_gradients);

// Seconds before a layer of `type` in a stage, and the biases that order equal plans.
double transition_s(const Galvatron2Profile& profile, const Galvatron2Layers& type,
                    const Galvatron2Options& options, const LayerChoice& from,
                    const LayerChoice& to, const Galvatron2Bounds& bounds);

// The leaves in the order of Galvatron-2, which breaks ties: 44 for 8 devices with checkpointing,
// twice those with tp > 1 where Ulysses is allowed. The later engine's are fewer and in its own
// order.
std::vector<LayerChoice> galvatron2_space(int32_t devices, bool ulysses,
                                          Galvatron2Engine engine = Galvatron2Engine::kEarlier);
// Layers of each stage: even (the remainder in the last stage), or for several types filled stage
// by stage up to the mean memory of data parallelism.
std::vector<int32_t> galvatron2_stages(const Galvatron2Profile& profile,
                                       const Galvatron2Options& options, int32_t pp,
                                       int64_t microbatch);

struct Galvatron2Plan {
  double iteration_s = 0;
  int32_t pp = 1;
  std::vector<int32_t> stage_layers;
  std::vector<LayerChoice> layers;
  VocabChoice vocab;
};
// The best plan of one batch and number of micro-batches within `space`; nothing where none fits.
std::optional<Galvatron2Plan> galvatron2_search(const Galvatron2Profile& profile,
                                                const Galvatron2Options& options,
                                                const std::vector<LayerChoice>& space);

}  // namespace soapbox::strategies::galvatron
