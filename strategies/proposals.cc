#include "strategies/proposals.h"

#include <algorithm>
#include <array>
#include <string>

#include "sim/base/find_row.h"

namespace soapbox::strategies {
namespace {

constexpr std::string_view kDefault = "structured";
constexpr std::array kProposals = {
    ProposalRow{"structured", "layers, device ranges, neighbours' configurations and single tasks",
                propose_structured, structured_plan},
    ProposalRow{"uniform", "one operator, uniform degrees, every task on a uniform device",
                propose_uniform, uniform_plan},
};
static_assert(std::ranges::is_sorted(kProposals, std::ranges::less_equal(), &ProposalRow::name));

}  // namespace

std::span<const ProposalRow> proposal_table() {
  return kProposals;
}

Result<const ProposalRow*> find_proposals(std::string_view name) {
  if (name.empty()) name = kDefault;
  return find_row(kProposals, "proposals", name);
}

void propose_uniform(const Neighbourhood& around, const Plan& current, Rng& rng,
                     std::vector<ConfigChange>& changes) {
  const std::span<const OpId> operators = around.operators();
  const OpId op = operators[rng.below(static_cast<uint32_t>(operators.size()))];
  OpConfig config = around.space().draw(op, rng);
  while (config == current.ops[op]) config = around.space().draw(op, rng);
  changes.clear();
  changes.push_back({op, std::move(config)});
}

Plan uniform_plan(const Neighbourhood& around, Rng& rng) {
  Plan plan;
  for (const OpId op : around.graph().ops().ids()) {
    plan.ops.push_back(around.space().draw(op, rng));
  }
  return plan;
}

}  // namespace soapbox::strategies
