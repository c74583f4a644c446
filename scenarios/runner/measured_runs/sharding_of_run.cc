#include "scenarios/runner/measured_runs/sharding_of_run.h"

#include <charconv>
#include <numeric>
#include <optional>

#include "scenarios/runner/measured_runs/run_wording.h"

namespace soapbox::runner {
namespace {

// The whole number that follows `label` in the text, e.g. 128 of "shard group 128".
std::optional<int64_t> number_after(std::string_view text, std::string_view label) {
  const size_t at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  const char* begin = text.data() + at + label.size();
  int64_t value = 0;
  const auto [end, status] = std::from_chars(begin, text.data() + text.size(), value);
  if (status != std::errc() || value <= 0) return std::nullopt;
  return value;
}

// Words of one stage of sharding, as "ZeRO-3", "FULL_SHARD", "3".
int32_t stated_stage(const std::string& joined) {
  const auto says = [&](std::string_view number, std::string_view word) {
    return contains(joined, str_cat("zero", number)) ||
           contains(joined, str_cat("stage", number)) || joined == number || contains(joined, word);
  };
  if (says("3", "full_shard")) return 3;
  if (says("2", "shard_grad_op")) return 2;
  return says("1", "distributed optimizer") ? 1 : 0;
}

// Of a sharding group that nobody states: nodes enough that states take half of the memory at most.
int64_t usual_shard_group(const MeasuredRun& run, const Transformer& model, int64_t ranks,
                          int64_t gpus_per_node) {
  constexpr double kStateBytes = 16;
  constexpr double kUsualMemoryGb = 80;
  const double half = run.gpu_mem_gb.value_or(kUsualMemoryGb) / 2 * 0x1p30;
  const double states = kStateBytes * static_cast<double>(model.parameter_count());
  int64_t group = std::gcd(ranks, gpus_per_node);
  while (states / static_cast<double>(group) > half && ranks % (2 * group) == 0) group *= 2;
  return group;
}

bool states_no_sharding(const std::string& text) {
  return says_no(text) || text == "ddp" || contains(joined_numbers(text), "zero0");
}

// "zero1 (...)", "fsdp FULL_SHARD (zero3)", "3".
int32_t stage_of(const MeasuredRun& run, Assumptions& assumptions) {
  const std::string text = lower_case(run.zero_stage);
  const int32_t stated = stated_stage(joined_numbers(run.zero_stage));
  if (stated > 0 || states_no_sharding(text)) return stated;
  const auto assume = [&](int32_t stage, std::string_view why) {
    assumptions.add("zero_stage", stage, why);
    return stage;
  };
  if (contains(text, "fsdp") || contains(text, "hsdp")) {
    return assume(3, "fsdp shards fully unless stated");
  }
  if (!text.empty()) return assume(0, str_cat("'", shown(run.zero_stage), "' is not understood"));
  if (contains(run.notes, "overlap-param-gather")) {
    return assume(1, "not stated; there are parameters to gather");
  }
  return 0;  // whoever simulates it sees what fits
}

}  // namespace

bool is_deepspeed(const MeasuredRun& run) {
  const std::string text = joined_numbers(run.zero_stage);
  return text == "zero1" || text == "zero2" || text == "zero3" || contains(text, "deepspeed");
}

void set_sharding(const MeasuredRun& run, const Transformer& model, int64_t gpus_per_node,
                  LayerStrategy& strategy, Assumptions& assumptions) {
  strategy.zero_stage = stage_of(run, assumptions);
  const std::string text = lower_case(run.zero_stage);
  const auto ranks = int64_t{strategy.data_parallel} * strategy.context_parallel;
  std::optional<int64_t> group = number_after(text, "shard group ");
  if (!group && text.starts_with("fsdp ")) {
    group = number_after(text, "fsdp ");
    const std::optional<int64_t> within = number_after(text, " x ");
    if (group && within) group = *group * *within;  // "fsdp 16 x 8 within"
  }
  if (!group && contains(text, "shard in node")) group = gpus_per_node;
  if (!group && contains(text, "group size not stated")) {
    group = usual_shard_group(run, model, ranks, gpus_per_node);
    assumptions.add("shard_group", *group, "not stated, as few nodes as states leave half free on");
  }
  if (!group || *group >= ranks) return;
  if (ranks % *group == 0) {
    strategy.shard_group = static_cast<int32_t>(*group);
  } else {
    assumptions.add("shard_group", ranks, str_cat("of ", *group, ", which does not divide it"));
  }
}

}  // namespace soapbox::runner
