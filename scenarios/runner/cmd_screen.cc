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

Result<int64_t> number_in(std::string_view option, std::string_view word, int64_t lowest,
                          int64_t highest) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size() || number < lowest ||
      number > highest) {
    return usage_error(str_cat("screen: --", option, " '", word, "'; allowed: whole numbers from ",
                               lowest, " to ", highest, ", as 8, 1,2,4 or 1-8"));
  }
  return number;
}

// "8", "1,2,4" or "1-8": those of `all` that are named. A number that is not one of them is
// refused, unless `all` is but a choice (`of` is empty).
template <typename T>
Status narrow(const Arguments& arguments, std::string_view option, int64_t lowest, int64_t highest,
              std::string_view of, std::vector<T>& all) {
  const std::optional<std::string> text = arguments.text(option);
  if (!text) return ok();
  std::vector<T> chosen;
  for (const std::string& part : parts_of(*text)) {
    const size_t dash = part.find('-');
    const Result<int64_t> first = number_in(option, part.substr(0, dash), lowest, highest);
    if (!first) return first.error();
    if (dash == std::string::npos) {
      if (!of.empty() && !std::binary_search(all.begin(), all.end(), *first)) {
        return usage_error(str_cat("screen: --", option, " ", *first, "; allowed: ", of));
      }
      chosen.push_back(static_cast<T>(*first));
      continue;
    }
    const Result<int64_t> last = number_in(option, part.substr(dash + 1), *first, highest);
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
    if (!value) return arguments.refused(option, value.error());
    if (std::find(chosen.begin(), chosen.end(), *value) == chosen.end()) chosen.push_back(*value);
  }
  all = std::move(chosen);
  return ok();
}

// "on", "off" or both; absent: as it is.
Status narrow_switch(const Arguments& arguments, std::string_view option, std::vector<bool>& all) {
  if (!arguments.has(option)) return ok();
  constexpr std::array<std::string_view, 4> kWords = {"on", "off", "on,off", "off,on"};
  const Result<std::string> given = arguments.word(option, "", kWords);
  if (!given) return given.error();
  all = {*given == "on"};
  if (given->size() > 3) all = {false, true};
  return ok();
}

// Every combination of precisions and switches becomes a base of the plans.
Status widen_bases(const Arguments& arguments, strategies::ScreenSpace& space) {
  std::vector<Precision> precisions = {space.bases.front().precision};
  if (Status read = narrow_names(arguments, "precision", parse_precision, precisions); !read) {
    return read;
  }
  const Result<double> imbalance = read_expert_imbalance(arguments);
  if (!imbalance) return imbalance.error();
  space.bases.clear();
  for (const Precision& precision : precisions) {
    ParallelPlan& base = space.bases.emplace_back();
    base.precision = precision;
    base.expert_imbalance = *imbalance;
  }
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
  const std::string of_devices = str_cat("divisors of the ", devices, " devices");
  const std::string of_batch = str_cat("divisors of the ", space.global_batch, " samples");
  const std::string of_experts = space.expert.size() > 1
                                     ? str_cat("divisors of the ", space.expert.back(), " experts")
                                     : std::string("1, as the model has no experts");
  const Status narrowed[] = {
      narrow(arguments, "tp", 1, kMostDegree, of_devices, space.tensor),
      narrow(arguments, "pp", 1, kMostDegree, of_devices, space.pipeline),
      narrow(arguments, "vpp", 1, kMostDegree, "", space.chunks),
      narrow(arguments, "cp", 1, kMostDegree, of_devices, space.context),
      narrow(arguments, "ep", 1, kMostDegree, of_experts, space.expert),
      narrow(arguments, "zero", 0, 3, "0, 1, 2, 3", space.zero),
      narrow(arguments, "micro-batch", 1, kMostSamples, of_batch, space.microbatch),
      narrow_names(arguments, "schedule", parse_schedule, space.schedules),
      narrow_names(arguments, "recompute", parse_recompute, space.recompute),
      narrow_switch(arguments, "sequence-parallel", space.sequence_parallel),
      widen_bases(arguments, space),
  };
  for (const Status& status : narrowed) {
    if (!status) return status.error();
  }
  return space;
}

// One of the best, as a line. The switches are columns where there is more than one base.
void add_row(results::Table& table, size_t rank, const strategies::ScreenEntry& entry,
             bool with_switches) {
  const ParallelPlan& plan = entry.plan;
  const LayerStrategy& s = plan.strategies.front();
  const auto* report = std::get_if<Report>(&entry.outcome);
  results::Cell time, low, high, mfu, bubble;
  if (report != nullptr) {
    time = report->iteration_time.seconds();
    low = report->low.seconds();
    high = report->high.seconds();
    mfu = report->mfu;
    bubble = report->bubble_fraction;
  }
  std::vector<results::Cell> row = {rank,
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
                                    to_string(plan.precision.compute),
                                    entry.analytic.seconds(),
                                    time,
                                    low,
                                    high,
                                    mfu,
                                    bubble,
                                    entry.memory.total().count(),
                                    report != nullptr};
  for (const PlanSwitch& each : plan_switches()) {
    if (with_switches) row.emplace_back(plan.*each.field);
  }
  table.add_row(std::move(row));
}

results::Table best_table(const strategies::ScreenOutcome& outcome, bool with_switches) {
  std::vector<results::Column> columns = {{"rank"},
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
                                          {"precision"},
                                          {"analytic_time_s"},
                                          {"iteration_time_s"},
                                          {"low_s"},
                                          {"high_s"},
                                          {"mfu"},
                                          {"bubble_fraction"},
                                          {"peak_memory_bytes"},
                                          {"feasible"}};
  for (const PlanSwitch& each : plan_switches()) {
    std::string name(each.name);
    std::replace(name.begin(), name.end(), '-', '_');
    if (with_switches) columns.push_back({std::move(name)});
  }
  results::Table table(std::move(columns));
  for (size_t i = 0; i < outcome.best.size(); ++i) {
    add_row(table, i + 1, outcome.best[i], with_switches);
  }
  return table;
}

std::string render(const ParallelProblem& problem, const strategies::ScreenOutcome& outcome,
                   const strategies::ScreenSpace& space, results::Format format) {
  const results::Table best = best_table(outcome, space.bases.size() > 1);
  if (format == results::Format::kCsv || format == results::Format::kJsonl) {
    return results::render(best, format);
  }
  Record record;
  record.add("model", problem.model.name);
  record.add("cluster", problem.cluster.name());
  record.add("devices", problem.cluster.device_count());
  record.add("global_batch", space.global_batch);
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
  CommandResult result{render(problem, outcome, *space, *format)};
  if (outcome.interrupted) {
    result.exit_code = ExitCode::kInterrupted;
  } else if (outcome.configurations == 0) {
    return usage_error(
        str_cat("screen: no plan has these degrees; allowed: --tp x --cp x --pp that divides the ",
                problem.cluster.device_count(),
                " devices, --tp that divides the heads, --micro-batch x "
                "data ranks that divides the ",
                space->global_batch, " samples, --pp x --vpp of at most ",
                problem.model.block_count(), " blocks"));
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
      "--precision (bf16,fp8), --flash-attention and the overlaps (on,off) take sets too, and "
      "where\n"
      "not given are what simulate takes.\n"
      "A plan whose lower bound is not below the K-th best time is pruned; nothing_better_pruned "
      "says\n"
      "whether that bound proves that none of these is faster than the best one when simulated.";
  return {"screen", "Ranks every Megatron-style plan in closed form, and simulates the best.",
          std::move(syntax), run};
}

}  // namespace soapbox::runner
