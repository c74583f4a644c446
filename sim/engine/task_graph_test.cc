#include "sim/engine/task_graph.h"

#include <gtest/gtest.h>

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
