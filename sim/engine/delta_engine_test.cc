// Delta simulation against a naive simulation of the same graph, kept here: after every random
// change all ready, start and end times and the makespan must be equal, and after a rollback all
// must be as before. SOAPBOX_FUZZ_MUTATIONS=N runs N mutations in all (the default keeps the test
// short).
#include "sim/engine/delta_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "sim/base/rng.h"
#include "sim/base/str.h"

namespace soapbox {
namespace {

struct ModelTask {
  uint32_t resource = 0;
  int64_t duration = 0;
  std::set<uint64_t> predecessors;  // by key
  TaskId id;
};
using ModelGraph = std::map<uint64_t, ModelTask>;  // by key

struct Times {
  int64_t ready = 0;
  int64_t end = 0;
};

// The rule itself: repeatedly run the task with the smallest (ready, key) among those whose
// predecessors are done. O(T^2).
std::map<uint64_t, Times> naive_run(const ModelGraph& graph, size_t resources) {
  std::map<uint64_t, Times> done;
  std::vector<int64_t> free_at(resources, 0);
  while (done.size() < graph.size()) {
    bool found = false;
    std::pair<int64_t, uint64_t> best;
    for (const auto& [key, task] : graph) {
      if (done.contains(key)) continue;
      int64_t ready = 0;
      bool met = true;
      for (const uint64_t before : task.predecessors) {
        const auto at = done.find(before);
        met = met && at != done.end();
        if (met) ready = std::max(ready, at->second.end);
      }
      if (met && (!found || std::pair(ready, key) < best)) {
        best = {ready, key};
        found = true;
      }
    }
    const ModelTask& task = graph.at(best.second);
    const int64_t end = std::max(best.first, free_at[task.resource]) + task.duration;
    free_at[task.resource] = end;
    done[best.second] = {best.first, end};
  }
  return done;
}

class Fuzz {
 public:
  Fuzz(uint64_t seed, size_t resources, uint32_t keys, int64_t longest)
      : rng_(seed), resources_(resources), keys_(keys), longest_(longest), engine_(resources) {}

  // One change: some tasks leave, some come; then it is kept or undone.
  void mutate() {
    ModelGraph next = graph_;
    std::vector<uint64_t> gone;
    for (const auto& [key, task] : graph_) {
      if (rng_.below(static_cast<uint32_t>(graph_.size()) + 1) < 2) gone.push_back(key);
    }
    for (const uint64_t key : gone) {
      engine_.remove_task(next[key].id);
      next.erase(key);
    }
    for (auto& [key, task] : next) {
      for (const uint64_t old : gone) task.predecessors.erase(old);
    }
    const uint32_t additions = rng_.below(4);
    for (uint32_t i = 0; i < additions; ++i) add_random(next);
    std::optional<SimTime> limit;
    if (rng_.below(4) == 0) limit = SimTime(rng_.below(static_cast<uint32_t>(longest_) * 8 + 1));
    const auto makespan = engine_.repair(limit);
    const auto expected = naive_run(next, resources_);
    int64_t longest = 0;
    for (const auto& [key, times] : expected) longest = std::max(longest, times.end);
    ASSERT_EQ(makespan.has_value(), !limit || longest <= limit->picoseconds());
    if (makespan) {
      ASSERT_EQ(makespan->picoseconds(), longest);
      ASSERT_NO_FATAL_FAILURE(compare(next, expected));
    }
    if (makespan && rng_.below(2) == 0) {
      engine_.commit();
      graph_ = std::move(next);
    } else {
      engine_.rollback();
    }
    ASSERT_NO_FATAL_FAILURE(compare(graph_, naive_run(graph_, resources_)));
  }

 private:
  void compare(const ModelGraph& graph, const std::map<uint64_t, Times>& expected) {
    for (const auto& [key, task] : graph) {
      ASSERT_EQ(engine_.ready(task.id).picoseconds(), expected.at(key).ready) << "key " << key;
      ASSERT_EQ(engine_.end(task.id).picoseconds(), expected.at(key).end) << "key " << key;
      ASSERT_EQ(engine_.start(task.id).picoseconds(), expected.at(key).end - task.duration);
    }
  }

  void add_random(ModelGraph& graph) {
    const uint64_t key = rng_.below(keys_);
    if (graph.contains(key)) return;
    ModelTask task;
    task.resource = rng_.below(static_cast<uint32_t>(resources_));
    task.duration = rng_.below(3) == 0 ? 0 : rng_.below(static_cast<uint32_t>(longest_) + 1);
    task.id = engine_.add_task(key, ResourceId(task.resource), Duration(task.duration));
    for (auto& [other, other_task] : graph) {
      if (rng_.below(static_cast<uint32_t>(graph.size())) >= 3) continue;
      if (other < key) {
        task.predecessors.insert(other);
        engine_.add_edge(other_task.id, task.id);
      } else {
        other_task.predecessors.insert(key);
        engine_.add_edge(task.id, other_task.id);
      }
    }
    graph[key] = task;
  }

  Rng rng_;
  size_t resources_;
  uint32_t keys_;
  int64_t longest_;
  ModelGraph graph_;
  DeltaEngine engine_;
};

TEST(DeltaEngine, EqualsANaiveRunAfterEveryRandomChange) {
  const char* const setting = std::getenv("SOAPBOX_FUZZ_MUTATIONS");
  const uint64_t mutations = setting != nullptr ? std::stoull(setting) : 20000;
  constexpr uint64_t kPerGraph = 50;
  for (uint64_t seed = 0; seed * kPerGraph < mutations; ++seed) {
    SCOPED_TRACE(str_cat("seed ", seed));
    Rng shape(seed, 1);
    // Few resources and short durations make ties; many keys make long chains.
    Fuzz fuzz(seed, 1 + shape.below(6), 8 + shape.below(40), 1 + shape.below(6));
    for (uint64_t i = 0; i < kPerGraph; ++i) {
      ASSERT_NO_FATAL_FAILURE(fuzz.mutate()) << "mutation " << i;
    }
  }
}

TEST(DeltaEngine, VisitsOnlyWhatChanges) {
  // Two chains of 100 tasks on two resources; the tail of one is replaced.
  DeltaEngine engine(2);
  TaskId last;
  TaskId last_but_one;
  for (uint32_t chain = 0; chain < 2; ++chain) {
    TaskId before;
    for (uint32_t i = 0; i < 100; ++i) {
      const TaskId task = engine.add_task(2 * i + chain, ResourceId(chain), Duration(10));
      if (i > 0) engine.add_edge(before, task);
      if (i == 99 && chain == 0) {
        last_but_one = before;
        last = task;
      }
      before = task;
    }
  }
  EXPECT_EQ(engine.repair(), SimTime(1000));
  engine.commit();
  const uint64_t before = engine.visits();
  engine.remove_task(last);
  engine.add_edge(last_but_one, engine.add_task(500, ResourceId(0), Duration(15)));
  EXPECT_EQ(engine.repair(), SimTime(1005));
  EXPECT_LE(engine.visits() - before, 4u);
  engine.rollback();
  EXPECT_EQ(engine.makespan(), SimTime(1000));
}

TEST(DeltaEngine, ALimitEndsTheSweepEarly) {
  DeltaEngine engine(1);
  TaskId first = engine.add_task(0, ResourceId(0), Duration(1));
  TaskId before = first;
  for (uint32_t i = 1; i < 1000; ++i) {
    const TaskId task = engine.add_task(i, ResourceId(0), Duration(1));
    engine.add_edge(before, task);
    before = task;
  }
  ASSERT_EQ(engine.repair(), SimTime(1000));
  engine.commit();
  const uint64_t visits = engine.visits();
  engine.remove_task(first);
  engine.add_task(1000, ResourceId(0), Duration(5000));
  EXPECT_FALSE(engine.repair(SimTime(1500)).has_value());
  engine.rollback();
  EXPECT_LT(engine.visits() - visits, 1100u);
  EXPECT_EQ(engine.makespan(), SimTime(1000));
}

}  // namespace
}  // namespace soapbox
