// Llama and its relatives: rotary positions, gated MLPs, dense.
#include "scenarios/runner/model_files/hf_readers.h"

namespace soapbox::runner::hf {

TransformerShape read_llama(Config& config) {
  GptShape shape = llama_like(config, false);
  if (config.json.flag_or("bias", false)) {  // InternLM's name of attention_bias
    shape.qkv_bias = true;
    shape.other_block_parameters += shape.hidden;
  }
  read_window(config, shape, config.model_type != "llama");
  return shape;
}

TransformerShape read_qwen(Config& config) {
  return qwen(config);
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

// Gemma 3's files leave out what its class states; norms of queries and keys are of one head.
TransformerShape read_gemma3(Config& config) {
  JsonObject& json = config.json;
  GptShape shape{.mlp = {.gated = true}, .norms_per_block = 4};
  shape.layers = json.integer({"num_hidden_layers"}, kLayers);
  shape.hidden = json.integer({"hidden_size"}, kHidden);
  shape.mlp.hidden = json.integer({"intermediate_size"}, kFfn);
  shape.attention.heads = json.integer_or({"num_attention_heads"}, 8, kHeads);
  shape.attention.kv_heads = json.integer_or({"num_key_value_heads"}, 4, kHeads);
  shape.attention.head_dim = json.integer_or({"head_dim"}, 256, kHeadDim);
  shape.vocab = json.integer_or({"vocab_size"}, 262208, kVocab);
  shape.tied = json.flag_or("tie_word_embeddings", true);
  shape.other_block_parameters = 2 * shape.attention.head_dim;
  config.refuse_unless(!json.flag_or("attention_bias", false), "attention_bias",
                       "biases of the attention are not modelled for gemma3");
  read_length(config, shape, 131072);
  read_patterned_window(config, shape, 4096, 6);
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

// Attention and MLP side by side behind one LayerNorm without shift.
TransformerShape read_cohere(Config& config) {
  GptShape shape = llama_like(config, true);
  shape.norms_per_block = 1;
  if (config.json.flag_or("use_qk_norm", false)) add_head_norms(shape);
  if (config.model_type == "cohere2") read_patterned_window(config, shape, 4096, 4);
  return shape;
}

// The projection behind the attention has no bias; GLM-4 of 2025 has norms around every part.
TransformerShape read_glm(Config& config) {
  GptShape shape = llama_like(config, false);
  if (shape.qkv_bias) shape.other_block_parameters -= shape.hidden;
  if (config.model_type == "glm4") shape.norms_per_block = 4;
  return shape;
}

TransformerShape read_chatglm(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.mlp = {.gated = true}});
  read_length(config, shape, 8192);
  shape.mlp.hidden = json.integer({"ffn_hidden_size"}, kFfn);
  shape.attention.head_dim = json.integer_or({"kv_channels"}, 128, kHeadDim);
  shape.attention.kv_heads = shape.attention.heads;
  const int64_t groups = json.integer_or({"multi_query_group_num"}, 1, kHeads);
  if (json.flag_or("multi_query_attention", false)) shape.attention.kv_heads = groups;
  shape.qkv_bias = json.flag_or("add_qkv_bias", false);
  shape.tied = json.flag_or("tie_word_embeddings", false);
  config.refuse_unless(!json.flag_or("add_bias_linear", false), "add_bias_linear",
                       "biases of all matrices are not modelled for chatglm");
  config.refuse_unless(json.flag_or("rmsnorm", true), "rmsnorm",
                       "LayerNorm is not modelled for chatglm");
  shape.vocab = json.integer_or({"padded_vocab_size"}, shape.vocab, kVocab);
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

TransformerShape read_minicpm(Config& config) {
  config.refuse_unless(config.json.integer_or({"num_experts"}, 0, kExperts) == 0, "num_experts",
                       "MiniCPM's mixtures of experts are not modelled");
  return llama_like(config, true);
}

// Norms behind attention and MLP, and over the queries and keys of all heads.
TransformerShape read_olmo2(Config& config) {
  GptShape shape = llama_like(config, false);
  add_head_norms(shape);
  if (config.model_type == "olmo3") read_patterned_window(config, shape, 4096, 4);
  return shape;
}

// The first Qwen: `intermediate_size` is of both halves of the gated MLP.
TransformerShape read_qwen1(Config& config) {
  JsonObject& json = config.json;
  GptShape shape = decoder(config, {.mlp = {.gated = true}, .qkv_bias = true});
  read_length(config, shape, 8192);
  json.ask("seq_length");
  shape.mlp.hidden = json.integer({"intermediate_size"}, kFfn) / 2;
  shape.attention.head_dim = json.integer_or({"kv_channels"}, 0, kHeadDim);
  shape.tied = json.flag_or("tie_word_embeddings", false);
  config.refuse_unless(json.flag_or("no_bias", true), "no_bias",
                       "biases of all matrices are not modelled for qwen");
  check_heads(config, shape, "num_attention_heads");
  return shape;
}

// Every fourth block has no rotary positions, which changes nothing here.
TransformerShape read_smollm3(Config& config) {
  GptShape shape = llama_like(config, true);
  read_window(config, shape, config.json.flag_or("use_sliding_window", false));
  config.json.ask("layer_types");
  return shape;
}

TransformerShape read_stablelm(Config& config) {
  GptShape shape = llama_like(config, false);
  shape.norm_bias = true;
  shape.qkv_bias = config.json.flag_or("use_qkv_bias", false);
  if (config.json.flag_or("use_parallel_residual", false)) shape.norms_per_block = 1;
  config.refuse_unless(!config.json.flag_or("qk_layernorm", false), "qk_layernorm",
                       "norms of queries and keys are not modelled for stablelm");
  return shape;
}

// Nemotron-3 and -4: squared ReLU, LayerNorm.
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
