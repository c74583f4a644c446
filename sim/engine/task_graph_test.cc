#include "sim/engine/task_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace soapbox {
namespace {

std::vector<uint32_t> successors(const TaskGraph& graph, uint32_t task) {
  std::vector<uint32_t> ids;
  for (TaskId successor : graph.successors(TaskId(task))) ids.push_back(successor.value());
  return ids;
}

TaskGraph four_tasks() {
  TaskGraph graph(2);
  for (uint32_t i = 0; i < 4; ++i) graph.add_task(ResourceId(i % 2), Duration(10 * i));
  graph.add_edge(TaskId(1), TaskId(3));
  graph.add_edge(TaskId(0), TaskId(2));
  graph.add_edge(TaskId(0), TaskId(1));
  graph.add_edge(TaskId(1), TaskId(3));
  return graph;
}

TEST(TaskGraph, RowsKeepTheOrderOfAddedEdgesAndRepetitions) {
  TaskGraph graph = four_tasks();
  graph.finish();
  EXPECT_EQ(graph.task_count(), 4u);
  EXPECT_EQ(graph.edge_count(), 4u);
  EXPECT_EQ(successors(graph, 0), (std::vector<uint32_t>{2, 1}));
  EXPECT_EQ(successors(graph, 1), (std::vector<uint32_t>{3, 3}));
  EXPECT_TRUE(successors(graph, 2).empty());
  EXPECT_TRUE(successors(graph, 3).empty());
  EXPECT_EQ(graph.predecessor_count(TaskId(3)), 2u);
  EXPECT_EQ(graph.predecessor_count(TaskId(0)), 0u);
  EXPECT_EQ(graph.duration(TaskId(3)), Duration(30));
  EXPECT_EQ(graph.resource(TaskId(3)), ResourceId(1));
}

TEST(TaskGraph, ClearGivesAnEmptyGraphThatCanBeBuiltAgain) {
  TaskGraph graph = four_tasks();
  graph.finish();
  graph.clear(1);
  EXPECT_FALSE(graph.finished());
  EXPECT_EQ(graph.task_count(), 0u);
  EXPECT_EQ(graph.resource_count(), 1u);
  graph.add_task(ResourceId(0), Duration(5));
  graph.finish();
  EXPECT_EQ(graph.task_count(), 1u);
  EXPECT_EQ(graph.edge_count(), 0u);
}

TEST(TaskGraph, FlowsAreTasksWithARouteAndFifoDurations) {
  TaskGraph graph(3);
  const std::vector<ResourceId> links{ResourceId(2), ResourceId(0)};
  graph.routes().add({});
  const RouteId route = graph.routes().add(links, ResourceId(1));
  const TaskId plain = graph.add_task(ResourceId(1), Duration(5));
  const TaskId sends =
      graph.add_flow(Flow{route, Bytes(100), Duration(7)}, ResourceId(2), Duration(9));
  const TaskId after = graph.add_task(ResourceId(1), Duration(5));
  graph.finish();

  EXPECT_EQ(graph.flow(plain), nullptr);
  EXPECT_EQ(graph.flow(after), nullptr);
  ASSERT_NE(graph.flow(sends), nullptr);
  EXPECT_EQ(graph.flow(sends)->bytes, Bytes(100));
  EXPECT_EQ(graph.flow(sends)->latency, Duration(7));
  EXPECT_EQ(graph.resource(sends), ResourceId(2));
  EXPECT_EQ(graph.duration(sends), Duration(9));
  EXPECT_TRUE(std::ranges::equal(graph.routes().links(route), links));
  EXPECT_TRUE(graph.routes().links(RouteId(0)).empty());
  EXPECT_EQ(graph.routes().from(route), ResourceId(1));
  EXPECT_FALSE(graph.routes().to(route).valid());
}

TEST(TaskGraphDeathTest, RefusesFlowsWithoutRouteOrWithNegativeSize) {
  TaskGraph graph(1);
  const RouteId route = graph.routes().add({});
  const auto add = [&](Flow flow) { graph.add_flow(flow, ResourceId(0), Duration()); };
  EXPECT_DEATH(add(Flow{RouteId(1), Bytes(1), Duration()}), "no such route");
  EXPECT_DEATH(add(Flow{route, Bytes(-1), Duration()}), "negative flow");
  EXPECT_DEATH(add(Flow{route, Bytes(1), Duration(-1)}), "negative flow");
}

TEST(TaskGraphDeathTest, RefusesWhatWouldBreakTheOrderOfIds) {
  TaskGraph graph = four_tasks();
  EXPECT_DEATH(graph.add_edge(TaskId(2), TaskId(2)), "from smaller to larger ids");
  EXPECT_DEATH(graph.add_edge(TaskId(2), TaskId(1)), "from smaller to larger ids");
  EXPECT_DEATH(graph.add_edge(TaskId(0), TaskId(4)), "from smaller to larger ids");
  EXPECT_DEATH(graph.add_task(ResourceId(2), Duration(1)), "no such resource");
  EXPECT_DEATH(graph.add_task(ResourceId(), Duration(1)), "no such resource");
  EXPECT_DEATH(graph.add_task(ResourceId(0), Duration(-1)), "negative duration");
  graph.finish();
  EXPECT_DEATH(graph.add_task(ResourceId(0), Duration(1)), "finished");
  EXPECT_DEATH(graph.finish(), "finished");
}

}  // namespace
}  // namespace soapbox
