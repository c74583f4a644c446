#include "strategies/galvatron/galvatron1.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "sim/base/check.h"
#include "sim/base/str.h"
#include "strategies/galvatron/memory_dp.h"

namespace soapbox::strategies::galvatron {
namespace {

// Times are estimated for this many layers and divided again: the extra overhead is stated so, and
// equal roundings keep equal ties.
constexpr double kLayersOfEstimate = 24;
// Milliseconds to seconds, and ten per cent for what is not modelled.
constexpr double kSecondsPerMs = 0.0011;
constexpr double kFsdpBias = 0.025;
constexpr double kShardedThenReplicated_s = 1e-4;  // breaks ties between equal strategies

// Data traffic and backward compute at once, each slowed down while both run.
struct Overlap {
  double overlapped_ms = 0;
  double rest_ms = 0;
  bool rest_is_traffic = false;
};
Overlap overlap(double traffic_mb, double ms_per_mb, double backward_ms, double slowdown) {
  const double slowed_ms_per_mb = ms_per_mb * slowdown;
  const double traffic_ms = traffic_mb * slowed_ms_per_mb;
  const double compute_ms = backward_ms * slowdown;
  if (traffic_ms > compute_ms) {
    return {compute_ms, (traffic_mb - compute_ms / slowed_ms_per_mb) * ms_per_mb, true};
  }
  if (traffic_ms < compute_ms) return {traffic_ms, backward_ms - traffic_ms / slowdown, false};
  return {compute_ms, 0, false};
}

struct GroupCosts {
  double data_ms_per_mb = 0;
  double tensor_ms_per_mb = 0;
};
GroupCosts group_costs(const CommCoefficients& comm, const LayerChoice& c) {
  const bool tensor_neighbours = !c.mixed() || c.tp_consecutive;
  const bool data_neighbours = !c.mixed() || !c.tp_consecutive;
  return {comm.at(c.pp, c.dp, data_neighbours), comm.at(c.pp, c.tp, tensor_neighbours)};
}

// The part of the backward pass that gradient traffic may hide behind.
double overlappable(const LayerProfile& layer, const LayerChoice& c) {
  if (c.tp == 1) return 1;
  if (layer.decoder && c.pp == 1) return 2.0 / 3;
  return c.tp < c.tp * c.dp / 2 ? 1 : 0.5;
}

// Resharding between neighbours with different strategies, and tie breaking.
double transition_s(const CommCoefficients& comm, const LayerChoice& from, const LayerChoice& to,
                    int64_t global_batch) {
  const bool same_degrees = from.tp == to.tp && from.dp == to.dp;
  const bool both_mixed = from.mixed() && to.mixed();
  const bool other_order = both_mixed && from.tp_consecutive != to.tp_consecutive;
  const bool pays = to.tp > from.tp || (other_order && to.tp == from.tp) ||
                    (other_order && from.tp * from.dp == 8 && from.tp == 4 && to.tp == 2);
  if (&from != &to && same_degrees && !other_order && from.fsdp && !to.fsdp) {
    return kShardedThenReplicated_s;
  }
  if (!pays) return 0;
  const double ratio = to.tp;
  const double activation = 2.0 * static_cast<double>(global_batch) / to.dp;
  return (ratio - 1) * activation / ratio * group_costs(comm, to).tensor_ms_per_mb * 0.001;
}

std::vector<LayerChoice> of_degree(std::span<const LayerChoice> space, int32_t pp) {
  std::vector<LayerChoice> found;
  for (const LayerChoice& choice : space) {
    if (choice.pp == pp) found.push_back(choice);
  }
  return found;
}

std::vector<size_t> type_of_layer(const Galvatron1Profile& profile) {
  std::vector<size_t> types;
  for (size_t t = 0; t < profile.layer_types.size(); ++t) {
    types.insert(types.end(), static_cast<size_t>(profile.layer_types[t].layers), t);
  }
  return types;
}

// Costs of all layers under all strategies of one pipeline degree.
StageProblem whole_problem(const Galvatron1Profile& profile, std::span<const LayerChoice> choices,
                           int64_t global_batch) {
  StageProblem all{.layers = 0,
                   .strategies = choices.size(),
                   .memory_mb = {},
                   .intra_s = {},
                   .transition_s = {}};
  for (size_t t = 0; t < profile.layer_types.size(); ++t) {
    for (int32_t i = 0; i < profile.layer_types[t].layers; ++i, ++all.layers) {
      for (const LayerChoice& c : choices) {
        const double mb = layer_memory(profile, t, c, global_batch).total_mb();
        all.memory_mb.push_back(static_cast<int32_t>(std::ceil(mb)));
        all.intra_s.push_back(layer_time_s(profile, t, c, global_batch));
      }
      for (const LayerChoice& from : choices) {
        for (const LayerChoice& to : choices) {
          all.transition_s.push_back(
              all.layers == 0 ? 0 : transition_s(profile.comm, from, to, global_batch));
        }
      }
    }
  }
  return all;
}

StageProblem cut(const StageProblem& all, size_t first, size_t count) {
  const size_t n = all.strategies;
  const auto part = [&](const auto& values, size_t width) {
    const auto begin = values.begin() + static_cast<ptrdiff_t>(first * width);
    return std::decay_t<decltype(values)>(begin, begin + static_cast<ptrdiff_t>(count * width));
  };
  StageProblem stage{count, n, part(all.memory_mb, n), part(all.intra_s, n),
                     part(all.transition_s, n * n)};
  return stage;
}

std::optional<GalvatronPlan> search_degree(const Galvatron1Profile& profile,
                                           std::span<const LayerChoice> space, int32_t pp,
                                           int64_t global_batch, int64_t budget_mb) {
  const std::vector<LayerChoice> choices = of_degree(space, pp);
  if (choices.empty()) return std::nullopt;
  const bool one_type = profile.layer_types.size() == 1;
  const StageProblem all = whole_problem(profile, choices, global_batch);
  GalvatronPlan plan{.pp = pp, .stage_layers = cut_stages(profile, pp, global_batch, space)};
  const auto other =
      static_cast<int64_t>(std::ceil(other_memory_mb(profile, choices[0], global_batch)));
  if (budget_mb - other <= 0) return std::nullopt;
  size_t first = 0;
  for (size_t i = 0; i < plan.stage_layers.size(); ++i) {
    // One type of layers: all stages are as the first, which carries the rest of the model.
    const int64_t reserved = i == 0 || one_type ? other : 0;
    const StageProblem stage =
        cut(all, one_type ? 0 : first, static_cast<size_t>(plan.stage_layers[i]));
    const auto chosen = MemoryDp(stage, budget_mb - reserved).best(budget_mb - reserved);
    if (!chosen) return std::nullopt;
    plan.iteration_s += chosen->time_s;
    plan.stage_memory_mb.push_back(chosen->memory_mb + reserved);
    for (const uint16_t s : chosen->strategy) plan.layers.push_back(choices[s]);
    first += static_cast<size_t>(plan.stage_layers[i]);
  }
  return plan;
}

}  // namespace

void CommCoefficients::set(int32_t pp, int32_t size, bool consecutive, double ms_per_mb) {
  ms_per_mb_[{pp, size, consecutive}] = ms_per_mb;
}

bool CommCoefficients::has(int32_t pp, int32_t size, bool consecutive) const {
  return size == 1 || ms_per_mb_.contains({pp, size, consecutive});
}

double CommCoefficients::at(int32_t pp, int32_t size, bool consecutive) const {
  if (size == 1) return 0;
  const auto found = ms_per_mb_.find({pp, size, consecutive});
  SOAPBOX_CHECK(found != ms_per_mb_.end(), "a group without a measured bandwidth");
  return found->second;
}

int32_t Galvatron1Profile::layer_count() const {
  int32_t count = 0;
  for (const LayerProfile& type : layer_types) count += type.layers;
  return count;
}

LayerMemory layer_memory(const Galvatron1Profile& profile, size_t layer_type,
                         const LayerChoice& choice, int64_t global_batch) {
  const LayerProfile& layer = profile.layer_types[layer_type];
  LayerMemory memory;
  memory.states_mb = 4 * (layer.parameter_mb / choice.tp);
  if (choice.fsdp) memory.states_mb *= 1.0 / choice.dp + kFsdpBias;
  const double local_batch = static_cast<double>(global_batch) / choice.dp;
  memory.activation_mb = layer.activation_mb_per_sample.at(choice.tp) * local_batch;
  return memory;
}

double other_memory_mb(const Galvatron1Profile& profile, const LayerChoice& choice,
                       int64_t global_batch) {
  const double samples = static_cast<double>(global_batch) / choice.tp / choice.dp;
  return profile.other_states_mb + profile.other_activation_mb_per_sample * samples +
         profile.context_mb;
}

double layer_time_s(const Galvatron1Profile& profile, size_t layer_type, const LayerChoice& c,
                    int64_t global_batch) {
  const LayerProfile& layer = profile.layer_types[layer_type];
  const GroupCosts groups = group_costs(profile.comm, c);
  const double batch = static_cast<double>(global_batch) / c.dp;
  const double forward = layer.forward_ms_per_sample * batch / c.tp * kLayersOfEstimate;
  const double backward = forward * profile.backward_over_forward;
  const double data_mb = 2.0 * (c.dp - 1) / c.dp * (layer.parameter_mb / c.tp) * kLayersOfEstimate;
  const double activation_mb = batch * static_cast<double>(layer.seq_len * layer.hidden) *
                               (layer.decoder ? 6 : 4) * 4 / 1024 / 1024;
  const double tensor_ms =
      2.0 * (c.tp - 1) / c.tp * activation_mb * kLayersOfEstimate * groups.tensor_ms_per_mb;
  const double compute = forward + backward + tensor_ms;

  double total = compute;  // dp = 1
  if (c.dp > 1) {
    const double part = overlappable(layer, c);
    const Overlap hidden =
        overlap(data_mb, groups.data_ms_per_mb, backward * part, profile.overlap_slowdown);
    // Without tensor groups the stages reduce at the same time: what sticks out counts once.
    const bool once = c.pp > 1 && c.tp == 1 && hidden.rest_is_traffic && !c.fsdp;
    total = forward + backward * (1 - part) + hidden.overlapped_ms +
            (once ? hidden.rest_ms / c.pp : hidden.rest_ms) + tensor_ms + layer.extra_overhead_ms;
  }
  if (c.pp > 1) {
    const double m = profile.chunks(batch, c);
    total = compute * (c.pp + m - 1) / (c.pp * m) + (total - compute);
  }
  if (c.fsdp) total += data_mb * 0.5 * groups.data_ms_per_mb;
  return total * kSecondsPerMs / kLayersOfEstimate;
}

std::vector<int32_t> cut_stages(const Galvatron1Profile& profile, int32_t pp, int64_t global_batch,
                                std::span<const LayerChoice> space) {
  const int32_t layers = profile.layer_count();
  if (pp == 1) return {layers};
  if (profile.layer_types.size() == 1) {
    std::vector<int32_t> even(static_cast<size_t>(pp), layers / pp);
    even.back() += layers % pp;
    return even;
  }
  std::vector<double> least;  // of each layer, MB
  for (const size_t t : type_of_layer(profile)) {
    double mb = -1;
    for (const LayerChoice& c : of_degree(space, pp)) {
      const double total = layer_memory(profile, t, c, global_batch).total_mb();
      if (mb < 0 || total < mb) mb = total;
    }
    least.push_back(mb);
  }
  const LayerChoice& widest = space[0];
  double mean = 0;
  for (const double mb : least) mean += mb;
  const double other = other_memory_mb(profile, widest, global_batch);
  mean = (mean + other) / pp;
  std::vector<int32_t> stages(static_cast<size_t>(pp), 0);
  auto next = static_cast<int64_t>(least.size()) - 1;
  for (int32_t i = pp - 1; i >= 0; --i) {
    double filled = i == 0 ? other : 0;
    while (next >= 0 && (i == 0 || mean - filled >= 0.5 * least[static_cast<size_t>(next)])) {
      filled += least[static_cast<size_t>(next--)];
      ++stages[static_cast<size_t>(i)];
    }
  }
  if (stages[0] == 0) {
    ++stages[0];
    --stages[1];
  }
  return stages;
}

std::optional<GalvatronPlan> galvatron1_search(const Galvatron1Profile& profile,
                                               std::span<const LayerChoice> space,
                                               int64_t global_batch, int64_t budget_mb) {
  std::vector<int32_t> degrees;
  for (const LayerChoice& choice : space) degrees.push_back(choice.pp);
  std::sort(degrees.begin(), degrees.end());
  degrees.erase(std::unique(degrees.begin(), degrees.end()), degrees.end());
  std::optional<GalvatronPlan> best;
  for (const int32_t pp : degrees) {
    auto plan = search_degree(profile, space, pp, global_batch, budget_mb);
    if (plan && (!best || plan->iteration_s < best->iteration_s)) best = std::move(plan);
  }
  return best;
}

std::string to_string(const GalvatronPlan& plan) {
  std::string text;
  size_t layer = 0;
  for (size_t stage = 0; stage < plan.stage_layers.size(); ++stage) {
    const size_t end = layer + static_cast<size_t>(plan.stage_layers[stage]);
    if (stage > 0) text += " |";
    while (layer < end) {
      size_t run = layer;
      while (run < end && plan.layers[run] == plan.layers[layer]) ++run;
      if (!text.empty()) text += " ";
      text += str_cat(to_string(plan.layers[layer]), "x", run - layer);
      layer = run;
    }
  }
  return text;
}

}  // namespace soapbox::strategies::galvatron
