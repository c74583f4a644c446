#include "sim/cost/work.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "sim/base/rng.h"
#include "sim/model/models.h"
#include "sim/model/transformer_graph.h"
#include "sim/model/transformers.h"

namespace soapbox {
namespace {

Extents whole(const Operator& op) {
  Extents extents = {1, 1, 1, 1, 1, 1};
  for (size_t dim = 0; dim < op.dims.size(); ++dim) extents[dim] = op.dims[dim].size;
  return extents;
}

Operator alexnet_operator(std::string_view name, int64_t batch) {
  const Result<Model> model = build_model("alexnet", batch);
  for (const Operator& op : model->graph.ops()) {
    if (op.name == name) return op;
  }
  ADD_FAILURE() << "no operator " << name;
  return {};
}

// Of Llama-3 8B, 4 samples of 4,096 tokens.
Operator transformer_operator(std::string_view name) {
  const Transformer stack = *with_seq_len(make_transformer(**find_transformer("llama3_8b")), 4096);
  const Model model = *operator_graph(stack, 4);
  for (const Operator& op : model.graph.ops()) {
    if (op.name == name) return op;
  }
  ADD_FAILURE() << "no operator " << name;
  return {};
}

Operator lstm(int64_t samples, int64_t length, int64_t hidden, int64_t features) {
  Operator op;
  op.kind = OpKind::kLstm;
  op.dims = {{"sample", samples, DimClass::kSample},
             {"length", length, DimClass::kAttribute},
             {"hidden", hidden, DimClass::kParameter},
             {"input", features, DimClass::kReduction}};
  op.output_rank = 3;
  return op;
}

TEST(GemmOf, ConvolutionIsPositionsTimesChannelsTimesWindow) {
  // conv2 of AlexNet: 5x5 over 64 channels, 192 outputs of 28 x 28: pooling pads 55 to 28.
  const Operator conv2 = alexnet_operator("conv2", 256);
  EXPECT_EQ(gemm_of(conv2, whole(conv2)), (Gemm{1, 256 * 28 * 28, 192, 64 * 5 * 5}));
}

TEST(GemmOf, LinearIsSamplesTimesChannelsTimesInputs) {
  const Operator fc6 = alexnet_operator("fc6", 256);
  EXPECT_EQ(gemm_of(fc6, whole(fc6)), (Gemm{1, 256, 4096, 7 * 7 * 256}));
  Extents half = whole(fc6);
  half[1] /= 2;
  EXPECT_EQ(gemm_of(fc6, half), (Gemm{1, 256, 2048, 7 * 7 * 256}));
}

TEST(GemmOf, LstmIsFourGatesForEachStepInTurn) {
  const Operator cell = lstm(64, 8, 1024, 2048);
  EXPECT_EQ(gemm_of(cell, whole(cell)), (Gemm{1, 64, 4096, 2048, 8}));
  // 8 steps x 2 FLOPs x 64 x 4096 x 2048.
  EXPECT_DOUBLE_EQ(gemm_of(cell, whole(cell)).flops(), 8.0 * 2 * 64 * 4096 * 2048);
}

TEST(GemmOf, AttentionIsOneProductForEachSample) {
  Operator op;
  op.kind = OpKind::kAttention;
  op.dims = {{"sample", 64, DimClass::kSample},
             {"hidden", 1024, DimClass::kParameter},
             {"length", 40, DimClass::kReduction}};
  op.output_rank = 2;
  EXPECT_EQ(gemm_of(op, whole(op)), (Gemm{64, 1, 40, 1024}));
}

TEST(GemmOf, HeadsOfATransformer) {
  const Operator qkv = transformer_operator("block0.qkv");
  EXPECT_EQ(gemm_of(qkv, whole(qkv)), (Gemm{1, 4 * 4096, 4096 + 2 * 1024, 4096}));
  const Operator attention = transformer_operator("block0.attention");
  EXPECT_EQ(gemm_of(attention, whole(attention)), (Gemm{4 * 32, 4096, 2048, 128}));
  Extents half = whole(attention);
  half[2] /= 2;  // half of the groups of heads
  EXPECT_EQ(gemm_of(attention, half), (Gemm{4 * 16, 4096, 2048, 128}));
  const Operator up = transformer_operator("block0.up");  // gated: pairs of channels
  EXPECT_EQ(gemm_of(up, whole(up)), (Gemm{1, 4 * 4096, 2 * 14336, 4096}));
}

TEST(GemmOf, PassesOverMemoryHaveNone) {
  const Operator pool1 = alexnet_operator("pool1", 8);
  EXPECT_EQ(gemm_of(pool1, whole(pool1)).m, 0);
}

TEST(WorkOf, GradientsAreTheTransposedProducts) {
  const Operator fc7 = alexnet_operator("fc7", 256);
  const PieceWork work = work_of(fc7, whole(fc7));
  EXPECT_EQ(work.forward.product, (Gemm{1, 256, 4096, 4096}));
  Extents quarter = whole(fc7);
  quarter[1] /= 4;  // a channel split: the gradient to the input sums over fewer channels
  const PieceWork piece = work_of(fc7, quarter);
  EXPECT_EQ(piece.backward_input.product, (Gemm{1, 256, 4096, 1024}));
  EXPECT_EQ(piece.backward_weight.product, (Gemm{1, 1024, 4096, 256}));
}

TEST(WorkOf, StrideThinsTheKernelOfTheInputGradient) {
  // conv1: 11x11, stride 4, 64 channels of 55 x 55 from 3 channels. As a convolution with an output
  // of 220 x 220 it has 3 channels and 64 x 121 / 16 = 484 products for each.
  Operator conv1 = alexnet_operator("conv1", 2);
  conv1.needs_input_gradient = true;
  const PieceWork work = work_of(conv1, whole(conv1));
  EXPECT_EQ(work.backward_input.product, (Gemm{1, 2 * 220 * 220, 3, 484}));
  EXPECT_DOUBLE_EQ(work.backward_input.product.flops(), work.forward.product.flops());
}

TEST(WorkOf, FirstLayersHaveNoInputGradient) {
  const Operator conv1 = alexnet_operator("conv1", 2);
  EXPECT_EQ(work_of(conv1, whole(conv1)).backward_input.kernels, 0);
  EXPECT_EQ(work_of(conv1, whole(conv1)).backward_weight.kernels, 1);
}

TEST(WorkOf, WinogradComputesWholePatches) {
  const Operator conv5 = alexnet_operator("conv5", 1);  // 3x3, 256 channels of 14 x 14
  const PieceWork work = work_of(conv5, whole(conv5));
  EXPECT_EQ(work.forward.kind, ProductKind::kWinograd);
  EXPECT_EQ(work.forward.product.m, 16 * 16);
  EXPECT_EQ(work.backward_weight.kind, ProductKind::kConv);
  EXPECT_EQ(work.backward_weight.product, (Gemm{1, 256, 256 * 9, 14 * 14}));
}

TEST(WorkOf, BatchSplitRereadsWeightsAndChannelSplitRereadsInputs) {
  const Operator fc6 = alexnet_operator("fc6", 256);
  const double size = 4;
  const double input = 256.0 * 12544, weight = 12544.0 * 4096, output = 256.0 * 4096;
  EXPECT_DOUBLE_EQ(work_of(fc6, whole(fc6)).forward.product_bytes,
                   size * (input + weight + output));
  Extents by_sample = whole(fc6), by_channel = whole(fc6);
  by_sample[0] /= 4;
  by_channel[1] /= 4;
  EXPECT_DOUBLE_EQ(4 * work_of(fc6, by_sample).forward.product_bytes,
                   size * (input + 4 * weight + output));
  EXPECT_DOUBLE_EQ(4 * work_of(fc6, by_channel).forward.product_bytes,
                   size * (4 * input + weight + output));
}

TEST(WorkOf, LstmWeightGradientOfAllStepsIsOneProduct) {
  const Operator cell = lstm(64, 8, 1024, 2048);
  const PieceWork work = work_of(cell, whole(cell));
  EXPECT_EQ(work.backward_weight.product, (Gemm{1, 4096, 2048, 64 * 8, 1}));
  EXPECT_EQ(work.backward_input.product, (Gemm{1, 64, 2048, 4096, 8}));
  EXPECT_DOUBLE_EQ(work.backward_weight.product.flops(), work.forward.product.flops());
}

TEST(WorkOf, PoolingReadsItsWindows) {
  // pool1: 3x3, stride 2, 64 channels of 28 x 28, from a window of (28 - 1) * 2 + 3 = 57.
  const Operator pool1 = alexnet_operator("pool1", 4);
  const double input = 4.0 * 64 * 57 * 57, output = 4.0 * 64 * 28 * 28;
  const PieceWork work = work_of(pool1, whole(pool1));
  EXPECT_DOUBLE_EQ(work.forward.stream_bytes, 4 * (input + output));
  EXPECT_DOUBLE_EQ(work.backward_input.stream_bytes, 2 * 4 * (input + output));
}

TEST(WorkOf, ProductsAgreeWithTheFlopsOfEveryModel) {
  // A bias or a batch normalisation folded into the operator may add a few per cent.
  for (const ModelRow& row : model_table()) {
    const Result<Model> model = build_model(row.name, row.batch_per_device);
    ASSERT_TRUE(model) << model.error().to_string();
    for (const Operator& op : model->graph.ops()) {
      const Gemm gemm = gemm_of(op, whole(op));
      if (gemm.m == 0 || op.kind == OpKind::kAttention) continue;
      EXPECT_NEAR(gemm.flops() / op.forward_flops().count(), 1.0, 0.03)
          << row.name << " " << op.name;
    }
  }
}

TEST(WorkOf, InteractionIsASquareProductForEachSample) {
  const Result<Model> model = build_model("dlrm", 64);
  ASSERT_TRUE(model);
  const auto op =
      std::ranges::find(model->graph.ops().raw(), OpKind::kInteraction, &Operator::kind);
  const PieceWork work = work_of(*op, whole(*op));
  EXPECT_EQ(work.forward.product, (Gemm{64, 27, 27, 128}));
  EXPECT_DOUBLE_EQ(work.forward.product_bytes, 4.0 * 64 * (2 * 27 * 128 + 27 * 27));
  EXPECT_EQ(work.backward_input.product, (Gemm{64, 27, 128, 27}));
  EXPECT_EQ(work.backward_input.products, 2);
}

TEST(WorkOf, EmbeddingBagsReadEveryRowAndWriteTheirSum) {
  const Result<Model> model = build_model("dlrm_dcnv2", 64);
  ASSERT_TRUE(model);
  const auto op = std::ranges::find(model->graph.ops().raw(), "table21", &Operator::name);
  const double sums = 4.0 * 64 * 128;
  const PieceWork work = work_of(*op, whole(*op));  // 100 rows per sample
  EXPECT_DOUBLE_EQ(work.forward.stream_bytes, 100 * sums + sums);
  EXPECT_DOUBLE_EQ(work.backward_weight.stream_bytes, sums + 2 * 100 * sums);
  EXPECT_EQ(work.backward_input.kernels, 0);
}

TEST(UpdateWork, ReadsGradientAndWeightAndWritesTheWeight) {
  EXPECT_DOUBLE_EQ(update_work(1000).stream_bytes, 3000);
}

TEST(SumWork, ReadsEveryBufferAndWritesOne) {
  EXPECT_DOUBLE_EQ(sum_work(1000, 4).stream_bytes, 5000);
}

}  // namespace
}  // namespace soapbox
