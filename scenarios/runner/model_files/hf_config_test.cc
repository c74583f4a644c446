#include "scenarios/runner/model_files/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/base/test_mutation.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Published models: the sizes in their configuration files, and how many parameters their
// checkpoints hold.
struct Published {
  const char* name;
  const char* config;
  int64_t parameters;
};
constexpr Published kPublished[] = {
    {"gpt2", R"({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_ctx": 1024,
      "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257,
      "resid_pdrop": 0.1})",
     124'439'808},
    {"gpt-j-6b", R"({"model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_inner": null,
      "n_layer": 28, "n_positions": 2048, "rotary_dim": 64, "tie_word_embeddings": false,
      "vocab_size": 50400})",
     6'050'882'784},
    {"pythia-6.9b", R"({"model_type": "gpt_neox", "hidden_size": 4096, "intermediate_size": 16384,
      "max_position_embeddings": 2048, "num_attention_heads": 32, "num_hidden_layers": 32,
      "tie_word_embeddings": false, "use_parallel_residual": true, "vocab_size": 50432})",
     6'857'302'016},
    {"opt-125m", R"({"model_type": "opt", "hidden_size": 768, "ffn_dim": 3072,
      "num_attention_heads": 12, "num_hidden_layers": 12, "max_position_embeddings": 2048,
      "word_embed_proj_dim": 768, "do_layer_norm_before": true, "vocab_size": 50272})",
     125'239'296},
    {"bloom-560m", R"({"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "n_head": 16,
      "vocab_size": 250880, "seq_length": 2048})",
     559'214'592},
    {"mpt-7b", R"({"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32,
      "expansion_ratio": 4, "max_seq_len": 2048, "no_bias": true, "learned_pos_emb": true,
      "attn_config": {"alibi": true, "attn_type": "multihead_attention"}, "vocab_size": 50432})",
     6'649'286'656},
    {"falcon-7b", R"({"model_type": "falcon", "hidden_size": 4544, "num_attention_heads": 71,
      "num_hidden_layers": 32, "multi_query": true, "parallel_attn": true, "bias": false,
      "new_decoder_architecture": false, "vocab_size": 65024})",
     6'921'720'704},
    {"falcon-40b", R"({"model_type": "falcon", "hidden_size": 8192, "num_attention_heads": 128,
      "num_kv_heads": 8, "num_hidden_layers": 60, "parallel_attn": true, "bias": false,
      "new_decoder_architecture": true, "vocab_size": 65024})",
     41'303'293'952},
    {"llama-3.2-1b", R"({"model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
      "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
      "num_hidden_layers": 16, "max_position_embeddings": 131072, "tie_word_embeddings": true,
      "rope_scaling": {"factor": 32.0, "rope_type": "llama3"}, "vocab_size": 128256})",
     1'235'814'400},
    {"mistral-7b", R"({"model_type": "mistral", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32,
      "max_position_embeddings": 32768, "sliding_window": 4096, "vocab_size": 32000})",
     7'241'732'096},
    {"mixtral-8x7b", R"({"model_type": "mixtral", "hidden_size": 4096, "intermediate_size": 14336,
      "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32,
      "num_local_experts": 8, "num_experts_per_tok": 2, "max_position_embeddings": 32768,
      "sliding_window": null, "vocab_size": 32000})",
     46'702'792'704},
    {"qwen2-0.5b", R"({"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
      "num_attention_heads": 14, "num_key_value_heads": 2, "num_hidden_layers": 24,
      "max_position_embeddings": 131072, "sliding_window": 131072, "max_window_layers": 24,
      "use_sliding_window": false, "tie_word_embeddings": true, "vocab_size": 151936})",
     494'032'768},
    {"qwen1.5-moe-a2.7b", R"({"model_type": "qwen2_moe", "hidden_size": 2048,
      "intermediate_size": 5632, "moe_intermediate_size": 1408,
      "shared_expert_intermediate_size": 5632, "num_experts": 60, "num_experts_per_tok": 4,
      "decoder_sparse_step": 1, "num_attention_heads": 16, "num_key_value_heads": 16,
      "num_hidden_layers": 24, "max_position_embeddings": 8192, "tie_word_embeddings": false,
      "vocab_size": 151936})",
     14'315'784'192},
    {"qwen3-30b-a3b", R"({"model_type": "qwen3_moe", "hidden_size": 2048, "head_dim": 128,
      "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
      "num_experts_per_tok": 8, "decoder_sparse_step": 1, "mlp_only_layers": [],
      "num_attention_heads": 32, "num_key_value_heads": 4, "num_hidden_layers": 48,
      "max_position_embeddings": 40960, "tie_word_embeddings": false, "vocab_size": 151936})",
     30'532'122'624},
    {"deepseek-v2-lite", R"({"model_type": "deepseek_v2", "hidden_size": 2048,
      "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 64,
      "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
      "moe_layer_freq": 1, "kv_lora_rank": 512, "q_lora_rank": null, "qk_nope_head_dim": 128,
      "qk_rope_head_dim": 64, "v_head_dim": 128, "num_attention_heads": 16,
      "num_key_value_heads": 16, "num_hidden_layers": 27, "max_position_embeddings": 163840,
      "tie_word_embeddings": false, "vocab_size": 102400})",
     15'706'484'224},
    {"gemma-7b", R"({"model_type": "gemma", "hidden_size": 3072, "head_dim": 256,
      "intermediate_size": 24576, "num_attention_heads": 16, "num_key_value_heads": 16,
      "num_hidden_layers": 28, "max_position_embeddings": 8192, "vocab_size": 256000})",
     8'537'680'896},
    {"gemma-2-9b", R"({"model_type": "gemma2", "hidden_size": 3584, "head_dim": 256,
      "intermediate_size": 14336, "num_attention_heads": 16, "num_key_value_heads": 8,
      "num_hidden_layers": 42, "sliding_window": 4096, "max_position_embeddings": 8192,
      "vocab_size": 256000})",
     9'241'705'984},
    {"phi-2", R"({"model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240,
      "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 32,
      "max_position_embeddings": 2048, "qk_layernorm": false, "tie_word_embeddings": false,
      "vocab_size": 51200})",
     2'779'683'840},
    {"phi-3-mini", R"({"model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192,
      "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 32,
      "max_position_embeddings": 4096, "sliding_window": 2047, "tie_word_embeddings": false,
      "vocab_size": 32064})",
     3'821'079'552},
    {"starcoder2-3b", R"({"model_type": "starcoder2", "hidden_size": 3072,
      "intermediate_size": 12288, "num_attention_heads": 24, "num_key_value_heads": 2,
      "num_hidden_layers": 30, "max_position_embeddings": 16384, "sliding_window": 4096,
      "use_bias": true, "vocab_size": 49152})",
     3'030'371'328},
    {"roberta-base", R"({"model_type": "roberta", "hidden_size": 768, "intermediate_size": 3072,
      "num_attention_heads": 12, "num_hidden_layers": 12, "max_position_embeddings": 514,
      "type_vocab_size": 1, "vocab_size": 50265})",
     124'697'433},
    {"t5-small", R"({"model_type": "t5", "d_model": 512, "d_kv": 64, "d_ff": 2048,
      "num_layers": 6, "num_heads": 8, "n_positions": 512, "relative_attention_num_buckets": 32,
      "vocab_size": 32128})",
     60'506'624},
    {"t5-v1_1-base", R"({"model_type": "t5", "d_model": 768, "d_kv": 64, "d_ff": 2048,
      "feed_forward_proj": "gated-gelu", "num_layers": 12, "num_decoder_layers": 12,
      "num_heads": 12, "tie_word_embeddings": false, "vocab_size": 32128})",
     247'577'856},
    {"vit-base-patch16-224", R"({"model_type": "vit", "hidden_size": 768,
      "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
      "image_size": 224, "patch_size": 16, "num_labels": 1000})",
     86'567'656},
    {"swin-tiny", R"({"model_type": "swin", "embed_dim": 96, "depths": [2, 2, 6, 2],
      "num_heads": [3, 6, 12, 24], "window_size": 7, "mlp_ratio": 4.0, "image_size": 224,
      "patch_size": 4, "num_labels": 1000})",
     28'288'354},
    {"baichuan2-7b", R"({"model_type": "baichuan", "hidden_size": 4096, "intermediate_size": 11008,
      "num_attention_heads": 32, "num_hidden_layers": 32, "model_max_length": 4096,
      "max_position_embeddings": 4096, "z_loss_weight": 0, "tie_word_embeddings": false,
      "vocab_size": 125696})",
     7'505'973'248},
    {"chatglm3-6b", R"({"model_type": "chatglm", "add_bias_linear": false, "add_qkv_bias": true,
      "ffn_hidden_size": 13696, "hidden_size": 4096, "kv_channels": 128,
      "multi_query_attention": true, "multi_query_group_num": 2, "num_attention_heads": 32,
      "num_layers": 28, "padded_vocab_size": 65024, "vocab_size": 65024, "rmsnorm": true,
      "seq_length": 8192, "tie_word_embeddings": false})",
     6'243'584'000},
    {"c4ai-command-r-v01", R"({"model_type": "cohere", "hidden_size": 8192,
      "intermediate_size": 22528, "logit_scale": 0.0625, "max_position_embeddings": 8192,
      "num_attention_heads": 64, "num_hidden_layers": 40, "num_key_value_heads": 64,
      "use_qk_norm": false, "vocab_size": 256000})",
     34'980'831'232},
    {"c4ai-command-r7b", R"({"model_type": "cohere2", "head_dim": 128, "hidden_size": 4096,
      "intermediate_size": 14336, "max_position_embeddings": 8192, "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 8, "sliding_window": 4096,
      "sliding_window_pattern": 4, "vocab_size": 256000})",
     8'028'033'024},
    {"distilbert-base", R"({"model_type": "distilbert", "dim": 768, "hidden_dim": 3072,
      "max_position_embeddings": 512, "n_heads": 12, "n_layers": 6, "vocab_size": 30522})",
     66'985'530},
    {"gemma-3-1b", R"({"model_type": "gemma3_text", "head_dim": 256, "hidden_size": 1152,
      "intermediate_size": 6912, "max_position_embeddings": 32768, "num_attention_heads": 4,
      "num_hidden_layers": 26, "num_key_value_heads": 1, "sliding_window": 512,
      "sliding_window_pattern": 6, "vocab_size": 262144})",
     999'885'952},
    // The language model of 4.3 billion with its tower: what its class states is left out.
    {"gemma-3-4b", R"({"model_type": "gemma3", "mm_tokens_per_image": 256,
      "text_config": {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
      "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
      "sliding_window": 1024}, "vision_config": {"hidden_size": 1152, "image_size": 896}})",
     3'880'263'168},
    {"glm-4-9b", R"({"model_type": "glm", "attention_bias": true, "head_dim": 128,
      "hidden_size": 4096, "intermediate_size": 13696, "max_position_embeddings": 8192,
      "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 2,
      "partial_rotary_factor": 0.5, "tie_word_embeddings": false, "vocab_size": 151552})",
     9'399'951'360},
    {"glm-4-9b-0414", R"({"model_type": "glm4", "attention_bias": true, "head_dim": 128,
      "hidden_size": 4096, "intermediate_size": 13696, "max_position_embeddings": 32768,
      "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 2,
      "tie_word_embeddings": false, "vocab_size": 151552})",
     9'400'279'040},
    {"starcoder", R"({"model_type": "gpt_bigcode", "multi_query": true, "n_embd": 6144,
      "n_head": 48, "n_inner": 24576, "n_layer": 40, "n_positions": 8192, "vocab_size": 49152})",
     15'517'456'384},
    {"gpt-neo-1.3b", R"({"model_type": "gpt_neo", "attention_types": [[["global", "local"], 12]],
      "hidden_size": 2048, "intermediate_size": null, "max_position_embeddings": 2048,
      "num_heads": 16, "num_layers": 24, "vocab_size": 50257, "window_size": 256})",
     1'315'575'808},
    {"granite-3.0-2b", R"({"model_type": "granite", "attention_bias": false,
      "attention_multiplier": 0.015625, "embedding_multiplier": 12.0, "hidden_size": 2048,
      "intermediate_size": 8192, "logits_scaling": 8.0, "max_position_embeddings": 4096,
      "mlp_bias": false, "num_attention_heads": 32, "num_hidden_layers": 40,
      "num_key_value_heads": 8, "residual_multiplier": 0.22, "tie_word_embeddings": true,
      "vocab_size": 49155})",
     2'533'531'648},
    {"granite-3.0-1b-a400m", R"({"model_type": "granitemoe", "hidden_size": 1024,
      "intermediate_size": 512, "max_position_embeddings": 4096, "num_attention_heads": 16,
      "num_experts_per_tok": 8, "num_hidden_layers": 24, "num_key_value_heads": 8,
      "num_local_experts": 32, "tie_word_embeddings": true, "vocab_size": 49155})",
     1'334'628'352},
    {"internlm2-7b", R"({"model_type": "internlm2", "bias": false, "hidden_size": 4096,
      "intermediate_size": 14336, "max_position_embeddings": 32768, "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 8,
      "rope_scaling": {"factor": 2.0, "type": "dynamic"}, "tie_word_embeddings": false,
      "vocab_size": 92544})",
     7'737'708'544},
    // The language model of 109 billion with its tower.
    {"llama-4-scout", R"({"model_type": "llama4", "boi_token_index": 200080,
      "text_config": {"model_type": "llama4_text", "attention_bias": false,
      "attention_chunk_size": 8192, "head_dim": 128, "hidden_size": 5120,
      "interleave_moe_layer_step": 1, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
      "max_position_embeddings": 10485760, "no_rope_layers": [], "num_attention_heads": 40,
      "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8,
      "num_local_experts": 16, "use_qk_norm": true, "vocab_size": 202048},
      "vision_config": {"hidden_size": 1408}})",
     107'769'861'120},
    {"minicpm-2b", R"({"model_type": "minicpm", "hidden_size": 2304, "intermediate_size": 5760,
      "max_position_embeddings": 4096, "num_attention_heads": 36, "num_hidden_layers": 40,
      "num_key_value_heads": 36, "scale_emb": 12, "dim_model_base": 256, "scale_depth": 1.4,
      "vocab_size": 122753})",
     2'724'880'896},
    {"mt5-small", R"({"model_type": "mt5", "d_ff": 1024, "d_kv": 64, "d_model": 512,
      "feed_forward_proj": "gated-gelu", "num_decoder_layers": 8, "num_heads": 6, "num_layers": 8,
      "relative_attention_num_buckets": 32, "tie_word_embeddings": false, "vocab_size": 250112})",
     300'176'768},
    {"olmo-2-7b", R"({"model_type": "olmo2", "attention_bias": false, "hidden_size": 4096,
      "intermediate_size": 11008, "max_position_embeddings": 4096, "num_attention_heads": 32,
      "num_hidden_layers": 32, "num_key_value_heads": 32, "tie_word_embeddings": false,
      "vocab_size": 100352})",
     7'298'617'344},
    {"olmoe-1b-7b", R"({"model_type": "olmoe", "clip_qkv": null, "hidden_size": 2048,
      "intermediate_size": 1024, "max_position_embeddings": 4096, "num_attention_heads": 16,
      "num_experts": 64, "num_experts_per_tok": 8, "num_hidden_layers": 16,
      "num_key_value_heads": 16, "tie_word_embeddings": false, "vocab_size": 50304})",
     6'919'161'856},
    {"qwen-7b", R"({"model_type": "qwen", "hidden_size": 4096, "intermediate_size": 22016,
      "kv_channels": 128, "max_position_embeddings": 32768, "no_bias": true,
      "num_attention_heads": 32, "num_hidden_layers": 32, "seq_length": 8192,
      "tie_word_embeddings": false, "vocab_size": 151936})",
     7'721'324'544},
    {"smollm3-3b", R"({"model_type": "smollm3", "hidden_size": 2048, "intermediate_size": 11008,
      "max_position_embeddings": 65536, "no_rope_layer_interval": 4, "num_attention_heads": 16,
      "num_hidden_layers": 36, "num_key_value_heads": 4, "use_sliding_window": false,
      "vocab_size": 128256})",
     3'075'098'624},
    {"stablelm-2-1_6b", R"({"model_type": "stablelm", "hidden_size": 2048,
      "intermediate_size": 5632, "max_position_embeddings": 4096, "num_attention_heads": 32,
      "num_hidden_layers": 24, "num_key_value_heads": 32, "partial_rotary_factor": 0.25,
      "use_qkv_bias": true, "tie_word_embeddings": false, "vocab_size": 100352})",
     1'644'515'328},
    {"xlm-roberta-base", R"({"model_type": "xlm-roberta", "hidden_size": 768,
      "intermediate_size": 3072, "max_position_embeddings": 514, "num_attention_heads": 12,
      "num_hidden_layers": 12, "type_vocab_size": 1, "vocab_size": 250002})",
     278'295'186},
};

TEST(HfConfig, ParametersAreThoseOfThePublishedCheckpoints) {
  for (const Published& row : kPublished) {
    const Result<LoadedTransformer> read =
        hf_config_from_json(row.config, std::string(row.name) + ".json");
    ASSERT_TRUE(read) << row.name << ": " << read.error().to_string();
    EXPECT_EQ(read->model.parameter_count(), row.parameters) << row.name;
    EXPECT_EQ(read->model.name, row.name);
  }
}

// What does not bear on sizes is known by name; the rest of a model that also sees is noted.
TEST(HfConfig, PublishedFilesGiveNotesOnlyWhereSomethingIsLeftOut) {
  for (const Published& row : kPublished) {
    const Result<LoadedTransformer> read = hf_config_from_json(row.config, "x.json");
    ASSERT_TRUE(read) << row.name;
    for (const std::string& note : read->notes) {
      EXPECT_THAT(note, testing::AnyOf(HasSubstr("z_loss_weight"), HasSubstr("left out"),
                                       HasSubstr("sequence length not stated"),
                                       HasSubstr("chunks of 8192 tokens count as a window")))
          << row.name;
    }
  }
  const Result<LoadedTransformer> read = hf_config_from_json(
      R"({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text",
      "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}})",
      "x.json");
  ASSERT_TRUE(read);
  EXPECT_THAT(read->notes, testing::Contains(HasSubstr("of gemma3 its text_config alone")));
}

// GLM-4.5-Air: 106 billion parameters, 12 of them active, as its authors print it (arXiv
// 2508.06471); its layer for multi-token prediction is in neither.
TEST(HfConfig, ReadsGlmMixtures) {
  const Result<LoadedTransformer> read = hf_config_from_json(
      R"({"model_type": "glm4_moe", "attention_bias": true, "first_k_dense_replace": 1,
      "head_dim": 128, "hidden_size": 4096, "intermediate_size": 10944,
      "max_position_embeddings": 131072, "moe_intermediate_size": 1408, "n_routed_experts": 128,
      "n_shared_experts": 1, "num_attention_heads": 96, "num_experts_per_tok": 8,
      "num_hidden_layers": 46, "num_key_value_heads": 8, "num_nextn_predict_layers": 1,
      "tie_word_embeddings": false, "use_qk_norm": false, "vocab_size": 151552})",
      "x.json");
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_NEAR(static_cast<double>(read->model.parameter_count()), 106.85e9, 0.01e9);
  EXPECT_NEAR(static_cast<double>(read->model.active_parameters()), 12e9, 1.5e9);
}

// The same shapes as the table's, but for the names.
TEST(HfConfig, LayersEqualThoseOfTheTable) {
  const auto same = [](std::string_view config, std::string_view row) {
    const Result<LoadedTransformer> read = hf_config_from_json(config, "x.json");
    ASSERT_TRUE(read) << row;
    EXPECT_EQ(read->model.layers, make_transformer(**find_transformer(row)).layers) << row;
  };
  same(R"({"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
       "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 32,
       "max_position_embeddings": 8192, "tie_word_embeddings": false, "vocab_size": 128256})",
       "llama3_8b");
  same(R"({"model_type": "nemotron", "hidden_size": 6144, "intermediate_size": 24576,
       "num_attention_heads": 48, "num_key_value_heads": 8, "num_hidden_layers": 32,
       "max_position_embeddings": 4096, "vocab_size": 256000})",
       "nemotron4_15b");
  same(R"({"model_type": "bert", "hidden_size": 1024, "intermediate_size": 4096,
       "num_attention_heads": 16, "num_hidden_layers": 24, "max_position_embeddings": 512,
       "type_vocab_size": 2, "hidden_dropout_prob": 0.1, "vocab_size": 30522})",
       "bert_large");
  same(R"({"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880,
       "head_dim": 64, "attention_bias": true, "num_attention_heads": 64,
       "num_key_value_heads": 8, "num_hidden_layers": 36, "num_local_experts": 128,
       "num_experts_per_tok": 4, "sliding_window": 128, "max_position_embeddings": 4096,
       "vocab_size": 201088})",
       "gpt_oss_120b");
  same(R"({"model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432,
       "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
       "num_experts_per_tok": 8, "first_k_dense_replace": 3, "moe_layer_freq": 1,
       "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
       "v_head_dim": 128, "num_attention_heads": 128, "num_key_value_heads": 128,
       "num_hidden_layers": 61, "max_position_embeddings": 4096, "num_nextn_predict_layers": 1,
       "vocab_size": 129280})",
       "deepseek_v3");
}

constexpr std::string_view kLlama = R"({
  "model_type": "llama",
  "hidden_size": 64,
  "intermediate_size": 172,
  "num_attention_heads": 4,
  "num_hidden_layers": 2,
  "vocab_size": 1000,
  "max_position_embeddings": 128,
  "rms_norm_eps": 1e-05
})";

// kLlama with one line replaced by another text.
std::string llama_with(std::string_view line, std::string_view text) {
  std::string config(kLlama);
  const size_t at = config.find(line);
  EXPECT_NE(at, std::string::npos);
  return config.replace(at, line.size(), text);
}

std::string error_of(std::string_view config) {
  const Result<LoadedTransformer> read = hf_config_from_json(config, "config.json");
  EXPECT_FALSE(read) << config;
  return read ? "" : read.error().to_string();
}

TEST(HfConfig, SaysWhatItAssumesAndDoesNotKnow) {
  EXPECT_THAT(hf_config_from_json(kLlama, "x.json")->notes, IsEmpty());
  const Result<LoadedTransformer> read = hf_config_from_json(
      llama_with("\"max_position_embeddings\": 128", "\"mystery_gate\": true"), "x.json");
  ASSERT_TRUE(read);
  EXPECT_THAT(read->notes,
              ElementsAre("sequence length not stated: 2048 assumed",
                          "key 'mystery_gate' (line 8) is not known and was not used"));
}

TEST(HfConfig, UnknownKindsAreRefusedWithTheNearest) {
  const std::string error = error_of(llama_with("\"llama\"", "\"lama\""));
  EXPECT_THAT(error, HasSubstr("config.json:2:3: unknown model_type 'lama'"));
  EXPECT_THAT(error, HasSubstr("did you mean 'llama'?"));
  EXPECT_THAT(error, HasSubstr("qwen2"));
  EXPECT_THAT(error_of("{\"a\": 1}"), HasSubstr("missing key 'model_type'"));
  EXPECT_THAT(error_of(llama_with("\"llama\"", "7")), HasSubstr("model_type is 7"));
}

TEST(HfConfig, SizesThatDoNotFitAreRefusedAtTheirPlace) {
  EXPECT_THAT(error_of(llama_with("\"num_attention_heads\": 4", "\"num_attention_heads\": 5")),
              HasSubstr("config.json:5:3: num_attention_heads is 5; allowed: divisors of the width"
                        " 64"));
  EXPECT_THAT(error_of(llama_with("\"rms_norm_eps\": 1e-05", "\"num_key_value_heads\": 3")),
              HasSubstr("config.json:9:3: num_key_value_heads is 3; allowed: divisors of the 4"));
  EXPECT_THAT(error_of(llama_with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": \"2\"")),
              HasSubstr("config.json:6:3: num_hidden_layers is \"2\"; allowed: whole numbers"));
  EXPECT_THAT(error_of(llama_with("\"hidden_size\": 64", "\"hidden_size\": 640000000000")),
              HasSubstr("config.json:3:3: hidden_size is 640000000000"));
  EXPECT_THAT(error_of(llama_with("\"vocab_size\": 1000,", "")),
              HasSubstr("missing key 'vocab_size'"));
  EXPECT_THAT(error_of(R"({"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 64,
      "num_attention_heads": 4, "num_hidden_layers": 2, "num_local_experts": 4,
      "num_experts_per_tok": 8, "vocab_size": 10})"),
              HasSubstr("num_experts_per_tok is 8; allowed: 1 to the number of experts, 4"));
}

TEST(HfConfig, FeaturesThatCannotBeExpressedAreRefused) {
  EXPECT_THAT(error_of(R"({"model_type": "opt", "hidden_size": 1024, "ffn_dim": 4096,
      "num_attention_heads": 16, "num_hidden_layers": 24, "word_embed_proj_dim": 512,
      "vocab_size": 50272})"),
              HasSubstr("word_embed_proj_dim: embeddings of another width"));
}

// Every published file.
TEST(HfConfig, NoMutationOfBytesCrashesAReader) {
  Rng rng(5);
  int accepted = 0;
  for (const Published& row : kPublished) {
    for (int i = 0; i < 200; ++i) {
      const std::string text = mutated(row.config, rng);
      const Result<LoadedTransformer> read = hf_config_from_json(text, "c.json");
      if (!read) {
        EXPECT_THAT(read.error().to_string(), testing::StartsWith("c.json")) << text;
        continue;
      }
      ++accepted;
      EXPECT_TRUE(check_transformer(read->model)) << text;
      EXPECT_GT(read->model.parameter_count(), 0) << text;
      EXPECT_GT(read->model.forward_flops_per_sample(), 0) << text;
    }
  }
  EXPECT_GT(accepted, 500);
}

// Every reader survives sizes at the ends of their ranges: counts stay positive.
TEST(HfConfig, TheLargestSizesDoNotOverflow) {
  const Result<LoadedTransformer> read = hf_config_from_json(
      R"({"model_type": "mixtral", "hidden_size": 131072, "intermediate_size": 1048576,
      "num_attention_heads": 4096, "head_dim": 16384, "num_hidden_layers": 4096,
      "num_local_experts": 4096, "num_experts_per_tok": 4096, "vocab_size": 16777216,
      "max_position_embeddings": 1073741824})",
      "x.json");
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_GT(read->model.parameter_count(), int64_t{1} << 62);
}

}  // namespace
}  // namespace soapbox::runner
