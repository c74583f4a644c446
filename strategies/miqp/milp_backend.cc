#include "strategies/miqp/milp_backend.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "sim/base/str.h"
#include "strategies/miqp/explain.h"
#include "strategies/miqp/stopwatch.h"

namespace soapbox::miqp {
namespace {

constexpr std::array kBackends = {
#ifdef SOAPBOX_CBC_LIBRARY
    MilpBackend{"cbc", "Cbc", solve_by_cbc, ""},
#else
    MilpBackend{"cbc", "Cbc", nullptr, "Debian package coinor-libcbc-dev"},
#endif
#ifdef SOAPBOX_HIGHS
    MilpBackend{"highs", "HiGHS", solve_by_highs, ""},
#else
    MilpBackend{"highs", "HiGHS", nullptr,
                "CMake package highs, e.g. of libhighs-dev in Debian 13; 1.14.0 is refused"},
#endif
};

// What the numbers of a backend are good to, relative to the objective.
constexpr double kTolerance = 1e-6;

std::string built_without(const MilpBackend& backend) {
  return str_cat("this program was built without ", backend.title, " (", backend.missing, ")");
}

// Takes an answer only as far as the integers confirm it.
void confirm(const Instance& in, const MilpModel& model, const MilpBackend& backend,
             const MilpAnswer& answer, Solution& solution) {
  const double bound = std::max(0.0, answer.bound / model.time_scale);
  if (std::isfinite(bound)) solution.bound = static_cast<int64_t>(bound * (1 - kTolerance));
  const std::optional<Assignment> plan =
      answer.values.empty() ? std::nullopt : read_choices(in, model, answer.values.data());
  if (!plan) {
    solution.reason =
        answer.reason.empty() ? str_cat(backend.title, " gave no plan") : answer.reason;
    return;
  }
  const Result<Cost> cost = cost_of(in, *plan);
  if (!cost) {
    solution.reason =
        str_cat("the plan of ", backend.title, " breaks a constraint: ", cost.error().message);
    return;
  }
  solution.plan = plan;
  solution.objective = cost->objective;
  solution.bound = std::min(solution.bound, solution.objective);
  const double claimed = answer.objective / model.time_scale;
  const auto exact = static_cast<double>(cost->objective);
  if (std::abs(claimed - exact) > kTolerance * std::max(exact, 1.0)) {
    solution.reason =
        str_cat(backend.title, " claims ", claimed, " units, and its plan costs ", exact);
  } else if (answer.claim == MilpAnswer::Claim::kOptimal) {
    solution.status = SolveStatus::kOptimal;
    solution.bound = solution.objective;
  }
}

}  // namespace

std::span<const MilpBackend> milp_backend_table() {
  return kBackends;
}

Result<const MilpBackend*> find_milp_backend(std::string_view name) {
  std::vector<std::string> known;
  for (const MilpBackend& backend : kBackends) {
    known.emplace_back(backend.name);
    if (backend.name != name) continue;
    if (backend.solve != nullptr) return &backend;
    return Error{ErrorCode::kUnavailable, built_without(backend), {}};
  }
  return bad_input(unknown_name("MILP backend", name, known));
}

const MilpBackend* default_milp_backend() {
  const auto* const found = std::find_if(kBackends.begin(), kBackends.end(),
                                         [](const auto& row) { return row.solve != nullptr; });
  return found == kBackends.end() ? nullptr : found;
}

std::string refusal_of_highs(int major, int minor, int patch) {
  if (major != 1 || minor != 14 || patch != 0) return "";
  return "HiGHS 1.14.0 is refused: its presolve calls plans optimal that are not (HiGHS issue "
         "2957); 1.13 and 1.15 are right";
}

Solution solve_milp_form(const Instance& in, const SolveOptions& options, MilpForm form,
                         const MilpPruning& pruning) {
  const Stopwatch stopwatch(options.time_limit_s, options.stop);
  Solution solution;
  solution.solver = "milp";
  const MilpBackend* const backend =
      options.milp_backend != nullptr ? options.milp_backend : default_milp_backend();
  if (backend == nullptr) {
    solution.reason = built_without(kBackends.front());
    return solution;
  }
  // Costs of about 1 to 1e5, where absolute tolerances are small.
  int64_t largest = 1;
  for (const int64_t time : in.compute) {
    if (time != kNotAllowed) largest = std::max(largest, time);
  }
  const MilpModel model = build_milp(in, form, 1000.0 / static_cast<double>(largest), pruning);
  const bool empty_row = std::any_of(model.rows.begin(), model.rows.end(), [](const MilpRow& row) {
    return row.terms.empty() && row.lower > 0;
  });
  MilpAnswer answer;
  if (empty_row) {
    answer.claim = MilpAnswer::Claim::kInfeasible;
  } else {
    MilpLimits limits{.time_s = stopwatch.left_s(), .stop = options.stop};
    if (pruning.cutoff != kNoObjective) {
      limits.cutoff = static_cast<double>(pruning.cutoff) * model.time_scale;
    }
    answer = backend->solve(model, limits);
  }
  solution.nodes = answer.nodes;
  if (answer.claim == MilpAnswer::Claim::kInfeasible) {
    solution.status = SolveStatus::kInfeasible;
    solution.bound = kNoObjective;
    solution.reason = pruning.alive.empty() ? explain_infeasible(in) : "nothing is left";
  } else {
    confirm(in, model, *backend, answer, solution);
  }
  solution.cpu_s = solution.search_cpu_s = stopwatch.elapsed_s() + answer.other_cpu_s;
  return solution;
}

Solution solve_milp(const Instance& instance, const SolveOptions& options) {
  return solve_milp_form(instance, options, MilpForm::kFlow);
}

}  // namespace soapbox::miqp
