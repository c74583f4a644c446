// soapbox solve: one mixed integer quadratic program of UniAP, to a proven optimum.
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/planning/certificate_file.h"
#include "scenarios/runner/planning/instance_file.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"
#include "strategies/miqp/milp_backend.h"
#include "strategies/miqp/program_text.h"
#include "strategies/miqp/prove.h"
#include "strategies/miqp/solve.h"

namespace soapbox::runner {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kMostSeconds = 1e9;

std::string_view status_text(miqp::SolveStatus status) {
  switch (status) {
    case miqp::SolveStatus::kOptimal:
      return "optimal";
    case miqp::SolveStatus::kCutOff:
      return "cut off";
    case miqp::SolveStatus::kInfeasible:
      return "infeasible";
    case miqp::SolveStatus::kLimit:
      return "limit";
  }
  return "";
}

std::string numbers(const std::vector<uint32_t>& values) {
  std::vector<std::string> parts;
  for (const uint32_t value : values) parts.push_back(std::to_string(value));
  return join(parts, " ");
}

// What is printed: the same fields in every format.
Json result_json(const miqp::Instance& in, const miqp::Solution& solution) {
  Json json;
  json["status"] = status_text(solution.status);
  const auto time = [&in](int64_t units) {
    return units == miqp::kNoObjective ? Json() : Json(miqp::real_time(in, units));
  };
  json["objective"] = solution.plan ? time(solution.objective) : Json();
  json["bound"] = time(solution.bound);
  json["gap"] = solution.gap();
  json["proven"] = solution.proven();
  json["stage"] = solution.plan ? Json(solution.plan->stage) : Json();
  json["strategy"] = solution.plan ? Json(solution.plan->strategy) : Json();
  json["labels"] = solution.labels;
  json["cpu_s"] = solution.cpu_s;
  json["table_cpu_s"] = solution.table_cpu_s;
  json["search_cpu_s"] = solution.search_cpu_s;
  json["proof_cpu_s"] = solution.proof_cpu_s;
  json["solver"] = solution.solver;
  // At most half a unit for each layer and edge, each of which counts up to `microbatches` times.
  const double terms =
      static_cast<double>(in.layers + in.edges.size()) * static_cast<double>(in.microbatches);
  json["rounding"] = 0.5 * terms * std::pow(10.0, in.time_exponent);
  json["infeasible_reason"] = solution.reason.empty() ? Json() : Json(solution.reason);
  return json;
}

std::string render(const miqp::Instance& in, const miqp::Solution& solution,
                   results::Format format) {
  const Json json = result_json(in, solution);
  if (format == results::Format::kJson) return json.dump(2) + "\n";
  if (format == results::Format::kJsonl) return json.dump() + "\n";
  Record record;
  for (const auto& [name, value] : json.items()) {
    if (value.is_null()) {
      record.add(name, {});
    } else if (value.is_boolean()) {
      record.add(name, value.get<bool>());
    } else if (value.is_number_float()) {
      record.add(name, value.get<double>());
    } else if (value.is_number()) {
      record.add(name, value.get<int64_t>());
    } else if (value.is_array()) {
      record.add(name, numbers(value.get<std::vector<uint32_t>>()));
    } else {
      record.add(name, value.get<std::string>());
    }
  }
  return record.render(format);
}

// The linear model for other solvers, in the input's own unit of time.
Status write_models(const Arguments& arguments, const miqp::Instance& instance) {
  for (const auto& [option, text] :
       {std::pair("write-lp", &miqp::to_lp), std::pair("write-mps", &miqp::to_mps)}) {
    const std::optional<std::string> path = arguments.text(option);
    if (!path) continue;
    const miqp::MilpModel model =
        miqp::build_milp(instance, miqp::MilpForm::kFlow, std::pow(10.0, instance.time_exponent));
    if (Status status = write_file(*path, text(model)); !status) return status;
  }
  return ok();
}

Status write_certificate(const std::string& path, const miqp::Instance& instance,
                         const miqp::Solution& solution) {
  const Result<miqp::Certificate> certificate = miqp::prove(instance, solution);
  return certificate ? write_file(path, certificate_to_json(*certificate))
                     : Status(certificate.error());
}

// Null: the default one.
Result<const miqp::MilpBackend*> read_milp_backend(const Arguments& arguments,
                                                   std::string_view solver) {
  const std::optional<std::string> name = arguments.text("milp-backend");
  if (!name) return nullptr;
  if (solver == "brute") return usage_error("--milp-backend is for --solver exact and milp");
  Result<const miqp::MilpBackend*> backend = miqp::find_milp_backend(*name);
  if (!backend && backend.error().code == ErrorCode::kBadInput) {
    return arguments.refused("milp-backend", backend.error());
  }
  return backend;
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const auto limit = arguments.number("time-limit", 0, kMostSeconds);
  if (!limit) return limit.error();
  const Result<const miqp::SolverRow*> solver =
      arguments.parsed("solver", "exact", miqp::find_solver);
  if (!solver) return solver.error();
  const Result<const miqp::MilpBackend*> backend = read_milp_backend(arguments, (*solver)->name);
  if (!backend) return backend.error();
  constexpr std::array<std::string_view, 2> kPrints = {"solution", "miqp"};
  const Result<std::string> print = arguments.word("print", kPrints[0], kPrints);
  if (!print) return print.error();
  const Result<miqp::Instance> instance = load_instance(arguments.positional()[0]);
  if (!instance) return instance.error();
  if (Status status = write_models(arguments, *instance); !status) return status.error();
  if (*print == "miqp") return CommandResult{miqp::program_text(*instance)};
  miqp::SolveOptions options;
  options.time_limit_s = limit->value_or(kMostSeconds);
  options.milp_backend = *backend;
  const Interrupt interrupt;
  options.stop = [&interrupt] { return interrupt.requested(); };
  const miqp::Solution solution = (*solver)->solve(*instance, options);
  if (const std::optional<std::string> path = arguments.text("certificate")) {
    Status status = write_certificate(*path, *instance, solution);
    if (!status) return status.error();
  }
  CommandResult result{render(*instance, solution, *format)};
  if (interrupt.requested()) {
    console.say(str_cat("soapbox: interrupted; ",
                        solution.plan ? "this is the best plan so far, and" : "no plan so far;",
                        " a bound that holds"));
    result.exit_code = ExitCode::kInterrupted;
  } else if (solution.status == miqp::SolveStatus::kInfeasible) {
    console.say(str_cat("soapbox: infeasible: ", solution.reason));
    result.exit_code = ExitCode::kInfeasible;
  }
  return result;
}

std::string solver_names() {
  std::vector<std::string> names;
  for (const miqp::SolverRow& row : miqp::solver_table()) {
    names.push_back(str_cat(row.name, " (", row.summary, ")"));
  }
  return join(names, "; ");
}

std::string backend_names() {
  std::vector<std::string> names;
  for (const miqp::MilpBackend& backend : miqp::milp_backend_table()) {
    const bool is_here = backend.solve != nullptr;
    const std::string_view remark = &backend == miqp::default_milp_backend() ? " (default)" : "";
    names.push_back(str_cat(backend.name, is_here ? remark : " (not in this program)"));
  }
  return join(names, ", ");
}

}  // namespace

CommandRow solve_command() {
  static const std::string kSolvers = str_cat(solver_names(), "; default exact");
  static const std::string kBackends = str_cat("what solves linear programs: ", backend_names());
  return {"solve", "Solves one mixed integer quadratic program of UniAP, with proof.",
          Syntax{.command = "solve",
                 .positional = "INSTANCE.json",
                 .min_positional = 1,
                 .max_positional = 1,
                 .options = {{"solver", "NAME", kSolvers},
                             {"milp-backend", "NAME", kBackends},
                             {"time-limit", "SECONDS",
                              "CPU time, after which the best plan and a bound that holds are "
                              "printed"},
                             {"certificate", "FILE",
                              "also write the proof, which 'soapbox certify' checks"},
                             {"print", "WHAT",
                              "solution (default), or miqp: the program written out, unsolved"},
                             {"write-lp", "FILE",
                              "also write the program, linearised, for other solvers: CPLEX LP"},
                             {"write-mps", "FILE", "the same as free MPS"},
                             format_option()},
                 .details = kInstanceKeys},
          run};
}

}  // namespace soapbox::runner
