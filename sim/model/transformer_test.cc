#include "sim/model/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/model/transformers.h"

namespace soapbox {
namespace {

using testing::HasSubstr;

Transformer named(std::string_view name) {
  return make_transformer(**find_transformer(name));
}

// The same with attention over the whole square.
Transformer without_mask(Transformer model) {
  for (TransformerLayer& layer : model.layers) layer.attention.causal = false;
  return model;
}

// Narayanan et al. 2021, section 5.1: 96 B s l h^2 (1 + s / 6h + V / 16lh) FLOPs of an iteration
// with full recomputation, that is four forwards of the blocks and three of the head, attention
// over the whole square.
TEST(TransformerFlops, AreThoseOfMegatron) {
  for (const char* name : {"gpt3_175b", "megatron_1_7b", "megatron_530b", "megatron_1t"}) {
    const Transformer model = without_mask(named(name));
    const double head = model.layers.back().forward_flops_per_sample();
    const double blocks = model.forward_flops_per_sample() - head;
    const auto l = static_cast<double>(model.block_count());
    const auto h = static_cast<double>(model.layers.front().hidden);
    const double s = 2048;
    const double vocabulary = 51200;
    const double published = 96 * s * l * h * h * (1 + s / (6 * h) + vocabulary / (16 * l * h));
    EXPECT_NEAR((4 * blocks + 3 * head) / published, 1, 1e-12) << name;
  }
}

// 6 N tokens, N without embedding tables, and 12 l h s of attention (Chowdhery et al. 2022,
// appendix B), here over half of the square.
TEST(TransformerFlops, OfLlamaFollowFromItsParameters) {
  const Transformer model = named("llama2_7b");
  const int64_t norms = 65 * 4096;
  const auto matrices = static_cast<double>(model.parameter_count() - 32000 * 4096 - norms);
  const double s = 4096;
  EXPECT_DOUBLE_EQ(model.model_flops_per_sample(), 6 * matrices * s + 12 * 32 * 4096 * s * s / 2);
}

TEST(TransformerFlops, OfExpertsAreThoseOfTheActiveOnes) {
  const Transformer model = named("mixtral_8x7b");
  // Per block: queries and output, grouped keys and values, router, 2 of 8 gated experts.
  const double per_token =
      2.0 * 4096 * 4096 + 2.0 * 4096 * 1024 + 4096 * 8 + 2 * 3.0 * 4096 * 14336;
  const double s = 4096;
  const double attention = 2 * 2 * 4096 * s * s / 2;
  EXPECT_DOUBLE_EQ(model.layers[1].forward_flops_per_sample(), 2 * s * per_token + attention);
}

// DeepSeek-V3 (arXiv 2412.19437, section 4.2): matrices of the latent attention.
TEST(TransformerFlops, OfLatentAttention) {
  const TransformerLayer block = named("deepseek_v3").layers[1];
  const double s = 4096;
  const double matrices = 7168.0 * 1536 + 1536.0 * 128 * 192 + 7168.0 * (512 + 64) +
                          512.0 * 128 * (128 + 128) + 128.0 * 128 * 7168 + 3.0 * 7168 * 18432;
  EXPECT_DOUBLE_EQ(block.forward_flops_per_sample(),
                   2 * s * matrices + 2 * 128 * (192 + 128) * s * s / 2);
}

TEST(TransformerFlops, OfCrossAttentionCountBothSequences) {
  Transformer model = named("t5_large");
  TransformerLayer block = model.layers[model.layers.size() - 2];
  ASSERT_GT(block.cross_len, 0);
  block.cross_len = 100;  // encoder tokens
  const double s = 512;
  const double square = 1024.0 * 1024;
  const double self = 2 * s * 4 * square + 4 * 1024 * s * s / 2;
  const double cross = 2 * s * 2 * square + 2 * 100 * 2 * square + 4 * 1024 * s * 100;
  const double mlp = 2 * s * 2 * 1024 * 4096;
  EXPECT_DOUBLE_EQ(block.forward_flops_per_sample(), self + cross + mlp);
}

// Published multiplications at 224 x 224: Swin-L 34.5 G (Liu et al. 2021, table 1a), ViT-L/16
// 61.6 G (torchvision's vit_l_16).
TEST(TransformerFlops, OfImageModelsAreThePublishedOnes) {
  EXPECT_NEAR(named("swin_large").forward_flops_per_sample() / 2e9, 34.5, 0.1);
  EXPECT_NEAR(named("vit_large").forward_flops_per_sample() / 2e9, 61.6, 0.1);
}

TEST(TransformerAttention, SeesAWindowBehindACausalMask) {
  TransformerLayer layer;
  layer.seq_len = 10;
  layer.attention.causal = true;
  EXPECT_EQ(layer.attention_pairs(), 50);  // half of the square
  layer.attention.window = 4;
  EXPECT_EQ(layer.attention_pairs(), 8 + 6 * 4);  // half of 4 x 4, then 4 each
  layer.attention.window = 100;
  EXPECT_EQ(layer.attention_pairs(), 50);
  layer.attention.causal = false;
  layer.attention.window = 4;
  EXPECT_EQ(layer.attention_pairs(), 40);
}

TEST(WithSeqLen, KeepsParametersUnlessPositionsMustGrow) {
  const Transformer llama = named("llama2_7b");
  const Transformer longer = *with_seq_len(llama, 32768);
  EXPECT_EQ(longer.parameter_count(), llama.parameter_count());
  EXPECT_EQ(longer.seq_len, 32768);
  for (const TransformerLayer& layer : longer.layers) EXPECT_EQ(layer.seq_len, 32768);

  const Transformer bert = named("bert_large");
  EXPECT_EQ(with_seq_len(bert, 128)->parameter_count(), bert.parameter_count());
  EXPECT_EQ(with_seq_len(bert, 1024)->parameter_count(), bert.parameter_count() + 512 * 1024);

  // llm-foundry's table: 0.126884e9 parameters at 4,096 tokens.
  EXPECT_NEAR(static_cast<double>(with_seq_len(named("mpt_125m"), 4096)->parameter_count()),
              126.884e6, 500);
}

TEST(WithSeqLen, SetsEncoderAndDecoder) {
  const Transformer t5 = *with_seq_len(named("t5_large"), 128);
  for (const TransformerLayer& layer : t5.layers) {
    EXPECT_EQ(layer.seq_len, 128);
    EXPECT_TRUE(layer.cross_len == 0 || layer.cross_len == 128);
  }
}

TEST(WithSeqLen, RefusesImagesAndNonsense) {
  const auto image = with_seq_len(named("vit_huge"), 512);
  ASSERT_FALSE(image);
  EXPECT_THAT(image.error().message, HasSubstr("that of its image, 197"));
  EXPECT_FALSE(with_seq_len(named("llama2_7b"), 0));
}

TEST(CheckTransformer, NamesTheLayerAndWhatIsAllowed) {
  Transformer model = named("llama3_8b");
  model.layers[3].attention.kv_heads = 5;
  const Status status = check_transformer(model);
  ASSERT_FALSE(status);
  EXPECT_EQ(
      status.error().message,
      "model 'llama3_8b', layer 3 (block): key and value heads 5; allowed: divisors of the 32 "
      "heads");
}

TEST(MakeGpt, RefusesWhatDoesNotFit) {
  GptShape shape = llama_shape(2, 100, 3, 3, 10, 10, 10);
  EXPECT_THAT(make_gpt("x", "", shape).error().message,
              HasSubstr("heads 3; allowed: divisors of hidden 100"));
  shape = llama_shape(2, 96, 3, 3, 10, 10, 10);
  EXPECT_TRUE(make_gpt("x", "", shape));
  shape.mlp.experts = 4;
  EXPECT_THAT(make_gpt("x", "", shape).error().message,
              HasSubstr("experts per token 0; allowed: 1 to 4"));
  shape.mlp.experts_per_token = 2;
  shape.expert_every = 2;
  EXPECT_THAT(make_gpt("x", "", shape).error().message, HasSubstr("dense MLP width 0"));
  shape = gpt_shape(0, 96, 3, 10, 10);
  EXPECT_THAT(make_gpt("x", "", shape).error().message, HasSubstr("layers 0; allowed: > 0"));
}

TEST(MakeGpt, DenseAndExpertBlocksAlternateAfterTheLeadingOnes) {
  GptShape shape = llama_shape(5, 96, 3, 3, 10, 10, 10);
  shape.mlp.experts = 4;
  shape.mlp.experts_per_token = 1;
  shape.leading_dense = 1;
  shape.expert_every = 2;
  shape.dense_hidden = 20;
  const Transformer model = *make_gpt("x", "", shape);
  const auto experts = [&model](size_t block) { return model.layers[block + 1].mlp.experts; };
  EXPECT_EQ(experts(0), 0);
  EXPECT_EQ(experts(1), 0);
  EXPECT_EQ(experts(2), 4);
  EXPECT_EQ(experts(3), 0);
  EXPECT_EQ(experts(4), 4);
}

}  // namespace
}  // namespace soapbox
