// What all layers share: products and their gradients, exchanges, norms, residuals, and what is
// recomputed.
#include "sim/parallel/layer_writer.h"

namespace soapbox {
LayerWriter::LayerWriter(const TransformerLayer& layer, const LayerStrategy& strategy,
                         const ParallelPlan& plan)
    : layer_(layer),
      strategy_(strategy),
      plan_(plan),
      tensor_(strategy.tensor_parallel),
      linear_type_(plan.precision.compute),
      type_(is_narrow(linear_type_) ? DataType::kBf16 : linear_type_),
      value_bytes_(static_cast<double>(size_bytes(type_))),
      input_bytes_(static_cast<double>(size_bytes(linear_type_))),
      stream_passes_(plan.autocast ? 2 : 1),
      samples_(plan.samples_of(strategy)),
      tokens_(samples_ * ceil_divide(layer.seq_len, strategy.context_parallel)),
      sequence_(strategy.sequence_parallel && tensor_ > 1),
      norm_tokens_(static_cast<double>(tokens_) / (sequence_ ? tensor_ : 1)) {}

void LayerWriter::add(std::vector<Step>& steps, const Kernel& kernel, bool weight_gradient) {
  steps.push_back({kernel, weight_gradient});
}

Kernel LayerWriter::memory(double bytes, KernelKind kind) const {
  Kernel kernel;
  kernel.kind = kind;
  kernel.type = type_;
  kernel.bytes = bytes;
  return kernel;
}

Kernel LayerWriter::product(int64_t batch, int64_t m, int64_t n, int64_t k, GemmRole role) const {
  return product({batch, m, n, k, KernelKind::kGemm, /*wide=*/true}, role);
}

Kernel LayerWriter::product(const Linear& l, GemmRole role) const {
  Kernel kernel;
  kernel.kind = l.kind;
  kernel.type = l.wide ? type_ : linear_type_;
  kernel.gemm = {l.batch, std::max<int64_t>(l.m, 1), std::max<int64_t>(l.n, 1),
                 std::max<int64_t>(l.k, 1), 1};
  kernel.role = role;
  const auto b = static_cast<double>(l.batch);
  const auto md = static_cast<double>(l.m), nd = static_cast<double>(l.n);
  const auto kd = static_cast<double>(l.k);
  const auto operand = static_cast<double>(size_bytes(kernel.type));
  kernel.bytes = b * ((md * kd + kd * nd) * operand + md * nd * value_bytes_);
  return kernel;
}

void LayerWriter::exchange(std::vector<Step>& steps, CollectiveOp op, RankGroup group, double bytes,
                           int32_t hidden_behind, bool beside_product, int32_t copies) {
  const int32_t ranks = group == RankGroup::kTensor    ? tensor_
                        : group == RankGroup::kContext ? strategy_.context_parallel
                                                       : strategy_.expert_parallel;
  if (ranks == 1 || bytes <= 0) return;
  steps.push_back({Exchange{op, group, bytes, hidden_behind, beside_product, copies}, false});
}

void LayerWriter::linear_forward(const Linear& l) {
  if (!l.normed) cast(work_.forward, l, l.k);
  add(work_.forward, product(l, GemmRole::kForward));
}

void LayerWriter::cast(std::vector<Step>& steps, const Linear& l, int64_t width) {
  if (l.wide || !is_narrow(linear_type_)) return;
  constexpr double kReadAndBothWritten = 2 + 1 + 1;
  add(steps, memory(static_cast<double>(l.batch) * static_cast<double>(l.m) *
                    static_cast<double>(width) * kReadAndBothWritten));
}

void LayerWriter::linear_backward(const Linear& l, double reduced_bytes) {
  cast(work_.backward, l, l.n);
  add(work_.backward, product({l.batch, l.m, l.k, l.n, l.kind, l.wide}, GemmRole::kInputGradient));
  if (reduced_bytes > 0) {
    exchange(work_.backward, sequence_ ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
             RankGroup::kTensor, reduced_bytes, 1, true);
  }
  add(work_.backward, product({l.batch, l.k, l.n, l.m, l.kind, l.wide}, GemmRole::kWeightGradient),
      true);
  const double values = static_cast<double>(l.batch) * static_cast<double>(l.m) *
                        (static_cast<double>(l.k) + static_cast<double>(l.n));
  weight_kept_ += values * (l.wide ? value_bytes_ : input_bytes_);
}

void LayerWriter::enter() {
  if (sequence_) {
    // In the type of the products: cast before it is gathered.
    const double bytes = tokens() * hidden() * static_cast<double>(size_bytes(linear_type_));
    exchange(work_.forward, CollectiveOp::kAllGather, RankGroup::kTensor, bytes, 0, true);
  }
}

void LayerWriter::leave() {
  exchange(work_.forward, sequence_ ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
           RankGroup::kTensor, whole_bytes(), 0, true);
}

void LayerWriter::leave_backward() {
  if (sequence_) {
    exchange(work_.backward, CollectiveOp::kAllGather, RankGroup::kTensor, whole_bytes(), 0, true);
  }
}

void LayerWriter::norm_forward(double output_bytes) {
  add(work_.forward, memory(2 * stream_passes_ * norm_bytes()));
  // Its input, and its output as the input of the product.
  kept_ += norm_bytes() + norm_tokens_ * hidden() * output_bytes;
}

void LayerWriter::residual_forward() {
  const double mask = layer_.dropout > 0 ? norm_tokens_ * hidden() : 0;
  add(work_.forward, memory(3 * stream_passes_ * norm_bytes() + mask));
  kept_ += mask;
}

void LayerWriter::residual_backward() {
  if (layer_.dropout > 0) add(work_.backward, memory(2 * norm_bytes() + norm_tokens_ * hidden()));
  add(work_.backward, memory(3 * stream_passes_ * norm_bytes()));
}

double LayerWriter::gradient_bytes(double recomputed) const {
  const double scores = recomputed + core_gradients_ - mlp_kept_;
  return norm_bytes() + std::max({0.0, mlp_gradients_, scores});
}

void LayerWriter::apply_recompute() {
  keep_activations();
  // What is recomputed is not kept; inputs that products share are counted once at most.
  work_.weight_kept_bytes = std::min<int64_t>(std::llround(weight_kept_), work_.kept_bytes);
}

void LayerWriter::keep_activations() {
  const double all = kept_ + core_kept_;
  const bool block = layer_.kind == LayerKind::kBlock;
  work_.kept_bytes = std::llround(all);
  if (!block) return;
  switch (strategy_.recompute) {
    case Recompute::kNone:
      work_.transient_bytes = std::llround(gradient_bytes(0));
      return;
    case Recompute::kSelective:
      work_.kept_bytes = std::llround(kept_);
      work_.transient_bytes = std::llround(gradient_bytes(core_kept_));
      if (core_kept_ > 0) {
        work_.recompute.assign(work_.forward.begin() + static_cast<std::ptrdiff_t>(core_begin_),
                               work_.forward.begin() + static_cast<std::ptrdiff_t>(core_end_));
      }
      return;
    case Recompute::kFull:
      work_.recompute = work_.forward;
      work_.kept_bytes = work_.output_bytes;  // its input, as large
      work_.transient_bytes = std::llround(all + gradient_bytes(0));
      return;
  }
}

}  // namespace soapbox
