// Differential test: the figures that Galvatron-2's own test suite asserts (testdata/README.md).
#include "strategies/galvatron/galvatron2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::strategies::galvatron {
namespace {

using nlohmann::json;

const json& golden() {
  static const json all = [] {
    std::ifstream file(
        str_cat(SOAPBOX_SOURCE_DIR, "/strategies/galvatron/testdata/galvatron2_golden.json"));
    return json::parse(file);
  }();
  return all;
}

// The least squares polynomial through (x, y), at `at`: normal equations on x / scale.
double fitted(const std::vector<std::pair<double, double>>& points, size_t degree, double at) {
  constexpr double kScale = 8192;
  const size_t n = degree + 1;
  std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1, 0));
  for (const auto& [x, y] : points) {
    for (size_t i = 0; i < n; ++i) {
      const double xi = std::pow(x / kScale, static_cast<double>(i));
      for (size_t j = 0; j < n; ++j)
        rows[i][j] += xi * std::pow(x / kScale, static_cast<double>(j));
      rows[i][n] += xi * y;
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < n; ++k) {
      if (k == i) continue;
      const double factor = rows[k][i] / rows[i][i];
      for (size_t j = i; j <= n; ++j) rows[k][j] -= factor * rows[i][j];
    }
  }
  double value = 0;
  for (size_t i = 0; i < n; ++i) {
    value += rows[i][n] / rows[i][i] * std::pow(at / kScale, static_cast<double>(i));
  }
  return value;
}

VocabMemory vocab_memory(const char* key, const std::string& seq) {
  VocabMemory memory;
  const json& found = golden().at("tables").at("memory").at(key).at(seq);
  for (const auto& [tp, mb] : found.at("model_states").items())
    memory.states_mb[std::stoi(tp)] = mb;
  for (const auto& [tp, mb] : found.at("activation").items()) {
    memory.activation_mb_per_sample[std::stoi(tp)] = mb;
  }
  return memory;
}

void read_hardware(Galvatron2Profile& profile) {
  const json& hardware = golden().at("tables").at("hardware");
  for (const auto& [key, gb_per_s] : hardware.at("allreduce").items()) {
    const int32_t ranks = std::stoi(key.substr(std::string("allreduce_size_").size()));
    profile.all_reduce_gb_per_s[{ranks, key.ends_with("_1")}] = gb_per_s;
  }
  for (const auto& [key, gb_per_s] : hardware.at("p2p").items()) {
    profile.p2p_gb_per_s[std::stoi(key.substr(std::string("pp_size_").size()))] = gb_per_s;
  }
  for (const auto& [key, ms] : hardware.at("sp").items()) {
    const bool reduce = key.starts_with("allreduce");
    const std::string sizes = key.substr(key.find("_size_") + 6);  // "8_64MB_time"
    const int32_t ranks = std::stoi(sizes);
    const int64_t megabytes = std::stoi(sizes.substr(sizes.find('_') + 1));
    auto& curves = reduce ? profile.all_reduce : profile.all_to_all;
    curves[ranks].add(megabytes, ms.get<double>() / (reduce ? 2 : 1));
  }
  profile.overlap_slowdown = hardware.at("overlap").at("overlap_coe");
}

Galvatron2Profile profile_of(const json& example) {
  Galvatron2Profile profile;
  Galvatron2Layers& block = profile.types.emplace_back();
  block.layers = example.at("model").at("layers");
  block.hidden = example.at("model").at("hidden");
  block.seq_len = golden().at("seq_len");
  const auto seq = static_cast<double>(block.seq_len);
  std::vector<std::pair<double, double>> layer;
  std::vector<std::pair<double, double>> vocab;
  for (const auto& [key, ms] : golden().at("tables").at("time").items()) {
    const double length = std::stod(key.substr(key.find("_seq") + 4));
    (key.starts_with("layertype_0") ? layer : vocab).emplace_back(length, ms.get<double>());
  }
  block.forward.ms_per_sample = fitted(layer, 2, seq);
  profile.vocab.ms_per_sample = fitted(vocab, 1, seq);
  const json& memory = golden().at("tables").at("memory").at("layertype_0_sp");
  block.parameter_mb = memory.at("512").at("parameter_size");
  for (const auto& [tp, mb] : memory.at("8192").at("tp_activation_per_bsz_dict").items()) {
    if (tp == "checkpoint") {
      block.checkpoint_mb_per_sample = mb;
    } else {
      block.activation_mb_per_sample[std::stoi(tp)] = mb;
    }
  }
  profile.vocab_alone = vocab_memory("other_memory_pp_off_sp", "8192");
  profile.vocab_first = vocab_memory("other_memory_pp_on_first_sp", "8192");
  profile.vocab_last = vocab_memory("other_memory_pp_on_last_sp", "8192");
  read_hardware(profile);
  return profile;
}

Galvatron2Options options_of(const json& example) {
  const json& overrides = example.at("overrides");
  Galvatron2Options options;
  const bool later = example.at("engine") == "PKU-DAIR/Hetu-Galvatron@cea12ff";
  options.engine = later ? Galvatron2Engine::kLater : Galvatron2Engine::kEarlier;
  options.memory_mb = 1024 * overrides.at("memory_constraint").get<int64_t>();
  options.global_batch = overrides.at("settle_bsz");
  options.chunks = overrides.at("settle_chunk");
  options.zero2 = overrides.at("default_dp_type") == "zero2";
  options.one_forward = overrides.at("pipeline_type") == "pipedream_flush";
  options.async_grad_reduce = overrides.at("async_grad_reduce");
  options.sequence_parallel = overrides.at("sequence_parallel");
  options.ulysses = later ? golden().at("engine_defaults_g4").at("disable_sp") == 0
                          : overrides.at("sp_space") == "tp+sp";
  options.fine_grained = overrides.at("fine_grained_mode") == 1;
  return options;
}

// The earlier suite names each layer's fields, the later one its strategy.
void expect_layers(const std::vector<LayerChoice>& layers, const json& expected) {
  ASSERT_EQ(layers.size(), 28u);
  for (size_t u = 0; u < layers.size(); ++u) {
    const LayerChoice& layer = layers[u];
    if (expected.contains("layers")) {
      EXPECT_EQ(to_string(layer), expected.at("layers")[u]) << u;
      continue;
    }
    EXPECT_EQ(layer.tp, expected.at("tp_sizes_enc")[u]) << u;
    EXPECT_EQ(layer.fsdp, expected.at("dp_types_enc")[u] == 1) << u;
    EXPECT_EQ(layer.ulysses, expected.at("use_sp")[u] == 1) << u;
    EXPECT_EQ(layer.checkpoint, expected.at("checkpoint")[u] == 1) << u;
  }
}

// Both problems of each engine's suite, within its tolerance.
TEST(Galvatron2, FindsThePublishedPlansAndThroughput) {
  size_t checked = 0;
  for (const json& example : golden().at("cases")) {
    SCOPED_TRACE(example.at("id"));
    const Galvatron2Profile profile = profile_of(example);
    const Galvatron2Options options = options_of(example);
    const auto plan = galvatron2_search(
        profile, options, galvatron2_space(options.devices, options.ulysses, options.engine));
    ASSERT_TRUE(plan);
    const json& expected = example.at("expected");
    EXPECT_NEAR(static_cast<double>(options.global_batch) / plan->iteration_s,
                expected.at("throughput_samples_per_s").get<double>(), 1e-6);
    EXPECT_EQ(plan->pp, expected.at("pp_deg"));
    EXPECT_EQ(json(plan->stage_layers), expected.at("pp_division"));
    EXPECT_EQ(plan->vocab.tp, expected.at("vtp"));
    EXPECT_EQ(plan->vocab.sp, expected.at("vsp") == 1);
    EXPECT_EQ(plan->vocab.sdp, expected.at("embed_sdp") == 1);
    expect_layers(plan->layers, expected);
    ++checked;
  }
  EXPECT_EQ(checked, 4u);
}

// A batch of 64 in 8 micro-batches; the space's order is that of the rows.
TEST(Galvatron2, CostsOfTheLaterEngineEqualThePublishedCodesForAll50Strategies) {
  const std::vector<std::string_view> columns = {"strategy",           "time_s",
                                                 "no_gradients_s",     "memory_1f1b_mb",
                                                 "memory_gpipe_mb",    "vocab_first_s",
                                                 "vocab_last_s",       "vocab_first_1f1b_mb",
                                                 "vocab_last_1f1b_mb", "vocab_first_gpipe_mb",
                                                 "vocab_last_gpipe_mb"};
  const Result<CsvTable> table = CsvTable::read(
      str_cat(SOAPBOX_SOURCE_DIR, "/strategies/galvatron/testdata/galvatron2_later_costs.csv"),
      columns);
  ASSERT_TRUE(table) << table.error().to_string();
  const json& example = golden().at("cases").at(3);
  ASSERT_EQ(example.at("id"), "g4-coarse");
  const Galvatron2Profile profile = profile_of(example);
  const Galvatron2Layers& type = profile.types.front();
  const Galvatron2Options one_forward = options_of(example);
  Galvatron2Options gpipe = one_forward;
  gpipe.one_forward = false;
  const auto space = galvatron2_space(8, true, Galvatron2Engine::kLater);
  ASSERT_EQ(space.size(), 50u);
  ASSERT_EQ(table->row_count(), space.size());
  for (size_t row = 0; row < space.size(); ++row) {
    const LayerChoice& c = space[row];
    ASSERT_EQ(to_string(c), table->text(row, 0));
    SCOPED_TRACE(to_string(c));
    const VocabChoice vocab{c.tp, c.ulysses, c.fsdp};
    const auto vocab_s = vocab_time_s(profile, one_forward, c.pp, {}, vocab, false);
    const auto vocab_mb = vocab_memory_mb(profile, one_forward, c, {}, vocab);
    const auto vocab_gpipe_mb = vocab_memory_mb(profile, gpipe, c, {}, vocab);
    const std::vector<double> costs = {layer_time_s(profile, type, one_forward, c, 8, true),
                                       layer_time_s(profile, type, one_forward, c, 8, false),
                                       layer_memory_mb(type, one_forward, c, {}, 0),
                                       layer_memory_mb(type, gpipe, c, {}, 0),
                                       vocab_s.front(),
                                       vocab_s.back(),
                                       vocab_mb.front(),
                                       vocab_mb.back(),
                                       vocab_gpipe_mb.front(),
                                       vocab_gpipe_mb.back()};
    for (size_t k = 0; k < costs.size(); ++k) {
      const double expected = *table->positive(row, k + 1);
      EXPECT_NEAR(costs[k], expected, 1e-12 * expected) << columns[k + 1];
    }
  }
}

}  // namespace
}  // namespace soapbox::strategies::galvatron
