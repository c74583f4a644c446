// The names of keys and their defaults are those of the configuration classes of Hugging Face
// transformers, one reader for each family of model types.
#include "scenarios/runner/hf_config.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "scenarios/runner/json_object.h"
#include "scenarios/runner/text_file.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {

namespace {

// Limits that keep every product of sizes within 63 bits.
constexpr JsonObject::Range kLayers{1, 1 << 12};
constexpr JsonObject::Range kHidden{1, 1 << 17};
constexpr JsonObject::Range kHeads{1, 1 << 12};
constexpr JsonObject::Range kHeadDim{1, 1 << 14};
constexpr JsonObject::Range kFfn{1, 1 << 20};
constexpr JsonObject::Range kExperts{1, 1 << 12};
constexpr JsonObject::Range kVocab{1, 1 << 24};
constexpr JsonObject::Range kTokens{1, 1 << 30};
constexpr JsonObject::Range kImage{1, 1 << 16};

// A configuration file, and what is to be said of it.
struct Config {
  JsonObject json;
  std::string model_type;
  std::vector<std::string> notes;

  void assume(std::string text) { notes.push_back(std::move(text)); }
  // Refuses a feature that would change the model and cannot be expressed.
  void refuse_unless(bool good, std::string_view key, std::string_view why) {
    if (!good) json.fail(key, str_cat(key, ": ", why));
  }
};

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

// Heads that must divide the width, where their own width is not stated.
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

// Experts per token that exceed the experts.
void check_experts(Config& config, const GptShape& shape) {
  if (shape.mlp.experts_per_token <= shape.mlp.experts) return;
  const char* const key =
      config.json.has("num_experts_per_tok") ? "num_experts_per_tok" : "experts_per_token";
  config.json.fail(key, str_cat(key, " is ", shape.mlp.experts_per_token,
                                "; allowed: 1 to the number of experts, ", shape.mlp.experts));
}

// GPT-2 and Megatron's GPT.
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

// Latent attention and shared experts; Kimi-K2 says the same.
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

TransformerShape read_bert(Config& config) {
  JsonObject& json = config.json;
  BertShape shape;
  shape.layers = json.integer({"num_hidden_layers"}, kLayers);
  shape.hidden = json.integer({"hidden_size"}, kHidden);
  shape.heads = json.integer({"num_attention_heads"}, kHeads);
  shape.ffn = json.integer({"intermediate_size"}, kFfn);
  shape.vocab = json.integer({"vocab_size"}, kVocab);
  shape.positions = json.integer_or({"max_position_embeddings"}, 512, {3, 1 << 30});
  // RoBERTa numbers positions from 2.
  shape.seq_len = config.model_type == "bert" ? shape.positions : shape.positions - 2;
  shape.types = json.integer_or({"type_vocab_size"}, 2, {0, 1 << 10});
  shape.dropout = json.number_or("hidden_dropout_prob", 0.1, 0, 1);
  json.ask("attention_probs_dropout_prob");
  check_heads(config, {.hidden = shape.hidden, .attention = {.heads = shape.heads}},
              "num_attention_heads");
  return shape;
}

TransformerShape read_t5(Config& config) {
  JsonObject& json = config.json;
  T5Shape shape;
  shape.encoder_layers = json.integer({"num_layers"}, kLayers);
  shape.decoder_layers = json.integer_or({"num_decoder_layers"}, shape.encoder_layers, kLayers);
  shape.hidden = json.integer({"d_model"}, kHidden);
  shape.heads = json.integer({"num_heads"}, kHeads);
  shape.head_dim = json.integer_or({"d_kv"}, 64, kHeadDim);
  shape.ffn = json.integer({"d_ff"}, kFfn);
  shape.vocab = json.integer({"vocab_size"}, kVocab);
  shape.seq_len = json.integer_or({"n_positions"}, 512, kTokens);
  shape.gated = json.text_or("feed_forward_proj", "relu").starts_with("gated");
  shape.tied = json.flag_or("tie_word_embeddings", true);
  shape.position_buckets = json.integer_or({"relative_attention_num_buckets"}, 32, {0, 1 << 20});
  shape.dropout = json.number_or("dropout_rate", 0.1, 0, 1);
  return shape;
}

int64_t read_classes(Config& config) {
  const auto labels = static_cast<int64_t>(config.json.size_of("id2label"));
  config.json.ask("label2id");
  const int64_t classes =
      config.json.integer_or({"num_labels", "num_classes"}, labels, {1, 1 << 24});
  if (classes > 0) return classes;
  config.assume("number of classes not stated: 1000 assumed");
  return 1000;
}

TransformerShape read_vit(Config& config) {
  JsonObject& json = config.json;
  VitShape shape;
  shape.layers = json.integer({"num_hidden_layers"}, kLayers);
  shape.hidden = json.integer({"hidden_size"}, kHidden);
  shape.heads = json.integer({"num_attention_heads"}, kHeads);
  shape.ffn = json.integer({"intermediate_size"}, kFfn);
  shape.image = json.integer_or({"image_size"}, 224, kImage);
  shape.patch = json.integer_or({"patch_size"}, 16, kImage);
  shape.channels = json.integer_or({"num_channels"}, 3, {1, 1 << 10});
  shape.classes = read_classes(config);
  config.refuse_unless(json.flag_or("qkv_bias", true), "qkv_bias",
                       "projections without biases are not modelled for vit");
  check_heads(config, {.hidden = shape.hidden, .attention = {.heads = shape.heads}},
              "num_attention_heads");
  return shape;
}

TransformerShape read_swin(Config& config) {
  JsonObject& json = config.json;
  SwinShape shape;
  for (const auto& [key, range, values] : {std::tuple{"depths", kLayers, &shape.layers},
                                           std::tuple{"num_heads", kHeads, &shape.heads}}) {
    const std::vector<int64_t> stated = json.integers(key, range);
    if (stated.size() != values->size()) {
      json.fail(key, str_cat(key, " has ", stated.size(), " stages; allowed: 4"));
      continue;
    }
    std::ranges::copy(stated, values->begin());
  }
  shape.hidden = json.integer({"embed_dim"}, kHidden);
  json.ask("hidden_size");  // of the last stage; follows
  json.ask("num_layers");   // the number of stages
  shape.mlp_ratio = static_cast<int64_t>(json.number_or("mlp_ratio", 4, 1, 64));
  shape.window = json.integer_or({"window_size"}, 7, kImage);
  shape.image = json.integer_or({"image_size"}, 224, kImage);
  shape.patch = json.integer_or({"patch_size"}, 4, kImage);
  shape.channels = json.integer_or({"num_channels"}, 3, {1, 1 << 10});
  shape.classes = read_classes(config);
  config.refuse_unless(json.flag_or("qkv_bias", true), "qkv_bias",
                       "projections without biases are not modelled for swin");
  return shape;
}

struct Reader {
  std::string_view model_type;
  TransformerShape (*read)(Config&);
};
constexpr std::array kReaders = std::to_array<Reader>({
    {"bert", read_bert},
    {"bloom", read_bloom},
    {"deepseek_v2", read_deepseek},
    {"deepseek_v3", read_deepseek},
    {"falcon", read_falcon},
    {"gemma", read_gemma},
    {"gemma2", read_gemma},
    {"gpt2", read_gpt2},
    {"gpt_neox", read_gpt_neox},
    {"gpt_oss", read_gpt_oss},
    {"gptj", read_gptj},
    {"kimi_k2", read_deepseek},
    {"llama", read_llama},
    {"mistral", read_llama},
    {"mixtral", read_mixtral},
    {"mpt", read_mpt},
    {"nemotron", read_nemotron},
    {"opt", read_opt},
    {"phi", read_phi},
    {"phi3", read_llama},
    {"qwen2", read_qwen},
    {"qwen2_moe", read_qwen_moe},
    {"qwen3", read_qwen},
    {"qwen3_moe", read_qwen_moe},
    {"roberta", read_bert},
    {"starcoder2", read_starcoder2},
    {"swin", read_swin},
    {"t5", read_t5},
    {"vit", read_vit},
});
static_assert(std::ranges::is_sorted(kReaders, {}, &Reader::model_type));

// Keys without any bearing on sizes or work: how text is made, how weights were initialised, which
// function an activation is. Not worth a note.
constexpr std::array kIrrelevant = std::to_array<std::string_view>({
    "_attn_implementation",
    "_commit_hash",
    "_name_or_path",
    "activation_function",
    "activation_dropout",
    "architectures",
    "attention_dropout",
    "attn_logit_softcapping",
    "attn_pdrop",
    "auto_map",
    "aux_loss_alpha",
    "bos_token_id",
    "classifier_dropout",
    "decoder_start_token_id",
    "drop_path_rate",
    "dropout",
    "dtype",
    "embd_pdrop",
    "embedding_dropout",
    "emb_pdrop",
    "eos_token_id",
    "experts_per_token",
    "encoder_stride",
    "ep_size",
    "final_logit_softcapping",
    "hidden_act",
    "hidden_activation",
    "hidden_dropout_prob",
    "id2label",
    "init_device",
    "initializer_factor",
    "initializer_range",
    "init_std",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "layerdrop",
    "logit_scale",
    "mlp_dropout",
    "model_max_length",
    "model_type",
    "n_group",
    "n_ctx",
    "norm_eps",
    "norm_epsilon",
    "norm_topk_prob",
    "norm_type",
    "original_max_position_embeddings",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "partial_rotary_factor",
    "position_embedding_type",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "qk_head_dim",
    "query_pre_attn_scalar",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "rms_norm_eps",
    "rope_scaling",
    "rope_theta",
    "rope_parameters",
    "rotary_emb_base",
    "rotary_pct",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "scoring_func",
    "sep_token_id",
    "seq_aux",
    "slow_but_exact",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "topk_group",
    "topk_method",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "verbose",
});

std::string model_name(const std::string& path) {
  const std::filesystem::path file(path);
  if (file.stem() != "config") return file.stem().string();
  const std::string folder = std::filesystem::absolute(file).parent_path().filename().string();
  return folder.empty() ? "config" : folder;
}

// "GPT2LMHeadModel" and the like are not looked at: model_type says the same and is always there.
Result<const Reader*> find_reader(JsonObject& json) {
  if (!json.has("model_type")) {
    return bad_input("missing key 'model_type': not a Hugging Face model configuration",
                     json.where("model_type"));
  }
  const std::string type = json.text_or("model_type", "");
  if (const Status status = json.status(); !status) return status.error();
  for (const Reader& reader : kReaders) {
    if (reader.model_type == type) return &reader;
  }
  return bad_input(unknown_name("model_type", shown(type), hf_model_types()),
                   json.where("model_type"));
}

}  // namespace

std::vector<std::string> hf_model_types() {
  std::vector<std::string> types;
  for (const Reader& reader : kReaders) types.emplace_back(reader.model_type);
  return types;
}

Result<LoadedTransformer> hf_config_from_json(std::string_view text, const std::string& path) {
  Result<JsonObject> json = JsonObject::parse(text, path);
  if (!json) return json.error();
  const Result<const Reader*> reader = find_reader(*json);
  if (!reader) return reader.error();
  Config config{*std::move(json), std::string((*reader)->model_type), {}};
  const TransformerShape shape = (*reader)->read(config);
  if (const Status status = config.json.status(); !status) return status.error();
  Result<Transformer> model =
      make_transformer(model_name(path), str_cat(path, " (", config.model_type, ")"), shape);
  if (!model) return bad_input(model.error().message, {path});
  for (const std::string& key : config.json.unread_keys()) {
    if (std::ranges::find(kIrrelevant, key) != kIrrelevant.end()) continue;
    const SourcePosition where = config.json.where(key);
    config.assume(
        str_cat("key '", shown(key), "' (line ", where.line, ") is not known and was not used"));
  }
  return LoadedTransformer{*std::move(model), std::move(config.notes)};
}

Result<LoadedTransformer> read_hf_config(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return hf_config_from_json(*text, path);
}

}  // namespace soapbox::runner
