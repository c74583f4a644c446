#include <algorithm>
#include <tuple>

#include "scenarios/runner/model_files/hf_readers.h"
#include "sim/base/str.h"

namespace soapbox::runner::hf {

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

TransformerShape read_distilbert(Config& config) {
  JsonObject& json = config.json;
  BertShape shape{.types = 0};
  shape.layers = json.integer({"n_layers"}, kLayers);
  shape.hidden = json.integer({"dim"}, kHidden);
  shape.heads = json.integer({"n_heads"}, kHeads);
  shape.ffn = json.integer({"hidden_dim"}, kFfn);
  shape.vocab = json.integer({"vocab_size"}, kVocab);
  shape.positions = json.integer_or({"max_position_embeddings"}, 512, kTokens);
  shape.seq_len = shape.positions;
  shape.dropout = json.number_or("dropout", 0.1, 0, 1);
  check_heads(config, {.hidden = shape.hidden, .attention = {.heads = shape.heads}}, "n_heads");
  return shape;
}

TransformerShape read_t5(Config& config) {
  const bool mt5 = config.model_type == "mt5";  // gated and with a head of its own by default
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
  shape.gated = json.text_or("feed_forward_proj", mt5 ? "gated-gelu" : "relu").starts_with("gated");
  shape.tied = json.flag_or("tie_word_embeddings", !mt5);
  shape.position_buckets = json.integer_or({"relative_attention_num_buckets"}, 32, {0, 1 << 20});
  shape.dropout = json.number_or("dropout_rate", 0.1, 0, 1);
  return shape;
}

namespace {

int64_t read_classes(Config& config) {
  const auto labels = static_cast<int64_t>(config.json.size_of("id2label"));
  config.json.ask("label2id");
  const int64_t classes =
      config.json.integer_or({"num_labels", "num_classes"}, labels, {1, 1 << 24});
  if (classes > 0) return classes;
  config.assume("number of classes not stated: 1000 assumed");
  return 1000;
}

}  // namespace

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

}  // namespace soapbox::runner::hf
