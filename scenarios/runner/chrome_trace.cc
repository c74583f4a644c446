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

// The events of a file, in the order in which they are added. `args` is the inside of an object.
class Events {
 public:
  void name_process(Track track, const std::string& name) { add_name("process_name", track, name); }
  void name_thread(Track track, const std::string& name) { add_name("thread_name", track, name); }
  void add_span(const std::string& name, std::string_view category, Track track, SimTime start,
                Duration length, const std::string& args) {
    begin("X", name, track);
    text_ +=
        str_cat(",\"cat\":\"", category, "\",\"ts\":", microseconds_text(start.picoseconds()),
                ",\"dur\":", microseconds_text(length.picoseconds()), ",\"args\":{", args, "}}");
  }
  void add_counter(const std::string& name, Track track, SimTime at, const std::string& args) {
    begin("C", name, track);
    text_ += str_cat(",\"ts\":", microseconds_text(at.picoseconds()), ",\"args\":{", args, "}}");
  }
  std::string file() const {
    return str_cat("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", text_, "\n]}\n");
  }

 private:
  void begin(std::string_view kind, const std::string& name, Track track) {
    text_ += str_cat(text_.empty() ? "" : ",\n", "{\"ph\":\"", kind, "\",\"name\":", quoted(name),
                     ",\"pid\":", track.process, ",\"tid\":", track.thread);
  }
  void add_name(const std::string& what, Track track, const std::string& name) {
    begin("M", what, track);
    text_ += str_cat(",\"args\":{\"name\":", quoted(name), "}}");
  }
  std::string text_;
};

class Writer {
 public:
  Writer(const Problem& problem, const Run& run) : problem_(problem), run_(run) {}

  std::string write() {
    name_tracks();
    for (const TaskId task : run_.lowered.labels.ids()) add_task(task);
    if (run_.lowered.serial_sync > Duration()) add_serial_sync();
    for (const MemoryStep& step : memory_steps(run_.memory)) add_memory(step);
    return events_.file();
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
        events_.name_process(track,
                             track.process == 0 ? "network" : str_cat("node", track.process - 1));
      }
      events_.name_thread(track, track_name(resource));
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
    const SimTime start = run_.timeline.start[task];
    std::string args = str_cat("\"task\":", task.value(), ",\"piece\":", label.piece);
    if (label.from.valid() && label.to.valid() && label.from != label.to) {
      args += str_cat(",\"from\":", quoted(cluster().device_name(label.from)),
                      ",\"to\":", quoted(cluster().device_name(label.to)));
    }
    if (label.bytes > Bytes()) args += str_cat(",\"bytes\":", label.bytes.count());
    events_.add_span(task_name(label), to_string(label.kind),
                     track_of(run_.lowered.graph.resource(task)), start,
                     run_.timeline.end[task] - start, args);
  }

  void add_serial_sync() {
    events_.add_span("serial synchronisation", "sync", Track{}, run_.timeline.makespan,
                     run_.lowered.serial_sync, "");
  }

  void add_memory(const MemoryStep& step) {
    std::string args;
    for (const auto& [name, bytes] : components_of(step.use)) {
      args += str_cat(args.empty() ? "" : ",", quoted(std::string(name)), ":", bytes.count());
    }
    events_.add_counter(str_cat("memory of ", cluster().device_name(step.device)),
                        track_of(compute_resource(step.device)), step.from, args);
  }

  const Problem& problem_;
  const Run& run_;
  Events events_;
};

constexpr std::array<std::string_view, ParallelLowered::kResourcesPerRank> kRankTracks = {
    "compute", "exchange", "parameters and gradients", "send forward", "send backward"};

// Process of a stage, thread of a resource of one of its ranks.
Events rank_events(const ParallelRun& run) {
  const ParallelLowered& lowered = run.lowered;
  const auto ranks = static_cast<uint32_t>(lowered.ranks_per_stage);
  Events events;
  for (uint32_t stage = 0; stage < static_cast<uint32_t>(lowered.stages); ++stage) {
    events.name_process({stage, 0}, str_cat("stage ", stage));
    for (uint32_t thread = 0; thread < ranks * kRankTracks.size(); ++thread) {
      const std::string rank =
          lowered.folded ? "all ranks" : str_cat("rank ", thread / kRankTracks.size());
      events.name_thread({stage, thread},
                         str_cat(rank, ": ", kRankTracks[thread % kRankTracks.size()]));
    }
  }
  const uint32_t per_stage = ranks * ParallelLowered::kResourcesPerRank;
  for (const TaskId id : lowered.tasks.ids()) {
    const ParallelTask& task = lowered.tasks[id];
    const uint32_t resource = lowered.graph.resource(id).value();
    const std::string kind = to_string(task.kind);
    const SimTime start = run.timeline.start[id];
    events.add_span(str_cat(kind, task.layer >= 0 ? str_cat(" layer ", task.layer) : ""), kind,
                    {resource / per_stage, resource % per_stage}, start,
                    run.timeline.end[id] - start,
                    str_cat("\"task\":", id.value(), ",\"microbatch\":", task.microbatch));
  }
  return events;
}

void add_stage_memory(const ParallelRun& run, Events& events) {
  for (uint32_t stage = 0; stage < run.memory.size(); ++stage) {
    const StageMemory& memory = run.memory[stage];
    const auto add = [&](SimTime at, Bytes held) {
      events.add_counter(str_cat("memory of stage ", stage), {stage, 0}, at,
                         str_cat("\"held\":", held.count()));
    };
    add(SimTime(), memory.at_start);
    for (size_t i = 0; i < memory.after_pass.size(); ++i) {
      add(run.timeline.end[run.lowered.pass_ends[stage][i]], memory.after_pass[i]);
    }
  }
}

}  // namespace

std::string chrome_trace(const Problem& problem, const Run& run) {
  return Writer(problem, run).write();
}

std::string chrome_trace(const ParallelRun& run) {
  Events events = rank_events(run);
  add_stage_memory(run, events);
  return events.file();
}

}  // namespace soapbox::runner
