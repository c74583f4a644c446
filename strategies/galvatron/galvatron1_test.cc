// Differential test: what the published search returned on its own inputs (testdata/README.md).
#include "strategies/galvatron/galvatron1.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::strategies::galvatron {
namespace {

using nlohmann::json;

std::string data(std::string_view name) {
  return str_cat(SOAPBOX_SOURCE_DIR, "/strategies/galvatron/testdata/", name);
}

json golden() {
  std::ifstream file(data("galvatron1_golden.json"));
  return json::parse(file);
}

// The rules of the artefact's four search scripts, as the golden file states them.
double chunks_of(const std::string& model, double b, const LayerChoice& c) {
  if (model == "BERT-Huge") {
    if (c.pp == 1) return 1;
    if (c.tp == 4 || (c.pp == 4 && c.tp == 2)) return b / 4;
    return b < 6 ? b / 2 : b / 8 + 2;
  }
  if (model == "T5-Large") return b == 2 ? 1 : (c.pp == 8 ? 3 : 2);
  if (model == "ViT-Huge") return b == 8 ? 1 : 2;
  if (b <= 8) return 1;
  if (b < 32) return 2;
  return b <= 96 ? 3 : 4;
}

Galvatron1Profile profile_of(const json& all, const json& model) {
  Galvatron1Profile profile;
  for (const auto& [pp, groups] : all.at("comm_coefficient_ms_per_mb").items()) {
    for (const auto& [key, ms] : groups.items()) {
      const bool strided = key.ends_with("_0");
      profile.comm.set(std::stoi(pp), std::stoi(key), !strided, ms.get<double>());
    }
  }
  for (size_t i = 0; i < model.at("layer_types").size(); ++i) {
    const json& layer = model.at("layer_types")[i];
    LayerProfile type{.name = layer.at("layer_type"),
                      .layers = model.at("layers")[i],
                      .parameter_mb = layer.at("parameter_size_mb"),
                      .activation_mb_per_sample = {},
                      .forward_ms_per_sample = layer.at("forward_ms_per_sample"),
                      .extra_overhead_ms = layer.at("extra_overhead_ms_per_24_layers"),
                      .seq_len = layer.at("seq_len"),
                      .hidden = layer.at("hidden"),
                      .decoder = layer.at("tp_allreduces_per_layer") == 6};
    for (const auto& [tp, mb] : layer.at("activation_mb_per_sample_by_tp").items()) {
      type.activation_mb_per_sample[std::stoi(tp)] = mb;
    }
    profile.layer_types.push_back(type);
    profile.other_states_mb = layer.at("other_model_states_mb");
    profile.other_activation_mb_per_sample = layer.at("other_activation_mb_per_sample");
  }
  const std::string name = model.at("model");
  profile.chunks = [name](double batch, const LayerChoice& c) { return chunks_of(name, batch, c); };
  return profile;
}

std::map<std::string, Galvatron1Profile> profiles() {
  const json all = golden();
  std::map<std::string, Galvatron1Profile> found;
  for (const json& model : all.at("models")) {
    found[model.at("model").get<std::string>()] = profile_of(all, model);
  }
  return found;
}

TEST(Galvatron1, TheTreeOfEightDevicesHasThePublished22LeavesInTheirOrder) {
  const json all = golden();
  std::vector<std::string> expected;
  for (const json& s : all.at("strategies")) expected.push_back(s.at("name"));
  std::vector<std::string> names;
  for (const LayerChoice& c : decision_tree(8)) names.push_back(to_string(c));
  EXPECT_EQ(names, expected);
  EXPECT_EQ(decision_tree(16).size(), 37u);
  EXPECT_EQ(decision_tree(8, true).size(), 44u);
}

TEST(Galvatron1, NamesReadBack) {
  for (const LayerChoice& c : decision_tree(16, true)) {
    const Result<LayerChoice> back = parse_layer_choice(to_string(c));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, c);
  }
  for (const char* bad : {"", "1-2", "1-2-4", "1-1*-8", "0-1-1", "1-2*-4*", "1-2*-4fx", "8-1-1f"}) {
    EXPECT_FALSE(parse_layer_choice(bad)) << bad;
  }
}

TEST(Galvatron1, CostsEqualThePublishedCodesOnAll704Cases) {
  const std::vector<std::string_view> columns = {
      "model",        "layer_type",   "global_batch",   "strategy", "pp",
      "tp",           "dp",           "tp_consecutive", "fsdp",     "chunks",
      "layer_mem_mb", "other_mem_mb", "layer_time_s"};
  const Result<CsvTable> table = CsvTable::read(data("galvatron1_costs.csv"), columns);
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->row_count(), 704u);
  const auto known = profiles();
  for (size_t row = 0; row < table->row_count(); ++row) {
    SCOPED_TRACE(str_cat("row ", row, " ", table->text(row, 3)));
    const Galvatron1Profile& profile = known.at(table->text(row, 0));
    size_t type = 0;
    while (profile.layer_types[type].name != table->text(row, 1)) ++type;
    const int64_t batch = *table->count(row, 2);
    const LayerChoice choice = *parse_layer_choice(table->text(row, 3));
    const auto near = [&](size_t column) {
      return testing::DoubleNear(*table->positive(row, column),
                                 1e-12 * *table->positive(row, column));
    };
    EXPECT_THAT(layer_memory(profile, type, choice, batch).total_mb(), near(10));
    EXPECT_THAT(other_memory_mb(profile, choice, batch), near(11));
    EXPECT_THAT(layer_time_s(profile, type, choice, batch), near(12));
  }
}

TEST(Galvatron1, SearchReturnsThePublishedPlansTimesAndMemory) {
  const std::vector<std::string_view> columns = {"model",        "memory_gb",   "global_batch",
                                                 "pp",           "iteration_s", "samples_per_s",
                                                 "stage_mem_mb", "plan",        "feasible"};
  const Result<CsvTable> table = CsvTable::read(data("galvatron1_search.csv"), columns);
  ASSERT_TRUE(table) << table.error().to_string();
  const auto known = profiles();
  const std::vector<LayerChoice> space = decision_tree(8);
  size_t checked = 0;
  for (size_t row = 0; row < table->row_count(); ++row) {
    const int64_t batch = *table->count(row, 2);
    // Every infeasible row; every tenth of the others, and all small ones: the rest repeats them.
    const bool feasible = table->text(row, 8) == "yes";
    if (feasible && batch > 8 && row % 10 != 0) continue;
    SCOPED_TRACE(str_cat(table->text(row, 0), " ", table->text(row, 1), " GB, batch ", batch));
    const auto plan = galvatron1_search(known.at(table->text(row, 0)), space, batch,
                                        *table->count(row, 1) * 1024);
    ASSERT_EQ(plan.has_value(), feasible);
    ++checked;
    if (!feasible) continue;
    EXPECT_EQ(plan->pp, *table->count(row, 3));
    const double time_s = *table->positive(row, 4);
    EXPECT_NEAR(plan->iteration_s, time_s, 1e-12 * time_s);
    std::vector<std::string> memory;
    for (const int64_t mb : plan->stage_memory_mb) memory.push_back(to_text(mb));
    const std::string& expected = table->text(row, 6);
    if (expected.find('+') == std::string::npos) memory.resize(1);
    EXPECT_EQ(join(memory, "+"), expected);
    const std::string text = to_string(*plan);
    const bool one_type = expected.find('+') == std::string::npos && plan->pp > 1;
    EXPECT_EQ(one_type ? text.substr(0, text.find(" |")) : text, table->text(row, 7));
  }
  EXPECT_GT(checked, 35u);
}

}  // namespace
}  // namespace soapbox::strategies::galvatron
