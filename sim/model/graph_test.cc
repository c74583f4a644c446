#include "sim/model/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sim/base/rng.h"

namespace soapbox {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::array<Range, kMaxDims> piece_along(size_t dim, Range range) {
  std::array<Range, kMaxDims> piece{};
  piece[dim] = range;
  return piece;
}

// What one output index of a window reads, index by index.
void touch(int64_t out, const AxisMap& map, int64_t axis_size, std::set<int64_t>& touched) {
  for (int64_t k = 0; k < map.kernel; ++k) {
    const int64_t in = out * map.stride - map.padding + k;
    if (in >= 0 && in < axis_size) touched.insert(in);
  }
}

// With padding < kernel, as everywhere, every window touches the image.
TEST(AxisMap, WindowIsTheHullOfWhatItsIndicesTouch) {
  Rng rng(20240611);
  for (int round = 0; round < 2000; ++round) {
    const auto stride = static_cast<int64_t>(1 + rng.below(4));
    const auto kernel = static_cast<int64_t>(1 + rng.below(11));
    const auto padding = static_cast<int64_t>(rng.below(static_cast<uint32_t>(kernel)));
    const auto size = static_cast<int64_t>(12 + rng.below(60));
    const int64_t outputs = (size + 2 * padding - kernel) / stride + 1;
    const auto lo = static_cast<int64_t>(rng.below(static_cast<uint32_t>(outputs)));
    const auto hi = lo + 1 + static_cast<int64_t>(rng.below(static_cast<uint32_t>(outputs - lo)));
    SCOPED_TRACE(testing::Message()
                 << "round " << round << ": size " << size << ", kernel " << kernel << ", stride "
                 << stride << ", padding " << padding << ", outputs [" << lo << ", " << hi << ")");
    const AxisMap map = AxisMap::window(3, stride, kernel, padding);
    std::set<int64_t> touched;
    for (int64_t out = lo; out < hi; ++out) touch(out, map, size, touched);
    const Range read = map.apply(piece_along(3, {lo, hi}), size);
    ASSERT_FALSE(touched.empty());
    ASSERT_EQ(read.lo, *touched.begin());
    ASSERT_EQ(read.hi, *touched.rbegin() + 1);
  }
}

TEST(AxisMap, PiecesOfAFollowedDimensionTileTheAxis) {
  for (int64_t degree : {1, 2, 3, 4, 6, 12}) {
    int64_t next = 0;
    for (int64_t i = 0; i < degree; ++i) {
      const Range piece = {i * 12 / degree, (i + 1) * 12 / degree};
      const Range read = AxisMap::follow(0).apply(piece_along(0, piece), 12);
      EXPECT_EQ(read.lo, next);
      next = read.hi;
    }
    EXPECT_EQ(next, 12);
  }
}

TEST(AxisMap, ConvolutionPiecesOverlapByTheHalo) {
  // 3 x 3, stride 1, padding 1 over 8 rows in two halves: rows 0..4 and 3..7; two rows are read
  // twice.
  const AxisMap map = AxisMap::window(0, 1, 3, 1);
  EXPECT_EQ(map.apply(piece_along(0, {0, 4}), 8), (Range{0, 5}));
  EXPECT_EQ(map.apply(piece_along(0, {4, 8}), 8), (Range{3, 8}));
}

TEST(AxisMap, PaddingAloneConcatenatesAndSlices) {
  // An axis of 5 that is indices [3, 8) of the dimension.
  const AxisMap part = AxisMap::window(1, 1, 1, 3);
  EXPECT_EQ(part.apply(piece_along(1, {0, 3}), 5).extent(), 0);
  EXPECT_EQ(part.apply(piece_along(1, {2, 6}), 5), (Range{0, 3}));
  EXPECT_EQ(part.apply(piece_along(1, {6, 12}), 5), (Range{3, 5}));
  // A dimension that is indices [3, ...) of the axis.
  EXPECT_EQ(AxisMap::window(1, 1, 1, -3).apply(piece_along(1, {1, 2}), 8), (Range{4, 5}));
}

TEST(AxisMap, WholeAndFixedIgnoreThePiece) {
  EXPECT_EQ(AxisMap::whole().apply(piece_along(0, {1, 2}), 9), (Range{0, 9}));
  EXPECT_EQ(AxisMap::fixed_range(7, 8).apply(piece_along(0, {1, 2}), 9), (Range{7, 8}));
}

// A row of `size` numbers, element by element from its inputs.
Operator row(std::string name, const std::vector<uint32_t>& producers, int64_t size = 4) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kElementwise;
  op.dims = {{"sample", size, DimClass::kSample, true}};
  op.output_rank = 1;
  for (const uint32_t producer : producers) {
    op.inputs.push_back({OpId(producer), {AxisMap::follow(0)}});
  }
  return op;
}

Result<OpGraph> make(std::vector<Operator> ops, std::vector<Weight> weights = {}) {
  IdVector<OpId, Operator> op_vector;
  for (Operator& op : ops) op_vector.push_back(std::move(op));
  IdVector<WeightId, Weight> weight_vector;
  for (Weight& weight : weights) weight_vector.push_back(std::move(weight));
  return OpGraph::make(std::move(op_vector), std::move(weight_vector));
}

std::vector<std::string> names(const OpGraph& graph) {
  std::vector<std::string> names;
  for (const Operator& op : graph.ops()) names.push_back(op.name);
  return names;
}

std::string error_of(const Result<OpGraph>& result) {
  return result ? "no error" : result.error().message;
}

TEST(OpGraph, OperatorsInOrderKeepTheirNumbers) {
  const auto graph =
      make({row("a", {}), row("b", {}), row("c", {0}), row("d", {1}), row("e", {2, 3})});
  ASSERT_TRUE(graph) << error_of(graph);
  EXPECT_THAT(names(*graph), ElementsAre("a", "b", "c", "d", "e"));
}

TEST(OpGraph, ProducersComeBeforeConsumersWhateverTheOrderGiven) {
  Rng rng(77);
  for (int round = 0; round < 200; ++round) {
    // A random graph over ranks, numbered by a random permutation.
    constexpr uint32_t kCount = 12;
    std::vector<uint32_t> number(kCount);
    for (uint32_t i = 0; i < kCount; ++i) number[i] = i;
    for (uint32_t i = kCount; i > 1; --i) std::swap(number[i - 1], number[rng.below(i)]);
    std::vector<Operator> ops(kCount);
    for (uint32_t rank = 0; rank < kCount; ++rank) {
      std::vector<uint32_t> producers;
      for (uint32_t other = 0; other < rank; ++other) {
        if (rng.below(3) == 0) producers.push_back(number[other]);
      }
      ops[number[rank]] = row("op" + std::to_string(rank), producers);
    }
    const auto graph = make(ops);
    ASSERT_TRUE(graph) << "round " << round << ": " << error_of(graph);
    for (const Edge& edge : graph->edges()) {
      ASSERT_LT(edge.producer, edge.consumer) << "round " << round;
      // The edge still joins the operators that it joined by name.
      const Operator& consumer = graph->op(edge.consumer);
      ASSERT_EQ(consumer.inputs[edge.input].producer, edge.producer);
      const auto given = std::ranges::find(ops, consumer.name, &Operator::name);
      ASSERT_EQ(ops[given->inputs[edge.input].producer.index()].name,
                graph->op(edge.producer).name);
    }
  }
}

TEST(OpGraph, EdgesAreNumberedByConsumerAndInput) {
  const auto graph = make({row("a", {}), row("b", {0, 0}), row("c", {1, 0})});
  ASSERT_TRUE(graph) << error_of(graph);
  EXPECT_THAT(graph->in_edges(OpId(1)), ElementsAre(EdgeId(0), EdgeId(1)));
  EXPECT_THAT(graph->in_edges(OpId(2)), ElementsAre(EdgeId(2), EdgeId(3)));
  EXPECT_THAT(graph->out_edges(OpId(0)), ElementsAre(EdgeId(0), EdgeId(1), EdgeId(3)));
  EXPECT_EQ(graph->edge(EdgeId(2)).producer, OpId(1));
  EXPECT_EQ(graph->edge(EdgeId(3)).input, 1u);
}

TEST(OpGraph, DepthIsTheLongestPathFromASource) {
  const auto graph =
      make({row("a", {}), row("b", {0}), row("c", {1}), row("d", {0, 2}), row("e", {})});
  ASSERT_TRUE(graph) << error_of(graph);
  EXPECT_EQ(graph->depth(OpId(0)), 0);
  EXPECT_EQ(graph->depth(OpId(3)), 3);  // a -> b -> c -> d, not a -> d
  EXPECT_EQ(graph->depth(OpId(4)), 0);
}

Operator with_weight(Operator op, uint32_t weight) {
  op.weights = {{WeightId(weight), {AxisMap::whole(), AxisMap::whole()}}};
  return op;
}

TEST(OpGraph, SharedWeightsCountOnceAndNameTheirUsers) {
  const auto graph =
      make({row("in", {}), with_weight(row("step0", {0}), 0), with_weight(row("step1", {1}), 0),
            with_weight(row("out", {2}), 1)},
           {{"recurrent", {3, 5}, DataType::kFp32}, {"last", {2, 2}, DataType::kFp16}});
  ASSERT_TRUE(graph) << error_of(graph);
  EXPECT_THAT(graph->users(WeightId(0)), ElementsAre(OpId(1), OpId(2)));
  EXPECT_THAT(graph->users(WeightId(1)), ElementsAre(OpId(3)));
  EXPECT_EQ(graph->parameter_count(), 15 + 4);
  EXPECT_EQ(graph->weight(WeightId(0)).size(), Bytes(60));
  EXPECT_EQ(graph->weight(WeightId(1)).size(), Bytes(8));
}

TEST(OpGraph, InputGradientsAreNeededBelowTheFirstWeightOnly) {
  const auto graph = make({row("in", {}), row("pool", {0}), with_weight(row("conv", {1}), 0),
                           row("relu", {2}), row("join", {0, 3})},
                          {{"w", {1, 1}, DataType::kFp32}});
  ASSERT_TRUE(graph) << error_of(graph);
  std::vector<bool> needed;
  for (const Operator& op : graph->ops()) needed.push_back(op.needs_input_gradient);
  EXPECT_THAT(needed, ElementsAre(false, false, false, true, true));
  // One forward's worth per gradient: conv has its weight's, relu its input's, pool none.
  Operator op = graph->op(OpId(2));
  op.flops_per_point = 3;  // 4 points
  EXPECT_EQ(op.backward_flops().count(), 12);
  EXPECT_EQ(graph->op(OpId(1)).backward_flops().count(), 0);
}

TEST(OpGraph, CycleIsRefusedAndNamed) {
  const auto graph = make({row("in", {}), row("a", {0, 3}), row("b", {1}), row("c", {2})});
  ASSERT_FALSE(graph);
  EXPECT_THAT(error_of(graph), AllOf(HasSubstr("cycle"), HasSubstr("'a' -> 'b' -> 'c' -> 'a'")));
  EXPECT_THAT(error_of(make({row("self", {0})})), HasSubstr("'self' -> 'self'"));
}

TEST(OpGraph, ErrorsNameTheOperator) {
  EXPECT_THAT(error_of(make({})), HasSubstr("no operators"));
  EXPECT_THAT(error_of(make({row("a", {}), row("a", {})})), HasSubstr("'a'"));
  EXPECT_THAT(error_of(make({row("a", {9})})), AllOf(HasSubstr("'a'"), HasSubstr("input 0")));
  EXPECT_THAT(error_of(make({row("a", {}, 0)})),
              AllOf(HasSubstr("'a'"), HasSubstr("'sample'"), HasSubstr("size 0")));

  Operator no_maps = row("b", {0});
  no_maps.inputs[0].axes.clear();
  EXPECT_THAT(error_of(make({row("a", {}), no_maps})),
              AllOf(HasSubstr("'b'"), HasSubstr("input 0 ('a')"), HasSubstr("rank 1")));

  Operator unknown_dim = row("b", {0});
  unknown_dim.inputs[0].axes[0] = AxisMap::follow(3);
  EXPECT_THAT(error_of(make({row("a", {}), unknown_dim})),
              AllOf(HasSubstr("'b'"), HasSubstr("dimension 3 of 1")));

  Operator outside = row("b", {0});
  outside.inputs[0].axes[0] = AxisMap::window(0, 1, 1, 4);
  EXPECT_THAT(error_of(make({row("a", {}), outside})), HasSubstr("reads nothing"));

  Operator beyond = row("b", {0});
  beyond.inputs[0].axes[0] = AxisMap::fixed_range(3, 5);
  EXPECT_THAT(error_of(make({row("a", {}), beyond})), HasSubstr("[3, 5) is not inside [0, 4)"));

  Operator early_reduction = row("a", {});
  early_reduction.dims[0].dim_class = DimClass::kReduction;
  EXPECT_THAT(error_of(make({early_reduction})), HasSubstr("reductions follow"));

  Operator no_rank = row("a", {});
  no_rank.output_rank = 2;
  EXPECT_THAT(error_of(make({no_rank})), HasSubstr("output rank 2"));
}

TEST(OpGraph, WeightsThatDoNotFitAreRefused) {
  const Operator user = with_weight(row("a", {}), 0);
  EXPECT_THAT(error_of(make({user})), AllOf(HasSubstr("'a'"), HasSubstr("no such weight")));
  EXPECT_THAT(error_of(make({user}, {{"w", {3}, DataType::kFp32}})),
              AllOf(HasSubstr("'a'"), HasSubstr("'w'"), HasSubstr("rank 1")));
  EXPECT_THAT(error_of(make({user}, {{"w", {3, 0}, DataType::kFp32}})), HasSubstr("size 0"));
  EXPECT_THAT(error_of(make({row("a", {})}, {{"w", {3}, DataType::kFp32}})),
              HasSubstr("used by no operator"));
}

}  // namespace
}  // namespace soapbox
