#include "scenarios/runner/model_files/hf_config.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "scenarios/runner/model_files/hf_readers.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/json_object.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {

namespace {

using hf::Config;

struct Reader {
  std::string_view model_type;
  TransformerShape (*read)(Config&);
};
constexpr std::array kReaders = std::to_array<Reader>({
    {"baichuan", hf::read_llama},
    {"bert", hf::read_bert},
    {"bloom", hf::read_bloom},
    {"camembert", hf::read_bert},
    {"chatglm", hf::read_chatglm},
    {"cohere", hf::read_cohere},
    {"cohere2", hf::read_cohere},
    {"deepseek_v2", hf::read_deepseek},
    {"deepseek_v3", hf::read_deepseek},
    {"distilbert", hf::read_distilbert},
    {"falcon", hf::read_falcon},
    {"gemma", hf::read_gemma},
    {"gemma2", hf::read_gemma},
    {"gemma3_text", hf::read_gemma3},
    {"glm", hf::read_glm},
    {"glm4", hf::read_glm},
    {"glm4_moe", hf::read_glm_moe},
    {"gpt2", hf::read_gpt2},
    {"gpt_bigcode", hf::read_gpt2},
    {"gpt_neo", hf::read_gpt_neo},
    {"gpt_neox", hf::read_gpt_neox},
    {"gpt_oss", hf::read_gpt_oss},
    {"gptj", hf::read_gptj},
    {"granite", hf::read_llama},
    {"granitemoe", hf::read_mixtral},
    {"internlm2", hf::read_llama},
    {"kimi_k2", hf::read_deepseek},
    {"llama", hf::read_llama},
    {"llama4_text", hf::read_llama4},
    {"minicpm", hf::read_minicpm},
    {"mistral", hf::read_llama},
    {"mixtral", hf::read_mixtral},
    {"mpt", hf::read_mpt},
    {"mt5", hf::read_t5},
    {"nemotron", hf::read_nemotron},
    {"olmo2", hf::read_olmo2},
    {"olmo3", hf::read_olmo2},
    {"olmoe", hf::read_olmoe},
    {"opt", hf::read_opt},
    {"phi", hf::read_phi},
    {"phi3", hf::read_llama},
    {"qwen", hf::read_qwen1},
    {"qwen2", hf::read_qwen},
    {"qwen2_moe", hf::read_qwen_moe},
    {"qwen3", hf::read_qwen},
    {"qwen3_moe", hf::read_qwen_moe},
    {"roberta", hf::read_bert},
    {"smollm3", hf::read_smollm3},
    {"stablelm", hf::read_stablelm},
    {"starcoder2", hf::read_starcoder2},
    {"swin", hf::read_swin},
    {"t5", hf::read_t5},
    {"vit", hf::read_vit},
    {"xlm-roberta", hf::read_bert},
});
static_assert(std::ranges::is_sorted(kReaders, {}, &Reader::model_type));

// Keys without any bearing on sizes or work: how text is made, how weights were initialised, which
// function an activation is. Not worth a note.
constexpr std::array kIrrelevant = std::to_array<std::string_view>({
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "activation",
    "activation_dropout",
    "activation_function",
    "apply_query_key_layer_scaling",
    "apply_residual_connection_post_layernorm",
    "architectures",
    "attention_dropout",
    "attention_multiplier",
    "attention_softmax_in_fp32",
    "attn_dropout_prob",
    "attn_implementation",
    "attn_logit_softcapping",
    "attn_pdrop",
    "auto_map",
    "aux_loss_alpha",
    "bf16",
    "bias_dropout_fusion",
    "bos_token_id",
    "cache_implementation",
    "classifier_dropout",
    "clip_qkv",
    "decoder_start_token_id",
    "dense_act_fn",
    "dim_model_base",
    "drop_path_rate",
    "dropout",
    "dtype",
    "emb_dropout_prob",
    "emb_pdrop",
    "embd_pdrop",
    "embed_dropout",
    "embedding_dropout",
    "embedding_multiplier",
    "encoder_stride",
    "eos_token_id",
    "ep_size",
    "experts_per_token",
    "final_logit_softcapping",
    "for_llm_compressor",
    "fp16",
    "fp32",
    "fp32_residual_connection",
    "gradient_checkpointing",
    "hidden_act",
    "hidden_activation",
    "hidden_dropout_prob",
    "id2label",
    "init_device",
    "init_std",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "is_gated_act",
    "label2id",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "layerdrop",
    "layernorm_epsilon",
    "logit_scale",
    "logits_scaling",
    "max_length",
    "mlp_dropout",
    "model_max_length",
    "model_type",
    "n_ctx",
    "n_group",
    "no_rope_layer_interval",
    "no_rope_layers",
    "norm_eps",
    "norm_epsilon",
    "norm_topk_prob",
    "norm_type",
    "onnx_safe",
    "original_max_position_embeddings",
    "original_rope",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "pad_token_id",
    "partial_rotary_factor",
    "position_embedding_type",
    "post_layer_norm",
    "pre_seq_len",
    "prefix",
    "prefix_projection",
    "pretraining_tp",
    "problem_type",
    "qa_dropout",
    "qk_head_dim",
    "query_pre_attn_scalar",
    "relative_attention_max_distance",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "residual_multiplier",
    "rms_norm_eps",
    "rope_local_base_freq",
    "rope_parameters",
    "rope_ratio",
    "rope_scaling",
    "rope_theta",
    "rotary_emb_base",
    "rotary_pct",
    "routed_scaling_factor",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "scale_attention_softmax_in_fp32",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "scale_depth",
    "scale_emb",
    "scoring_func",
    "sep_token_id",
    "seq_aux",
    "seq_classif_dropout",
    "sinusoidal_pos_embds",
    "slow_but_exact",
    "softmax_in_fp32",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tie_weights_",
    "tokenizer_class",
    "topk_group",
    "topk_method",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_cache",
    "use_cache_kernel",
    "use_cache_quantization",
    "use_dynamic_ntk",
    "use_flash_attn",
    "use_logn_attn",
    "use_pos_enc",
    "verbose",
});

std::string model_name(const std::string& path) {
  const std::filesystem::path file(path);
  if (file.stem() != "config") return file.stem().string();
  std::error_code ignored;
  const std::string folder =
      std::filesystem::absolute(file, ignored).parent_path().filename().string();
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
  std::vector<std::string> notes;
  if (json->size_of("text_config") > 0) {  // of a model that reads images or sound besides
    notes.push_back(str_cat("of ", shown(json->text_or("model_type", "this model")),
                            " its text_config alone is read: towers of images and sound are left "
                            "out"));
    Result<JsonObject> text_model = json->object("text_config");
    if (!text_model) return text_model.error();
    json = std::move(text_model);
  }
  const Result<const Reader*> reader = find_reader(*json);
  if (!reader) return reader.error();
  Config config{*std::move(json), std::string((*reader)->model_type), std::move(notes)};
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
