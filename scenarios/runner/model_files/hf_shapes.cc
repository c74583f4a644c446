// What the decoders' configurations have in common: sizes, lengths, heads, experts.
#include "scenarios/runner/model_files/hf_readers.h"
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

GptShape decoder(Config& config, const GptShape& family) {
  JsonObject& json = config.json;
  GptShape shape = family;
  shape.layers = json.integer({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, kLayers);
  shape.hidden = json.integer({"hidden_size", "n_embd", "n_embed", "d_model"}, kHidden);
  shape.attention.heads =
      json.integer({"num_attention_heads", "n_head", "n_heads", "num_heads"}, kHeads);
  shape.vocab = json.integer({"vocab_size", "padded_vocab_size"}, kVocab);
  return shape;
}

void read_length(Config& config, GptShape& shape, int64_t otherwise) {
  shape.seq_len = config.json.integer_or({"max_position_embeddings", "n_positions", "n_ctx",
                                          "max_seq_len", "seq_length", "model_max_length"},
                                         0, kTokens);
  if (shape.seq_len > 0) return;
  shape.seq_len = otherwise;
  config.assume(str_cat("sequence length not stated: ", otherwise, " assumed"));
}

void read_kv_heads(Config& config, GptShape& shape) {
  shape.attention.kv_heads =
      config.json.integer_or({"num_key_value_heads"}, shape.attention.heads, kHeads);
}

void add_head_norms(GptShape& shape) {
  const int64_t head_dim = shape.attention.head_dim > 0 ? shape.attention.head_dim
                                                        : shape.hidden / shape.attention.heads;
  shape.other_block_parameters += (shape.attention.heads + shape.attention.kv_heads) * head_dim;
}

void check_experts(Config& config, const GptShape& shape) {
  if (shape.mlp.experts_per_token <= shape.mlp.experts) return;
  const char* const key =
      config.json.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  config.json.fail(key, str_cat(key, " is ", shape.mlp.experts_per_token,
                                "; allowed: 1 to the number of experts, ", shape.mlp.experts));
}

void read_patterned_window(Config& config, GptShape& shape, int64_t otherwise, int64_t every) {
  JsonObject& json = config.json;
  shape.attention.window = json.integer_or({"sliding_window"}, otherwise, kTokens);
  shape.global_every =
      json.integer_or({"sliding_window_pattern", "_sliding_window_pattern"}, every, kLayers);
  json.ask("layer_types");
  json.ask("use_sliding_window");
  json.ask("max_window_layers");
}

void read_window(Config& config, GptShape& shape, bool used) {
  const int64_t window = config.json.integer_or({"sliding_window"}, 0, kTokens);
  if (used) shape.attention.window = window;
  config.json.ask("max_window_layers");
}

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

}  // namespace soapbox::runner::hf
