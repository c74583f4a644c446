#include "sim/engine/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/engine/random_graph.h"

namespace soapbox {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

TaskGraph two_tasks() {
  TaskGraph graph(2);
  const TaskId a = graph.add_task(ResourceId(0), Duration(1'500'000));
  const TaskId b = graph.add_task(ResourceId(1), Duration(7));
  graph.add_edge(a, b);
  graph.finish();
  return graph;
}

TEST(TraceHash, IsStableOverReleases) {
  // Not derived: written down once, so that stored hashes stay comparable. A change here makes
  // every stored hash useless.
  const TaskGraph graph = two_tasks();
  Timeline timeline;
  FifoEngine().run(graph, timeline);
  EXPECT_EQ(trace_hash(graph, timeline), 0xfbf0e89a5e786149);
}

TEST(TraceHash, DependsOnEveryStartEndAndResource) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed, 3);
    const TaskGraph graph = random_graph(rng, random_shape(rng));
    Timeline timeline;
    FifoEngine().run(graph, timeline);
    const uint64_t hash = trace_hash(graph, timeline);
    EXPECT_EQ(trace_hash(graph, timeline), hash);
    const TaskId task(rng.below(static_cast<uint32_t>(graph.task_count())));
    Timeline changed = timeline;
    changed.start[task] = changed.start[task] + Duration(1);
    EXPECT_NE(trace_hash(graph, changed), hash);
    changed = timeline;
    changed.end[task] = changed.end[task] + Duration(1);
    EXPECT_NE(trace_hash(graph, changed), hash);
  }
  TaskGraph first(2);
  first.add_task(ResourceId(0), Duration(1));
  first.finish();
  TaskGraph second(2);
  second.add_task(ResourceId(1), Duration(1));
  second.finish();
  Timeline timeline;
  FifoEngine().run(first, timeline);
  EXPECT_NE(trace_hash(first, timeline), trace_hash(second, timeline));
}

TEST(ChromeTrace, HasARowPerResourceAndAnEventPerTaskWithExactTimes) {
  const TaskGraph graph = two_tasks();
  Timeline timeline;
  FifoEngine().run(graph, timeline);
  TraceNames names;
  names.task = [](TaskId task) {
    return task == TaskId(0) ? std::string("a \"quoted\" \\ name\n\x01") : std::string("é");
  };
  names.category = [](TaskId) { return std::string("compute"); };
  names.resource = [](ResourceId resource) { return "gpu " + std::to_string(resource.value()); };
  std::ostringstream out;
  write_chrome_trace(out, graph, timeline, names);

  const Json events = Json::parse(out.str()).at("traceEvents");
  ASSERT_EQ(events.size(), 2 * 2 + 2u);
  EXPECT_EQ(events[0].at("args").at("name"), "gpu 0");
  EXPECT_EQ(events[2].at("args").at("name"), "gpu 1");
  EXPECT_EQ(events[4].at("ph"), "X");
  EXPECT_EQ(events[4].at("name"), "a \"quoted\" \\ name\n\x01");
  EXPECT_EQ(events[4].at("cat"), "compute");
  EXPECT_EQ(events[4].at("tid"), 0);
  EXPECT_EQ(events[4].at("dur"), 1.5);
  EXPECT_EQ(events[5].at("name"), "é");
  EXPECT_EQ(events[5].at("ts"), 1.5);
  EXPECT_THAT(out.str(), HasSubstr("\"ts\":1.500000,\"dur\":0.000007,"));
}

TEST(ChromeTrace, IsValidWithoutTasksOrNames) {
  TaskGraph graph(0);
  graph.finish();
  std::ostringstream out;
  write_chrome_trace(out, graph, Timeline(), TraceNames());
  EXPECT_TRUE(Json::parse(out.str()).at("traceEvents").empty());
}

TEST(Dot, ListsTasksAndEdgesWithEscapedNames) {
  const TaskGraph graph = two_tasks();
  Timeline timeline;
  FifoEngine().run(graph, timeline);
  TraceNames names;
  names.task = [](TaskId task) { return task == TaskId(0) ? "a \"b\"\\" : "c"; };
  std::ostringstream out;
  write_dot(out, graph, timeline, names);
  EXPECT_EQ(out.str(),
            "digraph tasks {\n"
            "  rankdir=LR;\n"
            "  node [shape=box];\n"
            R"(  t0 [label="a \"b\"\\\nresource 0\n0.000000 .. 1.500000 us"];)"
            "\n"
            R"(  t1 [label="c\nresource 1\n1.500000 .. 1.500007 us"];)"
            "\n"
            "  t0 -> t1;\n"
            "}\n");
}

}  // namespace
}  // namespace soapbox
