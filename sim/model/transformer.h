// Transformer: a stack of layers as models at cluster scale are described, one record per layer.
//
// An operator graph (graph.h) says what every tensor dimension is and may be split along; a stack
// says only what a whole layer is, and is what pipelines, tensor parallelism and their relatives
// cut up. Layers are stated unsharded; what one rank does of a layer under a strategy is
// sim/parallel/layer_work.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"
#include "sim/model/op.h"

namespace soapbox {

enum class LayerKind : uint8_t {
  kEmbedding,  // tokens (or patches) to hidden vectors
  kBlock,      // attention and MLP, with their norms and residuals
  kMerge,  // Swin's patch merging: 2 x 2 neighbours, concatenated, to a vector of twice the width
  kHead,   // final norm, projection to classes or vocabulary, softmax and loss
};
std::string to_string(LayerKind kind);

// Attention of one layer. Grouped queries: kv_heads < heads.
struct Attention {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;   // of queries and keys
  int64_t value_dim = 0;  // of values; 0: as head_dim
  int64_t window = 0;     // positions that a query sees; 0: all of them
  bool causal = true;     // sees only what stands before it
  // Multi-head latent attention (DeepSeek): ranks of the compressed queries and of the compressed
  // keys and values, and the part of head_dim that carries rotary positions. 0: not compressed.
  int64_t query_rank = 0;
  int64_t kv_rank = 0;
  int64_t rope_dim = 0;
  friend bool operator==(const Attention&, const Attention&) = default;
};

// The MLP of one layer, or its mixture of experts.
struct Mlp {
  int64_t hidden = 0;   // inner width (of one expert)
  bool gated = false;   // SwiGLU and its like: three matrices; else two
  int64_t experts = 0;  // 0: dense
  int64_t experts_per_token = 0;
  int64_t shared_hidden = 0;  // inner width of an expert that every token passes; 0: none
  friend bool operator==(const Mlp&, const Mlp&) = default;
};

struct TransformerLayer {
  LayerKind kind = LayerKind::kBlock;
  int64_t hidden = 0;        // of what it produces
  int64_t seq_len = 0;       // tokens of one sample in this layer; of a merge, that it produces
  Attention attention = {};  // kBlock; heads = 0: none
  int64_t cross_len = 0;     // decoder block of an encoder-decoder: tokens of the encoder; 0: none
  Mlp mlp = {};              // kBlock
  int64_t vocab = 0;         // kEmbedding, kHead: rows of the table, padding apart
  int64_t positions = 0;     // kEmbedding: learned positions; 0: none or rotary
  int64_t patch_values = 0;  // kEmbedding of images: values of one patch; vocab = 0 then
  bool bias = false;         // matrices have biases
  bool qkv_bias = false;     // the query, key and value projections alone have biases
  bool norm_bias = false;    // LayerNorm (scale and shift) rather than RMSNorm (scale)
  bool tied = false;         // kHead: its matrix is the embedding's; kEmbedding: an earlier one's
  double dropout = 0;        // above 0: masks are kept for the backward pass
  // Norms over whole vectors. -1: as usual, 2 in a block and one more with cross attention, 1 in a
  // head or merge, none in an embedding.
  int32_t norms = -1;
  // Small trained tables that the fields above do not describe: position biases, class tokens,
  // norms of queries and keys, poolers. They count as parameters and cost no FLOPs.
  int64_t other_parameters = 0;

  int32_t norm_count() const;
  // Values that one norm normalises: `hidden`, of a merge its 4 concatenated inputs.
  int64_t norm_width() const { return kind == LayerKind::kMerge ? 2 * hidden : hidden; }
  // Trained parameters, a tied matrix not counted again.
  int64_t parameter_count() const;
  // Of a block, matrices with their biases: those of its attention (cross attention and the norms
  // of compressed queries, keys and values included), of its dense or shared MLP and router, and
  // of all experts. Its other norms are in none of them.
  int64_t attention_parameters() const;
  int64_t mlp_parameters() const;
  int64_t expert_parameters() const;  // of all experts together
  int64_t active_parameters() const;  // those that one token meets
  // Pairs of a query and a key that it sees, of one sample and head: half of the square under a
  // causal mask.
  double attention_pairs() const;
  // Forward FLOPs of one sample: multiplications and additions of every matrix product, attention
  // over what is seen.
  double forward_flops_per_sample() const;

  friend bool operator==(const TransformerLayer&, const TransformerLayer&) = default;
};

// The layers of a model in order of execution. A decoder's cross attention reads the last encoder
// layer besides its own predecessor.
struct Transformer {
  std::string name;
  std::string source;   // where its shapes come from
  int64_t seq_len = 0;  // tokens of one sample, as tokens per second are counted
  std::vector<TransformerLayer> layers;

  int64_t parameter_count() const;
  int64_t active_parameters() const;  // those that one token meets
  double forward_flops_per_sample() const;
  // FLOPs of one training sample that the model asks for, recomputation not counted: three
  // forwards.
  double model_flops_per_sample() const { return 3 * forward_flops_per_sample(); }
  int64_t block_count() const;  // layers of kind kBlock
};

// Whether sizes are positive and fit each other: heads and groups, experts per token, MLA's ranks.
// The error names the layer, the field, its value and what is allowed.
Status check_transformer(const Transformer& model);

// The same model on samples of another length; learned positions grow to it where they are fewer.
// Error: the length is that of an image, or not above 0.
Result<Transformer> with_seq_len(Transformer model, int64_t seq_len);

}  // namespace soapbox
