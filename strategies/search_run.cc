#include "strategies/search_run.h"

#include <time.h>

#include <cmath>

#include "sim/base/str.h"
#include "strategies/proposals.h"

namespace soapbox::strategies {

double thread_cpu_s() {
  timespec now{};
  SOAPBOX_CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0, "no thread CPU clock");
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Status check_request(std::string_view searcher, const SearchRequest& request, SettingsUsed used) {
  const SearchSettings& settings = request.settings;
  const auto refuse = [&](std::string_view setting) {
    return bad_input(str_cat("method '", searcher, "' has no setting '", setting, "'"));
  };
  if (request.budget.evaluations == 0) {
    return bad_input("budget 0: a search needs at least 1 evaluation");
  }
  if (!used.beta && settings.beta != 0) return refuse("beta");
  if (!used.proposals && !settings.proposals.empty()) return refuse("proposals");
  if (!used.starts && !settings.starts.empty()) return refuse("starts");
  if (!std::isfinite(settings.beta) || settings.beta < 0) {
    return bad_input(str_cat("beta ", settings.beta, ": must be positive, or 0 for the default"));
  }
  if (!settings.proposals.empty()) {
    const Result<const ProposalRow*> row = find_proposals(settings.proposals);
    if (!row) return row.error();
  }
  for (const std::string& start : settings.starts) {
    if (start == kRandomStart) continue;
    const Result<const RecipeRow*> row = find_recipe(start);
    if (!row) return row.error();
  }
  return ok();
}

SearchRun::SearchRun(const SearchRequest& request)
    : request_(request),
      evaluator_(request.problem, request.settings.simulation),
      cpu_start_s_(thread_cpu_s()) {}

void SearchRun::reset(const Plan& plan) {
  SOAPBOX_CHECK(!finished(), "the search is over");
  evaluator_.reset(plan);
  end_evaluation();
}

void SearchRun::step(std::span<const ConfigChange> changes, Duration limit) {
  SOAPBOX_CHECK(!finished(), "the search is over");
  if (evaluator_.propose(changes, limit)) {
    evaluator_.accept();
  } else {
    evaluator_.reject();
  }
  end_evaluation();
}

void SearchRun::move(std::span<const ConfigChange> changes) {
  SOAPBOX_CHECK(!finished(), "the search is over");
  evaluator_.propose(changes);
  evaluator_.accept();
  end_evaluation();
}

void SearchRun::end_evaluation() {
  const auto& [excess, time] = evaluator_.current_cost();
  const bool none_fitted = best_.improvements.empty();
  if (excess > Bytes()) {
    if (none_fitted && (evaluations() == 1 || evaluator_.current_cost() < nearest_cost_)) {
      nearest_ = evaluator_.current();
      nearest_cost_ = evaluator_.current_cost();
    }
  } else if (none_fitted || time < best_.best_time) {
    best_.best = evaluator_.current();
    best_.best_time = time;
    best_.best_at_evaluation = evaluations();
    best_.improvements.push_back({evaluations(), time, thread_cpu_s() - cpu_start_s_});
  }
  std::optional<Duration> best;
  if (!best_.improvements.empty()) best = best_.best_time;
  if (request_.progress && !request_.progress(evaluations(), best)) stopped_ = true;
}

Result<SearchOutcome> SearchRun::outcome(std::string reason) const {
  SOAPBOX_CHECK(evaluations() > 0, "a search evaluates at least one plan");
  if (best_.improvements.empty()) {
    const Outcome lacking = simulate(request_.problem, nearest_).outcome;
    return Error{stopped_ ? ErrorCode::kInterrupted : ErrorCode::kInfeasible,
                 str_cat("none of ", evaluations(), " plans fits the memory; the nearest is ",
                         describe(request_.problem.cluster, std::get<Infeasible>(lacking))),
                 {}};
  }
  SearchOutcome outcome = best_;
  outcome.evaluations = evaluations();
  outcome.stop_reason = stopped_     ? "stopped by the caller"
                        : finished() ? "budget"
                                     : std::move(reason);
  outcome.cpu_s = thread_cpu_s() - cpu_start_s_;
  return outcome;
}

}  // namespace soapbox::strategies
