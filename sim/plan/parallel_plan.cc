#include "sim/plan/parallel_plan.h"

#include <algorithm>
#include <array>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox {
namespace {

// Layers of a model times micro-batches: a timeline has some six tasks for each, of 100 bytes.
constexpr int64_t kMostLayerPasses = int64_t{1} << 22;

template <typename T, size_t N>
using Names = std::array<std::pair<T, std::string_view>, N>;

constexpr Names<PipelineSchedule, 6> kSchedules = {{{PipelineSchedule::kGPipe, "gpipe"},
                                                    {PipelineSchedule::k1F1B, "1f1b"},
                                                    {PipelineSchedule::kInterleaved, "interleaved"},
                                                    {PipelineSchedule::kZb1p, "zb1"},
                                                    {PipelineSchedule::kZb2p, "zb2"},
                                                    {PipelineSchedule::kZbV, "zbv"}}};

constexpr Names<Recompute, 3> kRecomputes = {
    {{Recompute::kNone, "none"}, {Recompute::kSelective, "selective"}, {Recompute::kFull, "full"}}};

template <typename T, size_t N>
std::string name_of(const Names<T, N>& names, T value) {
  for (const auto& [known, name] : names) {
    if (known == value) return std::string(name);
  }
  SOAPBOX_CHECK(false, "an enumerator without a name");
}

template <typename T, size_t N>
Result<T> parse(const Names<T, N>& names, std::string_view what, std::string_view text) {
  std::vector<std::string> known;
  for (const auto& [value, name] : names) {
    if (name == text) return value;
    known.emplace_back(name);
  }
  return bad_input(unknown_name(what, text, known));
}

Status refuse(std::string_view field, int64_t value, std::string_view allowed) {
  return bad_input(str_cat(field, " ", value, "; allowed: ", allowed));
}

bool divides(int64_t divisor, int64_t value) {
  return divisor >= 1 && value % divisor == 0;
}

// A layer's attention and MLP must be divisible over its tensor and expert ranks.
Status check_layer(const TransformerLayer& layer, const LayerStrategy& s) {
  if (layer.kind != LayerKind::kBlock) return ok();
  if (layer.attention.heads > 0 && !divides(s.tensor_parallel, layer.attention.heads)) {
    return refuse("tp", s.tensor_parallel,
                  str_cat("a divisor of the ", layer.attention.heads, " attention heads"));
  }
  if (layer.mlp.experts == 0) {
    if (s.expert_parallel == 1) return ok();
    return refuse("ep", s.expert_parallel, "1 for a layer without experts");
  }
  if (!divides(s.expert_parallel, layer.mlp.experts)) {
    return refuse("ep", s.expert_parallel,
                  str_cat("a divisor of the ", layer.mlp.experts, " experts"));
  }
  return ok();
}

Status check_strategy(const LayerStrategy& s, int64_t stage_devices) {
  const int64_t product = int64_t{s.tensor_parallel} * s.context_parallel * s.data_parallel;
  if (s.tensor_parallel < 1 || s.context_parallel < 1 || s.data_parallel < 1 ||
      product != stage_devices) {
    return refuse("tp x cp x dp", product, str_cat("the ", stage_devices, " devices of a stage"));
  }
  const int64_t replicas = int64_t{s.context_parallel} * s.data_parallel;
  if (!divides(s.expert_parallel, replicas)) {
    return refuse("ep", s.expert_parallel, str_cat("a divisor of dp x cp, ", replicas));
  }
  if (s.zero_stage < 0 || s.zero_stage > 3) return refuse("zero", s.zero_stage, "0, 1, 2, 3");
  if (s.shard_group != 0 && !divides(s.shard_group, replicas)) {
    return refuse("shard_group", s.shard_group, str_cat("0 or a divisor of dp x cp, ", replicas));
  }
  return ok();
}

Status check_schedule(const ParallelPlan& plan) {
  const int32_t chunks = plan.chunks_per_stage;
  if (chunks < 1) return refuse("vpp", chunks, ">= 1");
  if (plan.schedule == PipelineSchedule::kZbV) {
    return chunks == 2 ? ok() : refuse("vpp", chunks, "2 with schedule zbv");
  }
  if (chunks > 1 && plan.schedule != PipelineSchedule::kInterleaved) {
    return refuse(
        "vpp", chunks,
        str_cat("1 with schedule ", to_string(plan.schedule), "; or schedule interleaved"));
  }
  if (chunks > 1 && plan.pipeline_parallel == 1) return refuse("vpp", chunks, "1 where pp is 1");
  return ok();
}

Status check_chunks(const Transformer& model, const ParallelPlan& plan) {
  const auto layers = static_cast<int32_t>(model.layers.size());
  if (plan.stage_count() > layers) {
    return refuse("pp x vpp", plan.stage_count(),
                  str_cat("at most the ", layers, " layers of ", model.name));
  }
  if (plan.chunk_begin.size() != static_cast<size_t>(plan.stage_count()) ||
      plan.chunk_begin.front() != 0) {
    return refuse("chunk_begin entries", static_cast<int64_t>(plan.chunk_begin.size()),
                  str_cat("pp x vpp = ", plan.stage_count(), ", the first 0"));
  }
  for (size_t i = 1; i < plan.chunk_begin.size(); ++i) {
    if (plan.chunk_begin[i] > plan.chunk_begin[i - 1] && plan.chunk_begin[i] < layers) continue;
    return refuse("chunk_begin", plan.chunk_begin[i],
                  str_cat("above ", plan.chunk_begin[i - 1], ", below ", layers));
  }
  return ok();
}

}  // namespace

std::string to_string(PipelineSchedule schedule) {
  return name_of(kSchedules, schedule);
}

Result<PipelineSchedule> parse_schedule(std::string_view text) {
  return parse(kSchedules, "schedule", text);
}

std::string to_string(Recompute recompute) {
  return name_of(kRecomputes, recompute);
}

Result<Recompute> parse_recompute(std::string_view text) {
  return parse(kRecomputes, "recompute", text);
}

Result<Precision> parse_precision(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Precision>, 6> kPrecisions = {{
      {"bf16", {DataType::kBf16, DataType::kFp32, DataType::kBf16}},
      {"fp16", {DataType::kFp16, DataType::kFp16, DataType::kFp16}},
      {"fp32", {DataType::kFp32, DataType::kFp32, DataType::kFp32}},
      {"fp8", {DataType::kFp8, DataType::kFp32, DataType::kBf16}},
      {"fp4", {DataType::kFp4, DataType::kFp32, DataType::kBf16}},
      {"tf32", {DataType::kTf32, DataType::kFp32, DataType::kFp32}},
  }};
  std::vector<std::string> known;
  for (const auto& [name, precision] : kPrecisions) {
    if (name == text) return precision;
    known.emplace_back(name);
  }
  return bad_input(unknown_name("precision", text, known));
}

std::vector<int32_t> even_chunks(const Transformer& model, int32_t chunks) {
  std::vector<int32_t> blocks;  // positions
  for (size_t i = 0; i < model.layers.size(); ++i) {
    if (model.layers[i].kind == LayerKind::kBlock) blocks.push_back(static_cast<int32_t>(i));
  }
  const auto count = static_cast<int64_t>(blocks.size());
  std::vector<int32_t> begin = {0};
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const int64_t first = chunk * count / chunks;
    begin.push_back(blocks[static_cast<size_t>(first)]);
  }
  return begin;
}

Status check_parallel_plan(const Transformer& model, const ParallelPlan& plan,
                           size_t device_count) {
  const auto devices = static_cast<int64_t>(device_count);
  if (!divides(plan.pipeline_parallel, devices)) {
    return refuse("pp", plan.pipeline_parallel, str_cat("a divisor of the ", devices, " devices"));
  }
  if (plan.microbatch < 1) return refuse("micro_batch", plan.microbatch, ">= 1");
  if (plan.microbatches < 1) return refuse("microbatches", plan.microbatches, ">= 1");
  const int64_t most_microbatches = kMostLayerPasses / static_cast<int64_t>(model.layers.size());
  if (plan.microbatches > most_microbatches) {
    return refuse("microbatches", plan.microbatches,
                  str_cat("at most ", most_microbatches, " of ", model.layers.size(), " layers"));
  }
  const Status schedule = check_schedule(plan);
  if (!schedule) return schedule;
  const Status chunks = check_chunks(model, plan);
  if (!chunks) return chunks;
  if (plan.strategies.empty()) return refuse("strategies", 0, ">= 1");
  if (!plan.strategy_of_layer.empty() && plan.strategy_of_layer.size() != model.layers.size()) {
    return refuse("strategy_of_layer entries", static_cast<int64_t>(plan.strategy_of_layer.size()),
                  str_cat("one per layer, ", model.layers.size()));
  }
  for (const uint16_t strategy : plan.strategy_of_layer) {
    if (strategy >= plan.strategies.size()) {
      return refuse("strategy_of_layer", strategy, str_cat("0 to ", plan.strategies.size() - 1));
    }
  }
  for (const LayerStrategy& strategy : plan.strategies) {
    const Status fits = check_strategy(strategy, devices / plan.pipeline_parallel);
    if (!fits) return fits;
    const int64_t samples = plan.microbatch * plan.strategies.front().data_parallel;
    if (!divides(strategy.data_parallel, samples)) {
      return refuse("dp", strategy.data_parallel,
                    str_cat("a divisor of the ", samples, " samples of a micro-batch"));
    }
  }
  for (size_t layer = 0; layer < model.layers.size(); ++layer) {
    const Status fits = check_layer(model.layers[layer], plan.strategy(layer));
    if (!fits) return fits;
  }
  if (plan.gathers_per_layer < 1) {
    return refuse("gathers_per_layer", plan.gathers_per_layer, ">= 1");
  }
  if (!(plan.expert_imbalance >= 1)) {
    return bad_input(str_cat("expert_imbalance ", plan.expert_imbalance, "; allowed: >= 1"));
  }
  return ok();
}

}  // namespace soapbox
