// Attention: fused or not, over a context that may be split, with grouped or compressed keys and
// values, to an encoder or to itself.
#include "sim/parallel/layer_writer.h"

namespace soapbox {

int64_t LayerWriter::local_kv_heads() const {
  return std::max<int64_t>(1, layer_.attention.kv_heads / tensor_);
}

int64_t LayerWriter::value_dim() const {
  return layer_.attention.value_dim > 0 ? layer_.attention.value_dim : layer_.attention.head_dim;
}

int64_t LayerWriter::qkv_width() const {
  return local_heads() * layer_.attention.head_dim +
         local_kv_heads() * (layer_.attention.head_dim + value_dim());
}

std::vector<LayerWriter::Linear> LayerWriter::query_key_value(int64_t m) const {
  const Attention& a = layer_.attention;
  if (a.kv_rank == 0) {
    return {{1, m, qkv_width(), layer_.hidden, KernelKind::kGemm, false, /*normed=*/true}};
  }
  std::vector<Linear> products;
  const int64_t queries = local_heads() * a.head_dim;
  if (a.query_rank > 0) {
    products.push_back({1, m, a.query_rank, layer_.hidden});
    products.push_back({1, m, queries, a.query_rank});
  } else {
    products.push_back({1, m, queries, layer_.hidden});
  }
  products.push_back({1, m, a.kv_rank + a.rope_dim, layer_.hidden});
  products.push_back({1, m, local_heads() * (a.head_dim - a.rope_dim + value_dim()), a.kv_rank});
  return products;
}

Kernel LayerWriter::fused_attention(int64_t queries, double pairs, bool causal,
                                    bool backward) const {
  const Attention& a = layer_.attention;
  Kernel kernel;
  kernel.kind = KernelKind::kAttention;
  kernel.type = type_;
  const bool whole = causal && a.window == 0 && strategy_.context_parallel == 1;
  const auto keys =
      static_cast<int64_t>(std::max(1.0, std::round(pairs / static_cast<double>(queries))));
  kernel.gemm = {samples_ * local_heads(), queries, whole ? queries : keys,
                 (a.head_dim + value_dim()) / 2, 1};
  kernel.causal = whole;
  kernel.backward = backward;
  const auto per_token = static_cast<double>(local_heads() * (a.head_dim + value_dim()) +
                                             local_kv_heads() * (a.head_dim + value_dim()));
  kernel.bytes =
      static_cast<double>(samples_ * queries) * per_token * value_bytes_ * (backward ? 2 : 1);
  return kernel;
}

void LayerWriter::attention_forward(const Scores& s) {
  const Attention& a = layer_.attention;
  const double heads = static_cast<double>(samples_ * local_heads());
  add(work_.forward, memory(2 * tokens() * static_cast<double>(qkv_width()) * value_bytes_));
  core_begin_ = work_.forward.size();
  if (plan_.flash_attention) {
    add(work_.forward, fused_attention(s.queries, s.pairs, s.causal, false));
    kept_ += heads * static_cast<double>(s.queries) * kFp32Bytes;  // log-sums
    core_end_ = work_.forward.size();
    return;
  }
  const double scores = heads * static_cast<double>(s.queries) * static_cast<double>(s.keys);
  add(work_.forward,
      product(samples_ * local_heads(), s.queries, s.keys, a.head_dim, GemmRole::kForward));
  add(work_.forward, memory(2 * scores * value_bytes_, KernelKind::kSoftmax));
  if (layer_.dropout > 0) add(work_.forward, memory(scores * (2 * value_bytes_ + 1)));
  add(work_.forward,
      product(samples_ * local_heads(), s.queries, value_dim(), s.keys, GemmRole::kForward));
  core_end_ = work_.forward.size();
  core_kept_ += scores * (layer_.dropout > 0 ? 2 * value_bytes_ + 1 : value_bytes_);
  core_gradients_ = std::max(core_gradients_, 2 * scores * value_bytes_);
}

void LayerWriter::attention_backward(const Scores& s) {
  const Attention& a = layer_.attention;
  if (plan_.flash_attention) {
    add(work_.backward, fused_attention(s.queries, s.pairs, s.causal, true));
  } else {
    const int64_t batch = samples_ * local_heads();
    const double scores =
        static_cast<double>(batch) * static_cast<double>(s.queries) * static_cast<double>(s.keys);
    const auto backward = [&](int64_t m, int64_t n, int64_t k) {
      add(work_.backward, product(batch, m, n, k, GemmRole::kInputGradient));
    };
    backward(s.queries, s.keys, value_dim());  // gradient of the scores
    backward(s.keys, value_dim(), s.queries);  // of the values
    if (layer_.dropout > 0) add(work_.backward, memory(scores * (2 * value_bytes_ + 1)));
    add(work_.backward, memory(3 * scores * value_bytes_, KernelKind::kSoftmax));
    backward(s.queries, a.head_dim, s.keys);  // of the queries
    backward(s.keys, a.head_dim, s.queries);  // of the keys
  }
  add(work_.backward, memory(2 * tokens() * static_cast<double>(qkv_width()) * value_bytes_));
}

void LayerWriter::context_ring(std::vector<Step>& steps, double passes) {
  const int32_t ranks = strategy_.context_parallel;
  if (ranks == 1) return;
  const double own =
      tokens() * value_bytes_ *
      static_cast<double>(local_kv_heads() * (layer_.attention.head_dim + value_dim()));
  exchange(steps, CollectiveOp::kAllGather, RankGroup::kContext, passes * own * ranks, 1, false);
}

LayerWriter::Scores LayerWriter::self_scores() const {
  const double pairs = layer_.attention_pairs() / strategy_.context_parallel;
  const int64_t queries = ceil_divide(layer_.seq_len, strategy_.context_parallel);
  const int64_t keys = layer_.attention.window > 0
                           ? std::min(layer_.attention.window, layer_.seq_len)
                           : layer_.seq_len;
  return {queries, keys, pairs, layer_.attention.causal};
}

void LayerWriter::self_attention_forward() {
  norm_forward(input_bytes_);
  enter();
  for (const Linear& l : query_key_value(tokens_)) linear_forward(l);
  context_ring(work_.forward, 1);
  attention_forward(self_scores());
  linear_forward(output_projection());
  leave();
  residual_forward();
  kept_ += tokens() * value_bytes_ * static_cast<double>(qkv_width() + local_heads() * value_dim());
  // The projection keeps its input as it was cast.
  if (is_narrow(linear_type_)) {
    kept_ += tokens() * input_bytes_ * static_cast<double>(local_heads() * value_dim());
  }
  if (layer_.attention.kv_rank > 0) {
    kept_ += tokens() * value_bytes_ *
             static_cast<double>(layer_.attention.kv_rank + layer_.attention.query_rank);
  }
}

LayerWriter::Linear LayerWriter::output_projection() const {
  return {1, tokens_, layer_.hidden, local_heads() * value_dim()};
}

void LayerWriter::self_attention_backward() {
  residual_backward();
  leave_backward();
  linear_backward(output_projection(), 0);
  context_ring(work_.backward, 2);
  attention_backward(self_scores());
  std::vector<Linear> products = query_key_value(tokens_);
  for (size_t i = products.size(); i-- > 0;) {
    linear_backward(products[i], i == 0 ? whole_bytes() : 0);
  }
  norm_backward();
}

std::vector<LayerWriter::Linear> LayerWriter::cross_products() const {
  const Attention& a = layer_.attention;
  const int64_t encoder = samples_ * layer_.cross_len;
  return {{1, tokens_, local_heads() * a.head_dim, layer_.hidden},
          {1, encoder, local_kv_heads() * (a.head_dim + value_dim()), layer_.hidden}};
}

LayerWriter::Scores LayerWriter::cross_scores() const {
  const int64_t queries = ceil_divide(layer_.seq_len, strategy_.context_parallel);
  return {queries, layer_.cross_len,
          static_cast<double>(queries) * static_cast<double>(layer_.cross_len), false};
}

void LayerWriter::cross_attention_forward() {
  if (layer_.cross_len == 0) return;
  norm_forward(input_bytes_);
  enter();
  for (const Linear& l : cross_products()) linear_forward(l);
  attention_forward(cross_scores());
  linear_forward(output_projection());
  leave();
  residual_forward();
  kept_ += value_bytes_ * (tokens() * static_cast<double>(2 * local_heads() * value_dim()) +
                           static_cast<double>(samples_ * layer_.cross_len * local_kv_heads() *
                                               (layer_.attention.head_dim + value_dim())));
}

void LayerWriter::cross_attention_backward() {
  if (layer_.cross_len == 0) return;
  residual_backward();
  leave_backward();
  linear_backward(output_projection(), 0);
  attention_backward(cross_scores());
  for (const Linear& l : cross_products()) linear_backward(l, whole_bytes());
  norm_backward();
}

}  // namespace soapbox
