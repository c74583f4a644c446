#include "strategies/uniap/own_models.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "sim/base/divisors.h"
#include "sim/base/str.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::strategies::uniap {
namespace {

using galvatron::Galvatron2Plan;
using galvatron::LayerChoice;

OwnAnswer own_uniap(const OwnRequest& request) {
  UnifiedRequest search = request.search;
  search.options.backward = Backward::kTwiceForward;
  return {unified_search(search), search.options};
}

double alpa_value(const CostTables& tables, const Assignment& assignment) {
  const Objective value = value_of(tables, assignment);
  double sum = 0;
  double most = 0;
  for (const double stage_s : value.compute_stage_s) {
    sum += stage_s;
    most = std::max(most, stage_s);
  }
  return sum + static_cast<double>(tables.microbatches - 1) * most;
}

OwnAnswer own_alpa(const OwnRequest& request) {
  UnifiedRequest search = request.search;
  search.options.memory = PipelineMemory::k1F1B;
  search.value = alpa_value;
  return {unified_search(search), search.options};
}

// One number of micro-batches after the other.
class GalvatronSearch {
 public:
  explicit GalvatronSearch(const OwnRequest& request)
      : request_(request), search_(request.search) {}
  UnifiedOutcome run();

 private:
  std::vector<LayerChoice> space(int64_t microbatches) const;
  void try_microbatches(int64_t microbatches);
  std::optional<Assignment> assignment_of(const Galvatron2Plan& plan,
                                          const CostTables& tables) const;

  const OwnRequest& request_;
  const UnifiedRequest& search_;
  UnifiedOutcome outcome_;
};

// What a plan of ours can state: tensor ranks are neighbours, nothing is computed twice, the
// samples of a micro-batch are whole numbers on all ranks.
std::vector<LayerChoice> GalvatronSearch::space(int64_t microbatches) const {
  const int64_t samples = search_.global_batch / microbatches;
  std::vector<LayerChoice> found;
  for (const LayerChoice& c : galvatron::galvatron2_space(search_.costs.device_count(), false)) {
    if (c.checkpoint || (c.mixed() && !c.tp_consecutive) || samples % c.dp != 0) continue;
    if (search_.stages && c.pp != *search_.stages) continue;
    const auto knows = [&](const galvatron::Galvatron2Layers& type) {
      return type.activation_mb_per_sample.contains(c.tp);
    };
    if (std::all_of(request_.profile.types.begin(), request_.profile.types.end(), knows)) {
      found.push_back(c);
    }
  }
  return found;
}

std::optional<Assignment> GalvatronSearch::assignment_of(const Galvatron2Plan& plan,
                                                         const CostTables& tables) const {
  const auto index_of = [&](const Strategy& strategy) {
    const auto found = std::find(tables.strategies.begin(), tables.strategies.end(), strategy);
    return static_cast<size_t>(found - tables.strategies.begin());
  };
  const int32_t ranks = search_.costs.device_count() / plan.pp;
  const int32_t vocab_dp = ranks / plan.vocab.tp;
  const size_t vocab = index_of({plan.vocab.tp, vocab_dp, plan.vocab.sdp && vocab_dp > 1});
  Assignment assignment;
  assignment.strategy.push_back(vocab);
  for (const LayerChoice& c : plan.layers) {
    assignment.strategy.push_back(index_of({c.tp, c.dp, c.fsdp}));
  }
  assignment.strategy.push_back(vocab);
  size_t next = 1;  // the embedding is with the first stage
  for (const int32_t layers : plan.stage_layers) {
    assignment.stage_begin.push_back(next == 1 ? 0 : next);
    next += static_cast<size_t>(layers);
  }
  for (size_t u = 0; u < tables.layers; ++u) {
    if (!tables.allowed[tables.at(u, assignment.strategy[u])]) return std::nullopt;
  }
  return assignment;
}

void GalvatronSearch::try_microbatches(int64_t microbatches) {
  const miqp::Stopwatch watch(std::numeric_limits<double>::infinity());
  galvatron::Galvatron2Options options;
  options.devices = search_.costs.device_count();
  options.memory_mb = request_.memory.count() >> 20;
  options.global_batch = search_.global_batch;
  options.chunks = microbatches;
  options.mixed_precision = request_.mixed_precision;
  options.one_forward = search_.options.memory == PipelineMemory::k1F1B;
  const auto plan = galvatron::galvatron2_search(request_.profile, options, space(microbatches));
  const double found_s = watch.elapsed_s();
  outcome_.search_cpu_s += found_s;
  Cell cell{.stages = plan ? plan->pp : 1, .microbatches = microbatches, .reason = {}};
  cell.failure = plan ? Failure::kNone : Failure::kNoSolution;
  if (plan) cell.objective_s = plan->iteration_s;
  if (plan && (!outcome_.best || plan->iteration_s < outcome_.best->objective.total_s)) {
    CostTables tables =
        build_tables(search_.costs, search_.options, plan->pp, microbatches, search_.global_batch);
    outcome_.table_cpu_s += watch.elapsed_s() - found_s;
    if (const auto assignment = assignment_of(*plan, tables)) {
      outcome_.best = UnifiedPlan{std::move(tables), *assignment, {}};
      outcome_.best->objective.total_s = plan->iteration_s;
    }
  }
  outcome_.cells.push_back(std::move(cell));
}

UnifiedOutcome GalvatronSearch::run() {
  outcome_.solver = "Galvatron-2";
  const int32_t devices = search_.costs.device_count();
  if (!std::has_single_bit(static_cast<uint32_t>(devices))) {
    outcome_.failure = Failure::kNoSolution;
    outcome_.infeasible_reason =
        str_cat("Galvatron plans on powers of two; there are ", devices, " devices");
    return std::move(outcome_);
  }
  for (const int64_t microbatches : divisors(search_.global_batch)) {
    if (search_.microbatches && microbatches != *search_.microbatches) continue;
    try_microbatches(microbatches);
    outcome_.interrupted = search_.stop && search_.stop();
    if (outcome_.interrupted) break;
  }
  if (!outcome_.best) {
    outcome_.failure = Failure::kNoSolution;
    outcome_.infeasible_reason =
        str_cat("Galvatron's own model fits no plan into ", request_.memory.count() >> 20, " MiB");
  }
  return std::move(outcome_);
}

OwnAnswer own_galvatron(const OwnRequest& request) {
  return {GalvatronSearch(request).run(), request.search.options};
}

constexpr std::array<OwnModelRow, 5> kOwnModels = {{
    {"alpa", "no transfers between stages, 1F1B", own_alpa},
    {"galvatron", "Galvatron-2 on a profile", own_galvatron},
    {"inter_only", "UniAP: backward twice forward", own_uniap},
    {"intra_only", "UniAP: backward twice forward", own_uniap},
    {"miqp", "UniAP: backward twice forward", own_uniap},
}};

}  // namespace

std::span<const OwnModelRow> own_model_table() {
  return kOwnModels;
}

const OwnModelRow* find_own_model(std::string_view planner) {
  const auto* const found =
      std::find_if(kOwnModels.begin(), kOwnModels.end(),
                   [&](const OwnModelRow& row) { return row.planner == planner; });
  return found == kOwnModels.end() ? nullptr : found;
}

}  // namespace soapbox::strategies::uniap
