// Figure 4 of the FlexFlow paper (Jia, Zaharia, Aiken, SysML 2019): every ready, start and end time
// of both task graphs, before and after the change of an operator's configuration.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/engine/check_trace.h"
#include "sim/engine/engine.h"

namespace soapbox {
namespace {

using Json = nlohmann::json;

// Picoseconds per unit of the figure: any factor must do.
constexpr int64_t kUnit = 1000;

Json read_vector() {
  std::ifstream file(SOAPBOX_SOURCE_DIR "/sim/testdata/fig4_golden.json");
  EXPECT_TRUE(file.good());
  return Json::parse(file);
}

// The tasks of the vector in an order that follows its edges (a task's edges may go backwards in
// the file), with the order of the file among those that are free.
std::vector<size_t> topological_order(const Json& tasks, const Json& edges) {
  std::map<std::string, int> unmet;
  for (const Json& edge : edges) ++unmet[edge.at(1).get<std::string>()];
  std::vector<size_t> order;
  std::vector<bool> placed(tasks.size());
  while (order.size() < tasks.size()) {
    const size_t placed_before = order.size();
    for (size_t i = 0; i < tasks.size(); ++i) {
      const std::string id = tasks[i].at("id");
      if (placed[i] || unmet[id] > 0) continue;
      placed[i] = true;
      order.push_back(i);
      for (const Json& edge : edges) {
        if (edge.at(0) == id) --unmet[edge.at(1).get<std::string>()];
      }
    }
    EXPECT_GT(order.size(), placed_before) << "the vector has a cycle";
    if (order.size() == placed_before) break;
  }
  return order;
}

void reproduce(const Json& vector, const std::string& which) {
  SCOPED_TRACE(which);
  const Json& tasks = vector.at(which).at("tasks");
  const Json& edges = vector.at(which).at("edges");
  std::map<std::string, ResourceId> devices;
  for (const Json& device : vector.at("devices")) {
    devices.emplace(device.at("id"), ResourceId::from_index(devices.size()));
  }

  TaskGraph graph(devices.size());
  std::map<std::string, TaskId> ids;
  for (const size_t index : topological_order(tasks, edges)) {
    const Json& task = tasks[index];
    ids.emplace(task.at("id"),
                graph.add_task(devices.at(task.at("device")),
                               Duration(kUnit * task.at("exe_time").get<int64_t>())));
  }
  for (const Json& edge : edges) graph.add_edge(ids.at(edge.at(0)), ids.at(edge.at(1)));
  graph.finish();

  Timeline timeline;
  FifoEngine().run(graph, timeline);
  for (const Json& task : tasks) {
    SCOPED_TRACE(task.at("id").get<std::string>());
    const TaskId id = ids.at(task.at("id"));
    EXPECT_EQ(timeline.ready[id].picoseconds(), kUnit * task.at("expected_ready").get<int64_t>());
    EXPECT_EQ(timeline.start[id].picoseconds(), kUnit * task.at("expected_start").get<int64_t>());
    EXPECT_EQ(timeline.end[id].picoseconds(), kUnit * task.at("expected_end").get<int64_t>());
  }
  EXPECT_EQ(timeline.makespan.picoseconds(),
            kUnit * vector.at(which).at("expected_makespan").get<int64_t>());
  EXPECT_TRUE(check_trace(graph, timeline));
}

TEST(Fig4, EveryTimeIsReproducedBeforeAndAfterTheChange) {
  const Json vector = read_vector();
  ASSERT_EQ(vector.at("before").at("tasks").size(), 18u);
  ASSERT_EQ(vector.at("before").at("expected_makespan"), 14);
  ASSERT_EQ(vector.at("after").at("expected_makespan"), 15);
  reproduce(vector, "before");
  reproduce(vector, "after");
}

}  // namespace
}  // namespace soapbox
