// Mixtures of experts.
#include "scenarios/runner/model_files/hf_readers.h"
#include "sim/base/str.h"

namespace soapbox::runner::hf {

TransformerShape read_mixtral(Config& config) {
  GptShape shape = llama_like(config, false);
  shape.mlp.experts = config.json.integer({"num_local_experts"}, kExperts);
  shape.mlp.experts_per_token = config.json.integer({"num_experts_per_tok"}, kExperts);
  read_window(config, shape, true);
  check_experts(config, shape);
  return shape;
}

TransformerShape read_olmoe(Config& config) {
  GptShape shape = llama_like(config, false);
  add_head_norms(shape);
  shape.mlp.experts = config.json.integer({"num_experts"}, kExperts);
  shape.mlp.experts_per_token = config.json.integer({"num_experts_per_tok"}, kExperts);
  check_experts(config, shape);
  return shape;
}

// A shared expert beside the routed ones. Three of four blocks attend within chunks of tokens.
TransformerShape read_llama4(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = llama_like(config, false);
  shape.mlp.shared_hidden = shape.mlp.hidden;
  shape.mlp.experts = json.integer({"num_local_experts"}, kExperts);
  shape.mlp.experts_per_token = json.integer_or({"num_experts_per_tok"}, 1, kExperts);
  shape.expert_every = json.integer_or({"interleave_moe_layer_step"}, 1, kLayers);
  shape.dense_hidden = json.integer({"intermediate_size_mlp"}, kFfn);
  shape.attention.window = json.integer_or({"attention_chunk_size"}, 8192, kTokens);
  shape.global_every = json.integer_or({"no_rope_layer_interval"}, 4, kLayers);
  json.ask("moe_layers");
  json.ask("no_rope_layers");
  json.ask("layer_types");
  json.ask("use_qk_norm");  // without parameters
  config.assume(str_cat("attention_chunk_size: chunks of ", shape.attention.window,
                        " tokens count as a window of as many"));
  check_experts(config, shape);
  return shape;
}

TransformerShape read_gpt_oss(Config& config) {
  GptShape shape = llama_like(config, false);
  shape.qkv_bias = false;
  shape.bias = true;                                     // of all matrices
  shape.other_block_parameters = shape.attention.heads;  // attention sinks
  shape.mlp.experts = config.json.integer({"num_local_experts"}, kExperts);
  shape.mlp.experts_per_token =
      config.json.integer({"num_experts_per_tok", "experts_per_token"}, kExperts);
  read_window(config, shape, true);
  shape.global_every = 2;
  config.json.ask("layer_types");
  check_experts(config, shape);
  return shape;
}

TransformerShape read_qwen_moe(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = qwen(config);
  shape.dense_hidden = shape.mlp.hidden;
  shape.mlp.hidden = json.integer({"moe_intermediate_size"}, kFfn);
  shape.mlp.experts = json.integer({"num_experts"}, kExperts);
  shape.mlp.experts_per_token = json.integer({"num_experts_per_tok"}, kExperts);
  shape.expert_every = json.integer_or({"decoder_sparse_step"}, 1, kLayers);
  shape.mlp.shared_hidden = json.integer_or({"shared_expert_intermediate_size"}, 0, {0, 1 << 20});
  if (shape.mlp.shared_hidden > 0) shape.other_block_parameters += shape.hidden;  // its gate
  config.refuse_unless(json.size_of("mlp_only_layers") == 0, "mlp_only_layers",
                       "dense layers at any place are not modelled; allowed: []");
  check_experts(config, shape);
  return shape;
}

namespace {

// What DeepSeek and GLM call the same: routed and shared experts, dense blocks first.
void read_routed_experts(Config& config, GptShape& shape) {
  JsonObject& json = config.json;
  shape.dense_hidden = json.integer({"intermediate_size"}, kFfn);
  shape.mlp.hidden = json.integer({"moe_intermediate_size"}, kFfn);
  shape.mlp.experts = json.integer({"n_routed_experts"}, kExperts);
  shape.mlp.experts_per_token = json.integer({"num_experts_per_tok"}, kExperts);
  shape.mlp.shared_hidden =
      json.integer_or({"n_shared_experts"}, 0, {0, 1 << 10}) * shape.mlp.hidden;
  shape.leading_dense = json.integer_or({"first_k_dense_replace"}, 0, {0, shape.layers});
  shape.expert_every = json.integer_or({"moe_layer_freq"}, 1, kLayers);
  if (json.integer_or({"num_nextn_predict_layers"}, 0, {0, kLayers.high}) > 0) {
    config.assume("num_nextn_predict_layers: multi-token prediction is left out");
  }
  check_experts(config, shape);
}

}  // namespace

TransformerShape read_glm_moe(Config& config) {
  GptShape shape = llama_like(config, false);
  if (shape.qkv_bias) shape.other_block_parameters -= shape.hidden;  // as in read_glm()
  if (config.json.flag_or("use_qk_norm", false)) {
    shape.other_block_parameters += 2 * shape.attention.head_dim;
  }
  read_routed_experts(config, shape);
  return shape;
}

TransformerShape read_deepseek(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.mlp = {.gated = true}});
  read_length(config, shape, 4096);
  json.ask("num_key_value_heads");  // latent attention has one for each head
  Attention& attention = shape.attention;
  attention.query_rank = json.integer_or({"q_lora_rank"}, 0, kHidden);
  attention.kv_rank = json.integer({"kv_lora_rank"}, kHidden);
  attention.rope_dim = json.integer({"qk_rope_head_dim"}, kHeadDim);
  attention.head_dim = json.integer({"qk_nope_head_dim"}, kHeadDim) + attention.rope_dim;
  attention.value_dim = json.integer({"v_head_dim"}, kHeadDim);
  shape.tied = json.flag_or("tie_word_embeddings", false);
  read_routed_experts(config, shape);
  return shape;
}

}  // namespace soapbox::runner::hf
