// soapbox screen: every Megatron-style plan of a Transformer in closed form, the best simulated.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "results/table.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/interrupt.h"
#include "scenarios/runner/output_file.h"
#include "scenarios/runner/parallel_options.h"
#include "scenarios/runner/parallel_problem.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"
#include "strategies/screen.h"

namespace soapbox::runner {
namespace {

constexpr int64_t kMostKept = 1000;

std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Result<int64_t> number_in(std::string_view option, std::string_view word, int64_t lowest) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size() || number < lowest) {
    return usage_error(str_cat("screen: --", option, " '", word, "'; allowed: whole numbers from ",
                               lowest, ", as 8, 1,2,4 or 1-8"));
  }
  return number;
}

// "8", "1,2,4" or "1-8": those of `all` that are named; a number that is not one of them stays, and
// no plan has it.
template <typename T>
Status narrow(const Arguments& arguments, std::string_view option, int64_t lowest,
              std::vector<T>& all) {
  const std::optional<std::string> text = arguments.text(option);
  if (!text) return ok();
  std::vector<T> chosen;
  for (const std::string& part : parts_of(*text)) {
    const size_t dash = part.find('-');
    const Result<int64_t> first = number_in(option, part.substr(0, dash), lowest);
    if (!first) return first.error();
    if (dash == std::string::npos) {
      chosen.push_back(static_cast<T>(*first));
      continue;
    }
    const Result<int64_t> last = number_in(option, part.substr(dash + 1), *first);
    if (!last) return last.error();
    for (const T value : all) {
      if (value >= *first && value <= *last) chosen.push_back(value);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  all = std::move(chosen);
  return ok();
}

template <typename T>
Status narrow_names(const Arguments& arguments, std::string_view option,
                    Result<T> (*parse)(std::string_view), std::vector<T>& all) {
  const std::optional<std::string> text = arguments.text(option);
  if (!text) return ok();
  std::vector<T> chosen;
  for (const std::string& part : parts_of(*text)) {
    const Result<T> value = parse(part);
    if (!value) return usage_error(str_cat("screen: --", option, ": ", value.error().message));
    if (std::find(chosen.begin(), chosen.end(), *value) == chosen.end()) chosen.push_back(*value);
  }
  all = std::move(chosen);
  return ok();
}

// "on", "off" or both; absent: as it is.
Status narrow_switch(const Arguments& arguments, std::string_view option, std::vector<bool>& all) {
  const std::optional<std::string> text = arguments.text(option);
  if (!text) return ok();
  if (*text == "on,off" || *text == "off,on") {
    all = {false, true};
    return ok();
  }
  if (*text != "on" && *text != "off") {
    return usage_error(str_cat("screen: --", option, " '", *text, "'; allowed: on, off, on,off"));
  }
  all = {*text == "on"};
  return ok();
}

// Every combination of the switches becomes a base of the plans.
Status widen_bases(const Arguments& arguments, strategies::ScreenSpace& space) {
  if (Status read = read_plan_figures(arguments, space.bases.front()); !read) return read;
  for (const PlanSwitch& each : plan_switches()) {
    std::vector<bool> values = {space.bases.front().*each.field};
    if (Status read = narrow_switch(arguments, each.name, values); !read) return read;
    std::vector<ParallelPlan> widened;
    for (const bool value : values) {
      for (ParallelPlan base : space.bases) {
        base.*each.field = value;
        widened.push_back(std::move(base));
      }
    }
    space.bases = std::move(widened);
  }
  return ok();
}

Result<strategies::ScreenSpace> read_space(const Arguments& arguments, const Transformer& model,
                                           int64_t devices) {
  const auto batch = arguments.whole_number("global-batch", 1, kMostSamples);
  if (!batch) return batch.error();
  strategies::ScreenSpace space =
      strategies::ScreenSpace::all(model, devices, batch->value_or(4 * devices));
  const Status narrowed[] = {
      narrow(arguments, "tp", 1, space.tensor),
      narrow(arguments, "pp", 1, space.pipeline),
      narrow(arguments, "vpp", 1, space.chunks),
      narrow(arguments, "cp", 1, space.context),
      narrow(arguments, "ep", 1, space.expert),
      narrow(arguments, "zero", 0, space.zero),
      narrow(arguments, "micro-batch", 1, space.microbatch),
      narrow_names(arguments, "schedule", parse_schedule, space.schedules),
      narrow_names(arguments, "recompute", parse_recompute, space.recompute),
      narrow_switch(arguments, "sequence-parallel", space.sequence_parallel),
      widen_bases(arguments, space),
  };
  for (const Status& status : narrowed) {
    if (!status) return status.error();
  }
  for (const int32_t zero : space.zero) {
    if (zero > 3) return usage_error(str_cat("screen: --zero ", zero, "; allowed: 0, 1, 2, 3"));
  }
  return space;
}

// One of the best, as a line.
void add_row(results::Table& table, size_t rank, const strategies::ScreenEntry& entry) {
  const ParallelPlan& plan = entry.plan;
  const LayerStrategy& s = plan.strategies.front();
  const auto* report = std::get_if<Report>(&entry.run.outcome);
  const MemoryUse& memory = entry.run.memory[fullest_stage(entry.run.memory)].peak;
  results::Cell time, low, high, mfu, bubble;
  if (report != nullptr) {
    time = report->iteration_time.seconds();
    low = report->low.seconds();
    high = report->high.seconds();
    mfu = report->mfu;
    bubble = report->bubble_fraction;
  }
  table.add_row({rank,
                 s.tensor_parallel,
                 plan.pipeline_parallel,
                 plan.chunks_per_stage,
                 s.data_parallel,
                 s.context_parallel,
                 s.expert_parallel,
                 plan.microbatch,
                 plan.microbatches,
                 to_string(plan.schedule),
                 to_string(s.recompute),
                 s.zero_stage,
                 s.sequence_parallel,
                 entry.analytic.seconds(),
                 time,
                 low,
                 high,
                 mfu,
                 bubble,
                 memory.total().count(),
                 report != nullptr});
}

results::Table best_table(const strategies::ScreenOutcome& outcome) {
  results::Table table({{"rank"},
                        {"tp"},
                        {"pp"},
                        {"vpp"},
                        {"dp"},
                        {"cp"},
                        {"ep"},
                        {"micro_batch"},
                        {"microbatches"},
                        {"schedule"},
                        {"recompute"},
                        {"zero"},
                        {"sequence_parallel"},
                        {"analytic_time_s"},
                        {"iteration_time_s"},
                        {"low_s"},
                        {"high_s"},
                        {"mfu"},
                        {"bubble_fraction"},
                        {"peak_memory_bytes"},
                        {"feasible"}});
  for (size_t i = 0; i < outcome.best.size(); ++i) add_row(table, i + 1, outcome.best[i]);
  return table;
}

std::string render(const ParallelProblem& problem, const strategies::ScreenOutcome& outcome,
                   int64_t global_batch, results::Format format) {
  const results::Table best = best_table(outcome);
  if (format == results::Format::kCsv || format == results::Format::kJsonl) {
    return results::render(best, format);
  }
  Record record;
  record.add("model", problem.model.name);
  record.add("cluster", problem.cluster.name());
  record.add("devices", problem.cluster.device_count());
  record.add("global_batch", global_batch);
  record.add("seq_len", problem.model.seq_len);
  record.add("configurations", outcome.configurations);
  record.add("feasible", outcome.feasible);
  record.add("evaluated", outcome.evaluated);
  record.add("pruned", outcome.pruned);
  record.add("pruned_bound_s", outcome.pruned_bound ? results::Cell(outcome.pruned_bound->seconds())
                                                    : results::Cell());
  record.add("nothing_better_pruned", outcome.proves_best());
  record.add("interrupted", outcome.interrupted);
  if (format == results::Format::kTable) {
    return record.render(format) + "\n" + results::render(best, format);
  }
  auto object = nlohmann::ordered_json::parse(record.render(format));
  object["best"] = nlohmann::ordered_json::parse(results::render(best, format));
  return object.dump(2) + "\n";
}

Result<CommandResult> run(const Arguments& arguments, const Console& console) {
  const Result<results::Format> format = read_format(arguments);
  if (!format) return format.error();
  const auto count = arguments.whole_number("best", 1, kMostKept);
  if (!count) return count.error();
  const auto loaded = load_parallel_problem(arguments, console);
  if (!loaded) return loaded.error();
  const ParallelProblem& problem = (*loaded)->problem();
  const Result<strategies::ScreenSpace> space =
      read_space(arguments, problem.model, static_cast<int64_t>(problem.cluster.device_count()));
  if (!space) return space.error();
  const Interrupt interrupt;
  const strategies::ScreenOutcome outcome =
      strategies::screen(problem, *space, static_cast<size_t>(count->value_or(10)),
                         [&] { return !interrupt.requested(); });
  const std::optional<std::string> out = arguments.text("out");
  if (out && !outcome.best.empty()) {
    const Status written =
        write_file(*out, parallel_plan_to_json(plan_header(problem), outcome.best.front().plan));
    if (!written) return written.error();
  }
  CommandResult result{render(problem, outcome, space->global_batch, *format)};
  if (outcome.interrupted) {
    result.exit_code = ExitCode::kInterrupted;
  } else if (outcome.configurations == 0) {
    return usage_error("screen: no plan has these degrees on this model and so many devices");
  } else if (outcome.best.empty()) {
    console.say("infeasible: none of the plans fits in memory");
    result.exit_code = ExitCode::kInfeasible;
  }
  return result;
}

}  // namespace

CommandRow screen_command() {
  Syntax syntax{.command = "screen"};
  syntax.options = {{"model", "NAME|FILE", "a Transformer; see 'soapbox list models'"},
                    {"cluster", "NAME|FILE", "the cluster; see 'soapbox list clusters'"},
                    {"devices", "N", "only the first N devices, filling nodes"},
                    {"best", "K", "how many of the best to simulate and print (default 10)"},
                    {"out", "FILE", "write the best plan as JSON, as 'soapbox simulate' reads it"}};
  for (Option option : parallel_options()) {
    if (option.name == "fold" || option.name == "shard-group") continue;
    syntax.options.push_back(option);
  }
  syntax.options.push_back(format_option());
  syntax.details =
      "Degrees, --micro-batch, --zero, --schedule, --recompute and --sequence-parallel take sets:\n"
      "8, 1,2,4 or 1-8. What is not given takes every value that the devices and the model allow.\n"
      "--flash-attention and the overlaps may be on,off: every combination is a plan then.\n"
      "A plan whose lower bound is not below the K-th best time is pruned; nothing_better_pruned "
      "says\n"
      "whether that bound proves that none of these is faster than the best one when simulated.";
  return {"screen", "Ranks every Megatron-style plan in closed form, and simulates the best.",
          std::move(syntax), run};
}

}  // namespace soapbox::runner
