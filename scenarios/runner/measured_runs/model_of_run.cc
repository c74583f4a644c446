#include "scenarios/runner/measured_runs/model_of_run.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <variant>

#include "scenarios/runner/measured_runs/run_wording.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {
namespace {

struct Alias {
  std::string_view written;
  std::string_view row;
};
// Names of run tables that are not ours with other punctuation.
constexpr std::array kAliases = {
    Alias{"bert", "bert_large"},
    Alias{"deepseekv3", "deepseek_v3"},
    Alias{"gpt3_27", "gpt3_2_7b"},
    Alias{"gpt3_355m", "gpt3_350m"},
    Alias{"gpt_1000b", "megatron_1t"},
    Alias{"gpt_1008_0b", "megatron_1t"},
    Alias{"gpt_145_6b", "megatron_145b"},
    Alias{"gpt_162b", "megatron_162b"},
    Alias{"gpt_174_6b", "gpt3_175b"},
    Alias{"gpt_175b", "gpt3_175b"},
    Alias{"gpt_18_4b", "megatron_18b"},
    Alias{"gpt_1_7b", "megatron_1_7b"},
    Alias{"gpt_22b", "megatron_22b"},
    Alias{"gpt_310_1b", "megatron_310b"},
    Alias{"gpt_39_1b", "megatron_39b"},
    Alias{"gpt_3_6b", "megatron_3_6b"},
    Alias{"gpt_529_6b", "megatron_530b"},
    Alias{"gpt_530b", "megatron_530b"},
    Alias{"gpt_5_9b", "megatron_5_9b"},
    Alias{"gpt_76_1b", "megatron_76b"},
    Alias{"gpt_7_5b", "megatron_7_5b"},
    Alias{"grok1", "grok1_314b"},
    Alias{"grok_1", "grok1_314b"},
    Alias{"llama1_13b", "llama_13b"},
    Alias{"llama1_33b", "llama_33b"},
    Alias{"llama1_65b", "llama_65b"},
    Alias{"llama1_7b", "llama_7b"},
    Alias{"llama3_1_405b", "llama3_405b"},
    Alias{"llama3_1_70b", "llama3_70b"},
    Alias{"llama3_1_8b", "llama3_8b"},
    Alias{"llama3_3_70b", "llama3_70b"},
    Alias{"llama4_maverick_400b", "llama4_maverick"},
    Alias{"llama_30b", "llama_33b"},
    Alias{"llama_34b", "codellama_34b"},
    Alias{"mt_nlg_530b", "megatron_530b"},
    Alias{"opt_13", "opt_1_3b"},
    Alias{"qwen1_5_14b_moe", "qwen1_5_moe_a2_7b"},
    Alias{"qwen2_5_72b", "qwen2_72b"},
    Alias{"qwen2_5_7b", "qwen2_7b"},
};

// A family's shape without sizes: what a row of the table of stacks, or any other of the family,
// has in common.
struct Family {
  std::string_view prefix;
  std::string_view row;
};
constexpr std::array kFamilies = {
    Family{"alpaca", "llama_7b"},
    Family{"baichuan", "llama_7b"},
    Family{"bert", "bert_large"},
    Family{"bloom", "gpt3_175b"},
    Family{"cerebras_gpt", "gpt3_175b"},
    Family{"codellama", "codellama_34b"},
    Family{"galactica", "opt_1_3b"},
    Family{"gpt_j", "gpt_neox_20b"},
    Family{"gpt_neo", "gpt_neox_20b"},
    Family{"gptj", "gpt_neox_20b"},
    Family{"gptneo", "gpt_neox_20b"},
    Family{"gpt", "gpt3_175b"},
    Family{"internlm", "llama_7b"},
    Family{"llama2", "llama2_7b"},
    Family{"llama3", "llama3_8b"},
    Family{"llama", "llama_7b"},
    Family{"megatron", "gpt3_175b"},
    Family{"mistral", "mistral_7b"},
    Family{"mixtral", "mixtral_8x7b"},
    Family{"mpt", "mpt_7b"},
    Family{"mt_nlg", "megatron_530b"},
    Family{"nemotron3", "nemotron3_8b"},
    Family{"nemotron4", "nemotron4_15b"},
    Family{"olmo", "llama2_7b"},
    Family{"opt", "opt_1_3b"},
    Family{"phi", "phi3_mini"},
    Family{"pythia", "gpt_neox_20b"},
    Family{"qwen3", "qwen3_8b"},
    Family{"qwen", "qwen2_7b"},
    Family{"roberta", "bert_large"},
    Family{"stablelm", "llama2_7b"},
    Family{"starcoder", "gpt3_175b"},
    Family{"tinyllama", "llama2_7b"},
    Family{"vicuna", "llama_7b"},
    Family{"yi", "llama2_7b"},
};

// Models that are known not to be stacks of attention and MLP alone.
constexpr std::array<std::string_view, 7> kHybrids = {
    "nemotron_h", "nemotron3_nano", "nemotron3_super", "nemotron3_ultra", "nemotron3_5",
    "jamba",      "mamba"};
constexpr std::array<std::string_view, 6> kConvolutional = {"resnet",    "alexnet",  "vgg",
                                                            "inception", "densenet", "mobilenet"};

// "Meta-Llama/Llama-3.1-8B" is llama3_1_8b: without its owner, words joined by one '_', of which
// none stands before a version or size.
std::string normalised(std::string_view name) {
  if (const size_t owner = name.rfind('/'); owner != std::string_view::npos) {
    name.remove_prefix(owner + 1);
  }
  std::string text;
  bool apart = false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      apart = true;
      continue;
    }
    const bool after_word = !text.empty() && std::isalpha(static_cast<unsigned char>(text.back()));
    if (apart && !text.empty() && !(after_word && std::isdigit(byte) != 0)) text += '_';
    apart = false;
    text += static_cast<char>(std::tolower(byte));
  }
  for (const std::string_view maker : {"meta_", "nvidia_", "hf_"}) {
    if (text.starts_with(maker)) text.erase(0, maker.size());
  }
  return text;
}

const TransformerRow* row_named(std::string_view name) {
  for (const Alias& alias : kAliases) {
    if (normalised(alias.written) == name) return *find_transformer(alias.row);
  }
  for (const TransformerRow& row : transformer_table()) {
    if (normalised(row.name) == name) return &row;
  }
  return nullptr;
}

// What is trained for does not change the stack.
const TransformerRow* row_of(std::string name) {
  constexpr std::array<std::string_view, 12> kPurposes = {"_lora",  "_sft",   "_ft",   "_pretrain",
                                                          "_squad", "_proxy", "_gqa8", "_gqa",
                                                          "_hf",    "_base",  "_chat", "_instruct"};
  for (;;) {
    if (const TransformerRow* row = row_named(name)) return row;
    const auto* const purpose =
        std::find_if(kPurposes.begin(), kPurposes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
    if (purpose == kPurposes.end()) return nullptr;
    name.resize(name.size() - purpose->size());
  }
}

bool begins_with_any(std::string_view name, std::span<const std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

// Billions of parameters: stated, or in the name ("gpt-2.7b"). Nothing of mixtures of experts,
// whose names may count the active ones ("a3b").
std::optional<double> billions_of(const MeasuredRun& run) {
  const std::string name = lower_case(run.model);
  if (contains(name, "moe")) return std::nullopt;
  if (run.params_b) return run.params_b;
  for (size_t end = name.rfind('b'); end != std::string::npos && end > 0;
       end = name.rfind('b', end - 1)) {
    size_t begin = end;
    const std::optional<double> value = number_before(name, end, &begin);
    if (!value) continue;
    const bool active = begin >= 2 && name[begin - 1] == 'a' &&
                        std::isalnum(static_cast<unsigned char>(name[begin - 2])) == 0;
    return active ? std::nullopt : value;
  }
  return std::nullopt;
}

bool is_gated(const TransformerRow& row) {
  const auto* gpt = std::get_if<GptShape>(&row.shape);
  return gpt != nullptr && gpt->mlp.gated;
}

// Of stacks of one kind without experts, the one whose parameters are nearest, if near at all.
const TransformerRow* nearest_by_parameters(double billions, bool gated) {
  constexpr double kNear = 0.15;
  const TransformerRow* nearest = nullptr;
  double least = kNear;
  for (const TransformerRow& row : transformer_table()) {
    const auto* gpt = std::get_if<GptShape>(&row.shape);
    if (gpt == nullptr || gpt->mlp.experts > 0 || gpt->mlp.gated != gated) continue;
    const double count = static_cast<double>(make_transformer(row).parameter_count()) / 1e9;
    const double off = std::fabs(count / billions - 1);
    if (off > least) continue;
    least = off;
    nearest = &row;
  }
  return nearest;
}

const Family* family_of(std::string_view name) {
  for (const Family& family : kFamilies) {
    if (name.starts_with(family.prefix)) return &family;
  }
  return nullptr;
}

// A row of the table of stacks, and whether its sizes are the run's or only its kind.
struct StackChoice {
  const TransformerRow* row = nullptr;
  bool sized = false;
};

// A name that is not known may still be of a known family; else the sizes tell the two great kinds
// apart: Llama's gated MLP is not 4 x hidden wide, and its followers share key heads.
Result<StackChoice> choose_stack(const MeasuredRun& run, const std::string& name,
                                 Assumptions& assumptions) {
  if (const TransformerRow* row = row_of(name)) return StackChoice{row, true};
  const Family* family = family_of(name);
  const bool sizes_stated = run.layers && run.hidden;
  if (family == nullptr && !sizes_stated) {
    return bad_input(str_cat(unknown_name("model", run.model, transformer_names()),
                             "; or state its layers and hidden"));
  }
  const bool shared_keys = run.heads && run.kv_heads && *run.kv_heads < *run.heads;
  const bool narrow = run.ffn_hidden && run.hidden && *run.ffn_hidden != 4 * *run.hidden;
  const std::string_view alike =
      family != nullptr ? family->row : (shared_keys || narrow ? "llama2_7b" : "gpt3_175b");
  const TransformerRow* row = *find_transformer(alike);
  if (sizes_stated || std::holds_alternative<BertShape>(row->shape)) {
    assumptions.add("model", family != nullptr ? family->prefix : alike,
                    family != nullptr ? "family, by the model's name"
                                      : "kind, by the sizes: the name is not known");
    return StackChoice{row, false};
  }
  const std::optional<double> billions = billions_of(run);
  const TransformerRow* nearest =
      billions ? nearest_by_parameters(*billions, is_gated(*row)) : nullptr;
  if (nearest == nullptr) {
    return bad_input(str_cat("model '", shown(run.model),
                             "': layers or hidden is not stated, and no model of that name or near "
                             "that size is known"));
  }
  assumptions.add("model", nearest->name, "of this kind the nearest in parameters");
  return StackChoice{nearest, true};
}

// Completes one shape field by field: what the run states, else the row's, else a rule.
class Sizes {
 public:
  Sizes(const MeasuredRun& run, const TransformerRow* row, Assumptions& assumptions)
      : run_(run), row_(row), assumptions_(assumptions) {}

  // `known`: the row's value, 0 where there is no row.
  int64_t take(std::string_view field, const std::optional<int64_t>& stated, int64_t known) const {
    if (stated) return *stated;
    if (known > 0) {
      assumptions_.add(field, known,
                       row_ == nullptr ? std::string("not stated, usual for the family")
                                       : str_cat("not stated, as ", row_->name));
    }
    return known;
  }
  int64_t take_or(std::string_view field, const std::optional<int64_t>& stated, int64_t known,
                  int64_t fallback, std::string_view rule) const {
    if (!stated && known <= 0) {
      assumptions_.add(field, fallback, str_cat("not stated, ", rule));
      return fallback;
    }
    return take(field, stated, known);
  }
  const MeasuredRun& run() const { return run_; }
  bool has_row() const { return row_ != nullptr; }
  Assumptions& assumptions() const { return assumptions_; }

 private:
  const MeasuredRun& run_;
  const TransformerRow* row_;
  Assumptions& assumptions_;
};

// Heads of a model of this width: as wide as customary.
int64_t usual_heads(int64_t hidden) {
  for (const int64_t width : {128, 96, 80, 64}) {
    if (hidden % width == 0 && (width < 128 || hidden >= 2048)) return hidden / width;
  }
  return 1;
}

// Masks of dropout are memory: GPT and BERT are trained with them unless told otherwise, as recipes
// that name their fused attention are.
double dropout_of(const MeasuredRun& run, double usual, Assumptions& assumptions) {
  const bool old = !run.flash_attention.starts_with("yes");
  const double dropout = old ? usual : 0;
  if (usual > 0) {
    assumptions.add(
        "dropout", dropout,
        old ? "not stated, usual for the family" : "not stated, usual with fused attention");
  }
  return dropout;
}

Result<Transformer> build(const Sizes& sizes, const std::string& name, const std::string& source,
                          GptShape shape) {
  const MeasuredRun& run = sizes.run();
  const bool known = sizes.has_row();
  // The learned positions of a family follow the samples.
  const bool learned_positions = shape.positions > 0;
  shape.layers = sizes.take("layers", run.layers, known ? shape.layers : 0);
  shape.hidden = sizes.take("hidden", run.hidden, known ? shape.hidden : 0);
  if (shape.layers == 0 || shape.hidden == 0) {
    return bad_input(str_cat("model '", shown(run.model),
                             "': layers or hidden is not stated, and no model of that name is "
                             "known"));
  }
  const bool as_row = known && shape.attention.heads > 0;
  const int64_t heads = as_row ? shape.attention.heads : 0;
  shape.attention.heads =
      sizes.take_or("heads", run.heads, heads, usual_heads(shape.hidden), "as wide as customary");
  const bool latent = shape.attention.kv_rank > 0;
  if (latent) {
    shape.attention.kv_heads = shape.attention.heads;
  } else {
    const int64_t grouped = as_row ? shape.attention.kv_heads : 0;
    const bool multi_head = grouped == 0 || grouped == heads;
    shape.attention.kv_heads = sizes.take_or("kv_heads", run.kv_heads, multi_head ? 0 : grouped,
                                             shape.attention.heads, "as many as heads");
  }
  if (!as_row) shape.attention.head_dim = 0;
  const bool some_dense = shape.leading_dense > 0 || shape.expert_every > 1;
  if (!some_dense) {
    const int64_t ffn = known ? shape.mlp.hidden : 0;
    const int64_t usual =
        shape.mlp.gated ? (8 * shape.hidden / 3 + 255) / 256 * 256 : 4 * shape.hidden;
    shape.mlp.hidden = sizes.take_or("ffn_hidden", run.ffn_hidden, ffn, usual,
                                     shape.mlp.gated ? "8/3 of hidden" : "4 x hidden");
  }
  shape.vocab = sizes.take("vocab", run.vocab, shape.vocab);
  shape.seq_len = sizes.take("seq_len", run.seq_len, shape.seq_len);
  if (learned_positions) shape.positions = shape.seq_len;
  if (run.notes.find("untied embeddings") != std::string::npos) shape.tied = false;
  shape.dropout = dropout_of(run, name.starts_with("mpt") ? 0 : shape.dropout, sizes.assumptions());
  return make_gpt(run.model, source, shape);
}

// SQuAD: a head of two values for each token in place of one over the vocabulary.
void answer_questions(Transformer& bert) {
  TransformerLayer& head = bert.layers.back();
  head.vocab = 2;
  head.tied = false;
  head.other_parameters = 0;
}

Result<Transformer> build(const Sizes& sizes, const std::string& /*name*/,
                          const std::string& source, BertShape shape) {
  const MeasuredRun& run = sizes.run();
  shape.layers = sizes.take("layers", run.layers, shape.layers);
  shape.hidden = sizes.take("hidden", run.hidden, shape.hidden);
  shape.heads = sizes.take("heads", run.heads, shape.heads);
  shape.ffn = sizes.take("ffn_hidden", run.ffn_hidden, shape.ffn);
  shape.vocab = sizes.take("vocab", run.vocab, shape.vocab);
  shape.seq_len = sizes.take("seq_len", run.seq_len, shape.seq_len);
  shape.positions = std::max(shape.positions, shape.seq_len);
  shape.dropout = dropout_of(run, shape.dropout, sizes.assumptions());
  Result<Transformer> model = make_bert(run.model, source, shape);
  if (model && run.model.find("squad") != std::string::npos) answer_questions(*model);
  return model;
}

template <class Shape>
Result<Transformer> build(const Sizes& sizes, const std::string&, const std::string&,
                          const Shape&) {
  return bad_input(str_cat("model '", shown(sizes.run().model),
                           "': runs of this kind of stack are not understood"));
}

// Sizes beyond these are slips of the pen, and their products do not fit 63 bits.
Status check_sizes(const MeasuredRun& run) {
  struct Limit {
    std::string_view field;
    const std::optional<int64_t>& stated;
    int64_t most;
  };
  const std::array limits = {Limit{"layers", run.layers, 20'000},
                             Limit{"hidden", run.hidden, 1'000'000},
                             Limit{"heads", run.heads, 100'000},
                             Limit{"kv_heads", run.kv_heads, 100'000},
                             Limit{"ffn_hidden", run.ffn_hidden, 10'000'000},
                             Limit{"vocab", run.vocab, 10'000'000},
                             Limit{"seq_len", run.seq_len, 100'000'000}};
  for (const Limit& limit : limits) {
    if (limit.stated.value_or(0) <= limit.most) continue;
    return bad_input(
        str_cat(limit.field, " ", *limit.stated, " is too large: at most ", limit.most));
  }
  return ok();
}

// A stated number of parameters that the stack does not have is worth knowing.
void compare_parameters(const MeasuredRun& run, const Transformer& model,
                        Assumptions& assumptions) {
  if (!run.params_b) return;
  const double built = double(model.parameter_count()) / 1e9;
  if (std::fabs(built / *run.params_b - 1) <= 0.05) return;
  assumptions.add("params_b", std::round(built * 1000) / 1000,
                  str_cat("by the sizes; the run states ", *run.params_b));
}

}  // namespace

bool trains_adapters(const MeasuredRun& run) {
  std::string model = run.model;
  for (char& c : model) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return model.find("lora") != std::string::npos || run.notes.find("LoRA") != std::string::npos;
}

Result<Transformer> model_of_run(const MeasuredRun& run, Assumptions& assumptions) {
  const Status sizes_are_sane = check_sizes(run);
  if (!sizes_are_sane) return sizes_are_sane.error();
  const std::string name = normalised(run.model);
  if (begins_with_any(name, kHybrids)) {
    return bad_input(str_cat("model '", shown(run.model),
                             "': layers of a state-space model (Mamba) are not modelled"));
  }
  if (begins_with_any(name, kConvolutional)) {
    return bad_input(str_cat("model '", shown(run.model), "' is convolutional, not a Transformer"));
  }
  const Result<StackChoice> chosen = choose_stack(run, name, assumptions);
  if (!chosen) return chosen.error();
  const TransformerRow* row = chosen->sized ? chosen->row : nullptr;
  const TransformerRow* shape = chosen->row;
  const Sizes sizes(run, row, assumptions);
  const std::string source = row != nullptr ? std::string(row->source) : run.source;
  Result<Transformer> model =
      std::visit([&](const auto& kind) { return build(sizes, name, source, kind); }, shape->shape);
  if (model) compare_parameters(run, *model, assumptions);
  return model;
}

}  // namespace soapbox::runner
