#include "calib/runs/graph_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>

#include "calib/backend/precise_wait.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

struct ReadyTask {
  int64_t ready_ns;
  TaskId task;
  friend auto operator<=>(const ReadyTask&, const ReadyTask&) = default;
};

// The tasks that wait for one resource.
class ReadyQueue {
 public:
  void push(ReadyTask ready) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push(ready);
    }
    pushes_.fetch_add(1, std::memory_order_release);
    changed_.notify_one();
  }
  // Waits until there is one, at first by looking; nothing after close().
  std::optional<ReadyTask> pop(int64_t spin_ns) {
    std::unique_lock lock(mutex_);
    if (spin_ns > 0 && tasks_.empty() && !closed_) {
      const uint32_t before = pushes_.load(std::memory_order_relaxed);
      lock.unlock();
      const int64_t until = steady_now_ns() + spin_ns;
      while (pushes_.load(std::memory_order_acquire) == before && steady_now_ns() < until) {
      }
      lock.lock();
    }
    changed_.wait(lock, [this] { return closed_ || !tasks_.empty(); });
    if (closed_) return std::nullopt;
    const ReadyTask first = tasks_.top();
    tasks_.pop();
    return first;
  }
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    pushes_.fetch_add(1, std::memory_order_release);
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<ReadyTask, std::vector<ReadyTask>, std::greater<>> tasks_;
  bool closed_ = false;
  std::atomic<uint32_t> pushes_ = 0;
};

void raise(std::atomic<int64_t>& value, int64_t to) {
  int64_t now = value.load(std::memory_order_relaxed);
  while (now < to && !value.compare_exchange_weak(now, to, std::memory_order_relaxed)) {
  }
}

class Running {
 public:
  Running(const TaskGraph& graph, const GraphRunSpec& spec)
      : graph_(graph),
        spec_(spec),
        queues_(graph.resource_count()),
        unmet_(graph.task_count()),
        latest_end_ns_(graph.task_count()),
        unfinished_(graph.task_count()) {
    for (const TaskId task : id_range<TaskId>(graph.task_count())) {
      unmet_[task.index()].store(graph.predecessor_count(task), std::memory_order_relaxed);
    }
    out_.ready_ns.resize(graph.task_count());
    out_.start_ns.resize(graph.task_count());
    out_.end_ns.resize(graph.task_count());
  }

  Result<GraphRun> run(const std::vector<ResourceId>& resources) {
    for (const ResourceId resource : resources) {
      queues_[resource.index()] = std::make_unique<ReadyQueue>();
    }
    std::vector<std::thread> threads;
    threads.reserve(resources.size());
    for (const ResourceId resource : resources) {
      threads.emplace_back([this, resource] { serve(resource); });
    }
    wait_for_entries(resources.size());
    begin();
    wait_for_end();
    for (const ResourceId resource : resources) queues_[resource.index()]->close();
    for (std::thread& thread : threads) thread.join();
    if (failure_) return *failure_;
    for (const TaskId task : id_range<TaskId>(graph_.task_count())) {
      out_.ready_ns[task] -= begin_ns_;
      out_.start_ns[task] -= begin_ns_;
      out_.end_ns[task] -= begin_ns_;
      out_.makespan_ns = std::max(out_.makespan_ns, out_.end_ns[task]);
    }
    return std::move(out_);
  }

 private:
  void serve(ResourceId resource) {
    use_precise_timers();
    spec_.enter(resource);
    {
      const std::lock_guard lock(mutex_);
      ++entered_;
    }
    changed_.notify_all();
    ReadyQueue& queue = *queues_[resource.index()];
    while (const std::optional<ReadyTask> next = queue.pop(spec_.spin_ns)) {
      out_.start_ns[next->task] = steady_now_ns();
      const Status done = spec_.perform(next->task, out_.start_ns[next->task], stop_);
      if (!done) fail(done.error());
      if (stop_.load(std::memory_order_relaxed)) return;
      end_task(next->task, steady_now_ns());
    }
  }

  // All threads wait for work before the first task starts: their creation is not part of the run.
  void wait_for_entries(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ == count; });
  }

  void begin() {
    begin_ns_ = steady_now_ns();
    if (graph_.task_count() == 0) return;
    for (const TaskId task : id_range<TaskId>(graph_.task_count())) {
      if (graph_.predecessor_count(task) == 0) release(task, begin_ns_);
    }
  }

  void wait_for_end() {
    constexpr std::chrono::milliseconds kLook(50);
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kLook, [this] { return failure_ || is_finished(); })) {
      if (!spec_.interrupted()) continue;
      failure_ = Error{ErrorCode::kInterrupted, "interrupted", {}};
      stop_.store(true);
    }
  }

  bool is_finished() const { return unfinished_.load(std::memory_order_acquire) == 0; }

  void fail(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = error;
      stop_.store(true);
    }
    changed_.notify_all();
  }

  // Ready at `now`: to its resource's thread, or performed here.
  void release(TaskId task, int64_t now) {
    out_.ready_ns[task] = now;
    ReadyQueue* queue = queues_[graph_.resource(task).index()].get();
    if (queue != nullptr) {
      queue->push({now, task});
      return;
    }
    out_.start_ns[task] = now;
    if (graph_.duration(task) == Duration()) return end_task(task, now);
    out_.start_ns[task] = steady_now_ns();
    const Status done = spec_.perform(task, out_.start_ns[task], stop_);
    if (!done) fail(done.error());
    if (!stop_.load(std::memory_order_relaxed)) end_task(task, steady_now_ns());
  }

  void end_task(TaskId task, int64_t now) {
    out_.end_ns[task] = now;
    std::vector<TaskId> here;  // after what others can begin meanwhile
    for (const TaskId successor : graph_.successors(task)) {
      raise(latest_end_ns_[successor.index()], now);
      // The last to count down sees what all have written; it need not be the last to end.
      if (unmet_[successor.index()].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
      if (queues_[graph_.resource(successor).index()] == nullptr) {
        here.push_back(successor);
      } else {
        release(successor, latest_end_ns_[successor.index()].load(std::memory_order_relaxed));
      }
    }
    for (const TaskId successor : here) {
      release(successor, latest_end_ns_[successor.index()].load(std::memory_order_relaxed));
    }
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    { const std::lock_guard lock(mutex_); }  // so that the end is not announced before the wait
    changed_.notify_all();
  }

  const TaskGraph& graph_;
  const GraphRunSpec& spec_;
  std::vector<std::unique_ptr<ReadyQueue>> queues_;  // by resource; null: without a thread
  std::vector<std::atomic<uint32_t>> unmet_;         // by task: predecessors that have not ended
  std::vector<std::atomic<int64_t>> latest_end_ns_;  // by task: of the predecessors that have ended
  std::atomic<size_t> unfinished_;
  std::atomic<bool> stop_ = false;
  int64_t begin_ns_ = 0;
  GraphRun out_;

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  size_t entered_ = 0;
  std::optional<Error> failure_;
};

}  // namespace

std::vector<ResourceId> busy_resources(const TaskGraph& graph) {
  std::vector<bool> busy(graph.resource_count());
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    if (graph.duration(task) > Duration()) busy[graph.resource(task).index()] = true;
  }
  std::vector<ResourceId> resources;
  for (const ResourceId resource : id_range<ResourceId>(graph.resource_count())) {
    if (busy[resource.index()]) resources.push_back(resource);
  }
  return resources;
}

Result<GraphRun> run_graph(const TaskGraph& graph, const GraphRunSpec& spec) {
  std::vector<ResourceId> resources = busy_resources(graph);
  std::erase_if(resources, [&](ResourceId resource) { return !spec.has_thread(resource); });
  if (resources.size() > kMostThreads) {
    return Error{ErrorCode::kUsage,
                 str_cat("a real run needs a thread for each device and link in use: ",
                         resources.size(), " here, at most ", kMostThreads),
                 {}};
  }
  return Running(graph, spec).run(resources);
}

Timeline to_timeline(const GraphRun& run, double time_scale) {
  constexpr double kPicosecondsPerNanosecond = 1000;
  const auto moment = [&](int64_t ns) {
    return SimTime(std::llround(static_cast<double>(ns) * kPicosecondsPerNanosecond / time_scale));
  };
  Timeline timeline;
  for (const TaskId task : run.start_ns.ids()) {
    timeline.ready.push_back(moment(run.ready_ns[task]));
    timeline.start.push_back(moment(run.start_ns[task]));
    timeline.end.push_back(moment(run.end_ns[task]));
  }
  timeline.makespan = moment(run.makespan_ns);
  timeline.events = run.start_ns.size();
  return timeline;
}

}  // namespace soapbox::calib
