#include "sim/model/gpt.h"

#include <utility>

#include "sim/base/str.h"

namespace soapbox {

namespace {

Status check_shape(const std::string& name, const GptShape& shape) {
  const auto refuse = [&name](std::string_view field, int64_t value, const std::string& allowed) {
    return bad_input(str_cat("model '", name, "': ", field, " ", value, "; allowed: ", allowed));
  };
  if (shape.layers < 1) return refuse("layers", shape.layers, "> 0");
  if (shape.hidden < 1) return refuse("hidden", shape.hidden, "> 0");
  const int64_t heads = shape.attention.heads;
  if (heads < 1) return refuse("heads", heads, "> 0");
  if (shape.attention.head_dim == 0 && shape.hidden % heads != 0) {
    return refuse("heads", heads, str_cat("divisors of hidden ", shape.hidden));
  }
  if (shape.leading_dense < 0 || shape.leading_dense > shape.layers) {
    return refuse("leading dense blocks", shape.leading_dense, str_cat("0 to ", shape.layers));
  }
  if (shape.expert_every < 1) return refuse("expert every", shape.expert_every, "> 0");
  if (shape.global_every < 0) return refuse("global every", shape.global_every, ">= 0");
  const bool some_dense = shape.leading_dense > 0 || shape.expert_every > 1;
  if (some_dense && shape.dense_hidden < 1) {
    return refuse("dense MLP width", shape.dense_hidden, "> 0 where some blocks are dense");
  }
  return ok();
}

TransformerLayer block_of(const GptShape& shape, int64_t index) {
  TransformerLayer block;
  block.hidden = shape.hidden;
  block.seq_len = shape.seq_len;
  block.attention = shape.attention;
  if (block.attention.kv_heads == 0) block.attention.kv_heads = shape.attention.heads;
  if (block.attention.head_dim == 0)
    block.attention.head_dim = shape.hidden / shape.attention.heads;
  if (shape.global_every > 0 && (index + 1) % shape.global_every == 0) block.attention.window = 0;
  block.mlp = shape.mlp;
  if (block.mlp.hidden == 0) block.mlp.hidden = 4 * shape.hidden;
  const bool dense =
      index < shape.leading_dense || (index - shape.leading_dense + 1) % shape.expert_every != 0;
  if (dense) block.mlp = {.hidden = shape.dense_hidden, .gated = shape.mlp.gated};
  block.bias = shape.bias;
  block.qkv_bias = shape.qkv_bias;
  block.norm_bias = shape.norm_bias;
  block.norms = shape.norms_per_block;
  block.other_parameters = shape.other_block_parameters;
  block.dropout = shape.dropout;
  return block;
}

}  // namespace

Result<Transformer> make_gpt(std::string name, std::string source, const GptShape& shape) {
  const Status fits = check_shape(name, shape);
  if (!fits) return fits.error();
  Transformer model{std::move(name), std::move(source), shape.seq_len, {}};
  model.layers.reserve(static_cast<size_t>(shape.layers) + 2);
  model.layers.push_back({.kind = LayerKind::kEmbedding,
                          .hidden = shape.hidden,
                          .seq_len = shape.seq_len,
                          .vocab = shape.vocab,
                          .positions = shape.positions,
                          .norm_bias = shape.norm_bias,
                          .dropout = shape.dropout,
                          .norms = shape.embedding_norm ? 1 : 0});
  for (int64_t index = 0; index < shape.layers; ++index) {
    model.layers.push_back(block_of(shape, index));
  }
  model.layers.push_back({.kind = LayerKind::kHead,
                          .hidden = shape.hidden,
                          .seq_len = shape.seq_len,
                          .vocab = shape.vocab,
                          .bias = shape.head_bias,
                          .norm_bias = shape.norm_bias,
                          .tied = shape.tied});
  const Status sound = check_transformer(model);
  if (!sound) return sound.error();
  return model;
}

}  // namespace soapbox
