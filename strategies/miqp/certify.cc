#include "strategies/miqp/certify.h"

#include <algorithm>

#include "sim/base/str.h"
#include "strategies/miqp/proof_bounds.h"
#include "strategies/miqp/proof_labels.h"
#include "strategies/miqp/proof_paths.h"

namespace soapbox::miqp {
namespace {

Error refused(std::string message) {
  return bad_input(std::move(message));
}

// Equation (1) of a plan, from the equations of instance.h alone.
class PlanCost {
 public:
  PlanCost(const Instance& in, const Certificate& plan)
      : in_(in),
        plan_(plan),
        time_(2 * in.stages, 0),
        memory_(in.stages, 0),
        layers_(in.stages, 0) {}

  Result<int64_t> add_up() {
    if (plan_.stage.size() != in_.layers || plan_.strategy.size() != in_.layers) {
      return refused(str_cat("the plan has ", plan_.stage.size(), " stages and ",
                             plan_.strategy.size(), " strategies for ", in_.layers, " layers"));
    }
    for (size_t u = 0; u < in_.layers; ++u) {
      if (Status status = add_layer(u); !status) return status.error();
    }
    for (size_t e = 0; e < in_.edges.size(); ++e) {
      if (Status status = add_edge(e); !status) return status.error();
    }
    for (size_t i = 0; i < in_.stages; ++i) {
      if (layers_[i] == 0 && !in_.empty_stages) {
        return refused(str_cat("the plan leaves stage ", i, " empty"));
      }
      if (memory_[i] > in_.memory_limit[i]) {
        return refused(str_cat("the plan needs ", memory_[i], " units of memory on stage ", i,
                               "; its limit is ", in_.memory_limit[i]));
      }
    }
    int64_t sum = 0;
    for (const int64_t time : time_) sum += time;
    return sum + (in_.microbatches - 1) * *std::max_element(time_.begin(), time_.end());
  }

 private:
  Status add_layer(size_t u) {
    const uint32_t i = plan_.stage[u];
    const uint32_t k = plan_.strategy[u];
    if (i >= in_.stages || k >= in_.strategies || !in_.allowed(u, k)) {
      return refused(str_cat("the plan puts layer ", u, " on stage ", i, " with strategy ", k,
                             ", which is not allowed; there are ", in_.stages, " and ",
                             in_.strategies));
    }
    ++layers_[i];
    time_[i] += in_.compute_at(u, k);
    memory_[i] += in_.memory_at(i, u, k);
    return ok();
  }
  Status add_edge(size_t e) {
    const Edge edge = in_.edges[e];
    const uint32_t from = plan_.stage[edge.from];
    const uint32_t to = plan_.stage[edge.to];
    if (from > to) return refused(str_cat("the plan's edge ", e, " runs backwards"));
    if (to > from + 1 && in_.long_edges == LongEdges::kFree) return ok();
    const uint32_t k = plan_.strategy[edge.from];
    const uint32_t l = plan_.strategy[edge.to];
    const int64_t time = from == to ? in_.reshard_at(e, k, l) : in_.reshard_cross_at(e, k, l);
    if (time == kNotAllowed) {
      return refused(str_cat("the plan's edge ", e, " joins strategies ", k, " and ", l,
                             ", which is not allowed"));
    }
    if (from == to) time_[from] += time;
    for (uint32_t j = from; j < to; ++j) time_[in_.stages + j] += time;
    return ok();
  }

  const Instance& in_;
  const Certificate& plan_;
  std::vector<int64_t> time_;  // p, then o
  std::vector<int64_t> memory_;
  std::vector<size_t> layers_;
};

// One proof along the path.
class ProofCheck {
 public:
  ProofCheck(const ProofCosts& costs, const ChainProof& proof, int64_t bound)
      : costs_(costs), proof_(proof), bound_(bound) {}

  // Lowers `least` to the least bound of a leaf, or of what is above all leaves.
  Status run(uint64_t most_labels, CertifyReport& report, int64_t& least) {
    if (Status status = check_multipliers(); !status) return status;
    // A stage or boundary of T alone costs c T, the sum and c - 1 times.
    int64_t top = kUnlimited - 1;
    if (bound_ < kUnlimited) {
      top = bound_ <= 0 ? -1 : (bound_ - 1) / costs_.microbatches();
      least = std::min(least, (top + 1) * costs_.microbatches());
    }
    for (const ProofLeaf& leaf : proof_.leaves) least = std::min(least, leaf.bound);
    ProofBounds bounds(costs_, proof_.shift, proof_.multipliers, top);
    if (Status status = add_intervals(bounds); !status) return status;
    std::vector<const ProofEntry*> waiting;
    for (const ProofEntry& entry : proof_.entries) {
      if (Status status = check(entry, bounds, most_labels, report); !status) return status;
      waiting.push_back(&entry);
    }
    std::stable_sort(waiting.begin(), waiting.end(),
                     [](const ProofEntry* a, const ProofEntry* b) { return a->most < b->most; });
    report.leaves += proof_.leaves.size();
    report.intervals += proof_.intervals.size();
    report.entries += proof_.entries.size();
    return check_leaves(top, bounds, waiting);
  }

 private:
  Status check_multipliers() const {
    if (proof_.multipliers.size() != costs_.groups()) {
      return refused(str_cat("the proof has multipliers for ", proof_.multipliers.size(),
                             " kinds of stages; there are ", costs_.groups()));
    }
    for (const std::vector<int64_t>& multipliers : proof_.multipliers) {
      for (const int64_t multiplier : multipliers) {
        if (!costs_.in_range(proof_.shift, multiplier)) {
          return refused(
              str_cat("the multiplier ", multiplier, " / 2^", proof_.shift, " is out of range"));
        }
      }
    }
    return costs_.in_range(proof_.shift, 0)
               ? ok()
               : Status(refused(str_cat("the shift ", proof_.shift, " is out of range")));
  }

  Status add_intervals(ProofBounds& bounds) const {
    for (const ProofInterval& at : proof_.intervals) {
      const bool in_range = at.stage < costs_.stages() && at.first <= at.last &&
                            at.last < costs_.positions() && at.kind <= ProofKind::kFollow;
      if (!in_range) return refused(str_cat("an interval is out of range: ", text(at)));
      const size_t group = costs_.group_of(at.stage);
      if (!bounds.is_possible(group, at.kind, at.first, at.last)) {
        return refused(str_cat("an interval that no plan below the bound has: ", text(at)));
      }
      bounds.refine(group, at.kind, at.first, at.last);
    }
    return ok();
  }

  Status check(const ProofEntry& entry, const ProofBounds& bounds, uint64_t most_labels,
               CertifyReport& report) const {
    const ProofInterval& at = entry.interval;
    const auto count = static_cast<int64_t>(costs_.strategies());
    const bool in_range =
        at.stage < costs_.stages() && at.first <= at.last && at.last < costs_.positions() &&
        at.kind <= ProofKind::kFollow && entry.first_strategy >= -1 &&
        entry.first_strategy < count && entry.last_strategy >= -1 && entry.last_strategy < count &&
        entry.value >= 0 && entry.value <= kUnlimited && entry.most >= 0 &&
        entry.most <= kUnlimited && costs_.in_range(proof_.shift, entry.multiplier);
    if (!in_range) return refused(str_cat("an entry is out of range: ", text(at)));
    const size_t group = costs_.group_of(at.stage);
    if (!bounds.is_refined(group, at.kind, at.first, at.last)) {
      return refused(str_cat("an entry of an interval that is not listed: ", text(at)));
    }
    switch (check_entry(costs_, group, proof_.shift, entry, most_labels, report.labels)) {
      case EntryVerdict::kHolds:
        return ok();
      case EntryVerdict::kTooHigh:
        return refused(str_cat("a path is shorter than an entry says: ", text(at), ", strategies ",
                               entry.first_strategy, " to ", entry.last_strategy, ", value ",
                               entry.value));
      case EntryVerdict::kTooLarge:
        break;
    }
    return refused(str_cat("an entry takes more than ", most_labels, " labels: ", text(at)));
  }

  // `waiting` is sorted by the threshold up to which an entry holds, the
  // largest last.
  Status check_leaves(int64_t top, ProofBounds& bounds,
                      std::vector<const ProofEntry*>& waiting) const {
    int64_t next = top;  // the largest bottleneck that no leaf covers yet
    for (const ProofLeaf& leaf : proof_.leaves) {
      if (leaf.high != next || leaf.low > leaf.high || leaf.low < 0) {
        return refused(str_cat("a leaf covers bottlenecks from ", leaf.low, " to ", leaf.high,
                               "; expected is one that ends at ", next));
      }
      while (!waiting.empty() && waiting.back()->most >= leaf.high) {
        bounds.raise(costs_.group_of(waiting.back()->interval.stage), *waiting.back());
        waiting.pop_back();
      }
      const int64_t sum = bounds.forward(leaf.high);
      // Where there must be no plan at all, a finite sum is too little already.
      const int64_t weight = bound_ >= kUnlimited ? 0 : costs_.microbatches() - 1;
      const int64_t derived = sum >= kUnlimited ? kUnlimited : sum + weight * leaf.low;
      if (leaf.bound != derived || leaf.bound < bound_) {
        return refused(str_cat("the leaf from ", leaf.low, " to ", leaf.high, " says ", leaf.bound,
                               "; derived is ", derived, ", claimed are ", bound_));
      }
      next = leaf.low - 1;
    }
    if (next < 0) return ok();
    return refused(str_cat("no leaf covers bottlenecks from 0 to ", next));
  }

  static std::string text(const ProofInterval& at) {
    return str_cat("stage ", at.stage, ", layers ", at.first, " to ", at.last);
  }

  const ProofCosts& costs_;
  const ChainProof& proof_;
  int64_t bound_;
};

Status check_chain(const Instance& in, const Certificate& certificate, uint64_t most_labels,
                   CertifyReport& report) {
  std::optional<size_t> hub;
  std::vector<int64_t> wanted = {-1};
  if (certificate.hub) {
    if (*certificate.hub >= in.layers) {
      return refused(str_cat("the hub is layer ", *certificate.hub, " of ", in.layers));
    }
    const std::vector<uint32_t> order = topological_order(in);
    hub = std::find(order.begin(), order.end(), *certificate.hub) - order.begin();
    wanted.clear();
    for (size_t k = 0; k < in.strategies; ++k) {
      if (in.allowed(*certificate.hub, k)) wanted.push_back(static_cast<int64_t>(k));
    }
  }
  std::vector<int64_t> given;
  for (const ChainProof& proof : certificate.proofs) given.push_back(proof.hub_strategy);
  if (given != wanted) {
    return refused(str_cat("the certificate has ", given.size(), " proofs; expected are ",
                           wanted.size(), ", one for each strategy of the hub in order"));
  }
  int64_t least = certificate.objective;
  for (const ChainProof& proof : certificate.proofs) {
    const size_t strategy = hub ? static_cast<size_t>(proof.hub_strategy) : 0;
    const Result<ProofCosts> costs = ProofCosts::make(in, hub, strategy);
    if (!costs) return costs.error();
    Status status = ProofCheck(*costs, proof, certificate.bound).run(most_labels, report, least);
    if (!status) return status;
  }
  if (least == certificate.bound) return ok();
  return refused(
      str_cat("the least of all bounds is ", least, ", the claim is ", certificate.bound));
}

Status check_labels(const Instance& in, const Certificate& certificate, uint64_t most_labels,
                    CertifyReport& report) {
  if (!certificate.proofs.empty() || certificate.hub) {
    return refused("a certificate by labels has neither proofs nor a hub");
  }
  if (in.stages > 64) return refused("labels are for at most 64 stages");
  switch (check_by_labels(in, certificate.bound, most_labels, report.labels)) {
    case LabelVerdict::kHolds:
      return ok();
    case LabelVerdict::kTooHigh:
      return refused(str_cat("a plan costs less than the bound of ", certificate.bound));
    case LabelVerdict::kTooLarge:
      break;
  }
  return refused(str_cat("the check takes more than ", most_labels, " labels"));
}

}  // namespace

Result<CertifyReport> certify(const Instance& in, const Certificate& certificate,
                              uint64_t most_labels) {
  if (certificate.instance != instance_hash(in)) {
    return refused("the certificate is of another instance");
  }
  CertifyReport report;
  const bool has_plan = !certificate.stage.empty() || !certificate.strategy.empty();
  if (has_plan) {
    const Result<int64_t> objective = PlanCost(in, certificate).add_up();
    if (!objective) return objective.error();
    if (*objective != certificate.objective) {
      return refused(str_cat("the plan costs ", *objective, " units, not ", certificate.objective));
    }
  } else if (certificate.objective != kUnlimited) {
    return refused("an objective without a plan");
  }
  if (certificate.bound < 0 || certificate.bound > certificate.objective) {
    return refused(
        str_cat("a bound of ", certificate.bound, " with an objective of ", certificate.objective));
  }
  const Status status = certificate.method == ProofMethod::kChain
                            ? check_chain(in, certificate, most_labels, report)
                            : check_labels(in, certificate, most_labels, report);
  if (!status) return status.error();
  report.proven = certificate.bound == certificate.objective;
  return report;
}

}  // namespace soapbox::miqp
