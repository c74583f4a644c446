// GPT-2 and its relatives: LayerNorm, two matrices in the MLP.
#include <utility>

#include "scenarios/runner/model_files/hf_readers.h"
#include "sim/base/str.h"

namespace soapbox::runner::hf {

TransformerShape read_gpt2(Config& config) {
  GptShape shape = decoder(config, {.bias = true, .norm_bias = true});
  read_length(config, shape, 1024);
  shape.positions = shape.seq_len;
  shape.mlp.hidden = config.json.integer_or({"n_inner"}, 4 * shape.hidden, kFfn);
  shape.tied = config.json.flag_or("tie_word_embeddings", true);
  shape.dropout = config.json.number_or("resid_pdrop", 0.1, 0, 1);
  config.json.ask("attn_pdrop");
  config.json.ask("embd_pdrop");
  if (config.model_type == "gpt_bigcode") {  // one head of keys and values for all queries
    shape.attention.kv_heads = config.json.flag_or("multi_query", true) ? 1 : shape.attention.heads;
  }
  check_heads(config, shape, "n_head");
  return shape;
}

// Every other block sees a window; of the attention's matrices only the last has a bias.
TransformerShape read_gpt_neo(Config& config) {
  GptShape shape = decoder(config, {.norm_bias = true});
  read_length(config, shape, 2048);
  shape.positions = shape.seq_len;
  shape.mlp.hidden = config.json.integer_or({"intermediate_size"}, 4 * shape.hidden, kFfn);
  shape.other_block_parameters = shape.mlp.hidden + 2 * shape.hidden;
  shape.attention.window = config.json.integer_or({"window_size"}, 256, kTokens);
  shape.global_every = 2;
  config.json.ask("attention_types");
  config.json.ask("attention_layers");
  shape.tied = config.json.flag_or("tie_word_embeddings", true);
  shape.dropout = config.json.number_or("resid_dropout", 0, 0, 1);
  check_heads(config, shape, "num_heads");
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

}  // namespace soapbox::runner::hf
