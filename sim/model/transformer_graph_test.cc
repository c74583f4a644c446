#include "sim/model/transformer_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sim/model/transformers.h"

namespace soapbox {
namespace {

using testing::HasSubstr;

Transformer named(std::string_view name) {
  return make_transformer(**find_transformer(name));
}

bool has_graph(const Transformer& stack) {
  return std::ranges::none_of(stack.layers, [](const TransformerLayer& layer) {
    return layer.mlp.experts > 0 || layer.attention.kv_rank > 0;
  });
}

double product_flops(const Model& model) {
  double flops = 0;
  for (const Operator& op : model.graph.ops()) {
    if (op.kind == OpKind::kLinear || op.kind == OpKind::kAttention) {
      flops += op.forward_flops().count();
    }
  }
  return flops;
}

TEST(OperatorGraph, HasTheParametersAndProductsOfEveryStack) {
  for (const TransformerRow& row : transformer_table()) {
    const Transformer stack = make_transformer(row);
    const Result<Model> model = operator_graph(stack, 2);
    ASSERT_EQ(model.has_value(), has_graph(stack)) << row.name;
    if (!model) continue;
    EXPECT_EQ(model->graph.parameter_count(), stack.parameter_count()) << row.name;
    EXPECT_NEAR(product_flops(*model) / (2 * stack.forward_flops_per_sample()), 1, 1e-9)
        << row.name;
    EXPECT_EQ(model->name, row.name);
    EXPECT_EQ(model->batch, 2);
  }
}

// The rest is passes over memory: below a hundredth, but for the softmax of models that are small
// beside their vocabulary.
TEST(OperatorGraph, OtherWorkIsSmall) {
  for (const char* name : {"bert_huge", "gpt3_175b", "llama2_7b", "t5_large", "vit_huge"}) {
    const Model model = *operator_graph(named(name), 1);
    EXPECT_LT(model.graph.forward_flops().count() / product_flops(model), 1.001) << name;
  }
}

TEST(OperatorGraph, BlocksHaveOneOperatorForEachStep) {
  const Model model = *operator_graph(named("gpt2_small"), 1);
  // Tokens, embedding; 12 blocks of two norms, four matrices, attention and two sums; norm, logits,
  // softmax.
  EXPECT_EQ(model.graph.ops().size(), 2 + 12 * 9 + 3u);
  const Model t5 = *operator_graph(named("t5_base"), 1);
  // The encoder's last norm; decoder blocks have a norm, q, kv, attention, projection and sum more.
  EXPECT_EQ(t5.graph.ops().size(), 2 + 12 * 9 + 1 + 2 + 12 * 15 + 3u);
}

TEST(OperatorGraph, ATiedHeadSharesTheWeightOfTheEmbedding) {
  const Model model = *operator_graph(named("gpt2_small"), 1);
  const auto& weights = model.graph.weights();
  const auto table = std::ranges::find(weights.raw(), "embedding", &Weight::name);
  ASSERT_NE(table, weights.end());
  const WeightId id = WeightId::from_index(static_cast<size_t>(table - weights.begin()));
  ASSERT_EQ(model.graph.users(id).size(), 2u);
  EXPECT_EQ(model.graph.op(model.graph.users(id)[1]).name, "head.logits");
}

const Operator& op_named(const Model& model, std::string_view name) {
  const auto& ops = model.graph.ops().raw();
  const auto found = std::ranges::find(ops, name, &Operator::name);
  EXPECT_NE(found, ops.end()) << name;
  return *found;
}

// A piece of the attention with half of the groups reads half of the queries, keys and values of
// the tokens that it sees, and nothing else.
TEST(OperatorGraph, ASplitByGroupsSplitsQueriesKeysAndValues) {
  const Model model = *operator_graph(named("llama3_8b"), 1);
  const Operator& qkv = op_named(model, "block0.qkv");
  const Operator& attention = op_named(model, "block0.attention");
  ASSERT_EQ(attention.dims[2].size, 8);              // groups
  ASSERT_EQ(qkv.dims[3].size, 4 * 128 + 128 + 128);  // of each: 4 queries, key, value
  const std::array<Range, kMaxDims> piece = {Range{0, 1}, {0, 4096}, {4, 8}, {0, 4}, {0, 128}, {}};
  int64_t read = 0;
  for (const Input& input : attention.inputs) {
    int64_t elements = 1;
    for (size_t axis = 0; axis < input.axes.size(); ++axis) {
      elements *= input.axes[axis].apply(piece, qkv.dims[axis].size).extent();
    }
    read += elements;
  }
  const int64_t queries = 4096 * 16 * 128;             // half of the tokens, half of 32 heads
  const int64_t keys_and_values = 8192 * 2 * 4 * 128;  // all tokens, half of 8 groups
  EXPECT_EQ(read, queries + keys_and_values);
}

TEST(OperatorGraph, WindowsOfImagesKeepToThemselves) {
  const Model model = *operator_graph(named("swin_large"), 1);
  const Operator& attention = op_named(model, "block0.attention");
  EXPECT_EQ(attention.dims[5].size, 49);
  EXPECT_EQ(attention.inputs[1].axes[1], AxisMap::follow(1));
}

TEST(OperatorGraph, ExpertsAreRefusedWithTheReason) {
  const auto model = operator_graph(named("mixtral_8x7b"), 1);
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("tokens choose their experts at run time"));
  EXPECT_FALSE(operator_graph(named("gpt2_small"), 0));
}

}  // namespace
}  // namespace soapbox
