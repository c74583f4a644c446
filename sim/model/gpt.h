// Stacks of decoder layers: GPT, Llama, their mixtures of experts and other relatives.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/result.h"
#include "sim/model/transformer.h"

namespace soapbox {

// What a decoder-only model is told by: embedding, equal blocks, head.
struct GptShape {
  int64_t layers = 0;
  int64_t hidden = 0;
  Attention attention = {};  // kv_heads = 0: as many as heads; head_dim = 0: hidden / heads
  Mlp mlp = {};              // hidden = 0: 4 x the model's
  // Blocks whose MLP is dense, `dense_hidden` wide, in a model with experts: the first
  // `leading_dense` ones, and of the others all but each `expert_every`-th.
  int64_t leading_dense = 0;
  int64_t expert_every = 1;
  int64_t dense_hidden = 0;
  // Every `global_every`-th block ignores attention.window; 0: all heed it.
  int64_t global_every = 0;
  int64_t vocab = 0;
  int64_t seq_len = 0;
  int64_t positions = 0;  // learned; 0: none (rotary, ALiBi)
  bool bias = false;
  bool qkv_bias = false;
  bool norm_bias = false;  // LayerNorm rather than RMSNorm
  bool tied = false;       // the head's matrix is the embedding's
  bool head_bias = false;
  bool embedding_norm = false;
  int32_t norms_per_block = 2;
  int64_t other_block_parameters = 0;  // as TransformerLayer::other_parameters
  double dropout = 0;
};

// The shapes of families, to be completed with their sizes.
// GPT-2, GPT-3 and Megatron-LM: learned positions, biases, LayerNorm, tied head, dropout 0.1.
constexpr GptShape gpt_shape(int64_t layers, int64_t hidden, int64_t heads, int64_t vocab,
                             int64_t seq_len) {
  return {.layers = layers,
          .hidden = hidden,
          .attention = {.heads = heads},
          .vocab = vocab,
          .seq_len = seq_len,
          .positions = seq_len,
          .bias = true,
          .norm_bias = true,
          .tied = true,
          .dropout = 0.1};
}

// Llama and its relatives: rotary positions, SwiGLU, RMSNorm, no biases, a head of its own.
constexpr GptShape llama_shape(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads,
                               int64_t ffn, int64_t vocab, int64_t seq_len) {
  return {.layers = layers,
          .hidden = hidden,
          .attention = {.heads = heads, .kv_heads = kv_heads},
          .mlp = {.hidden = ffn, .gated = true},
          .vocab = vocab,
          .seq_len = seq_len};
}

// Error: names the field, its value and what is allowed.
Result<Transformer> make_gpt(std::string name, std::string source, const GptShape& shape);

}  // namespace soapbox
