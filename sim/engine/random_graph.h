// Random task graphs for tests: small durations and few distinct ones make ties and zero-time
// tasks.
#pragma once

#include <algorithm>

#include "sim/base/rng.h"
#include "sim/engine/task_graph.h"

namespace soapbox {

struct RandomGraphShape {
  uint32_t tasks = 0;
  uint32_t resources = 1;
  uint32_t longest_ps = 0;  // durations are 0 .. longest_ps
  uint32_t most_edges = 0;  // predecessors of a task are 0 .. most_edges, repetitions included
};

inline TaskGraph random_graph(Rng& rng, const RandomGraphShape& shape) {
  TaskGraph graph(shape.resources);
  for (uint32_t i = 0; i < shape.tasks; ++i) {
    const ResourceId resource(rng.below(shape.resources));
    const TaskId task = graph.add_task(resource, Duration(rng.below(shape.longest_ps + 1)));
    const uint32_t edges = i == 0 ? 0 : rng.below(shape.most_edges + 1);
    for (uint32_t e = 0; e < edges; ++e) graph.add_edge(TaskId(rng.below(i)), task);
  }
  graph.finish();
  return graph;
}

// A shape drawn at random: from one resource to many, from all ties to few.
inline RandomGraphShape random_shape(Rng& rng) {
  RandomGraphShape shape;
  shape.tasks = 1 + rng.below(120);
  shape.resources = 1 + rng.below(12);
  shape.longest_ps = rng.below(2) == 0 ? rng.below(4) : rng.below(1000);
  shape.most_edges = rng.below(5);
  return shape;
}

}  // namespace soapbox
