// soapbox export: what a results database holds, as text; one run's plan or timeline.
#include <algorithm>
#include <filesystem>

#include "results/store.h"
#include "scenarios/runner/chrome_trace.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

std::vector<std::string> known_exports() {
  std::vector<std::string> names = results::Store::table_names();
  names.emplace_back("plan");
  names.emplace_back("trace");
  return names;
}

// The run whose identity begins with `prefix`.
Result<results::RunRow> find_run(results::Store& store, const std::string& prefix) {
  const Result<results::Table> runs = store.table("runs");
  if (!runs) return runs.error();
  std::vector<std::string> matches;
  for (const std::vector<results::Cell>& row : runs->rows()) {
    const auto* identity = std::get_if<std::string>(&row.front().value());
    SOAPBOX_CHECK(identity != nullptr, "the first column of runs is its identity");
    if (identity->starts_with(prefix)) matches.push_back(*identity);
  }
  if (matches.size() != 1) {
    return bad_input(str_cat(matches.empty() ? "no run" : "several runs", " of the database ",
                             matches.empty() ? "has" : "have", " an identity that begins with '",
                             prefix, "'"));
  }
  Result<std::optional<results::RunRow>> row = store.find(matches.front());
  if (!row) return row.error();
  SOAPBOX_CHECK(row->has_value(), "a listed run can be read");
  return **std::move(row);
}

// The stored plan simulated again, which must give the stored timeline.
Result<std::string> trace_of(const results::RunRow& row) {
  const results::InstanceRow& instance = row.key.instance;
  const Result<SimulationOptions> simulation = parse_simulation_options(instance.network);
  if (!simulation) return simulation.error();
  const Result<ScenarioFolder> scenarios = find_scenarios();
  if (!scenarios) return scenarios.error();
  const auto loaded = LoadedProblem::load(*scenarios, {.model = instance.model,
                                                       .cluster = instance.cluster,
                                                       .devices = instance.devices,
                                                       .batch = instance.batch,
                                                       .simulation = *simulation});
  if (!loaded) return loaded.error();
  const Result<Plan> plan =
      plan_from_json(row.plan, "the stored plan", (*loaded)->model(), (*loaded)->cluster());
  if (!plan) return plan.error();
  const Run run = simulate((*loaded)->problem(), *plan, MemoryCheck::kRegardless);
  const Report* report = std::get_if<Report>(&run.outcome);
  if (report == nullptr || !row.best || report->trace_hash != row.best->trace_hash) {
    return bad_input(
        "this program, or its model, cluster and cost files, give another timeline than the one "
        "that was stored; 'soapbox export plan' gives the plan itself");
  }
  return chrome_trace((*loaded)->problem(), run);
}

Result<std::string> export_run(results::Store& store, const std::string& what,
                               const Arguments& arguments) {
  const Result<std::string> prefix = arguments.required("run");
  if (!prefix) return prefix.error();
  const Result<results::RunRow> row = find_run(store, *prefix);
  if (!row) return row.error();
  if (row->plan.empty()) return bad_input("that run has no plan");
  if (what == "plan") return row->plan;
  return trace_of(*row);
}

Result<std::string> export_text(results::Store& store, const std::string& what,
                                results::Format format, const Arguments& arguments) {
  if (what == "plan" || what == "trace") {
    if (arguments.has("format")) {
      return usage_error(str_cat("export: --format does not apply to ", what));
    }
    return export_run(store, what, arguments);
  }
  if (arguments.has("run")) return usage_error(str_cat("export: --run does not apply to ", what));
  const Result<results::Table> table = store.table(what);
  if (!table) return table.error();
  return results::render(*table, format);
}

Result<CommandResult> run(const Arguments& arguments, const Console&) {
  const std::string& what = arguments.positional()[0];
  const std::vector<std::string> known = known_exports();
  if (std::find(known.begin(), known.end(), what) == known.end()) {
    return usage_error(unknown_name("export", what, known));
  }
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const Result<std::string> path = arguments.required("db");
  if (!path) return path.error();
  std::error_code ignored;  // a name that cannot be looked up is none of a database
  if (!std::filesystem::exists(*path, ignored)) {
    return Error{ErrorCode::kDatabase, "there is no such database", {*path}};
  }
  Result<results::Store> store = results::Store::open(*path, results::OpenMode::kRead);
  if (!store) return store.error();
  Result<std::string> text = export_text(*store, what, *format, arguments);
  if (!text) return text.error();
  const std::optional<std::string> out = arguments.text("out");
  if (!out) return CommandResult{*std::move(text)};
  const Status written = write_file(*out, *text);
  if (!written) return written.error();
  return CommandResult{};
}

}  // namespace

CommandRow export_command() {
  Syntax syntax{
      .command = "export",
      .positional =
          "runs|improvements|plans|plannings|references|executions|executed_tasks|"
          "validations|plan|trace",
      .min_positional = 1,
      .max_positional = 1,
      .options = {{"db", "FILE", "the database"},
                  {"run", "ID", "for plan and trace: the run's identity or how it begins"},
                  {"out", "FILE", "write there instead of to stdout"},
                  format_option()},
      .details =
          "plan is the run's plan as JSON; trace simulates it again, checks that the timeline is "
          "the\nstored one, and gives it for chrome://tracing or ui.perfetto.dev."};
  return {"export", "Prints what a results database holds.", std::move(syntax), run};
}

}  // namespace soapbox::runner
