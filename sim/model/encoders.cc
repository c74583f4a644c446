#include "sim/model/encoders.h"

#include <utility>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {

namespace {

Error refused(const std::string& name, std::string_view field, int64_t value,
              const std::string& allowed) {
  return bad_input(str_cat("model '", name, "': ", field, " ", value, "; allowed: ", allowed));
}

// Sizes that must be positive before anything is divided by them.
struct Size {
  const char* field;
  int64_t value;
};
Status all_positive(const std::string& name, const std::vector<Size>& sizes) {
  for (const Size& size : sizes) {
    if (size.value < 1) return refused(name, size.field, size.value, "> 0");
  }
  return ok();
}

Status heads_fit(const std::string& name, int64_t heads, int64_t hidden) {
  if (hidden % heads == 0) return ok();
  return refused(name, "heads", heads, str_cat("divisors of hidden ", hidden));
}

// A block that sees everything, with biases and LayerNorm.
TransformerLayer encoder_block(int64_t hidden, int64_t heads, int64_t ffn, int64_t seq_len) {
  return {
      .hidden = hidden,
      .seq_len = seq_len,
      .attention = {.heads = heads, .kv_heads = heads, .head_dim = hidden / heads, .causal = false},
      .mlp = {.hidden = ffn},
      .bias = true,
      .norm_bias = true};
}

Result<Transformer> checked(Transformer model) {
  const Status sound = check_transformer(model);
  if (!sound) return sound.error();
  return model;
}

}  // namespace

Result<Transformer> make_bert(std::string name, std::string source, const BertShape& shape) {
  const Status sizes = all_positive(
      name, {{"layers", shape.layers}, {"hidden", shape.hidden}, {"heads", shape.heads}});
  if (!sizes) return sizes.error();
  const Status heads = heads_fit(name, shape.heads, shape.hidden);
  if (!heads) return heads.error();
  const int64_t hidden = shape.hidden;
  Transformer model{std::move(name), std::move(source), shape.seq_len, {}};
  model.layers.push_back({.kind = LayerKind::kEmbedding,
                          .hidden = hidden,
                          .seq_len = shape.seq_len,
                          .vocab = shape.vocab,
                          .positions = shape.positions,
                          .norm_bias = true,
                          .dropout = shape.dropout,
                          .norms = 1,
                          .other_parameters = shape.types * hidden});
  TransformerLayer block = encoder_block(hidden, shape.heads, shape.ffn, shape.seq_len);
  block.dropout = shape.dropout;
  model.layers.insert(model.layers.end(), static_cast<size_t>(shape.layers), block);
  // The head's norm follows a square layer, whose FLOPs (below 0.4 % of the model's) are left out.
  model.layers.push_back({.kind = LayerKind::kHead,
                          .hidden = hidden,
                          .seq_len = shape.seq_len,
                          .vocab = shape.vocab,
                          .bias = true,
                          .norm_bias = true,
                          .tied = true,
                          .other_parameters = hidden * (hidden + 1)});
  return checked(std::move(model));
}

Result<Transformer> make_t5(std::string name, std::string source, const T5Shape& shape) {
  const Status sizes = all_positive(name, {{"encoder layers", shape.encoder_layers},
                                           {"decoder layers", shape.decoder_layers},
                                           {"heads", shape.heads}});
  if (!sizes) return sizes.error();
  Transformer model{std::move(name), std::move(source), shape.seq_len, {}};
  const TransformerLayer embedding = {.kind = LayerKind::kEmbedding,
                                      .hidden = shape.hidden,
                                      .seq_len = shape.seq_len,
                                      .vocab = shape.vocab,
                                      .dropout = shape.dropout};
  const TransformerLayer block = {.hidden = shape.hidden,
                                  .seq_len = shape.seq_len,
                                  .attention = {.heads = shape.heads,
                                                .kv_heads = shape.heads,
                                                .head_dim = shape.head_dim,
                                                .causal = false},
                                  .mlp = {.hidden = shape.ffn, .gated = shape.gated},
                                  .dropout = shape.dropout};
  model.layers.push_back(embedding);
  // The first blocks of encoder and decoder hold their position biases.
  const int64_t position_biases = shape.position_buckets * shape.heads;
  for (int64_t index = 0; index < shape.encoder_layers; ++index) {
    model.layers.push_back(block);
    if (index == 0) model.layers.back().other_parameters = position_biases;
  }
  model.layers.back().norms = 3;  // the last one's output is normalised
  model.layers.push_back(embedding);
  model.layers.back().tied = true;
  for (int64_t index = 0; index < shape.decoder_layers; ++index) {
    model.layers.push_back(block);
    model.layers.back().attention.causal = true;
    model.layers.back().cross_len = shape.seq_len;
    if (index == 0) model.layers.back().other_parameters = position_biases;
  }
  model.layers.push_back({.kind = LayerKind::kHead,
                          .hidden = shape.hidden,
                          .seq_len = shape.seq_len,
                          .vocab = shape.vocab,
                          .tied = shape.tied});
  return checked(std::move(model));
}

Result<Transformer> make_vit(std::string name, std::string source, const VitShape& shape) {
  const Status sizes = all_positive(name, {{"layers", shape.layers},
                                           {"hidden", shape.hidden},
                                           {"heads", shape.heads},
                                           {"image", shape.image},
                                           {"patch", shape.patch}});
  if (!sizes) return sizes.error();
  const Status heads = heads_fit(name, shape.heads, shape.hidden);
  if (!heads) return heads.error();
  if (shape.image % shape.patch != 0) {
    return refused(name, "patch", shape.patch, str_cat("divisors of image ", shape.image));
  }
  const int64_t side = shape.image / shape.patch;
  const int64_t tokens = side * side + 1;  // and the class token
  Transformer model{std::move(name), std::move(source), tokens, {}};
  model.layers.push_back({.kind = LayerKind::kEmbedding,
                          .hidden = shape.hidden,
                          .seq_len = side * side,
                          .positions = tokens,
                          .patch_values = shape.channels * shape.patch * shape.patch,
                          .bias = true,
                          .norm_bias = true,
                          .other_parameters = shape.hidden});
  model.layers.insert(model.layers.end(), static_cast<size_t>(shape.layers),
                      encoder_block(shape.hidden, shape.heads, shape.ffn, tokens));
  model.layers.push_back({.kind = LayerKind::kHead,
                          .hidden = shape.hidden,
                          .seq_len = 1,
                          .vocab = shape.classes,
                          .bias = true,
                          .norm_bias = true});
  return checked(std::move(model));
}

Result<Transformer> make_swin(std::string name, std::string source, const SwinShape& shape) {
  const Status sizes = all_positive(name, {{"hidden", shape.hidden},
                                           {"window", shape.window},
                                           {"image", shape.image},
                                           {"patch", shape.patch}});
  if (!sizes) return sizes.error();
  const int64_t last_patch = shape.patch * 8;  // three times merged
  if (shape.image % last_patch != 0) {
    return refused(name, "image", shape.image, str_cat("multiples of ", last_patch));
  }
  int64_t hidden = shape.hidden;
  int64_t tokens = (shape.image / shape.patch) * (shape.image / shape.patch);
  Transformer model{std::move(name), std::move(source), tokens, {}};
  model.layers.push_back({.kind = LayerKind::kEmbedding,
                          .hidden = hidden,
                          .seq_len = tokens,
                          .patch_values = shape.channels * shape.patch * shape.patch,
                          .bias = true,
                          .norm_bias = true,
                          .norms = 1});
  for (size_t stage = 0; stage < shape.layers.size(); ++stage) {
    const int64_t heads = shape.heads[stage];
    const Status positive = all_positive(
        model.name, {{"layers of a stage", shape.layers[stage]}, {"heads of a stage", heads}});
    if (!positive) return positive.error();
    const Status fit = heads_fit(model.name, heads, hidden);
    if (!fit) return fit.error();
    TransformerLayer block = encoder_block(hidden, heads, shape.mlp_ratio * hidden, tokens);
    block.attention.window = shape.window * shape.window;
    // One bias for each head and each distance of two tokens of a window.
    block.other_parameters = (2 * shape.window - 1) * (2 * shape.window - 1) * heads;
    model.layers.insert(model.layers.end(), static_cast<size_t>(shape.layers[stage]), block);
    if (stage + 1 == shape.layers.size()) break;
    hidden *= 2;
    tokens /= 4;
    model.layers.push_back(
        {.kind = LayerKind::kMerge, .hidden = hidden, .seq_len = tokens, .norm_bias = true});
  }
  model.layers.push_back({.kind = LayerKind::kHead,
                          .hidden = hidden,
                          .seq_len = 1,
                          .vocab = shape.classes,
                          .bias = true,
                          .norm_bias = true});
  return checked(std::move(model));
}

}  // namespace soapbox
