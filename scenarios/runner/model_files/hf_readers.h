// Readers of Hugging Face configurations, one for each family of model types (hf_config.h).
//
// The names of keys and their defaults are those of the configuration classes of Hugging Face
// transformers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/json_object.h"
#include "sim/base/str.h"
#include "sim/model/transformers.h"

namespace soapbox::runner::hf {

// Limits that keep every product of sizes within 63 bits.
inline constexpr JsonObject::Range kLayers{1, 1 << 12};
inline constexpr JsonObject::Range kHidden{1, 1 << 17};
inline constexpr JsonObject::Range kHeads{1, 1 << 12};
inline constexpr JsonObject::Range kHeadDim{1, 1 << 14};
inline constexpr JsonObject::Range kFfn{1, 1 << 20};
inline constexpr JsonObject::Range kExperts{1, 1 << 12};
inline constexpr JsonObject::Range kVocab{1, 1 << 24};
inline constexpr JsonObject::Range kTokens{1, 1 << 30};
inline constexpr JsonObject::Range kImage{1, 1 << 16};

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

// Refuses heads that do not divide the width, where their own width is not stated, and groups that
// do not divide the heads. `key` states the heads.
void check_heads(Config& config, const GptShape& shape, std::string_view key);

// What decoders state alike (hf_shapes.cc). `family` holds what goes without saying.
GptShape decoder(Config& config, const GptShape& family);
// Tokens of a sample, where nothing is stated `otherwise`, which is noted.
void read_length(Config& config, GptShape& shape, int64_t otherwise);
void read_kv_heads(Config& config, GptShape& shape);
// A window over the keys, where it is in use.
void read_window(Config& config, GptShape& shape, bool used);
// A window that every `every`-th block ignores.
void read_patterned_window(Config& config, GptShape& shape, int64_t otherwise, int64_t every);
// Norms over the queries and keys of all heads.
void add_head_norms(GptShape& shape);
// Refuses more experts per token than there are.
void check_experts(Config& config, const GptShape& shape);
// What Llama and its relatives share; `tied`: the head's matrix where nothing is stated.
GptShape llama_like(Config& config, bool tied);
GptShape qwen(Config& config);

// Each reads the sizes of one family; config.json keeps what is wrong.
TransformerShape read_bert(Config& config);
TransformerShape read_bloom(Config& config);
TransformerShape read_chatglm(Config& config);
TransformerShape read_cohere(Config& config);
TransformerShape read_deepseek(Config& config);
TransformerShape read_distilbert(Config& config);
TransformerShape read_falcon(Config& config);
TransformerShape read_gemma(Config& config);
TransformerShape read_gemma3(Config& config);
TransformerShape read_glm(Config& config);
TransformerShape read_glm_moe(Config& config);
TransformerShape read_gpt2(Config& config);
TransformerShape read_gpt_neo(Config& config);
TransformerShape read_gpt_neox(Config& config);
TransformerShape read_gpt_oss(Config& config);
TransformerShape read_gptj(Config& config);
TransformerShape read_llama(Config& config);
TransformerShape read_llama4(Config& config);
TransformerShape read_minicpm(Config& config);
TransformerShape read_mixtral(Config& config);
TransformerShape read_mpt(Config& config);
TransformerShape read_nemotron(Config& config);
TransformerShape read_olmo2(Config& config);
TransformerShape read_olmoe(Config& config);
TransformerShape read_opt(Config& config);
TransformerShape read_phi(Config& config);
TransformerShape read_qwen(Config& config);
TransformerShape read_qwen1(Config& config);
TransformerShape read_qwen_moe(Config& config);
TransformerShape read_smollm3(Config& config);
TransformerShape read_stablelm(Config& config);
TransformerShape read_starcoder2(Config& config);
TransformerShape read_swin(Config& config);
TransformerShape read_t5(Config& config);
TransformerShape read_vit(Config& config);

}  // namespace soapbox::runner::hf
