// LayerWriter: writes down the steps of one layer (layer_work.h): the forward pass in order, and
// the backward pass by functions of the same names, in reverse.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sim/parallel/layer_work.h"

namespace soapbox {

inline constexpr double kFp32Bytes = 4;

inline int64_t ceil_divide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

class LayerWriter {
 public:
  LayerWriter(const TransformerLayer& layer, const LayerStrategy& strategy,
              const ParallelPlan& plan);
  LayerWork write();

 private:
  double hidden() const { return static_cast<double>(layer_.hidden); }
  double tokens() const { return static_cast<double>(tokens_); }

  // Adding steps.
  void add(std::vector<Step>& steps, const Kernel& kernel, bool weight_gradient = false);
  Kernel memory(double bytes, KernelKind kind = KernelKind::kMemory) const;
  struct Linear {
    int64_t batch = 1;
    int64_t m = 0;
    int64_t n = 0;
    int64_t k = 0;
    KernelKind kind = KernelKind::kGemm;
    bool wide = false;    // kept out of fp8 and fp4: heads, routers
    bool normed = false;  // its input comes out of a norm, which casts as it writes
  };
  // One of its three products; of anything else, which is never in a narrow type.
  Kernel product(const Linear& l, GemmRole role) const;
  Kernel product(int64_t batch, int64_t m, int64_t n, int64_t k, GemmRole role) const;
  void exchange(std::vector<Step>& steps, CollectiveOp op, RankGroup group, double bytes,
                int32_t hidden_behind, bool beside_product, int32_t copies = 1);

  // Pieces of layers. A product of `batch` equal ones and both its gradients. The input gradient is
  // summed over the tensor ranks where the input is whole on each (column-parallel), behind the
  // weight gradient.
  void linear_forward(const Linear& l);
  // To fp8 or fp4, in both layouts at once: a product and the weight gradient read it along
  // different sides. `width` values in each row.
  void cast(std::vector<Step>& steps, const Linear& l, int64_t width);
  void linear_backward(const Linear& l, double reduced_bytes);
  double whole_bytes() const { return tokens() * hidden() * value_bytes_; }
  void enter();
  void leave();
  void leave_backward();
  double norm_bytes() const { return norm_tokens_ * hidden() * value_bytes_; }
  void norm_forward(double output_bytes);  // as its output is kept
  void norm_backward() { add(work_.backward, memory(3 * stream_passes_ * norm_bytes())); }
  // Bias, dropout and the sum with the residual in one pass.
  void residual_forward();
  void residual_backward();

  // Attention.
  int64_t local_heads() const { return std::max<int64_t>(1, layer_.attention.heads / tensor_); }
  // Key and value heads that do not go round are copied.
  int64_t local_kv_heads() const;
  int64_t value_dim() const;
  int64_t qkv_width() const;
  // The products before the attention of `m` tokens, column-parallel; low-rank ones are on every
  // rank.
  std::vector<Linear> query_key_value(int64_t m) const;
  // Pairs of query and key of one sample and head on this rank, and the keys of each query on
  // average. Context ranks take their queries so that causal work is balanced.
  Kernel fused_attention(int64_t queries, double pairs, bool causal, bool backward) const;
  // Attention of `queries` tokens over `keys` tokens per sample.
  struct Scores {
    int64_t queries = 0;
    int64_t keys = 0;
    double pairs = 0;
    bool causal = false;
  };
  void attention_forward(const Scores& s);
  void attention_backward(const Scores& s);
  // Keys and values go round the context ranks while the attention over those at hand runs.
  void context_ring(std::vector<Step>& steps, double passes);
  Scores self_scores() const;
  void self_attention_forward();
  Linear output_projection() const;
  void self_attention_backward();
  // A decoder's attention to the encoder: queries of its own tokens, keys and values of the
  // encoder's.
  std::vector<Linear> cross_products() const;
  Scores cross_scores() const;
  void cross_attention_forward();
  void cross_attention_backward();

  // MLP and experts. A dense MLP of inner width f on all tokens.
  void mlp_forward(int64_t inner);
  void mlp_backward(int64_t inner);
  // Tokens times experts per token that arrive on this rank, and how many each expert gets.
  double routed_tokens() const;
  int64_t local_experts() const;
  double sent_bytes() const;
  std::vector<Linear> expert_products() const;
  // Sends tokens to their experts or back: a copy in the order of the receivers, and the exchange;
  // the tensor ranks, which share an expert, gather or add what each got.
  void route(std::vector<Step>& steps, bool to_experts);
  void experts_forward();
  void experts_backward();

  // Layers.
  void write_block();
  void write_embedding();
  int64_t padded_vocab() const;
  void write_merge();
  void write_head();
  // Gradients of activations that a backward pass holds besides what was kept: of the MLP's inner
  // ones, then, when the MLP's own activations are gone, of the scores of unfused attention, of
  // which `recomputed` bytes were not kept.
  double gradient_bytes(double recomputed) const;
  void apply_recompute();
  void keep_activations();

  const TransformerLayer& layer_;
  const LayerStrategy& strategy_;
  const ParallelPlan& plan_;
  int32_t tensor_;
  DataType linear_type_;  // of the operands of linear layers
  DataType type_;         // of all else
  double value_bytes_;    // of activations
  double input_bytes_;    // of inputs of linear layers as they are kept: cast ones (narrow types)
  // Bytes of norms and residuals over those of a 16-bit stream: in fp32, they are cast on the way
  // into each norm and added in fp32 on the way back.
  double stream_passes_;
  int64_t samples_;
  int64_t tokens_;
  bool sequence_;
  double norm_tokens_;  // tokens of the parts that sequence parallelism splits
  LayerWork work_;
  double kept_ = 0;
  double core_kept_ = 0;  // of unfused attention: scores, softmax, dropout
  double core_gradients_ = 0;
  double mlp_kept_ = 0;
  double mlp_gradients_ = 0;
  double weight_kept_ = 0;
  size_t core_begin_ = 0;  // its forward steps
  size_t core_end_ = 0;
};

}  // namespace soapbox
