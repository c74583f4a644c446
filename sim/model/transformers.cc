#include "sim/model/transformers.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "sim/base/find_row.h"

namespace soapbox {

namespace {

// Where several rows have the same source.
constexpr std::string_view kGpt2 = "Radford et al. 2019, sizes as released";
constexpr std::string_view kGpt3 =
    "Brown et al. 2020 (arXiv 2005.14165, table 2.1), vocabulary padded to 51,200";
constexpr std::string_view kSc21 = "Narayanan et al. 2021 (arXiv 2104.04473, table 1)";
constexpr std::string_view kSc21Figures = "Narayanan et al. 2021 (arXiv 2104.04473), figures";
constexpr std::string_view kSequenceParallel =
    "Korthikanti et al. 2022 (arXiv 2205.05198, table 3)";
constexpr std::string_view kLlama = "Touvron et al. 2023 (arXiv 2302.13971, table 2)";
constexpr std::string_view kLlama2 = "Touvron et al. 2023 (arXiv 2307.09288), sizes as released";
constexpr std::string_view kLlama3 = "Grattafiori et al. 2024 (arXiv 2407.21783, table 3)";
constexpr std::string_view kMpt = "mosaicml/llm-foundry, training yamls; learned positions";
constexpr std::string_view kQwen3 = "Yang et al. 2025 (arXiv 2505.09388), sizes as released";
constexpr std::string_view kNemotron3 = "NVIDIA Nemotron-3, sizes as released with NeMo";
constexpr std::string_view kGptOss = "OpenAI 2025 (arXiv 2508.10925), sizes as released";
constexpr std::string_view kBaichuan = "Baichuan Inc. 2023 (arXiv 2309.10305), sizes as released";
constexpr std::string_view kDeepSeekLlm = "DeepSeek-AI 2024 (arXiv 2401.02954), sizes as released";
constexpr std::string_view kGemma = "Gemma Team 2024 (arXiv 2403.08295), sizes as released";
constexpr std::string_view kLlama32 = "Meta 2024, Llama 3.2, sizes as released";
constexpr std::string_view kMistral = "Mistral AI 2024, sizes as released";
constexpr std::string_view kOpt = "Zhang et al. 2022 (arXiv 2205.01068), sizes as released";
constexpr std::string_view kPhi =
    "Abdin et al. 2024 (arXiv 2404.14219, 2412.08905), sizes as released";
constexpr std::string_view kPythia = "Biderman et al. 2023 (arXiv 2304.01373), sizes as released";
constexpr std::string_view kQwen25 =
    "Qwen Team 2024 (arXiv 2407.10671, 2412.15115), sizes as released";
constexpr std::string_view kYi = "01.AI 2024 (arXiv 2403.04652), sizes as released";
// Batches for each of 8 GPUs as in UniAP's EnvA.
constexpr std::string_view kUniap = "model zoo of Galvatron, as UniAP (arXiv 2307.16375) uses it";

constexpr GptShape megatron(int64_t layers, int64_t hidden, int64_t heads) {
  return gpt_shape(layers, hidden, heads, 51200, 2048);
}

constexpr GptShape mpt(int64_t layers, int64_t hidden, int64_t heads) {
  return gpt_shape(layers, hidden, heads, 50368, 2048);
}

constexpr GptShape opt(int64_t layers, int64_t hidden, int64_t heads) {
  GptShape shape = gpt_shape(layers, hidden, heads, 50272, 2048);
  shape.positions = 2050;  // two more than tokens, as released
  return shape;
}

// Biases of distances in place of positions.
constexpr GptShape bloom(int64_t layers, int64_t hidden, int64_t heads) {
  GptShape shape = gpt_shape(layers, hidden, heads, 250880, 2048);
  shape.positions = 0;
  return shape;
}

// Rotary positions and a head of its own.
constexpr GptShape pythia(int64_t layers, int64_t hidden, int64_t heads, int64_t vocab) {
  GptShape shape = gpt_shape(layers, hidden, heads, vocab, 2048);
  shape.positions = 0;
  shape.tied = false;
  return shape;
}

// Rotary positions, squared ReLU, LayerNorm, a head of its own.
constexpr GptShape nemotron(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads) {
  return {.layers = layers,
          .hidden = hidden,
          .attention = {.heads = heads, .kv_heads = kv_heads},
          .vocab = 256000,
          .seq_len = 4096,
          .norm_bias = true};
}

constexpr GptShape with_experts(GptShape shape, int64_t experts, int64_t experts_per_token) {
  shape.mlp.experts = experts;
  shape.mlp.experts_per_token = experts_per_token;
  return shape;
}

// DeepSeek: latent attention, shared experts, first blocks dense.
struct DeepSeek {
  int64_t query_rank = 0;
  int64_t experts = 0;
  int64_t experts_per_token = 0;
  int64_t shared_hidden = 0;
  int64_t leading_dense = 0;
  int64_t dense_hidden = 0;
};
constexpr GptShape deepseek(GptShape shape, const DeepSeek& moe) {
  shape.attention.head_dim = 192;
  shape.attention.value_dim = 128;
  shape.attention.query_rank = moe.query_rank;
  shape.attention.kv_rank = 512;
  shape.attention.rope_dim = 64;
  shape.mlp.shared_hidden = moe.shared_hidden;
  shape.leading_dense = moe.leading_dense;
  shape.dense_hidden = moe.dense_hidden;
  return with_experts(shape, moe.experts, moe.experts_per_token);
}

constexpr GptShape gpt_oss(int64_t layers, int64_t experts) {
  GptShape shape = llama_shape(layers, 2880, 64, 8, 2880, 201088, 4096);
  shape.attention.head_dim = 64;
  shape.attention.window = 128;  // of every other block
  shape.global_every = 2;
  shape.bias = true;
  shape.other_block_parameters = 64;  // the heads' sinks
  return with_experts(shape, experts, 4);
}

// Scout has experts in every block, Maverick in every other.
constexpr GptShape llama4(int64_t experts, int64_t expert_every) {
  GptShape shape = with_experts(llama_shape(48, 5120, 40, 8, 8192, 202048, 8192), experts, 1);
  shape.mlp.shared_hidden = 8192;
  shape.expert_every = expert_every;
  shape.dense_hidden = 16384;
  return shape;
}

// Norms of queries and keys, one vector of a head's width each.
constexpr GptShape qwen3(GptShape shape) {
  shape.attention.head_dim = 128;
  shape.other_block_parameters = 2 * 128;
  return shape;
}

constexpr GptShape tied(GptShape shape) {
  shape.tied = true;
  return shape;
}

constexpr GptShape with_head_dim(GptShape shape, int64_t head_dim) {
  shape.attention.head_dim = head_dim;
  return shape;
}

constexpr GptShape gemma(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads,
                         int64_t ffn) {
  return tied(with_head_dim(llama_shape(layers, hidden, heads, kv_heads, ffn, 256000, 8192), 256));
}

constexpr GptShape with_qkv_bias(GptShape shape) {
  shape.qkv_bias = true;
  return shape;
}

// 60 experts and one shared by all tokens, behind a gate of its own.
constexpr GptShape qwen_moe(GptShape shape) {
  shape.mlp.shared_hidden = 5632;
  shape.other_block_parameters = shape.hidden;
  return with_experts(shape, 60, 4);
}

// Position tables are longer than the samples here, as released.
constexpr BertShape bert(int64_t layers, int64_t hidden, int64_t heads) {
  return {.layers = layers, .hidden = hidden, .heads = heads, .ffn = 4 * hidden};
}

constexpr std::array kTransformers = std::to_array<TransformerRow>({
    {"baichuan2_13b", kBaichuan, llama_shape(40, 5120, 40, 40, 13696, 125696, 4096)},
    {"baichuan2_7b", kBaichuan, llama_shape(32, 4096, 32, 32, 11008, 125696, 4096)},
    {"bert_base", "Devlin et al. 2019 (arXiv 1810.04805)", bert(12, 768, 12)},
    {"bert_huge", kUniap, bert(32, 1280, 16), 4},
    {"bert_large", "Devlin et al. 2019 (arXiv 1810.04805)", bert(24, 1024, 16)},
    {"bloom_176b", "BigScience 2022 (arXiv 2211.05100); without the norm of embeddings",
     bloom(70, 14336, 112)},
    {"bloom_7b", "BigScience 2022 (arXiv 2211.05100); without the norm of embeddings",
     bloom(30, 4096, 32)},
    {"codellama_34b", "Roziere et al. 2023 (arXiv 2308.12950), sizes as released",
     llama_shape(48, 8192, 64, 8, 22016, 32000, 4096)},
    {"dbrx_132b", "Databricks 2024, sizes as released",
     with_experts(llama_shape(40, 6144, 48, 8, 10752, 100352, 4096), 16, 4)},
    {"deepseek_67b", kDeepSeekLlm, llama_shape(95, 8192, 64, 8, 22016, 102400, 4096)},
    {"deepseek_7b", kDeepSeekLlm, llama_shape(30, 4096, 32, 32, 11008, 102400, 4096)},
    {"deepseek_v2", "DeepSeek-AI 2024 (arXiv 2405.04434), sizes as released",
     deepseek(llama_shape(60, 5120, 128, 128, 1536, 102400, 4096),
              {1536, 160, 6, 2 * 1536, 1, 12288})},
    {"deepseek_v2_lite", "DeepSeek-AI 2024 (arXiv 2405.04434), sizes as released",
     deepseek(llama_shape(27, 2048, 16, 16, 1408, 102400, 4096), {0, 64, 6, 2 * 1408, 1, 10944})},
    {"deepseek_v3", "DeepSeek-AI 2024 (arXiv 2412.19437), without multi-token prediction",
     deepseek(llama_shape(61, 7168, 128, 128, 2048, 129280, 4096), {1536, 256, 8, 2048, 3, 18432})},
    {"gemma_2b", kGemma, gemma(18, 2048, 8, 1, 16384)},
    {"gemma_7b", kGemma, gemma(28, 3072, 16, 16, 24576)},
    {"glm_130b", "Zeng et al. 2022 (arXiv 2210.02414)",
     GptShape{.layers = 70,
              .hidden = 12288,
              .attention = {.heads = 96},
              .mlp = {.hidden = 32768, .gated = true},
              .vocab = 150528,
              .seq_len = 2048,
              .bias = true,
              .norm_bias = true,
              .tied = true}},
    {"gpt2_large", kGpt2, gpt_shape(36, 1280, 20, 50257, 1024)},
    {"gpt2_medium", kGpt2, gpt_shape(24, 1024, 16, 50257, 1024)},
    {"gpt2_small", kGpt2, gpt_shape(12, 768, 12, 50257, 1024)},
    {"gpt2_xl", kGpt2, gpt_shape(48, 1600, 25, 50257, 1024)},
    {"gpt3_125m", kGpt3, megatron(12, 768, 12)},
    {"gpt3_13b", kGpt3, megatron(40, 5120, 40)},
    {"gpt3_175b", kGpt3, megatron(96, 12288, 96)},
    {"gpt3_1_3b", kGpt3, megatron(24, 2048, 16)},
    {"gpt3_20b", "NVIDIA NeMo, GPT-3 20B recipe", megatron(44, 6144, 48)},
    {"gpt3_2_7b", kGpt3, megatron(32, 2560, 32)},
    {"gpt3_350m", kGpt3, megatron(24, 1024, 16)},
    {"gpt3_5b", "NVIDIA NeMo, GPT-3 5B recipe", megatron(24, 4096, 32)},
    {"gpt3_6_7b", kGpt3, megatron(32, 4096, 32)},
    {"gpt3_760m", kGpt3, megatron(24, 1536, 16)},
    {"gpt_neox_20b", "Black et al. 2022 (arXiv 2204.06745), sizes as released",
     GptShape{.layers = 44,
              .hidden = 6144,
              .attention = {.heads = 64},
              .vocab = 50432,
              .seq_len = 2048,
              .bias = true,
              .norm_bias = true}},
    {"gpt_oss_120b", kGptOss, gpt_oss(36, 128)},
    {"gpt_oss_20b", kGptOss, gpt_oss(24, 32)},
    {"grok1_314b", "xAI 2024, sizes as released",
     tied(with_experts(llama_shape(64, 6144, 48, 8, 32768, 131072, 8192), 8, 2))},
    {"kimi_k2", "Kimi Team 2025 (arXiv 2507.20534), sizes as released",
     deepseek(llama_shape(61, 7168, 64, 64, 2048, 163840, 4096), {1536, 384, 8, 2048, 1, 18432})},
    {"llama2_13b", kLlama2, llama_shape(40, 5120, 40, 40, 13824, 32000, 4096)},
    {"llama2_70b", kLlama2, llama_shape(80, 8192, 64, 8, 28672, 32000, 4096)},
    {"llama2_7b", kLlama2, llama_shape(32, 4096, 32, 32, 11008, 32000, 4096)},
    {"llama3_2_1b", kLlama32, tied(llama_shape(16, 2048, 32, 8, 8192, 128256, 8192))},
    {"llama3_2_3b", kLlama32, tied(llama_shape(28, 3072, 24, 8, 8192, 128256, 8192))},
    {"llama3_405b", kLlama3, llama_shape(126, 16384, 128, 8, 53248, 128256, 8192)},
    {"llama3_70b", kLlama3, llama_shape(80, 8192, 64, 8, 28672, 128256, 8192)},
    {"llama3_8b", kLlama3, llama_shape(32, 4096, 32, 8, 14336, 128256, 8192)},
    {"llama4_maverick", "Meta 2025, sizes as released; local attention not modelled",
     llama4(128, 2)},
    {"llama4_scout", "Meta 2025, sizes as released; local attention not modelled", llama4(16, 1)},
    {"llama_13b", kLlama, llama_shape(40, 5120, 40, 40, 13824, 32000, 2048)},
    {"llama_33b", kLlama, llama_shape(60, 6656, 52, 52, 17920, 32000, 2048)},
    {"llama_65b", kLlama, llama_shape(80, 8192, 64, 64, 22016, 32000, 2048)},
    {"llama_7b", kLlama, llama_shape(32, 4096, 32, 32, 11008, 32000, 2048)},
    {"megatron_145b", kSc21, megatron(80, 12288, 96)},
    {"megatron_162b", kSc21Figures, megatron(32, 20480, 128)},
    {"megatron_18b", kSc21, megatron(40, 6144, 48)},
    {"megatron_1_7b", kSc21, megatron(24, 2304, 24)},
    {"megatron_1t", kSc21, megatron(128, 25600, 160)},
    {"megatron_22b", kSequenceParallel, megatron(48, 6144, 64)},
    {"megatron_310b", kSc21, megatron(96, 16384, 128)},
    {"megatron_39b", kSc21, megatron(48, 8192, 64)},
    {"megatron_3_6b", kSc21, megatron(30, 3072, 32)},
    {"megatron_530b", kSc21, megatron(105, 20480, 128)},
    {"megatron_5_9b", kSc21Figures, megatron(32, 3840, 32)},
    {"megatron_76b", kSc21, megatron(60, 10240, 80)},
    {"megatron_7_5b", kSc21, megatron(36, 4096, 32)},
    {"mistral_7b", "Jiang et al. 2023 (arXiv 2310.06825), window of 4,096",
     GptShape{.layers = 32,
              .hidden = 4096,
              .attention = {.heads = 32, .kv_heads = 8, .window = 4096},
              .mlp = {.hidden = 14336, .gated = true},
              .vocab = 32000,
              .seq_len = 8192}},
    {"mistral_large_123b", kMistral, llama_shape(88, 12288, 96, 8, 28672, 32768, 8192)},
    {"mistral_nemo_12b", kMistral,
     with_head_dim(llama_shape(40, 5120, 32, 8, 14336, 131072, 8192), 128)},
    {"mistral_small_24b", kMistral,
     with_head_dim(llama_shape(40, 5120, 32, 8, 32768, 131072, 8192), 128)},
    {"mixtral_8x22b", "Mistral AI 2024, sizes as released",
     with_experts(llama_shape(56, 6144, 48, 8, 16384, 32768, 4096), 8, 2)},
    {"mixtral_8x7b", "Jiang et al. 2024 (arXiv 2401.04088)",
     with_experts(llama_shape(32, 4096, 32, 8, 14336, 32000, 4096), 8, 2)},
    {"moonlight_16b_a3b", "Moonshot AI 2025 (arXiv 2502.16982), sizes as released",
     deepseek(llama_shape(27, 2048, 16, 16, 1408, 163840, 8192), {0, 64, 6, 2 * 1408, 1, 11264})},
    {"mpt_125m", kMpt, mpt(12, 768, 12)},
    {"mpt_13b", kMpt, mpt(40, 5120, 40)},
    {"mpt_1b", kMpt, mpt(24, 2048, 16)},
    {"mpt_30b", kMpt, mpt(48, 7168, 56)},
    {"mpt_350m", kMpt, mpt(24, 1024, 16)},
    {"mpt_3b", kMpt, mpt(32, 2560, 20)},
    {"mpt_70b", kMpt, mpt(80, 8192, 64)},
    {"mpt_760m", kMpt, mpt(24, 1536, 12)},
    {"mpt_7b", kMpt, mpt(32, 4096, 32)},
    {"nemotron3_22b", kNemotron3, nemotron(40, 6144, 48, 48)},
    {"nemotron3_8b", kNemotron3, nemotron(32, 4096, 32, 32)},
    {"nemotron4_15b", "Parmar et al. 2024 (arXiv 2402.16819)", nemotron(32, 6144, 48, 8)},
    {"nemotron4_340b", "Adler et al. 2024 (arXiv 2406.11704)", nemotron(96, 18432, 96, 8)},
    {"opt_125m", kOpt, opt(12, 768, 12)},
    {"opt_13b", kOpt, opt(40, 5120, 40)},
    {"opt_175b", kOpt, opt(96, 12288, 96)},
    {"opt_1_3b", kOpt, opt(24, 2048, 32)},
    {"opt_2_7b", kOpt, opt(32, 2560, 32)},
    {"opt_30b", kOpt, opt(48, 7168, 56)},
    {"opt_66b", kOpt, opt(64, 9216, 72)},
    {"opt_6_7b", kOpt, opt(32, 4096, 32)},
    {"phi3_medium", kPhi, llama_shape(40, 5120, 40, 10, 17920, 32064, 4096)},
    {"phi3_mini", kPhi, llama_shape(32, 3072, 32, 32, 8192, 32064, 4096)},
    {"phi4_14b", kPhi, llama_shape(40, 5120, 40, 10, 17920, 100352, 4096)},
    {"pythia_12b", kPythia, pythia(36, 5120, 40, 50688)},
    {"pythia_160m", kPythia, pythia(12, 768, 12, 50304)},
    {"pythia_1_4b", kPythia, pythia(24, 2048, 16, 50304)},
    {"pythia_2_8b", kPythia, pythia(32, 2560, 32, 50304)},
    {"pythia_410m", kPythia, pythia(24, 1024, 16, 50304)},
    {"pythia_6_9b", kPythia, pythia(32, 4096, 32, 50432)},
    {"qwen1_5_moe_a2_7b", "Qwen Team 2024, sizes as released",
     qwen_moe(with_qkv_bias(llama_shape(24, 2048, 16, 16, 1408, 151936, 4096)))},
    {"qwen2_5_0_5b", kQwen25, tied(with_qkv_bias(llama_shape(24, 896, 14, 2, 4864, 151936, 4096)))},
    {"qwen2_5_14b", kQwen25, with_qkv_bias(llama_shape(48, 5120, 40, 8, 13824, 152064, 4096))},
    {"qwen2_5_1_5b", kQwen25,
     tied(with_qkv_bias(llama_shape(28, 1536, 12, 2, 8960, 151936, 4096)))},
    {"qwen2_5_32b", kQwen25, with_qkv_bias(llama_shape(64, 5120, 40, 8, 27648, 152064, 4096))},
    {"qwen2_5_3b", kQwen25, tied(with_qkv_bias(llama_shape(36, 2048, 16, 2, 11008, 151936, 4096)))},
    {"qwen2_72b", kQwen25, with_qkv_bias(llama_shape(80, 8192, 64, 8, 29568, 152064, 4096))},
    {"qwen2_7b", "Yang et al. 2024 (arXiv 2407.10671), sizes as released",
     with_qkv_bias(llama_shape(28, 3584, 28, 4, 18944, 152064, 4096))},
    {"qwen3_0_6b", kQwen3, tied(qwen3(llama_shape(28, 1024, 16, 8, 3072, 151936, 4096)))},
    {"qwen3_14b", kQwen3, qwen3(llama_shape(40, 5120, 40, 8, 17408, 151936, 4096))},
    {"qwen3_1_7b", kQwen3, tied(qwen3(llama_shape(28, 2048, 16, 8, 6144, 151936, 4096)))},
    {"qwen3_235b_a22b", kQwen3,
     qwen3(with_experts(llama_shape(94, 4096, 64, 4, 1536, 151936, 4096), 128, 8))},
    {"qwen3_30b_a3b", kQwen3,
     qwen3(with_experts(llama_shape(48, 2048, 32, 4, 768, 151936, 4096), 128, 8))},
    {"qwen3_32b", kQwen3, qwen3(llama_shape(64, 5120, 64, 8, 25600, 151936, 4096))},
    {"qwen3_4b", kQwen3, tied(qwen3(llama_shape(36, 2560, 32, 8, 9728, 151936, 4096)))},
    {"qwen3_8b", kQwen3, qwen3(llama_shape(36, 4096, 32, 8, 12288, 151936, 4096))},
    {"smollm2_1_7b", "Allal et al. 2025 (arXiv 2502.02737), sizes as released",
     tied(llama_shape(24, 2048, 32, 32, 8192, 49152, 2048))},
    {"swin_huge", kUniap,
     SwinShape{.layers = {2, 2, 42, 2}, .heads = {8, 16, 32, 64}, .hidden = 320}, 16},
    {"swin_large", "Liu et al. 2021 (arXiv 2103.14030)",
     SwinShape{.layers = {2, 2, 18, 2}, .heads = {6, 12, 24, 48}, .hidden = 192}},
    {"t5_base", "Raffel et al. 2020 (arXiv 1910.10683), sizes as released",
     T5Shape{.encoder_layers = 12, .decoder_layers = 12, .hidden = 768, .heads = 12, .ffn = 3072}},
    {"t5_large", "Raffel et al. 2020 (arXiv 1910.10683), sizes as released; as UniAP uses it",
     T5Shape{.encoder_layers = 24, .decoder_layers = 24, .hidden = 1024, .heads = 16, .ffn = 4096},
     2},
    {"tinyllama_1_1b", "Zhang et al. 2024 (arXiv 2401.02385)",
     llama_shape(22, 2048, 32, 4, 5632, 32000, 2048)},
    {"vit_huge", kUniap, VitShape{.layers = 32, .hidden = 1280, .heads = 16, .ffn = 5120}, 16},
    {"vit_large", "Dosovitskiy et al. 2021 (arXiv 2010.11929), ViT-L/16",
     VitShape{.layers = 24, .hidden = 1024, .heads = 16, .ffn = 4096}},
    {"yi_34b", kYi, llama_shape(60, 7168, 56, 8, 20480, 64000, 4096)},
    {"yi_6b", kYi, llama_shape(32, 4096, 32, 4, 11008, 64000, 4096)},
});

// Strictly ascending: no two rows have one name.
static_assert(std::ranges::is_sorted(kTransformers, std::ranges::less_equal{},
                                     &TransformerRow::name));

struct Make {
  std::string name;
  std::string source;
  Result<Transformer> operator()(const GptShape& shape) const {
    return make_gpt(name, source, shape);
  }
  Result<Transformer> operator()(const BertShape& shape) const {
    return make_bert(name, source, shape);
  }
  Result<Transformer> operator()(const T5Shape& shape) const {
    return make_t5(name, source, shape);
  }
  Result<Transformer> operator()(const VitShape& shape) const {
    return make_vit(name, source, shape);
  }
  Result<Transformer> operator()(const SwinShape& shape) const {
    return make_swin(name, source, shape);
  }
};

}  // namespace

std::span<const TransformerRow> transformer_table() {
  return kTransformers;
}

std::vector<std::string> transformer_names() {
  return row_names(kTransformers);
}

Result<const TransformerRow*> find_transformer(std::string_view name) {
  return find_row(kTransformers, "Transformer", name);
}

Transformer make_transformer(const TransformerRow& row) {
  // The rows are ours: one that does not build is a bug, and value() aborts.
  return make_transformer(std::string(row.name), std::string(row.source), row.shape).value();
}

Result<Transformer> make_transformer(std::string name, std::string source,
                                     const TransformerShape& shape) {
  return std::visit(Make{std::move(name), std::move(source)}, shape);
}

}  // namespace soapbox
