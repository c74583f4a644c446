// Galvatron-2's search.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "sim/base/check.h"
#include "strategies/galvatron/galvatron2.h"
#include "strategies/galvatron/memory_dp.h"

namespace soapbox::strategies::galvatron {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Which kinds of tensor parallelism may be mixed.
enum class TensorKinds : uint8_t { kMegatron, kUlysses, kBoth };

bool allowed(const LayerChoice& c, TensorKinds kinds) {
  return c.tp == 1 || kinds == TensorKinds::kBoth || c.ulysses == (kinds == TensorKinds::kUlysses);
}

// Strategies that another one beats whatever their neighbours are, in every layer of the stage,
// left out: it is smaller, and faster by more than any transition can make up for. The optimum is
// the same.
class Domination {
 public:
  explicit Domination(const StageProblem& stage) : stage_(stage) {
    for (size_t i = 0; i < stage.layers; ++i) {
      if (i == 0 || !same_as_before(i)) distinct_.push_back(i);
    }
  }
  std::vector<size_t> survivors() const {
    std::vector<size_t> kept;
    for (size_t s = 0; s < stage_.strategies; ++s) {
      bool beaten = false;
      for (size_t k = 0; k < stage_.strategies && !beaten; ++k) beaten = k != s && beats(k, s);
      if (!beaten) kept.push_back(s);
    }
    return kept;
  }

 private:
  double transition(size_t layer, size_t from, size_t to) const {
    return stage_.transition_s[(layer * stage_.strategies + from) * stage_.strategies + to];
  }
  bool same_as_before(size_t layer) const {
    const auto equal = [layer](const auto& values, size_t width) {
      const auto at = values.begin() + static_cast<ptrdiff_t>(layer * width);
      return std::equal(at, at + static_cast<ptrdiff_t>(width), at - static_cast<ptrdiff_t>(width));
    };
    const size_t n = stage_.strategies;
    return equal(stage_.memory_mb, n) && equal(stage_.intra_s, n) &&
           equal(stage_.transition_s, n * n);
  }
  // Transitions into any layer count for the one before it.
  bool beats(size_t better, size_t s) const {
    double in = 0;
    double out = 0;
    for (const size_t i : distinct_) {
      for (size_t k = 0; k < stage_.strategies; ++k) {
        in = std::max(in, transition(i, k, better) - transition(i, k, s));
        out = std::max(out, transition(i, better, k) - transition(i, s, k));
      }
    }
    return std::all_of(distinct_.begin(), distinct_.end(), [&](size_t i) {
      const size_t row = i * stage_.strategies;
      return stage_.memory_mb[row + better] <= stage_.memory_mb[row + s] &&
             stage_.intra_s[row + better] + in + out < stage_.intra_s[row + s];
    });
  }

  const StageProblem& stage_;
  std::vector<size_t> distinct_;  // one layer of each run of equal ones
};

// The same stage with some of its strategies.
StageProblem restricted(const StageProblem& stage, const std::vector<size_t>& kept) {
  const size_t n = stage.strategies;
  StageProblem small{stage.layers, kept.size(), {}, {}, {}};
  for (size_t i = 0; i < stage.layers; ++i) {
    for (const size_t s : kept) {
      small.memory_mb.push_back(stage.memory_mb[i * n + s]);
      small.intra_s.push_back(stage.intra_s[i * n + s]);
    }
    for (const size_t from : kept) {
      for (const size_t to : kept) {
        small.transition_s.push_back(stage.transition_s[(i * n + from) * n + to]);
      }
    }
  }
  return small;
}

// One pair of bounds on tp, kind of tensor parallelism and pipeline degree.
class DegreeSearch {
 public:
  DegreeSearch(const Galvatron2Profile& profile, const Galvatron2Options& options,
               std::vector<LayerChoice> space, const Galvatron2Bounds& bounds, TensorKinds kinds);
  // Improves `best` with the best plan of each vocabulary.
  void improve(std::optional<Galvatron2Plan>& best) const;

 private:
  using Stages = std::vector<StageProblem>;
  StageProblem make_stage(size_t first, size_t end, int32_t stage) const;
  int64_t budget_mb(size_t stage, const std::vector<double>& vocab_mb) const;
  // Strategies of all layers within the budgets; empty where none fits.
  std::vector<LayerChoice> fine(const std::vector<double>& vocab_mb) const;
  std::vector<VocabChoice> vocabularies() const;
  // All layers may have `c` beside `vocab`.
  bool goes_with(const LayerChoice& c, const VocabChoice& vocab) const;
  bool fits_uniformly(size_t s, const std::vector<double>& vocab_mb) const;
  double iteration_s(const std::vector<LayerChoice>& layers, const VocabChoice& vocab) const;
  void keep_better(const std::vector<LayerChoice>& layers, const VocabChoice& vocab,
                   std::optional<Galvatron2Plan>& best) const;

  const Galvatron2Profile& profile_;
  const Galvatron2Options& options_;
  std::vector<LayerChoice> space_;
  Galvatron2Bounds bounds_;
  TensorKinds kinds_;
  int32_t pp_;
  int64_t most_mb_ = 0;
  std::vector<int32_t> stage_layers_;
  std::vector<size_t> type_of_layer_;
  Stages stages_;
  std::vector<std::vector<size_t>> kept_;  // strategies of each stage
  Stages small_;
  std::vector<MemoryDp> programs_;
};

DegreeSearch::DegreeSearch(const Galvatron2Profile& profile, const Galvatron2Options& options,
                           std::vector<LayerChoice> space, const Galvatron2Bounds& bounds,
                           TensorKinds kinds)
    : profile_(profile),
      options_(options),
      space_(std::move(space)),
      bounds_(bounds),
      kinds_(kinds),
      pp_(space_.front().pp),
      stage_layers_(galvatron2_stages(profile, options, pp_, bounds.microbatch)) {
  // A fifth of large memories is left to the allocator's cache.
  const int64_t all_mb = options.memory_mb;
  most_mb_ = all_mb / 1024 > 20 ? all_mb - static_cast<int64_t>(static_cast<double>(all_mb) * 0.2)
                                : all_mb;
  for (size_t t = 0; t < profile.types.size(); ++t) {
    type_of_layer_.insert(type_of_layer_.end(), static_cast<size_t>(profile.types[t].layers), t);
  }
  size_t first = 0;
  for (size_t i = 0; i < stage_layers_.size(); ++i) {
    const size_t end = first + static_cast<size_t>(stage_layers_[i]);
    stages_.push_back(make_stage(first, end, static_cast<int32_t>(i)));
    first = end;
  }
  if (!options.fine_grained) return;
  for (const StageProblem& stage : stages_) {
    kept_.push_back(Domination(stage).survivors());
    small_.push_back(restricted(stage, kept_.back()));
  }
  for (const StageProblem& stage : small_) programs_.emplace_back(stage, most_mb_);
}

StageProblem DegreeSearch::make_stage(size_t first, size_t end, int32_t stage) const {
  StageProblem problem{end - first, space_.size(), {}, {}, {}};
  const double samples =
      static_cast<double>(options_.global_batch) / static_cast<double>(options_.chunks);
  for (size_t u = first; u < end; ++u) {
    const Galvatron2Layers& type = profile_.types[type_of_layer_[u]];
    for (const LayerChoice& c : space_) {
      const double mb = layer_memory_mb(type, options_, c, bounds_, stage);
      problem.memory_mb.push_back(static_cast<int32_t>(std::ceil(mb)));
      problem.intra_s.push_back(layer_time_s(profile_, type, options_, c, samples, true));
      for (const LayerChoice& to : space_) {
        problem.transition_s.push_back(
            u == 0 ? 0 : transition_s(profile_, type, options_, c, to, bounds_));
      }
    }
  }
  return problem;
}

// What the layers of a stage may have: gathered activations of Megatron's sequence parallelism and
// the vocabulary are taken off.
int64_t DegreeSearch::budget_mb(size_t stage, const std::vector<double>& vocab_mb) const {
  int64_t buffer = 0;
  const bool gathers =
      kinds_ != TensorKinds::kUlysses || (!options_.fine_grained && !options_.later());
  if (options_.sequence_parallel && gathers) {
    const Galvatron2Bounds bounds = own_bounds(options_, bounds_, pp_, bounds_.max_tp);
    int64_t seq_len = 0;
    for (const Galvatron2Layers& type : profile_.types) seq_len = std::max(seq_len, type.seq_len);
    const double mb = static_cast<double>(bounds.microbatch) / bounds.min_tp * bounds.max_tp *
                      static_cast<double>(profile_.types.front().hidden * seq_len) * 4 / 1024 /
                      1024;
    buffer = static_cast<int64_t>(options_.mixed_precision ? mb / 2 : mb);
  }
  return most_mb_ - static_cast<int64_t>(std::ceil(vocab_mb[stage])) - buffer;
}

std::vector<LayerChoice> DegreeSearch::fine(const std::vector<double>& vocab_mb) const {
  std::vector<LayerChoice> layers;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const auto chosen = programs_[i].best(budget_mb(i, vocab_mb));
    if (!chosen) return {};
    for (const uint16_t s : chosen->strategy) layers.push_back(space_[kept_[i][s]]);
  }
  return layers;
}

bool DegreeSearch::fits_uniformly(size_t s, const std::vector<double>& vocab_mb) const {
  for (size_t i = 0; i < stages_.size(); ++i) {
    const int64_t mb = int64_t{stages_[i].memory_mb[s]} * stage_layers_[i];
    if (mb > budget_mb(i, vocab_mb)) return false;
  }
  return true;
}

double DegreeSearch::iteration_s(const std::vector<LayerChoice>& layers,
                                 const VocabChoice& vocab) const {
  const auto chunks = static_cast<double>(options_.chunks);
  const double samples = static_cast<double>(options_.global_batch) / chunks;
  std::vector<double> compute = vocab_time_s(profile_, options_, pp_, bounds_, vocab, false);
  std::vector<double> whole(compute.size(), 0);
  size_t layer = 0;
  for (size_t i = 0; i < compute.size(); ++i) {
    for (int32_t u = 0; u < stage_layers_[i]; ++u, ++layer) {
      const Galvatron2Layers& type = profile_.types[type_of_layer_[layer]];
      compute[i] += layer_time_s(profile_, type, options_, layers[layer], samples, false);
      whole[i] += layer_time_s(profile_, type, options_, layers[layer], samples, true);
    }
  }
  double sum = 0;
  double exposed = 0;
  for (size_t i = 0; i < compute.size(); ++i) {
    sum += compute[i];
    exposed = std::max(exposed, whole[i] - sum);
  }
  const double waits = std::min(pp_ - 1.0, chunks - 1) * compute[0];
  const double steady = compute[0] * std::max(0.0, chunks + 1 - pp_);
  return std::max(sum + compute.back() * (chunks - 1), std::max(waits, sum - compute[0]) + steady) +
         exposed;
}

void DegreeSearch::keep_better(const std::vector<LayerChoice>& layers, const VocabChoice& vocab,
                               std::optional<Galvatron2Plan>& best) const {
  if (layers.empty()) return;
  const double time_s = iteration_s(layers, vocab);
  if (!best || time_s < best->iteration_s) best = {time_s, pp_, stage_layers_, layers, vocab};
}

std::vector<VocabChoice> DegreeSearch::vocabularies() const {
  std::vector<VocabChoice> found;
  if (options_.later()) {
    for (const LayerChoice& c : space_) {
      if (!c.checkpoint) found.push_back({c.tp, c.ulysses, c.fsdp});
    }
    return found;
  }
  for (const bool sp : {false, true}) {
    if (kinds_ == (sp ? TensorKinds::kMegatron : TensorKinds::kUlysses)) continue;
    if (sp && !options_.ulysses) continue;
    for (const bool sdp : {false, true}) {
      for (int32_t tp = bounds_.min_tp; tp <= bounds_.max_tp && tp * pp_ <= options_.devices;
           tp *= 2) {
        found.push_back({tp, sp, sdp});
      }
    }
  }
  return found;
}

bool DegreeSearch::goes_with(const LayerChoice& c, const VocabChoice& vocab) const {
  if (options_.later()) return VocabChoice{c.tp, c.ulysses, c.fsdp} == vocab;
  return c.tp == vocab.tp;
}

void DegreeSearch::improve(std::optional<Galvatron2Plan>& best) const {
  const size_t layer_count = type_of_layer_.size();
  for (const VocabChoice& vocab : vocabularies()) {
    const auto vocab_mb = vocab_memory_mb(profile_, options_, space_.front(), bounds_, vocab);
    if (options_.fine_grained) {
      keep_better(fine(vocab_mb), vocab, best);
      continue;
    }
    for (size_t s = 0; s < space_.size(); ++s) {
      if (goes_with(space_[s], vocab) && fits_uniformly(s, vocab_mb)) {
        keep_better(std::vector<LayerChoice>(layer_count, space_[s]), vocab, best);
      }
    }
  }
}

// Micro-batch of one pipeline degree; false where the batch cannot be cut so.
bool cut_batch(const Galvatron2Options& options, int32_t pp, Galvatron2Bounds& bounds) {
  const int32_t ranks = options.devices / pp / bounds.min_tp;
  if (ranks == 0 || options.global_batch % ranks != 0) return false;
  const int64_t local = options.global_batch / ranks;
  bounds.microbatch = (local + options.chunks - 1) / options.chunks;
  return options.chunks <= local &&
         options.chunks == (local + bounds.microbatch - 1) / bounds.microbatch;
}

// The same with the later engine, where Ulysses alone has but one bound on tp.
bool later_degree(const Galvatron2Options& options, int32_t pp, TensorKinds kinds,
                  const Galvatron2Bounds& bounds) {
  const int32_t most_tp = options.devices / pp;
  if (pp > options.chunks || options.global_batch % options.chunks != 0) return false;
  return bounds.max_tp == most_tp || (kinds != TensorKinds::kUlysses && bounds.max_tp < most_tp);
}

// Strategies and micro-batch of one pipeline degree.
std::vector<LayerChoice> of_degree(const Galvatron2Options& options,
                                   const std::vector<LayerChoice>& space, int32_t pp,
                                   TensorKinds kinds, Galvatron2Bounds& bounds) {
  const bool possible =
      options.later() ? later_degree(options, pp, kinds, bounds) : cut_batch(options, pp, bounds);
  if (!possible) return {};
  std::vector<LayerChoice> found;
  for (const LayerChoice& c : space) {
    const bool even = !options.later() || options.global_batch / options.chunks % c.dp == 0;
    if (c.pp == pp && c.tp >= bounds.min_tp && c.tp <= bounds.max_tp && even && allowed(c, kinds)) {
      found.push_back(c);
    }
  }
  return found;
}

void search_bounds(const Galvatron2Profile& profile, const Galvatron2Options& options,
                   const std::vector<LayerChoice>& space, Galvatron2Bounds bounds,
                   std::optional<Galvatron2Plan>& best) {
  for (const TensorKinds kinds :
       {TensorKinds::kMegatron, TensorKinds::kUlysses, TensorKinds::kBoth}) {
    if (!options.ulysses && !options.later() && kinds != TensorKinds::kMegatron) continue;
    for (int32_t pp = 1; pp <= options.devices; pp *= 2) {
      std::vector<LayerChoice> choices = of_degree(options, space, pp, kinds, bounds);
      if (choices.empty() || pp > profile.layer_count()) continue;
      DegreeSearch(profile, options, std::move(choices), bounds, kinds).improve(best);
    }
  }
}

// Stages filled in order up to the mean memory, `vocab_mb` of each included; then those that are
// over it by 30 % give layers to the next one, and empty ones take some.
std::vector<int32_t> fill_stages(const std::vector<double>& layer_mb,
                                 const std::vector<double>& vocab_mb) {
  const size_t pp = vocab_mb.size();
  double mean = 0;
  for (const double mb : layer_mb) mean += mb / static_cast<double>(pp);
  for (const double mb : vocab_mb) mean += mb / static_cast<double>(pp);
  std::vector<int32_t> stages(pp, 0);
  size_t next = 0;
  for (size_t i = 0; i < pp; ++i) {
    double filled = vocab_mb[i];
    while (next < layer_mb.size() && (i + 1 == pp || mean - filled >= 0.5 * layer_mb[next])) {
      filled += layer_mb[next++];
      ++stages[i];
    }
  }
  size_t first = 0;
  for (size_t i = 0; i + 1 < pp; ++i) {
    const auto count = static_cast<size_t>(stages[i]);
    double filled = vocab_mb[i];
    for (size_t u = first; u < first + count; ++u) filled += layer_mb[u];
    while (stages[i] > 0 && filled > 1.3 * mean) {
      --stages[i];
      ++stages[i + 1];
      filled -= layer_mb[first + static_cast<size_t>(stages[i])];
    }
    first += static_cast<size_t>(stages[i]);
  }
  for (size_t i = 0; i + 1 < pp; ++i) {
    if (stages[i] > 0) continue;
    ++stages[i];
    --stages[i + 1];
  }
  for (size_t i = pp - 1; i > 0; --i) {
    const int32_t missing = std::max(0, 1 - stages[i]);
    stages[i] += missing;
    stages[i - 1] -= missing;
  }
  return stages;
}

}  // namespace

std::vector<LayerChoice> galvatron2_space(int32_t devices, bool ulysses, Galvatron2Engine engine) {
  std::vector<LayerChoice> leaves;
  for (const bool checkpoint : {false, true}) {
    for (int32_t pp = 1; pp <= devices; pp *= 2) {
      for (int32_t tp = 1; tp <= devices / pp; tp *= 2) {
        LayerChoice leaf{.pp = pp, .tp = tp, .dp = devices / pp / tp};
        leaf.checkpoint = checkpoint;
        for (const bool consecutive : {false, true}) {
          for (const bool fsdp : {false, true}) {
            for (const bool sequence : {false, true}) {
              if ((consecutive && !leaf.mixed()) || (fsdp && leaf.dp == 1)) continue;
              if (sequence && (tp == 1 || !ulysses)) continue;
              leaf.tp_consecutive = consecutive;
              leaf.fsdp = fsdp;
              leaf.ulysses = sequence;
              leaves.push_back(leaf);
            }
          }
        }
      }
    }
  }
  if (engine == Galvatron2Engine::kLater) {
    std::erase_if(leaves, [](const LayerChoice& c) { return c.mixed() && !c.tp_consecutive; });
    std::ranges::sort(leaves, {}, [](const LayerChoice& c) {
      const auto [megatron, ulysses_ranks] = c.ulysses ? std::pair(1, c.tp) : std::pair(c.tp, 1);
      return std::tuple(c.pp, megatron, ulysses_ranks, c.fsdp, c.checkpoint);
    });
  }
  return leaves;
}

std::vector<int32_t> galvatron2_stages(const Galvatron2Profile& profile,
                                       const Galvatron2Options& options, int32_t pp,
                                       int64_t microbatch) {
  const auto stage_count = static_cast<size_t>(pp);
  if (profile.types.size() == 1 || pp == 1 || options.later()) {
    std::vector<int32_t> even(stage_count, profile.layer_count() / pp);
    even.back() += profile.layer_count() % pp;
    return even;
  }
  Galvatron2Options plain = options;  // quirk: whatever the schedule
  plain.one_forward = plain.zero2 = false;
  const LayerChoice data{.pp = pp, .tp = 1, .dp = options.devices / pp};
  const Galvatron2Bounds bounds{1, 1, microbatch};
  std::vector<double> layer_mb;
  for (const Galvatron2Layers& type : profile.types) {
    const double mb = layer_memory_mb(type, plain, data, bounds, 0);
    layer_mb.insert(layer_mb.end(), static_cast<size_t>(type.layers), mb);
  }
  plain.zero2 = options.zero2;
  return fill_stages(layer_mb, vocab_memory_mb(profile, plain, data, bounds, {}));
}

std::optional<Galvatron2Plan> galvatron2_search(const Galvatron2Profile& profile,
                                                const Galvatron2Options& options,
                                                const std::vector<LayerChoice>& space) {
  std::optional<Galvatron2Plan> best;
  const int32_t most_min_tp = options.later() ? 1 : options.devices;
  for (int32_t min_tp = 1; min_tp <= most_min_tp; min_tp *= 2) {
    for (int32_t max_tp = min_tp; max_tp <= options.devices; max_tp *= 2) {
      search_bounds(profile, options, space, {min_tp, max_tp, 1}, best);
    }
  }
  return best;
}

}  // namespace soapbox::strategies::galvatron
