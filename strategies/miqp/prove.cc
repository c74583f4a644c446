#include "strategies/miqp/prove.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/base/str.h"
#include "strategies/miqp/chain_prover.h"

namespace soapbox::miqp {
namespace {

int64_t claim_of(int64_t units) {
  return units == kNoObjective ? kUnlimited : units;
}

// Everything that one proof along the path needs.
struct Side {
  ProofCosts costs;
  StageCosts solver_costs;
  std::unique_ptr<ChainProver> prover;
  int64_t hub_strategy;
};

std::unique_ptr<Side> make_side(const Instance& in, const Chain& chain, std::optional<size_t> hub,
                                size_t strategy, int64_t target) {
  Result<ProofCosts> costs = ProofCosts::make(in, hub, strategy);
  SOAPBOX_CHECK(costs.has_value(), "a path that is none");
  auto side = std::make_unique<Side>(Side{*std::move(costs), StageCosts(in, chain), nullptr,
                                          hub ? static_cast<int64_t>(strategy) : -1});
  if (hub) side->solver_costs.condition(in, chain, *hub, strategy);
  side->prover = std::make_unique<ChainProver>(side->costs, side->solver_costs, target);
  return side;
}

// The claim is the least of all bounds, which may be a little more than what was
// asked for: leaves end at whole bottlenecks.
int64_t least_bound(const Certificate& certificate, int64_t microbatches) {
  int64_t least = certificate.objective;
  if (certificate.bound < kUnlimited) {
    const int64_t top = certificate.bound <= 0 ? -1 : (certificate.bound - 1) / microbatches;
    least = std::min(least, (top + 1) * microbatches);
  }
  for (const ChainProof& proof : certificate.proofs) {
    for (const ProofLeaf& leaf : proof.leaves) least = std::min(least, leaf.bound);
  }
  return least;
}

// Proofs along the path, one for each strategy of the hub if there is one.
// Lowers the certificate's bound to what they reach.
void prove_path(const Instance& in, const Chain& chain, std::optional<size_t> hub,
                Certificate& certificate) {
  std::vector<std::unique_ptr<Side>> sides;
  for (size_t k = 0; k < (hub ? in.strategies : 1); ++k) {
    if (hub && !in.allowed(chain.order[*hub], k)) continue;
    sides.push_back(make_side(in, chain, hub, k, certificate.bound));
    certificate.bound = std::min(certificate.bound, sides.back()->prover->reach());
  }
  certificate.method = ProofMethod::kChain;
  certificate.hub.reset();
  if (hub) certificate.hub = chain.order[*hub];
  certificate.proofs.clear();
  for (const auto& side : sides) {
    certificate.proofs.push_back(side->prover->proof(certificate.bound, side->hub_strategy));
  }
  certificate.bound = least_bound(certificate, in.microbatches);
}

}  // namespace

Result<Certificate> prove(const Instance& in, const Solution& solution, int64_t bound) {
  Certificate certificate;
  certificate.instance = instance_hash(in);
  if (solution.plan && bound == 0) {
    certificate.stage = solution.plan->stage;
    certificate.strategy = solution.plan->strategy;
    certificate.objective = solution.objective;
  }
  if (solution.plan && solution.objective >= kUnlimited) {
    return bad_input(
        str_cat("an objective of ", solution.objective, " units is too large for a certificate"));
  }
  const int64_t wanted = bound > 0 ? bound : claim_of(solution.bound);
  certificate.bound = wanted;
  const Chain chain = make_chain(in);
  if (chain.is_path && !in.empty_stages) {
    prove_path(in, chain, only_hub(in, chain), certificate);
    if (certificate.bound >= wanted || in.stages > 64) return certificate;
    if (chain.skips.empty()) return certificate;  // what the limits of the solver let us show
  }
  if (in.stages > 64) return bad_input("more than 64 stages on a graph that is no path");
  certificate.method = ProofMethod::kLabels;
  certificate.hub.reset();
  certificate.proofs.clear();
  certificate.bound = wanted;
  return certificate;
}

}  // namespace soapbox::miqp
