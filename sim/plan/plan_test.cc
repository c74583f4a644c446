#include "sim/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/base/str.h"
#include "sim/base/test_mutation.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"

namespace soapbox {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class PlanTest : public testing::Test {
 protected:
  PlanTest() : model_(*build_model("lenet", 12)), cluster_(test_cluster(1, 4)) {
    Rng rng(1);
    plan_ = random_plan(model_.graph, 4, SyncMode::kBulk, rng);
    for (const OpId op : model_.graph.ops().ids()) {
      if (first_.valid() || model_.graph.op(op).weights.empty()) continue;
      first_ = op;
    }
  }
  std::string error_of(const std::string& text) const {
    const Result<Plan> plan = plan_from_json(text, "p.json", model_, cluster_);
    return plan ? "" : plan.error().to_string();
  }
  std::string replaced(const std::string& from, const std::string& to) const {
    std::string text = plan_to_json(model_, cluster_, plan_);
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  Model model_;
  Cluster cluster_;
  Plan plan_;
  OpId first_;  // the first operator with weights
};

TEST_F(PlanTest, PiecesTileTheIterationSpaceInRowMajorOrder) {
  for (const OpId id : model_.graph.ops().ids()) {
    const Operator& op = model_.graph.op(id);
    double points = 0;
    for (size_t task = 0; task < plan_.ops[id].task_count(); ++task) {
      const auto piece = piece_of(op, plan_.ops[id], task);
      double volume = 1;
      for (size_t d = 0; d < op.dims.size(); ++d) {
        volume *= static_cast<double>(piece[d].extent());
      }
      points += volume;
    }
    EXPECT_EQ(points, op.iteration_points()) << op.name;
  }
  Operator op;
  op.dims = {{"sample", 4, DimClass::kSample}, {"channel", 6, DimClass::kParameter}};
  op.output_rank = 2;
  OpConfig config;
  config.degrees = {2, 3, 1, 1, 1, 1};
  config.devices.resize(6);
  EXPECT_EQ(piece_of(op, config, 1)[0], (Range{0, 2}));
  EXPECT_EQ(piece_of(op, config, 1)[1], (Range{2, 4}));
  EXPECT_EQ(piece_of(op, config, 3)[0], (Range{2, 4}));
  EXPECT_EQ(piece_of(op, config, 3)[1], (Range{0, 2}));
}

TEST_F(PlanTest, AValidPlanPassesAndReadsBackEqual) {
  ASSERT_TRUE(check_plan(model_.graph, cluster_, plan_));
  const Result<Plan> read =
      plan_from_json(plan_to_json(model_, cluster_, plan_), "p.json", model_, cluster_);
  ASSERT_TRUE(read) << read.error().to_string();
  EXPECT_EQ(*read, plan_);
}

TEST_F(PlanTest, ADegreeThatDoesNotDivideIsRefusedWithTheAllowedOnes) {
  plan_.ops[first_].degrees = {5, 1, 1, 1, 1, 1};
  plan_.ops[first_].devices.assign(5, DeviceId(0));
  const Status status = check_plan(model_.graph, cluster_, plan_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message,
            str_cat("operator '", model_.graph.op(first_).name,
                    "': degree 5 of dimension 'sample' does not divide its size 12; allowed: "
                    "1, 2, 3, 4, 6, 12"));
}

TEST_F(PlanTest, ADeviceOutOfRangeAndAMissingDeviceAreRefused) {
  plan_.ops[first_].devices[0] = DeviceId(4);
  EXPECT_THAT(check_plan(model_.graph, cluster_, plan_).error().message,
              HasSubstr("device 4 is out of range; allowed: 0 to 3"));
  plan_.ops[first_].devices.pop_back();
  EXPECT_THAT(check_plan(model_.graph, cluster_, plan_).error().message,
              HasSubstr("devices are given"));
}

TEST_F(PlanTest, AWrongFileIsRefusedWithItsPosition) {
  EXPECT_EQ(error_of("{\n  \"format\": \n}"), "p.json:3:1: not valid JSON");
  EXPECT_THAT(error_of(replaced("\"model\": \"lenet\"", "\"model\": \"nmt\"")),
              StartsWith("p.json:5:3: the plan is for model \"nmt\", not for 'lenet'"));
  EXPECT_THAT(error_of(replaced("\"sync\"", "\"synch\"")),
              HasSubstr("unknown key 'synch'; did you mean 'sync'?"));
  EXPECT_THAT(error_of(replaced("\"version\": 1", "\"version\": 2")),
              StartsWith("p.json:3:3: version is 2, this program reads version 1"));
  EXPECT_THAT(error_of(replaced("\"bulk\"", "\"bukl\"")), HasSubstr("did you mean 'bulk'?"));
  const std::string name = model_.graph.op(first_).name;
  EXPECT_THAT(error_of(replaced(str_cat("\"", name, "\""), str_cat("\"", name, "x\""))),
              HasSubstr(str_cat("did you mean '", name, "'?")));
  EXPECT_THAT(error_of(replaced("\"devices\":[", "\"devices\":[99,")),
              HasSubstr("device 99 is out of range; allowed: 0 to 3"));
}

TEST_F(PlanTest, NoMutationOfABytesCrashesTheReader) {
  const std::string text = plan_to_json(model_, cluster_, plan_);
  Rng rng(3);
  for (int i = 0; i < 3000; ++i) {
    const Result<Plan> plan = plan_from_json(mutated(text, rng), "p.json", model_, cluster_);
    if (plan) {
      EXPECT_TRUE(check_plan(model_.graph, cluster_, *plan));
    } else {
      EXPECT_THAT(plan.error().to_string(), StartsWith("p.json:"));
    }
  }
}

}  // namespace
}  // namespace soapbox
