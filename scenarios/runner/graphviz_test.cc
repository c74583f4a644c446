#include "scenarios/runner/graphviz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/runner/execution.h"
#include "scenarios/runner/test_problem.h"

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Graphviz, EveryOperatorIsABoxAndEveryTensorAnArrow) {
  const auto loaded = load_for_test(lenet_on_four());
  const Result<Plan> plan = make_recipe(loaded->problem(), "data_parallel", SyncMode::kOverlapped);
  const std::string dot = graphviz(loaded->model(), loaded->cluster(), *plan);
  EXPECT_EQ(count_of(dot, "fillcolor="), loaded->model().graph.ops().size());
  EXPECT_EQ(count_of(dot, " -> "), loaded->model().graph.edges().size());
  EXPECT_THAT(dot, HasSubstr("sample/4\\ndevices 0-3"));
}

TEST(Graphviz, DevicesAreShownAsRangesAndPlacesByColour) {
  const auto loaded = load_for_test(lenet_on_four());
  Result<Plan> plan = make_recipe(loaded->problem(), "data_parallel", SyncMode::kOverlapped);
  plan->ops[OpId(1)].degrees = {2, 1, 1, 1, 1, 1};
  plan->ops[OpId(1)].devices = {DeviceId(3), DeviceId(0)};
  const std::string dot = graphviz(loaded->model(), loaded->cluster(), *plan);
  EXPECT_THAT(dot, HasSubstr("sample/2\\ndevices 0,3\" fillcolor=2"));
}

}  // namespace
}  // namespace soapbox::runner
