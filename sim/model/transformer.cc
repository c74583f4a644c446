#include "sim/model/transformer.h"

#include <algorithm>

#include "sim/base/str.h"

namespace soapbox {

namespace {

int64_t value_dim(const Attention& attention) {
  return attention.value_dim > 0 ? attention.value_dim : attention.head_dim;
}

// A matrix, or several of the same input side by side, with biases if asked.
int64_t matrix(int64_t in, int64_t out, bool bias) {
  return in * out + (bias ? out : 0);
}

// Queries, keys and values from vectors of width `hidden`.
int64_t qkv_parameters(const Attention& a, int64_t hidden, bool bias) {
  const int64_t query_width = a.heads * a.head_dim;
  if (a.kv_rank == 0) {
    return matrix(hidden, query_width, bias) +
           matrix(hidden, a.kv_heads * (a.head_dim + value_dim(a)), bias);
  }
  const int64_t queries = a.query_rank == 0 ? matrix(hidden, query_width, bias)
                                            : matrix(hidden, a.query_rank, bias) +
                                                  matrix(a.query_rank, query_width, false);
  // One rotary part of the keys serves all heads and is not compressed.
  return queries + matrix(hidden, a.kv_rank + a.rope_dim, bias) +
         matrix(a.kv_rank, a.heads * (a.head_dim - a.rope_dim + value_dim(a)), false);
}

int64_t attention_matrices(const TransformerLayer& layer, bool qkv_bias, bool out_bias) {
  const Attention& a = layer.attention;
  if (a.heads == 0) return 0;
  const int64_t one = qkv_parameters(a, layer.hidden, qkv_bias) +
                      matrix(a.heads * value_dim(a), layer.hidden, out_bias);
  return layer.cross_len > 0 ? 2 * one : one;
}

int64_t mlp_matrices(int64_t hidden, int64_t inner, bool gated, bool bias) {
  if (inner == 0) return 0;
  return (gated ? 2 : 1) * matrix(hidden, inner, bias) + matrix(inner, hidden, bias);
}

int64_t dense_matrices(const TransformerLayer& layer, bool bias) {
  const Mlp& mlp = layer.mlp;
  if (mlp.experts == 0) return mlp_matrices(layer.hidden, mlp.hidden, mlp.gated, bias);
  return mlp_matrices(layer.hidden, mlp.shared_hidden, mlp.gated, bias) +
         matrix(layer.hidden, mlp.experts, bias);  // the router
}

int64_t expert_matrices(const TransformerLayer& layer, bool bias) {
  if (layer.mlp.experts == 0) return 0;
  return mlp_matrices(layer.hidden, layer.mlp.hidden, layer.mlp.gated, bias);
}

int64_t norm_parameters(const TransformerLayer& layer, int64_t width) {
  return (layer.norm_bias ? 2 : 1) * width;
}

double block_flops(const TransformerLayer& layer) {
  const Attention& a = layer.attention;
  const auto tokens = static_cast<double>(layer.seq_len);
  const auto per_pair = static_cast<double>(2 * a.heads * (a.head_dim + value_dim(a)));
  const int64_t per_token =
      dense_matrices(layer, false) + layer.mlp.experts_per_token * expert_matrices(layer, false);
  double flops = 2 * tokens * static_cast<double>(per_token) + layer.attention_pairs() * per_pair;
  if (layer.cross_len == 0) {
    return flops + 2 * tokens * static_cast<double>(attention_matrices(layer, false, false));
  }
  // Of the cross attention, keys and values are made of the encoder's tokens.
  const auto encoder_tokens = static_cast<double>(layer.cross_len);
  const auto self = static_cast<double>(attention_matrices(layer, false, false)) / 2;
  const auto keys_and_values =
      static_cast<double>(layer.hidden * a.kv_heads * (a.head_dim + value_dim(a)));
  flops += 2 * tokens * (2 * self - keys_and_values) + 2 * encoder_tokens * keys_and_values;
  return flops + tokens * encoder_tokens * per_pair;
}

struct Check {
  const char* field;
  int64_t value;
  bool fits;
  std::string allowed;
};

Status first_failure(const Transformer& model, size_t index, const std::vector<Check>& checks) {
  for (const Check& check : checks) {
    if (check.fits) continue;
    return bad_input(str_cat("model '", model.name, "', layer ", index, " (",
                             to_string(model.layers[index].kind), "): ", check.field, " ",
                             check.value, "; allowed: ", check.allowed));
  }
  return ok();
}

Status check_block(const Transformer& model, size_t index) {
  const TransformerLayer& layer = model.layers[index];
  const Attention& a = layer.attention;
  const Mlp& mlp = layer.mlp;
  std::vector<Check> checks = {
      {"MLP width", mlp.hidden, mlp.hidden >= 0, ">= 0"},
      {"experts", mlp.experts, mlp.experts >= 0, ">= 0"},
      {"experts per token", mlp.experts_per_token,
       mlp.experts == 0 ? mlp.experts_per_token == 0
                        : mlp.experts_per_token > 0 && mlp.experts_per_token <= mlp.experts,
       str_cat(mlp.experts == 0 ? 0 : 1, " to ", mlp.experts)},
      {"shared expert width", mlp.shared_hidden,
       mlp.shared_hidden >= 0 && (mlp.experts > 0 || mlp.shared_hidden == 0),
       mlp.experts > 0 ? ">= 0" : "0 without experts"},
      {"heads", a.heads, a.heads >= 0, ">= 0"},
      {"encoder tokens", layer.cross_len,
       layer.cross_len == 0 || (layer.cross_len > 0 && a.heads > 0 && a.kv_rank == 0),
       "0, or above with uncompressed attention"},
  };
  if (a.heads > 0) {
    checks.push_back({"key and value heads", a.kv_heads,
                      a.kv_heads > 0 && a.heads % a.kv_heads == 0,
                      str_cat("divisors of the ", a.heads, " heads")});
    checks.push_back({"head width", a.head_dim, a.head_dim > 0, "> 0"});
    checks.push_back({"value width", a.value_dim, a.value_dim >= 0, ">= 0"});
    checks.push_back({"window", a.window, a.window >= 0, ">= 0"});
    checks.push_back({"rank of keys and values", a.kv_rank,
                      a.kv_rank > 0 || (a.kv_rank == 0 && a.query_rank == 0 && a.rope_dim == 0),
                      a.query_rank == 0 && a.rope_dim == 0 ? ">= 0" : "> 0"});
    checks.push_back({"rank of queries", a.query_rank, a.query_rank >= 0, ">= 0"});
    checks.push_back({"rotary width", a.rope_dim, a.rope_dim >= 0 && a.rope_dim <= a.head_dim,
                      str_cat("0 to the head width, ", a.head_dim)});
  }
  return first_failure(model, index, checks);
}

}  // namespace

std::string to_string(LayerKind kind) {
  switch (kind) {
    case LayerKind::kEmbedding:
      return "embedding";
    case LayerKind::kBlock:
      return "block";
    case LayerKind::kMerge:
      return "merge";
    case LayerKind::kHead:
      return "head";
  }
  return "?";
}

int32_t TransformerLayer::norm_count() const {
  if (norms >= 0) return norms;
  switch (kind) {
    case LayerKind::kEmbedding:
      return 0;
    case LayerKind::kBlock:
      return cross_len > 0 ? 3 : 2;
    case LayerKind::kMerge:
    case LayerKind::kHead:
      return 1;
  }
  return 0;
}

int64_t TransformerLayer::attention_parameters() const {
  const Attention& a = attention;
  int64_t count = attention_matrices(*this, bias || qkv_bias, bias);
  if (a.query_rank > 0) count += norm_parameters(*this, a.query_rank);
  if (a.kv_rank > 0) count += norm_parameters(*this, a.kv_rank);
  return count;
}

int64_t TransformerLayer::mlp_parameters() const {
  return dense_matrices(*this, bias);
}

int64_t TransformerLayer::expert_parameters() const {
  return mlp.experts * expert_matrices(*this, bias);
}

int64_t TransformerLayer::active_parameters() const {
  if (kind != LayerKind::kBlock) return parameter_count();
  return parameter_count() - (mlp.experts - mlp.experts_per_token) * expert_matrices(*this, bias);
}

int64_t TransformerLayer::parameter_count() const {
  int64_t count = norm_count() * norm_parameters(*this, norm_width()) + other_parameters;
  switch (kind) {
    case LayerKind::kEmbedding:
      if (!tied) count += vocab * hidden;
      if (patch_values > 0) count += matrix(patch_values, hidden, bias);
      return count + positions * hidden;
    case LayerKind::kBlock:
      return count + attention_parameters() + mlp_parameters() + expert_parameters();
    case LayerKind::kMerge:
      return count + matrix(2 * hidden, hidden, bias);
    case LayerKind::kHead:
      return count + (tied ? 0 : vocab * hidden) + (bias ? vocab : 0);
  }
  return count;
}

double TransformerLayer::attention_pairs() const {
  const auto tokens = static_cast<double>(seq_len);
  const bool limited = attention.window > 0 && attention.window < seq_len;
  const double seen = limited ? static_cast<double>(attention.window) : tokens;
  // Under a causal mask the first `seen` queries see ever more, on average half.
  return attention.causal ? tokens * seen - seen * seen / 2 : tokens * seen;
}

double TransformerLayer::forward_flops_per_sample() const {
  const auto tokens = static_cast<double>(seq_len);
  switch (kind) {
    case LayerKind::kEmbedding:
      return 2 * tokens * static_cast<double>(patch_values * hidden);
    case LayerKind::kBlock:
      return block_flops(*this);
    case LayerKind::kMerge:
      return 2 * tokens * static_cast<double>(2 * hidden * hidden);
    case LayerKind::kHead:
      return 2 * tokens * static_cast<double>(hidden * vocab);
  }
  return 0;
}

int64_t Transformer::parameter_count() const {
  int64_t count = 0;
  for (const TransformerLayer& layer : layers) count += layer.parameter_count();
  return count;
}

int64_t Transformer::active_parameters() const {
  int64_t count = 0;
  for (const TransformerLayer& layer : layers) count += layer.active_parameters();
  return count;
}

double Transformer::forward_flops_per_sample() const {
  double flops = 0;
  for (const TransformerLayer& layer : layers) flops += layer.forward_flops_per_sample();
  return flops;
}

int64_t Transformer::block_count() const {
  return std::ranges::count(layers, LayerKind::kBlock, &TransformerLayer::kind);
}

Status check_transformer(const Transformer& model) {
  if (model.block_count() == 0) {
    return bad_input(str_cat("model '", model.name, "': 0 blocks; allowed: > 0"));
  }
  for (size_t index = 0; index < model.layers.size(); ++index) {
    const TransformerLayer& layer = model.layers[index];
    const bool has_table = layer.kind == LayerKind::kHead ||
                           (layer.kind == LayerKind::kEmbedding && layer.patch_values == 0);
    const Status common = first_failure(
        model, index,
        {{"width", layer.hidden, layer.hidden > 0, "> 0"},
         {"tokens", layer.seq_len, layer.seq_len > 0, "> 0"},
         {"vocabulary", layer.vocab, !has_table || layer.vocab > 0, "> 0"},
         {"positions", layer.positions, layer.positions >= 0, ">= 0"},
         {"patch values", layer.patch_values, layer.patch_values >= 0, ">= 0"},
         {"other parameters", layer.other_parameters, layer.other_parameters >= 0, ">= 0"}});
    if (!common) return common;
    if (layer.kind != LayerKind::kBlock) continue;
    const Status block = check_block(model, index);
    if (!block) return block;
  }
  return ok();
}

Result<Transformer> with_seq_len(Transformer model, int64_t seq_len) {
  if (seq_len < 1) {
    return bad_input(
        str_cat("model '", model.name, "': sequence length ", seq_len, "; allowed: > 0"));
  }
  for (const TransformerLayer& layer : model.layers) {
    if (layer.patch_values == 0) continue;
    return bad_input(str_cat("model '", model.name, "': sequence length ", seq_len,
                             "; an image model has that of its image, ", model.seq_len));
  }
  for (TransformerLayer& layer : model.layers) {
    // A head may read fewer tokens than there are (a classifier: one).
    if (layer.seq_len == model.seq_len) layer.seq_len = seq_len;
    if (layer.cross_len > 0) layer.cross_len = seq_len;
    if (layer.positions > 0) layer.positions = std::max(layer.positions, seq_len);
  }
  model.seq_len = seq_len;
  return model;
}

}  // namespace soapbox
