#include "sim/engine/check_trace.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "sim/base/str.h"

namespace soapbox {
namespace {

std::string task_text(TaskId task) {
  return str_cat("task ", task.value());
}
std::string time_text(SimTime time) {
  return str_cat(time.picoseconds(), " ps");
}

Status check_times(const TaskGraph& graph, const Timeline& timeline) {
  const size_t tasks = graph.task_count();
  if (timeline.ready.size() != tasks || timeline.start.size() != tasks ||
      timeline.end.size() != tasks) {
    return bad_input(str_cat("the timeline does not have ", tasks, " tasks as the graph has"));
  }
  for (TaskId task : id_range<TaskId>(tasks)) {
    if (timeline.ready[task] < SimTime() || timeline.start[task] < timeline.ready[task]) {
      return bad_input(str_cat(task_text(task), " starts at ", time_text(timeline.start[task]),
                               ", before it is ready at ", time_text(timeline.ready[task])));
    }
    if (timeline.end[task] - timeline.start[task] != graph.duration(task)) {
      return bad_input(str_cat(task_text(task), " starts at ", time_text(timeline.start[task]),
                               " and ends at ", time_text(timeline.end[task]), ", but takes ",
                               graph.duration(task).picoseconds(), " ps"));
    }
  }
  return ok();
}

Status check_dependencies(const TaskGraph& graph, const Timeline& timeline) {
  IdVector<TaskId, SimTime> last_end(graph.task_count());
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    for (TaskId successor : graph.successors(task)) {
      if (timeline.start[successor] < timeline.end[task]) {
        return bad_input(str_cat(task_text(successor), " starts at ",
                                 time_text(timeline.start[successor]), ", before its predecessor ",
                                 task_text(task), " ends at ", time_text(timeline.end[task])));
      }
      last_end[successor] = std::max(last_end[successor], timeline.end[task]);
    }
  }
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    if (timeline.ready[task] != last_end[task]) {
      return bad_input(str_cat(task_text(task), " is ready at ", time_text(timeline.ready[task]),
                               ", but its last predecessor ends at ", time_text(last_end[task])));
    }
  }
  return ok();
}

// `tasks` are all tasks of one resource, in any order; they are reordered.
Status check_one_at_a_time(const Timeline& timeline, std::span<TaskId> tasks) {
  std::ranges::sort(tasks, {}, [&](TaskId task) {
    return std::tuple(timeline.start[task], timeline.end[task], task);
  });
  for (size_t i = 1; i < tasks.size(); ++i) {
    if (timeline.start[tasks[i]] < timeline.end[tasks[i - 1]]) {
      return bad_input(str_cat(task_text(tasks[i]), " starts at ",
                               time_text(timeline.start[tasks[i]]), " while ",
                               task_text(tasks[i - 1]), " holds the same resource until ",
                               time_text(timeline.end[tasks[i - 1]])));
    }
  }
  return ok();
}

Status check_fifo(const Timeline& timeline, std::span<TaskId> tasks) {
  std::ranges::sort(tasks, {}, [&](TaskId task) { return std::tuple(timeline.ready[task], task); });
  for (size_t i = 0; i < tasks.size(); ++i) {
    const SimTime free_at = i == 0 ? SimTime() : timeline.end[tasks[i - 1]];
    const SimTime expected = std::max(timeline.ready[tasks[i]], free_at);
    if (timeline.start[tasks[i]] != expected) {
      return bad_input(str_cat("first in, first out: ", task_text(tasks[i]), " starts at ",
                               time_text(timeline.start[tasks[i]]), " but it is ready at ",
                               time_text(timeline.ready[tasks[i]]),
                               " and its resource is free for it at ", time_text(free_at)));
    }
  }
  return ok();
}

}  // namespace

Status check_trace(const TaskGraph& graph, const Timeline& timeline) {
  if (Status status = check_times(graph, timeline); !status) return status;
  if (Status status = check_dependencies(graph, timeline); !status) return status;

  IdVector<ResourceId, std::vector<TaskId>> tasks_of(graph.resource_count());
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    tasks_of[graph.resource(task)].push_back(task);
  }
  for (std::vector<TaskId>& tasks : tasks_of) {
    if (Status status = check_one_at_a_time(timeline, tasks); !status) return status;
    if (Status status = check_fifo(timeline, tasks); !status) return status;
  }

  SimTime last_end;
  for (SimTime end : timeline.end) last_end = std::max(last_end, end);
  if (timeline.makespan != last_end) {
    return bad_input(str_cat("the makespan is given as ", time_text(timeline.makespan),
                             ", but the last task ends at ", time_text(last_end)));
  }
  return ok();
}

}  // namespace soapbox
