#include "sim/cost/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>

#include "sim/cluster/test_hardware.h"
#include "sim/cost/measured_table.h"
#include "sim/model/models.h"

namespace soapbox {
namespace {

constexpr HardwareId kDevice = HardwareId(0);

// A profile with an anchor for every model, one second for each.
std::map<std::string, Profile> profiles() {
  Profile profile;
  profile.hardware = "P100-SXM2-16GB";
  profile.source = "datasheet shape, for tests";
  profile.shape = datasheet_shape();
  profile.unanchored_scale = 0.75;
  for (const ModelRow& row : model_table()) {
    if (row.name == "lenet") continue;
    profile.anchors.push_back(
        {std::string(row.name), {}, row.batch_per_device, milliseconds(1000), "one second"});
  }
  return {{profile.hardware, profile}};
}

Extents whole(const Operator& op) {
  Extents extents = {1, 1, 1, 1, 1, 1};
  for (size_t dim = 0; dim < op.dims.size(); ++dim) extents[dim] = op.dims[dim].size;
  return extents;
}

const Operator& op_named(const Model& model, std::string_view name) {
  for (const Operator& op : model.graph.ops()) {
    if (op.name == name) return op;
  }
  SOAPBOX_CHECK(false, "no such operator");
}

Duration iteration_time(const Model& model, const Costs& costs) {
  Duration sum;
  for (const Operator& op : model.graph.ops()) {
    const OpCost cost = costs.op_cost(op, whole(op), kDevice);
    sum += cost.forward + cost.backward();
  }
  for (const Weight& weight : model.graph.weights())
    sum += costs.update(weight.gradient_size(), kDevice);
  return sum;
}

// One second for 64 samples, and less for each 64 more, as weights are updated once: 864,000 times
// as many take at most ten days.
TEST(Costs, RefuseIterationsThatCouldExceedSimulatedTime) {
  const Cluster cluster = one_device(test_p100());
  const auto costs_of = [&](int64_t batch) {
    return Costs::make(build_model("resnet101", batch).value(), cluster, profiles());
  };
  EXPECT_TRUE(costs_of(int64_t{64} * 864'000));
  const Result<Costs> longer = costs_of(int64_t{64} * 1'000'000);
  ASSERT_FALSE(longer);
  EXPECT_THAT(longer.error().message, testing::HasSubstr("11 days; allowed: 10"));
}

TEST(Anchors, OneDeviceTakesTheIterationTime) {
  const auto known = profiles();
  for (const Anchor& anchor : known.at("P100-SXM2-16GB").anchors) {
    const auto model = build_model(anchor.model, anchor.batch);
    ASSERT_TRUE(model) << model.error().to_string();
    const auto costs = Costs::make(*model, one_device(test_p100()), known);
    ASSERT_TRUE(costs) << costs.error().to_string();
    // Every phase rounds to a picosecond once.
    const double terms = 3.0 * static_cast<double>(model->graph.ops().size()) +
                         static_cast<double>(model->graph.weights().size());
    const Duration error = iteration_time(*model, *costs) - anchor.iteration_time;
    EXPECT_LE(std::fabs(static_cast<double>(error.picoseconds())), terms) << anchor.model;
    EXPECT_EQ(costs->provenance(), Provenance::kCalibratedRoofline);
    EXPECT_THAT(costs->provenance_text(), testing::HasSubstr("one second"));
  }
}

TEST(Anchors, ModelsWithoutOneAreScaledAsTheProfileSays) {
  const auto model = build_model("lenet", 64);
  const auto costs = Costs::make(*model, one_device(test_p100()), profiles());
  ASSERT_TRUE(costs) << costs.error().to_string();
  EXPECT_DOUBLE_EQ(costs->anchor_factor(kDevice), 0.75);
  EXPECT_THAT(costs->provenance_text(), testing::HasSubstr("lenet has no anchor"));
}

TEST(Anchors, HoldForAnyGlobalBatchOfTheModel) {
  // 16 devices' batch: the factor must be the one of a single device's batch.
  const auto known = profiles();
  const auto small = build_model("alexnet", 256);
  const auto large = build_model("alexnet", 256 * 16);
  const Cluster cluster = one_device(test_p100());
  EXPECT_DOUBLE_EQ(Costs::make(*small, cluster, known)->anchor_factor(kDevice),
                   Costs::make(*large, cluster, known)->anchor_factor(kDevice));
}

TEST(Anchors, BelowTheLaunchesAreRefused) {
  auto known = profiles();
  known.at("P100-SXM2-16GB").anchors[0].iteration_time = microseconds(10);
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), known);
  ASSERT_FALSE(costs);
  EXPECT_THAT(costs.error().message, testing::HasSubstr("launches and measured pieces alone"));
}

TEST(Costs, FallBackToTheDatasheetWithoutAProfile) {
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), {});
  ASSERT_TRUE(costs) << costs.error().to_string();
  EXPECT_EQ(costs->provenance(), Provenance::kDatasheet);
  EXPECT_DOUBLE_EQ(costs->anchor_factor(kDevice), 1.0);
  const Operator& conv2 = op_named(*model, "conv2");
  const OpCost cost = costs->op_cost(conv2, whole(conv2), kDevice);
  // Never faster than the peak: 2 FLOPs x 200704 x 192 x 1600.
  EXPECT_GT(cost.forward.seconds(), 2.0 * 200704 * 192 * 1600 / 10.6e12);
  EXPECT_EQ(cost.provenance, Provenance::kDatasheet);
}

TEST(Costs, ProductsOfAnotherTypeRestOnItsDatasheetPeak) {
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), profiles());
  Operator fc7 = op_named(*model, "fc7");
  const OpCost single = costs->op_cost(fc7, whole(fc7), kDevice);
  fc7.type = DataType::kFp16;
  const OpCost half = costs->op_cost(fc7, whole(fc7), kDevice);
  EXPECT_LT(half.forward, single.forward);
  EXPECT_EQ(single.provenance, Provenance::kCalibratedRoofline);
  EXPECT_EQ(half.provenance, Provenance::kDatasheet);
  Operator pool1 = op_named(*model, "pool1");
  pool1.type = DataType::kFp16;
  EXPECT_EQ(costs->op_cost(pool1, whole(pool1), kDevice).provenance,
            Provenance::kCalibratedRoofline);
}

TEST(Costs, SourcesOfSamplesTakeNoTime) {
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), profiles());
  const Operator& images = op_named(*model, "images");
  const OpCost cost = costs->op_cost(images, whole(images), kDevice);
  EXPECT_EQ(cost.forward + cost.backward(), Duration());
}

TEST(Costs, MeasuredPiecesAreTakenAsTheyAreAndTheRestStillMeetsTheAnchor) {
  auto known = profiles();
  Profile& profile = known.at("P100-SXM2-16GB");
  const auto table = MeasuredTable::parse(
      "hardware,kind,type,phase,extents,window,time_us\n"
      "P100-SXM2-16GB,linear,fp32,forward,256x4096x4096,-,1000\n"
      "P100-SXM2-16GB,linear,fp32,forward,128x4096x4096,-,600\n"
      "P100-SXM2-16GB,linear,fp32,backward,256x4096x4096,-,2100\n",
      "t.csv", "P100-SXM2-16GB");
  ASSERT_TRUE(table) << table.error().to_string();
  profile.table = std::make_shared<const MeasuredTable>(*table);
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), known);
  ASSERT_TRUE(costs) << costs.error().to_string();
  const Operator& fc7 = op_named(*model, "fc7");
  const OpCost cost = costs->op_cost(fc7, whole(fc7), kDevice);
  EXPECT_EQ(cost.forward, microseconds(1000));
  EXPECT_EQ(cost.backward(), microseconds(2100));
  EXPECT_EQ(cost.provenance, Provenance::kMeasured);
  Extents piece = whole(fc7);
  piece[0] = 192;
  EXPECT_EQ(costs->op_cost(fc7, piece, kDevice).forward, microseconds(800));
  EXPECT_EQ(costs->op_cost(fc7, piece, kDevice).provenance, Provenance::kCalibratedRoofline);
  EXPECT_NEAR(iteration_time(*model, *costs).seconds(), profile.anchors[0].iteration_time.seconds(),
              1e-10);
}

TEST(Costs, CuttingAnOperatorNeverMakesTheSumOfItsPiecesCheaper) {
  const auto known = profiles();
  for (const ModelRow& row : model_table()) {
    const auto model = build_model(row.name, row.batch_per_device);
    ASSERT_TRUE(model) << model.error().to_string();
    const auto costs = Costs::make(*model, one_device(test_p100()), known);
    ASSERT_TRUE(costs) << costs.error().to_string();
    for (const Operator& op : model->graph.ops()) {
      const OpCost together = costs->op_cost(op, whole(op), kDevice);
      for (size_t dim = 0; dim < op.output_rank; ++dim) {
        for (const int64_t degree : {2, 4, 8}) {
          if (!op.dims[dim].divisible || op.dims[dim].size % degree != 0) continue;
          Extents extents = whole(op);
          extents[dim] /= degree;
          const OpCost piece = costs->op_cost(op, extents, kDevice);
          EXPECT_GE((piece.forward + piece.backward_weight) * degree + picoseconds(degree),
                    together.forward + together.backward_weight)
              << row.name << " " << op.name << " " << op.dims[dim].name << " / " << degree;
        }
      }
    }
  }
}

TEST(Costs, UpdatesAndSumsFollowTheirBytes) {
  const auto model = build_model("alexnet", 256);
  const auto costs = Costs::make(*model, one_device(test_p100()), profiles());
  const Duration launch = microseconds(5);
  const double update = (costs->update(mebibytes(30), kDevice) - launch).seconds();
  const double sum = (costs->sum(mebibytes(30), 2, kDevice) - launch).seconds();
  EXPECT_NEAR(update, sum, 1e-12);  // three passes each
  EXPECT_NEAR((costs->update(mebibytes(60), kDevice) - launch).seconds(), 2 * update, 1e-11);
}

}  // namespace
}  // namespace soapbox
