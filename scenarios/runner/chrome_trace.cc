#include "scenarios/runner/chrome_trace.h"

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();
}

std::string microseconds_text(int64_t picoseconds) {
  constexpr int64_t kPerMicrosecond = 1'000'000;
  std::string fraction = std::to_string(picoseconds % kPerMicrosecond);
  fraction.insert(0, 6 - fraction.size(), '0');
  return str_cat(picoseconds / kPerMicrosecond, ".", fraction);
}

// Where a task is drawn. Process 0 holds what belongs to no node.
struct Track {
  uint32_t process = 0;
  uint32_t thread = 0;
};

class Writer {
 public:
  Writer(const Problem& problem, const Run& run) : problem_(problem), run_(run) {}

  std::string write() {
    text_ = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
    name_tracks();
    for (const TaskId task : run_.lowered.labels.ids()) add_task(task);
    if (run_.lowered.serial_sync > Duration()) add_serial_sync();
    for (const MemoryStep& step : memory_steps(run_.memory)) add_memory(step);
    text_ += "\n]}\n";
    return std::move(text_);
  }

 private:
  const Cluster& cluster() const { return problem_.cluster; }

  Track track_of(ResourceId resource) const {
    const uint32_t thread = resource.value() + 1;
    if (resource.index() < cluster().device_count()) {
      return {node_process(cluster().device(DeviceId(resource.value())).node), thread};
    }
    if (resource == barrier_resource(cluster())) return {0, thread};
    const Link& link = link_of(resource);
    const NodeId from = cluster().vertices()[link.from].node;
    const NodeId to = cluster().vertices()[link.to].node;
    return {from.valid() && from == to ? node_process(from) : 0, thread};
  }
  static uint32_t node_process(NodeId node) { return node.valid() ? node.value() + 1 : 0; }
  const Link& link_of(ResourceId resource) const {
    return cluster().links()[LinkId::from_index(resource.index() - cluster().device_count())];
  }

  std::string track_name(ResourceId resource) const {
    if (resource.index() < cluster().device_count()) {
      return cluster().device_name(DeviceId(resource.value()));
    }
    if (resource == barrier_resource(cluster())) return "barriers";
    const Link& link = link_of(resource);
    return str_cat(link.type, " ", cluster().vertices()[link.from].name, " to ",
                   cluster().vertices()[link.to].name);
  }

  void begin_event() {
    if (!first_) text_ += ",\n";
    first_ = false;
  }

  void name(std::string_view what, Track track, const std::string& name) {
    begin_event();
    text_ += str_cat("{\"ph\":\"M\",\"name\":\"", what, "\",\"pid\":", track.process,
                     ",\"tid\":", track.thread, ",\"args\":{\"name\":", quoted(name), "}}");
  }

  // In resource order: devices first, then the links that are used.
  void name_tracks() {
    std::set<ResourceId> used;
    for (const DeviceId device : cluster().devices().ids()) used.insert(compute_resource(device));
    for (const TaskId task : run_.lowered.labels.ids()) {
      used.insert(run_.lowered.graph.resource(task));
    }
    std::set<uint32_t> processes;
    for (const ResourceId resource : used) {
      const Track track = track_of(resource);
      if (processes.insert(track.process).second) {
        name("process_name", track,
             track.process == 0 ? "network" : str_cat("node", track.process - 1));
      }
      name("thread_name", track, track_name(resource));
    }
  }

  std::string task_name(const TaskLabel& label) const {
    const OpGraph& graph = problem_.model.graph;
    std::string name = to_string(label.kind);
    if (label.op.valid()) name += str_cat(" ", graph.op(label.op).name);
    if (label.weight.valid()) name += str_cat(" ", graph.weight(label.weight).name);
    return name;
  }

  void add_task(TaskId task) {
    const TaskLabel& label = run_.lowered.labels[task];
    const Track track = track_of(run_.lowered.graph.resource(task));
    const SimTime start = run_.timeline.start[task];
    begin_event();
    text_ +=
        str_cat("{\"ph\":\"X\",\"name\":", quoted(task_name(label)), ",\"cat\":\"",
                to_string(label.kind), "\",\"pid\":", track.process, ",\"tid\":", track.thread,
                ",\"ts\":", microseconds_text(start.picoseconds()),
                ",\"dur\":", microseconds_text((run_.timeline.end[task] - start).picoseconds()),
                ",\"args\":{\"task\":", task.value(), ",\"piece\":", label.piece);
    if (label.from.valid() && label.to.valid() && label.from != label.to) {
      text_ += str_cat(",\"from\":", quoted(cluster().device_name(label.from)),
                       ",\"to\":", quoted(cluster().device_name(label.to)));
    }
    if (label.bytes > Bytes()) text_ += str_cat(",\"bytes\":", label.bytes.count());
    text_ += "}}";
  }

  void add_serial_sync() {
    begin_event();
    text_ += str_cat(
        "{\"ph\":\"X\",\"name\":\"serial synchronisation\",\"cat\":\"sync\",\"pid\":0,",
        "\"tid\":0,\"ts\":", microseconds_text(run_.timeline.makespan.picoseconds()),
        ",\"dur\":", microseconds_text(run_.lowered.serial_sync.picoseconds()), ",\"args\":{}}");
  }

  void add_memory(const MemoryStep& step) {
    const DeviceId device = step.device;
    const Track track = track_of(compute_resource(device));
    begin_event();
    text_ += str_cat(
        "{\"ph\":\"C\",\"name\":", quoted(str_cat("memory of ", cluster().device_name(device))),
        ",\"pid\":", track.process, ",\"tid\":", track.thread,
        ",\"ts\":", microseconds_text(step.from.picoseconds()), ",\"args\":{",
        "\"parameters\":", step.use.parameters.count(),
        ",\"gradients\":", step.use.gradients.count(),
        ",\"optimizer\":", step.use.optimizer.count(),
        ",\"activations\":", step.use.activations.count(),
        ",\"buffers\":", step.use.buffers.count(), "}}");
  }

  const Problem& problem_;
  const Run& run_;
  std::string text_;
  bool first_ = true;
};

constexpr std::array<std::string_view, ParallelLowered::kResourcesPerRank> kRankTracks = {
    "compute", "exchange", "parameters and gradients", "send forward", "send backward"};

std::string rank_events(const ParallelRun& run) {
  const ParallelLowered& lowered = run.lowered;
  const auto ranks = static_cast<uint32_t>(lowered.ranks_per_stage);
  std::string text;
  const auto name = [&](std::string_view what, uint32_t stage, uint32_t thread,
                        const std::string& is) {
    text +=
        str_cat(text.empty() ? "" : ",\n", "{\"ph\":\"M\",\"name\":\"", what, "\",\"pid\":", stage,
                ",\"tid\":", thread, ",\"args\":{\"name\":", quoted(is), "}}");
  };
  for (uint32_t stage = 0; stage < static_cast<uint32_t>(lowered.stages); ++stage) {
    name("process_name", stage, 0, str_cat("stage ", stage));
    for (uint32_t thread = 0; thread < ranks * kRankTracks.size(); ++thread) {
      const std::string rank =
          lowered.folded ? "all ranks" : str_cat("rank ", thread / kRankTracks.size());
      name("thread_name", stage, thread,
           str_cat(rank, ": ", kRankTracks[thread % kRankTracks.size()]));
    }
  }
  for (const TaskId id : lowered.tasks.ids()) {
    const ParallelTask& task = lowered.tasks[id];
    const uint32_t resource = lowered.graph.resource(id).value();
    const uint32_t per_stage = ranks * ParallelLowered::kResourcesPerRank;
    const std::string kind = to_string(task.kind);
    const SimTime start = run.timeline.start[id];
    text += str_cat(",\n{\"ph\":\"X\",\"name\":\"", kind,
                    task.layer >= 0 ? str_cat(" layer ", task.layer) : "", "\",\"cat\":\"", kind,
                    "\",\"pid\":", resource / per_stage, ",\"tid\":", resource % per_stage,
                    ",\"ts\":", microseconds_text(start.picoseconds()),
                    ",\"dur\":", microseconds_text((run.timeline.end[id] - start).picoseconds()),
                    ",\"args\":{\"task\":", id.value(), ",\"microbatch\":", task.microbatch, "}}");
  }
  return text;
}

}  // namespace

std::string chrome_trace(const Problem& problem, const Run& run) {
  return Writer(problem, run).write();
}

std::string chrome_trace(const ParallelRun& run) {
  return str_cat("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", rank_events(run), "\n]}\n");
}

}  // namespace soapbox::runner
