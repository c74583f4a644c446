// Stacks with encoder layers: BERT, T5, ViT and Swin.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "sim/base/result.h"
#include "sim/model/transformer.h"

namespace soapbox {

// Bidirectional encoder with a masked language model's head (Devlin et al., arXiv 1810.04805).
struct BertShape {
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t ffn = 0;
  int64_t vocab = 30522;
  int64_t seq_len = 512;
  int64_t positions = 512;
  int64_t types = 2;  // sentence kinds that are embedded
  double dropout = 0.1;
};
Result<Transformer> make_bert(std::string name, std::string source, const BertShape& shape);

// Encoder and decoder that share one embedding (Raffel et al., arXiv 1910.10683).
struct T5Shape {
  int64_t encoder_layers = 0;
  int64_t decoder_layers = 0;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t head_dim = 64;
  int64_t ffn = 0;
  bool gated = false;  // T5 1.1 and later
  bool tied = true;    // the head's matrix is the embedding's; not in T5 1.1
  int64_t vocab = 32128;
  int64_t seq_len = 512;  // of encoder and decoder each
  int64_t position_buckets = 32;
  double dropout = 0.1;
};
Result<Transformer> make_t5(std::string name, std::string source, const T5Shape& shape);

// Patches and a class token through equal blocks (Dosovitskiy et al., arXiv 2010.11929).
struct VitShape {
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t ffn = 0;
  int64_t image = 224;
  int64_t patch = 16;
  int64_t channels = 3;
  int64_t classes = 1000;
};
Result<Transformer> make_vit(std::string name, std::string source, const VitShape& shape);

// Four stages of windowed attention, ever fewer and wider tokens (Liu et al., arXiv 2103.14030).
struct SwinShape {
  std::array<int64_t, 4> layers = {};  // of each stage
  std::array<int64_t, 4> heads = {};   // of each stage
  int64_t hidden = 0;                  // of the first stage; doubles with each
  int64_t mlp_ratio = 4;
  int64_t window = 7;  // tokens on a side
  int64_t image = 224;
  int64_t patch = 4;
  int64_t channels = 3;
  int64_t classes = 1000;
};
Result<Transformer> make_swin(std::string name, std::string source, const SwinShape& shape);

}  // namespace soapbox
