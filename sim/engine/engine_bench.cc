// Task events per second of the FIFO engine; one event is one task started.
//
// By bytes: an event is 8 bytes that the queue moves about three times; it touches its record of 16
// bytes, its end, its row of successors, and of each their ready time and count: five lines of the
// cache. Up to some 2e4 tasks all of it stays in a 1 MiB L2 cache: 20 to 25 ns an event. With 1e5
// pending each line misses that cache, so they are fetched ahead while the events before run, and
// the rate is that of the shared L3 cache. Target there: 10 M/s; 13 M/s were measured, and 7 to 11
// while other programs used it.
// `bytes_per_task` is what engine and timeline hold; it does not grow with the number of tasks or
// runs.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include "sim/base/rng.h"
#include "sim/engine/engine.h"
#include "sim/engine/trace.h"

namespace soapbox {
namespace {

constexpr uint32_t kLongestPs = 1'000'000;

// `width` chains of tasks, interleaved by id; every task also waits for `extra_edges` random tasks
// of the layer before. Resources are taken at random.
TaskGraph layered_graph(uint32_t tasks, uint32_t width, uint32_t resources, uint32_t extra_edges) {
  TaskGraph graph(resources);
  graph.reserve(tasks, size_t{tasks} * (extra_edges + 1));
  Rng rng(1);
  for (uint32_t i = 0; i < tasks; ++i) {
    const ResourceId resource(rng.below(resources));
    const TaskId task = graph.add_task(resource, Duration(1 + rng.below(kLongestPs)));
    if (i < width) continue;
    graph.add_edge(TaskId(i - width), task);
    const uint32_t layer_begin = i - i % width - width;
    for (uint32_t e = 0; e < extra_edges; ++e) {
      graph.add_edge(TaskId(layer_begin + rng.below(width)), task);
    }
  }
  graph.finish();
  return graph;
}

void run_engine(benchmark::State& state, const TaskGraph& graph) {
  const auto heap_bytes = [] {
    const auto info = mallinfo2();
    return static_cast<double>(info.uordblks + info.hblkhd);
  };
  const double before = heap_bytes();
  FifoEngine engine;
  Timeline timeline;
  for (auto _ : state) {
    engine.run(graph, timeline);
    benchmark::DoNotOptimize(timeline.makespan);
  }
  state.counters["bytes_per_task"] =
      (heap_bytes() - before) / static_cast<double>(graph.task_count());
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(graph.task_count()));
}

// A training step's shape: 64 resources, layers of 64 tasks, three predecessors each.
void BM_FifoEngine(benchmark::State& state) {
  run_engine(state, layered_graph(static_cast<uint32_t>(state.range(0)), 64, 64, 2));
}
BENCHMARK(BM_FifoEngine)->Arg(1'000)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// Chains only, so that as many events as there are chains are pending until the last layer; on as
// many resources as a large cluster has devices.
void BM_FifoEnginePending(benchmark::State& state) {
  const auto width = static_cast<uint32_t>(state.range(0));
  run_engine(state, layered_graph(10 * width, width, 1'024, 0));
}
BENCHMARK(BM_FifoEnginePending)->Arg(1'000)->Arg(100'000)->Unit(benchmark::kMillisecond);

void BM_TraceHash(benchmark::State& state) {
  const TaskGraph graph = layered_graph(100'000, 64, 64, 2);
  FifoEngine engine;
  Timeline timeline;
  engine.run(graph, timeline);
  for (auto _ : state) benchmark::DoNotOptimize(trace_hash(graph, timeline));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(graph.task_count()));
}
BENCHMARK(BM_TraceHash)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace soapbox
