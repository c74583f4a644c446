// Galvatron-2's costs of a layer, and of embedding and head.
#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "strategies/galvatron/galvatron2.h"

namespace soapbox::strategies::galvatron {
namespace {

constexpr double kMb = 1024 * 1024;
constexpr double kFsdpBias = 0.003;
constexpr double kContextMb = 1024;

// What remains of the states on each of d ranks.
struct ZeroRatios {
  double zero2 = 1;
  double zero3 = 1;
};
ZeroRatios zero_ratios(const Galvatron2Options& options, int64_t chunks, int32_t d) {
  const double share = 1.0 / d + kFsdpBias;
  const bool mixed = options.mixed_precision;
  const auto mix = [share](double sharded) { return sharded * share + (1 - sharded); };
  if (chunks == 1) return {mix(mixed ? 7.0 / 8 : 3.0 / 4), share};
  if (options.async_grad_reduce) {
    return {mix(mixed ? 6.0 / 8 : 2.0 / 4), mix(mixed ? 7.0 / 8 : 3.0 / 4)};
  }
  return {mixed ? mix(7.0 / 8) * 5 / 4 : mix(3.0 / 4), share * 5 / 4};
}

using Point = std::pair<double, double>;
struct Line {
  double mean_x = 0, mean_y = 0, slope = 0;
};
Line least_squares(std::span<const Point> points) {
  Line line;
  const auto n = static_cast<double>(points.size());
  for (const auto& [x, y] : points) {
    line.mean_x += x / n;
    line.mean_y += y / n;
  }
  double covariance = 0;
  double variance = 0;
  for (const auto& [x, y] : points) {
    covariance += (x - line.mean_x) * (y - line.mean_y);
    variance += (x - line.mean_x) * (x - line.mean_x);
  }
  if (variance > 0) line.slope = covariance / variance;
  return line;
}

// Micro-batches that a data rank can make of its samples.
int64_t chunks_of(const Galvatron2Options& options, const LayerChoice& c,
                  const Galvatron2Bounds& bounds) {
  const int64_t local = options.global_batch / c.dp / (c.tp / bounds.min_tp);
  const int64_t wanted = std::max<int64_t>(1, (local + bounds.microbatch - 1) / bounds.microbatch);
  const int64_t most = options.global_batch / (c.tp * c.dp / bounds.min_tp);
  return std::min(wanted, std::max<int64_t>(1, most));
}

// Of `samples` cut into pieces as equal as PyTorch cuts them: those of the first `count` pieces.
int64_t samples_of_first(int64_t samples, int64_t pieces, int64_t count) {
  const int64_t size = (samples + pieces - 1) / pieces;
  return std::min(samples, count * size);
}

double ms_per_mb(const Galvatron2Profile& profile, int32_t ranks, bool consecutive) {
  if (ranks == 1) return 0;
  const auto found = profile.all_reduce_gb_per_s.find({ranks, consecutive});
  SOAPBOX_CHECK(found != profile.all_reduce_gb_per_s.end(), "a group without a bandwidth");
  return 1 / found->second;
}

double data_ms_per_mb(const Galvatron2Profile& profile, const LayerChoice& c) {
  if (c.ulysses) return ms_per_mb(profile, c.tp * c.dp, true);
  return ms_per_mb(profile, c.dp, !c.mixed() || !c.tp_consecutive);
}

double hidden_bytes(const Galvatron2Layers& type, const Galvatron2Options& options,
                    double samples) {
  return samples * static_cast<double>(type.seq_len) * static_cast<double>(type.hidden) *
         (options.mixed_precision ? 2 : 4);
}

double tensor_ms(const Galvatron2Profile& profile, const Galvatron2Layers& type,
                 const Galvatron2Options& options, const LayerChoice& c, double samples) {
  if (c.tp == 1) return 0;
  const double once = options.later() && !c.ulysses ? 6 : 4;
  const double times = c.checkpoint ? 1.5 * once : once;
  const double bytes = hidden_bytes(type, options, samples);
  if (options.ulysses || options.later()) {
    const auto& curves = c.ulysses ? profile.all_to_all : profile.all_reduce;
    return times * curves.at(c.tp).at(bytes);
  }
  return times * 2 * (c.tp - 1) / c.tp * bytes / kMb *
         ms_per_mb(profile, c.tp, !c.mixed() || c.tp_consecutive);
}

// Gradient traffic and backward pass at once.
double overlapped_ms(double traffic_mb, double ms_per_mb, double backward_ms, double slowdown) {
  const double slowed = ms_per_mb * slowdown;
  const double traffic_ms = traffic_mb * slowed;
  const double compute_ms = backward_ms * slowdown;
  if (traffic_ms > compute_ms) {
    return compute_ms + (traffic_mb - compute_ms / slowed) * ms_per_mb;
  }
  if (traffic_ms < compute_ms) return traffic_ms + (backward_ms - traffic_ms / slowdown);
  return compute_ms;
}

// Embedding and head hide traffic behind slowed-down computing.
double hidden_behind_ms(double traffic_ms, double compute_ms, double slowdown) {
  const double slowed = compute_ms * slowdown;
  return slowed > traffic_ms ? traffic_ms + (slowed - traffic_ms) / slowdown : traffic_ms;
}

}  // namespace

int32_t Galvatron2Profile::layer_count() const {
  int32_t count = 0;
  for (const Galvatron2Layers& type : types) count += type.layers;
  return count;
}

double MessageCurve::at(double bytes) const {
  const double megabytes = bytes / kMb;
  const auto whole = static_cast<int64_t>(megabytes);
  const auto found = points_ms_.find(whole);
  if (found != points_ms_.end() && static_cast<double>(whole) == megabytes) return found->second;
  return line(bytes);
}

double MessageCurve::line(double bytes) const {
  SOAPBOX_CHECK(points_ms_.size() >= 2, "a line needs two points");
  const std::vector<Point> points(points_ms_.begin(), points_ms_.end());
  const Line line = least_squares(points);
  return line.mean_y + line.slope * (bytes / kMb - line.mean_x);
}

ForwardTime ForwardTime::fit(std::span<const Point> points) {
  SOAPBOX_CHECK(!points.empty(), "a line through nothing");
  const Line line = least_squares(points);
  const double fixed_ms = line.mean_y - line.slope * line.mean_x;
  if (points.size() > 1 && fixed_ms >= 0) return {line.slope, fixed_ms};
  double product = 0;
  double square = 0;
  for (const auto& [x, y] : points) {
    product += x * y;
    square += x * x;
  }
  return {product / square, 0};
}

Galvatron2Bounds own_bounds(const Galvatron2Options& options, const Galvatron2Bounds& bounds,
                            int32_t pp, int32_t tp) {
  if (!options.later()) return bounds;
  return {tp, bounds.max_tp, options.global_batch / options.chunks / (options.devices / pp / tp)};
}

double layer_memory_mb(const Galvatron2Layers& type, const Galvatron2Options& options,
                       const LayerChoice& c, const Galvatron2Bounds& search, int32_t stage) {
  const Galvatron2Bounds bounds = own_bounds(options, search, c.pp, c.tp);
  const int64_t chunks = chunks_of(options, c, bounds);
  const int64_t local = options.global_batch / c.dp / (c.tp / bounds.min_tp);
  double samples = static_cast<double>(options.global_batch) / c.dp;
  if (options.one_forward || c.pp == 1) {
    const int64_t held = std::min<int64_t>(c.pp - stage, chunks);
    samples *=
        static_cast<double>(samples_of_first(local, chunks, held)) / static_cast<double>(local);
  } else if (!options.later()) {
    samples = static_cast<double>(samples_of_first(local, chunks, 1));
  }
  double states = 4 * (c.ulysses ? type.parameter_mb : type.parameter_mb / c.tp);
  if (c.dp > 1) {  // quirk: Ulysses alone shards nothing
    const ZeroRatios ratios = zero_ratios(options, chunks, c.ulysses ? c.tp * c.dp : c.dp);
    if (c.fsdp) {
      states *= ratios.zero3;
    } else if (options.zero2) {
      states *= ratios.zero2;
    }
  }
  if (!c.checkpoint) return states + type.activation_mb_per_sample.at(c.tp) * samples;
  const double kept = type.checkpoint_mb_per_sample * samples;
  const bool divided = options.sequence_parallel || (options.later() && c.ulysses);
  return states + (divided ? kept / c.tp : kept);
}

std::vector<double> vocab_memory_mb(const Galvatron2Profile& profile,
                                    const Galvatron2Options& options, const LayerChoice& first,
                                    const Galvatron2Bounds& bounds, const VocabChoice& vocab) {
  const int64_t chunks = chunks_of(options, first, own_bounds(options, bounds, first.pp, first.tp));
  const double samples = static_cast<double>(options.global_batch) * vocab.tp / first.tp /
                         first.dp / static_cast<double>(chunks);
  const int32_t ranks = first.tp * first.dp;
  const ZeroRatios ratios = zero_ratios(options, chunks, vocab.sp ? ranks : ranks / vocab.tp);
  const bool whole = options.later() && ranks == vocab.tp;
  const double ratio = whole ? 1.0 : vocab.sdp ? ratios.zero3 : options.zero2 ? ratios.zero2 : 1.0;
  const auto needed = [&](const VocabMemory& memory, double held) {
    return memory.states_mb.at(vocab.sp ? 1 : vocab.tp) * ratio +
           memory.activation_mb_per_sample.at(vocab.tp) * held;
  };
  std::vector<double> stages(static_cast<size_t>(first.pp), 0);
  if (first.pp == 1) {
    stages[0] += needed(profile.vocab_alone, samples);
  } else {
    const double held = options.later() ? samples * static_cast<double>(chunks) : samples;
    const bool one = options.one_forward;
    stages.front() += needed(profile.vocab_first, one ? samples * first.pp : held);
    stages.back() += needed(profile.vocab_last, one ? samples : held);
  }
  for (double& mb : stages) mb += kContextMb;
  return stages;
}

std::vector<double> vocab_time_s(const Galvatron2Profile& profile, const Galvatron2Options& options,
                                 int32_t pp, const Galvatron2Bounds& search,
                                 const VocabChoice& vocab, bool with_gradients) {
  const Galvatron2Bounds bounds = own_bounds(options, search, pp, vocab.tp);
  const int32_t ranks = options.devices / pp;
  const int32_t dp = vocab.sp ? ranks : ranks / vocab.tp;
  const bool whole = vocab.sp || vocab.tp == 1 || dp == 1;
  const double per_mb = ms_per_mb(profile, dp, whole) * (dp - 1) / dp;
  double tensor = 0;
  if (!vocab.sp && vocab.tp > 1) {
    const double bytes =
        hidden_bytes(profile.types.front(), options, static_cast<double>(bounds.microbatch));
    tensor = options.later()   ? profile.all_reduce.at(vocab.tp).at(bytes)
             : options.ulysses ? profile.all_reduce.at(vocab.tp).line(bytes)
                               : (vocab.tp - 1.0) / vocab.tp * bytes / kMb *
                                     ms_per_mb(profile, vocab.tp, dp == 1);
  }
  const double forward =
      profile.vocab.at(static_cast<double>(bounds.microbatch) / bounds.min_tp) / (pp == 1 ? 1 : 2);
  const double parameters_per_state =
      options.later() && options.mixed_precision ? 1.0 / 8 : 1.0 / 4;
  const double in_forward = vocab.sdp ? 0.5 : 0.0;
  const double in_backward = (vocab.sdp ? 1.0 : 0.5) - (with_gradients ? 0 : 0.5);
  const auto end_s = [&](const VocabMemory& memory) {
    const double traffic =
        memory.states_mb.at(vocab.sp ? 1 : vocab.tp) * parameters_per_state * per_mb;
    const double slowdown = profile.overlap_slowdown;
    return 0.001 * (hidden_behind_ms(traffic * in_forward, forward, slowdown) +
                    hidden_behind_ms(traffic * in_backward, 2 * forward, slowdown) +
                    tensor * (pp == 1 ? 2 : 1));
  };
  if (pp == 1) return {end_s(profile.vocab_alone)};
  std::vector<double> stages(static_cast<size_t>(pp), 0);
  // Quirk of the earlier engine: one end counts for both.
  stages.front() = end_s(options.later() || !vocab.sp ? profile.vocab_first : profile.vocab_last);
  stages.back() = end_s(options.later() || vocab.sp ? profile.vocab_last : profile.vocab_first);
  return stages;
}

double layer_time_s(const Galvatron2Profile& profile, const Galvatron2Layers& type,
                    const Galvatron2Options& options, const LayerChoice& c, double samples,
                    bool with_gradients) {
  const double batch = samples / c.dp;
  const double forward = type.forward.at(batch / c.tp);
  const double backward = forward * (c.checkpoint ? 3 : 2);
  const double parameter_mb = c.ulysses ? type.parameter_mb : type.parameter_mb / c.tp;
  const int32_t ranks = options.later() && c.ulysses ? c.tp * c.dp : c.dp;
  const double data_mb =
      2.0 * (ranks - 1) / ranks * parameter_mb / (options.mixed_precision ? 2 : 1);
  const double per_mb = data_ms_per_mb(profile, c);
  double ms = forward + backward + tensor_ms(profile, type, options, c, batch);
  if (c.dp > 1) {
    // With large tensor groups half of the backward pass is not overlapped (earlier engine).
    const double part = options.later() || c.tp == 1 || c.tp < c.tp * c.dp / 2 ? 1.0 : 0.5;
    ms += overlapped_ms(with_gradients ? data_mb : 0, per_mb, backward * part,
                        profile.overlap_slowdown) -
          backward * part;
  }
  if (c.fsdp) ms += 0.5 * data_mb * per_mb;
  if (c.pp > 1) {  // quirk: one micro-batch's traffic for all layers of the type together
    const double bytes = 2 * c.pp * hidden_bytes(type, options, batch);
    ms += bytes / kMb / profile.p2p_gb_per_s.at(c.pp) / type.layers;
  }
  return 0.001 * ms;
}

namespace {

struct Ignoring {
  bool ulysses = false, fsdp = false, checkpoint = false;
};
// Equal but for what is ignored.
bool alike(const LayerChoice& a, LayerChoice b, const Ignoring& ignoring) {
  if (ignoring.ulysses) b.ulysses = a.ulysses;
  if (ignoring.fsdp) b.fsdp = a.fsdp;
  if (ignoring.checkpoint) b.checkpoint = a.checkpoint;
  return a == b;
}

// Orders equal plans: sharded and checkpointed layers come first.
std::optional<double> tie_bias_s(const LayerChoice& from, const LayerChoice& to) {
  const bool but_fsdp = alike(from, to, {.fsdp = true});
  const bool but_checkpoint = alike(from, to, {.checkpoint = true});
  const bool but_both = alike(from, to, {.fsdp = true, .checkpoint = true});
  if (from == to) return std::nullopt;
  if (but_both && !but_fsdp && !but_checkpoint && from.fsdp && to.checkpoint) return 1e-9;
  if (but_both && to.fsdp && to.checkpoint) return 3e-9;
  if (but_checkpoint && to.checkpoint) return 2e-9;
  if (but_fsdp && to.fsdp) return 1e-9;
  if (alike(from, to, {.ulysses = true}) && to.ulysses) return 1e-10;
  return std::nullopt;
}

}  // namespace

double transition_s(const Galvatron2Profile& profile, const Galvatron2Layers& type,
                    const Galvatron2Options& options, const LayerChoice& from,
                    const LayerChoice& to, const Galvatron2Bounds& search) {
  if (const std::optional<double> bias = tie_bias_s(from, to)) return *bias;
  const bool other_order = from.mixed() && to.mixed() && from.tp_consecutive != to.tp_consecutive;
  const bool moves = to.tp > from.tp || (other_order && to.tp == from.tp) ||
                     (other_order && from.tp * from.dp == 8 && from.tp == 4 && to.tp == 2);
  const bool gathers = options.sequence_parallel && to.tp != from.tp;
  if (!gathers && (options.later() || !moves)) return 0;
  const int32_t tp = std::max(from.tp, to.tp);
  const int32_t dp = std::min(from.dp, to.dp);
  const LayerChoice& wider = to.tp > from.tp ? to : from;
  const double per_mb = ms_per_mb(profile, tp, tp == 1 || dp == 1 || wider.tp_consecutive);
  const Galvatron2Bounds bounds = own_bounds(options, search, from.pp, tp);
  const int64_t samples = bounds.microbatch * (tp / bounds.min_tp);
  constexpr double kSecondsPerByteMs = 1e-7;  // as published
  return (tp - 1.0) / tp * hidden_bytes(type, options, static_cast<double>(samples)) * per_mb *
         kSecondsPerByteMs;
}

}  // namespace soapbox::strategies::galvatron
