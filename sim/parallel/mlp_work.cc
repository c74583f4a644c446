// MLPs and mixtures of experts.
#include "sim/parallel/layer_writer.h"

namespace soapbox {

void LayerWriter::mlp_forward(int64_t inner) {
  const int64_t f = ceil_divide(inner, tensor_);
  const int64_t first = layer_.mlp.gated ? 2 * f : f;
  linear_forward({1, tokens_, first, layer_.hidden, KernelKind::kGemm, false, /*normed=*/true});
  add(work_.forward, memory(tokens() * static_cast<double>(first + f) * value_bytes_));
  linear_forward({1, tokens_, layer_.hidden, f});
  kept_ += tokens() *
           (static_cast<double>(first) * value_bytes_ + static_cast<double>(f) * input_bytes_);
  mlp_gradients_ = std::max(mlp_gradients_, tokens() * static_cast<double>(first) * value_bytes_);
}

void LayerWriter::mlp_backward(int64_t inner) {
  const int64_t f = ceil_divide(inner, tensor_);
  const int64_t first = layer_.mlp.gated ? 2 * f : f;
  linear_backward({1, tokens_, layer_.hidden, f}, 0);
  add(work_.backward, memory(tokens() * static_cast<double>(2 * first + f) * value_bytes_));
  linear_backward({1, tokens_, first, layer_.hidden}, whole_bytes());
}

double LayerWriter::routed_tokens() const {
  return tokens() * static_cast<double>(layer_.mlp.experts_per_token) * plan_.expert_imbalance;
}

int64_t LayerWriter::local_experts() const {
  return std::max<int64_t>(1, layer_.mlp.experts / strategy_.expert_parallel);
}

double LayerWriter::sent_bytes() const {
  return norm_tokens_ * static_cast<double>(layer_.mlp.experts_per_token) * hidden() * value_bytes_;
}

std::vector<LayerWriter::Linear> LayerWriter::expert_products() const {
  const int64_t rows =
      std::max<int64_t>(1, std::llround(routed_tokens() / static_cast<double>(local_experts())));
  const int64_t f = ceil_divide(layer_.mlp.hidden, tensor_);
  const int64_t first = layer_.mlp.gated ? 2 * f : f;
  return {{local_experts(), rows, first, layer_.hidden, KernelKind::kGroupedGemm},
          {local_experts(), rows, layer_.hidden, f, KernelKind::kGroupedGemm}};
}

void LayerWriter::route(std::vector<Step>& steps, bool to_experts) {
  const double gathered = routed_tokens() * hidden() * value_bytes_;
  add(steps, memory(2 * sent_bytes()));
  if (!to_experts && sequence_) {
    exchange(steps, CollectiveOp::kReduceScatter, RankGroup::kTensor, gathered, 0, false);
  }
  exchange(steps, CollectiveOp::kAllToAll, RankGroup::kExpert,
           sent_bytes() * plan_.expert_imbalance, 0, false,
           static_cast<int32_t>(layer_.mlp.experts_per_token));
  if (to_experts && sequence_) {
    exchange(steps, CollectiveOp::kAllGather, RankGroup::kTensor, gathered, 0, false);
  }
}

void LayerWriter::experts_forward() {
  const std::vector<Linear> products = expert_products();
  add(work_.forward, product(1, std::llround(norm_tokens_), layer_.mlp.experts, layer_.hidden,
                             GemmRole::kForward));
  route(work_.forward, true);
  linear_forward(products[0]);
  const double inner = routed_tokens() * static_cast<double>(products[0].n + products[1].k);
  add(work_.forward, memory(inner * value_bytes_));
  linear_forward(products[1]);
  route(work_.forward, false);
  mlp_gradients_ =
      std::max(mlp_gradients_, routed_tokens() * static_cast<double>(products[0].n) * value_bytes_);
  kept_ += routed_tokens() * (static_cast<double>(products[0].n) * value_bytes_ +
                              static_cast<double>(products[1].k) * input_bytes_ +
                              hidden() * (value_bytes_ + input_bytes_)) +
           norm_tokens_ * static_cast<double>(layer_.mlp.experts) * kFp32Bytes;
}

void LayerWriter::experts_backward() {
  const std::vector<Linear> products = expert_products();
  route(work_.backward, true);
  linear_backward(products[1], 0);
  add(work_.backward,
      memory(routed_tokens() * static_cast<double>(2 * products[0].n + products[1].k) *
             value_bytes_));
  linear_backward(products[0], 0);
  route(work_.backward, false);
  const Linear router = {1,
                         std::llround(norm_tokens_),
                         layer_.mlp.experts,
                         layer_.hidden,
                         KernelKind::kGemm,
                         /*wide=*/true};
  linear_backward(router, 0);
}

}  // namespace soapbox
