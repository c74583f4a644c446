#include "strategies/alpa/intra_op.h"

#include <algorithm>
#include <limits>

#include "sim/base/str.h"
#include "strategies/miqp/milp_backend.h"

namespace soapbox::strategies::alpa {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

class Program {
 public:
  Program(const OperatorGraph& graph, const Mesh& mesh, const std::vector<OpStrategies>& strategies,
          const IntraOpOptions& options)
      : graph_(graph), mesh_(mesh), strategies_(strategies), options_(options) {}

  miqp::MilpModel build() {
    for (size_t i = 0; i < strategies_.size(); ++i) add_operator(i);
    for (size_t i = 0; i < strategies_.size(); ++i) {
      for (size_t n = 0; n < graph_.operators()[i].operands.size(); ++n) add_edge(i, n);
    }
    for (const auto& [before, after] : graph_.aliases()) add_alias(before, after);
    add_memory();
    return std::move(model_);
  }

 private:
  using Terms = std::vector<std::pair<size_t, double>>;

  void add_row(std::string name, double lower, double upper, Terms terms) {
    model_.rows.push_back({std::move(name), lower, upper, std::move(terms)});
  }

  void add_operator(size_t i) {
    first_.push_back(model_.columns.size());
    Terms all;
    for (size_t k = 0; k < strategies_[i].all.size(); ++k) {
      const OpStrategy& strategy = strategies_[i].all[k];
      const bool allowed = !options_.allowed || options_.allowed(i, strategy.result);
      all.emplace_back(model_.columns.size(), 1);
      model_.columns.push_back(
          {str_cat("s_", i, "_", k), strategy.communication_s, allowed ? 1.0 : 0.0, true});
    }
    add_row(str_cat("one_", i), 1, 1, std::move(all));
  }

  void add_edge(size_t i, size_t operand) {
    const size_t source = graph_.operators()[i].operands[operand];
    if (strategies_[i].leader == operand) return follow(i, source);
    const auto& from = strategies_[source].all;
    const auto& to = strategies_[i].all;
    std::vector<Terms> rows(from.size());
    std::vector<Terms> columns(to.size());
    for (size_t p = 0; p < from.size(); ++p) rows[p] = {{first_[source] + p, -1}};
    for (size_t q = 0; q < to.size(); ++q) columns[q] = {{first_[i] + q, -1}};
    const double bytes = graph_.operators()[source].bytes();
    double most = 0;
    std::vector<miqp::MilpColumn> added;
    for (size_t p = 0; p < from.size(); ++p) {
      for (size_t q = 0; q < to.size(); ++q) {
        double cost_s = reshard_s(mesh_, bytes, from[p].result, to[q].needed[operand]);
        if (cost_s > 0) cost_s += options_.all_gather_s;
        const size_t column = model_.columns.size() + added.size();
        added.push_back({str_cat("e_", source, "_", p, "_", i, "_", q), cost_s, kInfinite, false});
        rows[p].emplace_back(column, 1);
        columns[q].emplace_back(column, 1);
        most = std::max(most, cost_s);
      }
    }
    if (most == 0) return;  // nothing to choose
    model_.columns.insert(model_.columns.end(), added.begin(), added.end());
    for (Terms& terms : rows) add_row(str_cat("from_", model_.rows.size()), 0, 0, std::move(terms));
    for (Terms& terms : columns) {
      add_row(str_cat("to_", model_.rows.size()), 0, 0, std::move(terms));
    }
  }

  // s_i[k] <= s_source[the one it follows].
  void follow(size_t i, size_t source) {
    const auto& all = strategies_[i].all;
    for (size_t k = 0; k < all.size(); ++k) {
      add_row(str_cat("follow_", i, "_", k), 0, kInfinite,
              {{first_[source] + *all[k].follows, 1}, {first_[i] + k, -1}});
    }
  }

  // As much of one sharding before as after.
  void add_alias(size_t before, size_t after) {
    std::vector<Sharding> seen;
    const auto add_terms = [&](size_t i, const Sharding& sharding, double sign, Terms& terms) {
      for (size_t k = 0; k < strategies_[i].all.size(); ++k) {
        if (strategies_[i].all[k].result == sharding) terms.emplace_back(first_[i] + k, sign);
      }
    };
    for (const size_t i : {before, after}) {
      for (const OpStrategy& strategy : strategies_[i].all) {
        if (std::find(seen.begin(), seen.end(), strategy.result) != seen.end()) continue;
        seen.push_back(strategy.result);
        Terms terms;
        add_terms(before, strategy.result, 1, terms);
        add_terms(after, strategy.result, -1, terms);
        add_row(str_cat("alias_", before, "_", seen.size()), 0, 0, std::move(terms));
      }
    }
  }

  // A tensor is live from its operator to its last reader; parameters from the first one on.
  void add_memory() {
    const size_t count = strategies_.size();
    std::vector<size_t> last(count);
    for (size_t i = 0; i < count; ++i) {
      last[i] = i;
      for (const size_t operand : graph_.operators()[i].operands) last[operand] = i;
    }
    for (size_t now = 0; now < count; ++now) {
      Terms terms;
      for (size_t i = 0; i < count; ++i) {
        const bool from_start = graph_.operators()[i].kind == OpKind::kParameter;
        if ((i > now && !from_start) || last[i] < now) continue;
        for (size_t k = 0; k < strategies_[i].all.size(); ++k) {
          const double share = strategies_[i].all[k].memory_bytes / options_.memory_bytes;
          terms.emplace_back(first_[i] + k, share);
        }
      }
      add_row(str_cat("memory_", now), -kInfinite, 1, std::move(terms));
    }
  }

  const OperatorGraph& graph_;
  const Mesh& mesh_;
  const std::vector<OpStrategies>& strategies_;
  const IntraOpOptions& options_;
  miqp::MilpModel model_;
  std::vector<size_t> first_;  // column of each operator
};

}  // namespace

miqp::MilpModel intra_op_program(const OperatorGraph& graph, const Mesh& mesh,
                                 const std::vector<OpStrategies>& strategies,
                                 const IntraOpOptions& options) {
  return Program(graph, mesh, strategies, options).build();
}

Result<IntraOpPlan> solve_intra_op(const OperatorGraph& graph, const Mesh& mesh,
                                   const IntraOpOptions& options) {
  const miqp::MilpBackend* const backend = miqp::default_milp_backend();
  if (backend == nullptr) {
    return Error{ErrorCode::kUnavailable, "this program was built without a MILP backend", {}};
  }
  const std::vector<OpStrategies> strategies = op_strategies(graph, mesh);
  const miqp::MilpAnswer answer =
      backend->solve(intra_op_program(graph, mesh, strategies, options), {});
  if (answer.values.empty()) {
    const bool fits_none = answer.claim == miqp::MilpAnswer::Claim::kInfeasible;
    return Error{ErrorCode::kInfeasible,
                 fits_none ? "no strategies of the operators fit into memory"
                           : str_cat(backend->title, " gave no plan"),
                 {}};
  }
  IntraOpPlan plan{answer.objective, {}};
  size_t column = 0;
  for (const OpStrategies& of_one : strategies) {
    for (const OpStrategy& strategy : of_one.all) {
      if (answer.values[column++] > 0.5) plan.sharding.push_back(strategy.result);
    }
  }
  return plan;
}

}  // namespace soapbox::strategies::alpa
