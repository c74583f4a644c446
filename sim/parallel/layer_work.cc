#include "sim/parallel/layer_work.h"

#include "sim/parallel/layer_writer.h"

namespace soapbox {

namespace {

// Megatron pads a vocabulary so that every tensor rank has a multiple of this.
constexpr int64_t kVocabPadding = 128;

}  // namespace

LayerWork LayerWriter::write() {
  switch (layer_.kind) {
    case LayerKind::kEmbedding:
      write_embedding();
      break;
    case LayerKind::kBlock:
      write_block();
      break;
    case LayerKind::kMerge:
      write_merge();
      break;
    case LayerKind::kHead:
      write_head();
      break;
  }
  work_.output_bytes = std::llround(norm_tokens_ * hidden() * value_bytes_);
  apply_recompute();
  return std::move(work_);
}

void LayerWriter::write_block() {
  const bool experts = layer_.mlp.experts > 0;
  if (layer_.attention.heads > 0) self_attention_forward();
  cross_attention_forward();
  const double before_mlp = kept_;
  norm_forward(experts ? value_bytes_ : input_bytes_);  // routers multiply in no narrow type
  if (!experts || layer_.mlp.shared_hidden > 0) {
    enter();
    mlp_forward(experts ? layer_.mlp.shared_hidden : layer_.mlp.hidden);
    leave();
  }
  if (experts) experts_forward();
  residual_forward();
  mlp_kept_ = kept_ - before_mlp;

  residual_backward();
  if (experts) experts_backward();
  if (!experts || layer_.mlp.shared_hidden > 0) {
    leave_backward();
    mlp_backward(experts ? layer_.mlp.shared_hidden : layer_.mlp.hidden);
  }
  norm_backward();
  cross_attention_backward();
  if (layer_.attention.heads > 0) self_attention_backward();

  const int64_t split_parameters = layer_.attention_parameters() + layer_.mlp_parameters();
  work_.expert_parameters =
      layer_.expert_parameters() / (int64_t{tensor_} * strategy_.expert_parallel);
  work_.dense_parameters = layer_.parameter_count() - split_parameters -
                           layer_.expert_parameters() + ceil_divide(split_parameters, tensor_);
}

void LayerWriter::write_embedding() {
  if (layer_.patch_values > 0) {
    const Linear patches = {1, tokens_, layer_.hidden, layer_.patch_values};
    linear_forward(patches);
    add(work_.backward, product(1, patches.k, patches.n, patches.m, GemmRole::kWeightGradient),
        true);
  } else {
    add(work_.forward, memory(2 * whole_bytes(), KernelKind::kEmbedding));
    leave();
    leave_backward();
    add(work_.backward, memory(2 * whole_bytes(), KernelKind::kEmbedding), true);
  }
  residual_forward();
  const int64_t table = layer_.tied ? 0 : padded_vocab() * layer_.hidden;
  work_.dense_parameters = layer_.parameter_count() -
                           (layer_.tied ? 0 : layer_.vocab * layer_.hidden) +
                           ceil_divide(table, tensor_);
}

int64_t LayerWriter::padded_vocab() const {
  if (layer_.vocab < kVocabPadding) return layer_.vocab;
  return ceil_divide(layer_.vocab, kVocabPadding * tensor_) * kVocabPadding * tensor_;
}

void LayerWriter::write_merge() {
  // Small, and computed on every tensor rank alike.
  const Linear merge = {1, tokens_, layer_.hidden, 2 * layer_.hidden};
  add(work_.forward, memory(4 * whole_bytes()));
  linear_forward(merge);
  linear_backward(merge, 0);
  add(work_.backward, memory(6 * whole_bytes()));
  kept_ += 5 * whole_bytes();
  work_.dense_parameters = layer_.parameter_count();
}

void LayerWriter::write_head() {
  const auto classes = static_cast<int64_t>(ceil_divide(padded_vocab(), tensor_));
  const Linear logits = {1, tokens_, classes, layer_.hidden, KernelKind::kGemm, /*wide=*/true};
  const double values = tokens() * static_cast<double>(classes);
  norm_forward(value_bytes_);
  enter();
  linear_forward(logits);
  // Cross-entropy in fp32: the copy, the maximum, the sum and the quotient.
  add(work_.forward, memory(values * (value_bytes_ + 3 * kFp32Bytes), KernelKind::kSoftmax));
  exchange(work_.forward, CollectiveOp::kAllReduce, RankGroup::kTensor, 3 * tokens() * kFp32Bytes,
           0, false);
  add(work_.backward, memory(values * (value_bytes_ + kFp32Bytes), KernelKind::kSoftmax));
  linear_backward(logits, whole_bytes());
  norm_backward();
  kept_ += values * kFp32Bytes;
  work_.transient_bytes = std::llround(values * value_bytes_);
  const int64_t matrix = layer_.tied ? 0 : padded_vocab() * layer_.hidden;
  if (layer_.tied) work_.tied_parameters = ceil_divide(padded_vocab() * layer_.hidden, tensor_);
  work_.dense_parameters = layer_.parameter_count() -
                           (layer_.tied ? 0 : layer_.vocab * layer_.hidden) +
                           ceil_divide(matrix, tensor_);
}

LayerWork make_layer_work(const TransformerLayer& layer, const LayerStrategy& strategy,
                          const ParallelPlan& plan) {
  return LayerWriter(layer, strategy, plan).write();
}

}  // namespace soapbox
