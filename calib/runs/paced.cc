#include "calib/runs/paced.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "calib/backend/precise_wait.h"
#include "calib/runs/paced_link.h"

namespace soapbox::calib {
namespace {

int64_t scaled_ns(Duration duration, double time_scale) {
  constexpr double kNanosecondsPerPicosecond = 1e-3;
  return std::llround(static_cast<double>(duration.picoseconds()) * kNanosecondsPerPicosecond *
                      time_scale);
}

}  // namespace

Result<GraphRun> run_paced(const TaskGraph& graph, const PacedSpec& spec) {
  SOAPBOX_CHECK(spec.time_scale > 0, "time passes");
  std::map<ResourceId, PacedLink> links;
  for (const ResourceId resource : busy_resources(graph)) {
    if (!spec.tcp_bandwidths.contains(resource)) continue;
    const double rate = spec.tcp_bandwidths[resource].rate() / spec.time_scale;
    if (!(rate > 0)) continue;
    Result<PacedLink> link = PacedLink::open(BytesPerSecond(rate));
    if (!link) return link.error();
    links.emplace(resource, *std::move(link));
  }
  GraphRunSpec run;
  run.interrupted = spec.interrupted;
  run.enter = [](ResourceId) { ask_for_realtime(); };  // they wait, so nobody is kept waiting
  run.perform = [&](TaskId task, int64_t start_ns, const std::atomic<bool>& stop) -> Status {
    const auto link = links.find(graph.resource(task));
    const int64_t duration_ns = scaled_ns(graph.duration(task), spec.time_scale);
    if (link == links.end()) {
      wait_until(start_ns + duration_ns, stop);
      return ok();
    }
    const double bytes = link->second.rate().rate() * static_cast<double>(duration_ns) * 1e-9;
    return link->second.carry(Bytes(std::llround(bytes)), start_ns, stop);
  };
  return run_graph(graph, run);
}

double lateness_s(const TaskGraph& graph, const GraphRun& run, double time_scale, double q) {
  std::vector<int64_t> late;
  for (const TaskId task : id_range<TaskId>(graph.task_count())) {
    if (graph.duration(task) == Duration()) continue;
    late.push_back(run.end_ns[task] - run.start_ns[task] -
                   scaled_ns(graph.duration(task), time_scale));
  }
  if (late.empty()) return 0;
  const auto rank = static_cast<size_t>(q * static_cast<double>(late.size() - 1));
  std::nth_element(late.begin(), late.begin() + static_cast<std::ptrdiff_t>(rank), late.end());
  return static_cast<double>(late[rank]) * 1e-9;
}

}  // namespace soapbox::calib
