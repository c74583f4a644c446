#include "sim/model/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace soapbox {
namespace {

using testing::HasSubstr;

Model build(std::string_view name, int64_t batch) {
  Result<Model> model = build_model(name, batch);
  EXPECT_TRUE(model) << (model ? "" : model.error().message);
  return *std::move(model);
}

const Operator& op_named(const Model& model, std::string_view name) {
  const auto& ops = model.graph.ops().raw();
  const auto found = std::ranges::find(ops, name, &Operator::name);
  EXPECT_NE(found, ops.end()) << "no operator '" << name << "'";
  return *found;
}

TEST(Models, UnknownNameIsRefusedWithTheNearest) {
  const auto model = build_model("alexnt", 64);
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("did you mean 'alexnet'?"));
}

TEST(Models, BatchMustBePositive) {
  const auto model = build_model("alexnet", 0);
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("global batch 0"));
}

TEST(AlexNet, ParametersOfEveryLayerFollowFromItsShape) {
  const Model model = build("alexnet", 256);
  struct Row {
    const char* name;
    int64_t parameters;
  };
  constexpr Row kRows[] = {
      {"conv1", 64 * (3 * 11 * 11 + 1)},  {"conv2", 192 * (64 * 5 * 5 + 1)},
      {"conv3", 384 * (192 * 3 * 3 + 1)}, {"conv4", 256 * (384 * 3 * 3 + 1)},
      {"conv5", 256 * (256 * 3 * 3 + 1)}, {"fc6", 4096 * (7 * 7 * 256 + 1)},
      {"fc7", 4096 * (4096 + 1)},         {"fc8", 1000 * (4096 + 1)},
  };
  int64_t total = 0;
  for (const Row& row : kRows) {
    const Operator& op = op_named(model, row.name);
    ASSERT_EQ(op.weights.size(), 1u);
    EXPECT_EQ(model.graph.weight(op.weights[0].weight).parameter_count(), row.parameters)
        << row.name;
    total += row.parameters;
  }
  EXPECT_EQ(model.graph.parameter_count(), total);
  EXPECT_EQ(total, 74'732'328);
  // OptCNN, figure 8: data parallelism on 16 GPUs moves 8.91 GiB = 2 * 16 * W * 4 bytes per step.
  const double gib = 2.0 * 16 * static_cast<double>(total) * 4 / (1 << 30);
  EXPECT_NEAR(gib, 8.91, 0.005);
}

TEST(AlexNet, ForwardFlopsFollowFromItsShapes) {
  const Model model = build("alexnet", 1);
  // 2 x output points x fan-in, image sides 55, 28, 14, 14, 14.
  EXPECT_EQ(op_named(model, "conv1").forward_flops().count(), 2.0 * 55 * 55 * 64 * 3 * 121);
  EXPECT_EQ(op_named(model, "conv2").forward_flops().count(), 2.0 * 28 * 28 * 192 * 64 * 25);
  EXPECT_EQ(op_named(model, "conv3").forward_flops().count(), 2.0 * 14 * 14 * 384 * 192 * 9);
  EXPECT_EQ(op_named(model, "conv4").forward_flops().count(), 2.0 * 14 * 14 * 256 * 384 * 9);
  EXPECT_EQ(op_named(model, "conv5").forward_flops().count(), 2.0 * 14 * 14 * 256 * 256 * 9);
  EXPECT_EQ(op_named(model, "fc6").forward_flops().count(), 2.0 * 12544 * 4096);
}

TEST(LeNet, ParametersFollowFromItsShapes) {
  // 6 (25 + 1) + 16 (6 x 25 + 1) + 120 (400 + 1) + 84 (120 + 1) + 10 (84 + 1)
  EXPECT_EQ(build("lenet", 64).graph.parameter_count(), 156 + 2416 + 48120 + 10164 + 850);
}

}  // namespace
}  // namespace soapbox
