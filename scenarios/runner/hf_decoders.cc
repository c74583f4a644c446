#include <utility>

#include "scenarios/runner/hf_readers.h"
#include "sim/base/str.h"

namespace soapbox::runner::hf {

void check_heads(Config& config, const GptShape& shape, std::string_view key) {
  const int64_t heads = shape.attention.heads;
  if (shape.attention.head_dim == 0 && shape.hidden % heads != 0) {
    config.json.fail(key, str_cat(key, " is ", heads, "; allowed: divisors of the width ",
                                  shape.hidden, ", as no head_dim is stated"));
  }
  const int64_t kv_heads = shape.attention.kv_heads;
  if (kv_heads > 0 && heads % kv_heads != 0) {
    config.json.fail("num_key_value_heads",
                     str_cat("num_key_value_heads is ", kv_heads, "; allowed: divisors of the ",
                             heads, " attention heads"));
  }
}

namespace {

// The sizes that every decoder states.

GptShape decoder(Config& config, const GptShape& family) {
  JsonObject& json = config.json;
  GptShape shape = family;
  shape.layers = json.integer({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, kLayers);
  shape.hidden = json.integer({"hidden_size", "n_embd", "n_embed", "d_model"}, kHidden);
  shape.attention.heads =
      json.integer({"num_attention_heads", "n_head", "n_heads", "num_heads"}, kHeads);
  shape.vocab = json.integer({"vocab_size"}, kVocab);
  return shape;
}

void read_length(Config& config, GptShape& shape, int64_t otherwise) {
  shape.seq_len = config.json.integer_or(
      {"max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"}, 0, kTokens);
  if (shape.seq_len > 0) return;
  shape.seq_len = otherwise;
  config.assume(str_cat("sequence length not stated: ", otherwise, " assumed"));
}

void read_kv_heads(Config& config, GptShape& shape) {
  shape.attention.kv_heads =
      config.json.integer_or({"num_key_value_heads"}, shape.attention.heads, kHeads);
}

// Experts per token that exceed the experts.

void check_experts(Config& config, const GptShape& shape) {
  if (shape.mlp.experts_per_token <= shape.mlp.experts) return;
  const char* const key =
      config.json.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  config.json.fail(key, str_cat(key, " is ", shape.mlp.experts_per_token,
                                "; allowed: 1 to the number of experts, ", shape.mlp.experts));
}

// GPT-2 and Megatron's GPT.

}  // namespace

TransformerShape read_gpt2(Config& config) {
  GptShape shape = decoder(config, {.bias = true, .norm_bias = true});
  read_length(config, shape, 1024);
  shape.positions = shape.seq_len;
  shape.mlp.hidden = config.json.integer_or({"n_inner"}, 4 * shape.hidden, kFfn);
  shape.tied = config.json.flag_or("tie_word_embeddings", true);
  shape.dropout = config.json.number_or("resid_pdrop", 0.1, 0, 1);
  config.json.ask("attn_pdrop");
  config.json.ask("embd_pdrop");
  check_heads(config, shape, "n_head");
  return shape;
}

TransformerShape read_gptj(Config& config) {
  GptShape shape = decoder(config, {.norm_bias = true, .head_bias = true, .norms_per_block = 1});
  read_length(config, shape, 2048);
  shape.mlp.hidden = config.json.integer_or({"n_inner"}, 4 * shape.hidden, kFfn);
  shape.other_block_parameters = shape.mlp.hidden + shape.hidden;  // the MLP alone has biases
  shape.tied = config.json.flag_or("tie_word_embeddings", false);
  config.json.ask("rotary_dim");
  check_heads(config, shape, "n_head");
  return shape;
}

TransformerShape read_gpt_neox(Config& config) {
  GptShape shape = decoder(config, {.bias = true, .norm_bias = true});
  read_length(config, shape, 2048);
  shape.mlp.hidden = config.json.integer({"intermediate_size"}, kFfn);
  shape.tied = config.json.flag_or("tie_word_embeddings", false);
  shape.dropout = config.json.number_or("hidden_dropout", 0, 0, 1);
  config.refuse_unless(config.json.flag_or("attention_bias", true), "attention_bias",
                       "attention without biases is not modelled for gpt_neox");
  config.json.ask("use_parallel_residual");  // both ways have two norms
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

TransformerShape read_opt(Config& config) {
  GptShape shape = decoder(config, {.norm_bias = true});
  read_length(config, shape, 2048);
  shape.positions = shape.seq_len + 2;  // two more rows than positions
  shape.mlp.hidden = config.json.integer({"ffn_dim"}, kFfn);
  shape.bias = config.json.flag_or("enable_bias", true);
  shape.tied = config.json.flag_or("tie_word_embeddings", true);
  shape.dropout = config.json.number_or("dropout", 0.1, 0, 1);
  const int64_t projected = config.json.integer_or({"word_embed_proj_dim"}, shape.hidden, kHidden);
  config.refuse_unless(projected == shape.hidden, "word_embed_proj_dim",
                       "embeddings of another width than the model's are not modelled");
  config.refuse_unless(config.json.flag_or("do_layer_norm_before", true), "do_layer_norm_before",
                       "norms behind the layers are not modelled for opt");
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

TransformerShape read_bloom(Config& config) {
  GptShape shape = decoder(config, {.bias = true, .norm_bias = true, .embedding_norm = true});
  read_length(config, shape, 2048);
  shape.tied = config.json.flag_or("tie_word_embeddings", true);
  shape.dropout = config.json.number_or("hidden_dropout", 0, 0, 1);
  check_heads(config, shape, "n_head");
  return shape;
}

TransformerShape read_mpt(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.tied = true});
  read_length(config, shape, 2048);
  const int64_t ratio = json.integer_or({"expansion_ratio"}, 4, {1, 1 << 10});
  shape.mlp.hidden = ratio * shape.hidden;
  shape.bias = !json.flag_or("no_bias", true);
  shape.norm_bias = shape.bias;
  shape.dropout = json.number_or("resid_pdrop", 0, 0, 1);
  Result<JsonObject> attention = json.object("attn_config");
  if (!attention) {
    json.fail("attn_config", attention.error().message);
    return shape;
  }
  const bool alibi = attention->flag_or("alibi", false);
  const bool rotary = attention->flag_or("rope", false);
  if (json.flag_or("learned_pos_emb", true) && !alibi && !rotary) shape.positions = shape.seq_len;
  const std::string kind = attention->text_or("attn_type", "multihead_attention");
  shape.attention.kv_heads = attention->integer_or(
      {"kv_n_heads"}, kind == "multiquery_attention" ? 1 : shape.attention.heads, kHeads);
  if (const Status status = attention->status(); !status) {
    json.fail("attn_config", status.error().message);
  }
  check_heads(config, shape, "n_heads");
  return shape;
}

TransformerShape read_falcon(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.norm_bias = true});
  read_length(config, shape, 2048);
  const bool grouped = json.flag_or("new_decoder_architecture", false);
  const bool one_kv_head = json.flag_or("multi_query", true) && !grouped;
  shape.attention.kv_heads =
      json.integer_or({"num_kv_heads", "n_head_kv"}, shape.attention.heads, kHeads);
  if (!grouped) shape.attention.kv_heads = one_kv_head ? 1 : shape.attention.heads;
  shape.mlp.hidden = json.integer_or({"ffn_hidden_size"}, 4 * shape.hidden, kFfn);
  shape.bias = json.flag_or("bias", false);
  shape.norms_per_block = json.flag_or("parallel_attn", true) && !grouped ? 1 : 2;
  shape.tied = json.flag_or("tie_word_embeddings", true);
  shape.dropout = json.number_or("hidden_dropout", 0, 0, 1);
  json.ask("alibi");
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

TransformerShape read_phi(Config& config) {
  GptShape shape =
      decoder(config, {.bias = true, .norm_bias = true, .head_bias = true, .norms_per_block = 1});
  read_length(config, shape, 2048);
  read_kv_heads(config, shape);
  shape.mlp.hidden = config.json.integer_or({"intermediate_size"}, 4 * shape.hidden, kFfn);
  shape.tied = config.json.flag_or("tie_word_embeddings", false);
  shape.dropout = config.json.number_or("resid_pdrop", 0, 0, 1);
  config.refuse_unless(!config.json.flag_or("qk_layernorm", false), "qk_layernorm",
                       "norms of queries and keys are not modelled for phi");
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

namespace {

// A window, where it is in use.

void read_window(Config& config, GptShape& shape, bool used) {
  const int64_t window = config.json.integer_or({"sliding_window"}, 0, kTokens);
  if (used) shape.attention.window = window;
  config.json.ask("max_window_layers");
}

// What Llama and its relatives share.

GptShape llama_like(Config& config, bool tied) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.mlp = {.gated = true}});
  read_length(config, shape, 2048);
  read_kv_heads(config, shape);
  shape.attention.head_dim = json.integer_or({"head_dim"}, 0, kHeadDim);
  shape.mlp.hidden = json.integer({"intermediate_size"}, kFfn);
  shape.tied = json.flag_or("tie_word_embeddings", tied);
  if (json.flag_or("attention_bias", false)) {
    shape.qkv_bias = true;
    shape.other_block_parameters += shape.hidden;  // of the projection behind the attention
  }
  if (json.flag_or("mlp_bias", false)) {
    shape.other_block_parameters += 2 * shape.mlp.hidden + shape.hidden;
  }
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

}  // namespace

TransformerShape read_llama(Config& config) {
  GptShape shape = llama_like(config, false);
  read_window(config, shape, config.model_type != "llama");
  return shape;
}

TransformerShape read_mixtral(Config& config) {
  GptShape shape = llama_like(config, false);
  shape.mlp.experts = config.json.integer({"num_local_experts"}, kExperts);
  shape.mlp.experts_per_token = config.json.integer({"num_experts_per_tok"}, kExperts);
  read_window(config, shape, true);
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

namespace {

// Qwen2's projections of queries, keys and values have biases; Qwen3 has norms in their place.

GptShape qwen(Config& config) {
  GptShape shape = llama_like(config, false);
  if (config.model_type.starts_with("qwen2")) shape.qkv_bias = true;
  if (config.model_type.starts_with("qwen3")) {
    if (shape.attention.head_dim == 0) shape.attention.head_dim = 128;
    shape.other_block_parameters += 2 * shape.attention.head_dim;
  }
  read_window(config, shape, config.json.flag_or("use_sliding_window", false));
  config.json.ask("layer_types");
  return shape;
}

}  // namespace

TransformerShape read_qwen(Config& config) {
  return qwen(config);
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

// Latent attention and shared experts; Kimi-K2 says the same.

}  // namespace

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
  shape.dense_hidden = json.integer({"intermediate_size"}, kFfn);
  shape.mlp.hidden = json.integer({"moe_intermediate_size"}, kFfn);
  shape.mlp.experts = json.integer({"n_routed_experts"}, kExperts);
  shape.mlp.experts_per_token = json.integer({"num_experts_per_tok"}, kExperts);
  shape.mlp.shared_hidden =
      json.integer_or({"n_shared_experts"}, 0, {0, 1 << 10}) * shape.mlp.hidden;
  shape.leading_dense = json.integer_or({"first_k_dense_replace"}, 0, {0, shape.layers});
  shape.expert_every = json.integer_or({"moe_layer_freq"}, 1, kLayers);
  shape.tied = json.flag_or("tie_word_embeddings", false);
  if (json.integer_or({"num_nextn_predict_layers"}, 0, kLayers) > 0) {
    config.assume("num_nextn_predict_layers: multi-token prediction is left out");
  }
  check_experts(config, shape);
  return shape;
}

TransformerShape read_gemma(Config& config) {
  GptShape shape = llama_like(config, true);
  if (shape.attention.head_dim == 0) shape.attention.head_dim = 256;
  if (config.model_type == "gemma2") {
    shape.norms_per_block = 4;
    read_window(config, shape, true);
    shape.global_every = 2;
  }
  return shape;
}

namespace {

// Nemotron-3 and -4: squared ReLU, LayerNorm.

}  // namespace

TransformerShape read_nemotron(Config& config) {
  GptShape shape = llama_like(config, false);
  shape.mlp.gated = false;
  shape.norm_bias = true;
  return shape;
}

TransformerShape read_starcoder2(Config& config) {
  GptShape shape = llama_like(config, true);
  shape.mlp.gated = false;
  shape.norm_bias = true;
  shape.bias = config.json.flag_or("use_bias", true);
  shape.dropout = config.json.number_or("residual_dropout", 0, 0, 1);
  read_window(config, shape, true);
  return shape;
}

}  // namespace soapbox::runner::hf
