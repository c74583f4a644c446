#include "calib/cuda/device.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "calib/backend/precise_wait.h"
#include "calib/cuda/operators.h"

namespace soapbox::calib::cuda {
namespace {

Error failed(const std::exception& error) {
  cudaGetLastError();  // forgotten, so that the next kernel is not taken for the one that failed
  return Error{ErrorCode::kEnvironment, error.what(), {}};
}

// As the system writes it; empty where the driver does not say.
std::string pci_address_of(int gpu) {
  char address[32] = {};
  if (cudaDeviceGetPCIBusId(address, sizeof address, gpu) != cudaSuccess) return "";
  return pci_address(address);
}

Launches& launches_of(PreparedKernel& kernel) {
  return static_cast<Launches&>(kernel);  // the module makes no others
}

bool separates(const Activity& activity) {
  return activity.kind == Activity::Kind::kMark || activity.kind == Activity::Kind::kFlush;
}

bool counted(const Activity& activity, Launches::Counts counts) {
  if (counts == Launches::Counts::kAll) return true;
  return (counts == Launches::Counts::kKernels) == (activity.kind == Activity::Kind::kKernel);
}

void extend(Segment& segment, const Activity& activity) {
  if (segment.count++ == 0) segment.start_ns = activity.start_ns;
  segment.end_ns = std::max(segment.end_ns, activity.end_ns);
}

// An event pair around work of the stream.
class Stopwatch {
 public:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  void start() { check(cudaEventRecord(begin_, stream_)); }
  double stop_s() {
    check(cudaEventRecord(end_, stream_));
    check(cudaEventSynchronize(end_));
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin_, end_));
    return static_cast<double>(ms) * 1e-3;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

// What the stream was given, to be replayed.
class Graph {
 public:
  template <class Function>
  Graph(cudaStream_t stream, const Function& launch) : stream_(stream) {
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    try {
      launch();
    } catch (...) {
      cudaGraph_t half = nullptr;
      cudaStreamEndCapture(stream, &half);
      if (half != nullptr) cudaGraphDestroy(half);
      throw;
    }
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream, &graph));
    const cudaError_t made = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check(made);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() { cudaGraphExecDestroy(graph_); }
  void launch() const { check(cudaGraphLaunch(graph_, stream_)); }
  // The fastest of some replays, after one that does not count.
  double seconds() const {
    constexpr int kReplays = 3;
    launch();
    Stopwatch watch(stream_);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kReplays; ++i) {
      watch.start();
      launch();
      best = std::min(best, watch.stop_s());
    }
    return best;
  }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t graph_ = nullptr;
};

void launch_copies(const Launches& launches, int copies, cudaStream_t stream) {
  for (int i = 0; i < copies; ++i) launches.launch(stream);
}

void launch_all(const std::vector<DeviceTask>& tasks, cudaStream_t stream) {
  for (const DeviceTask& task : tasks) {
    for (PreparedKernel* const kernel : task) launches_of(*kernel).launch(stream);
  }
}

}  // namespace

std::vector<Segment> split_at_marks(const std::vector<Activity>& activities,
                                    Launches::Counts counts) {
  std::vector<Segment> segments;
  bool open = false;
  for (const Activity& activity : activities) {
    if (activity.kind == Activity::Kind::kMark) segments.emplace_back();
    if (separates(activity)) {
      open = activity.kind == Activity::Kind::kMark;
    } else if (open && counted(activity, counts)) {
      extend(segments.back(), activity);
    }
  }
  return segments;
}

std::vector<Segment> split_by_counts(const std::vector<Activity>& activities,
                                     const std::vector<size_t>& counts) {
  std::vector<Segment> segments(counts.size());
  size_t at = 0;
  for (const Activity& activity : activities) {
    if (separates(activity)) continue;
    while (at < counts.size() && segments[at].count == counts[at]) ++at;
    if (at == counts.size()) throw Failure("CUPTI: more activities than were launched");
    extend(segments[at], activity);
  }
  while (at < counts.size() && segments[at].count == counts[at]) ++at;
  if (at < counts.size()) throw Failure("CUPTI: fewer activities than were launched");
  return segments;
}

Device::Device(const Gpu& gpu, Trace& trace)
    : gpu_(gpu), trace_(trace), pci_address_(pci_address_of(gpu.number())) {
  if (const Result<Nvml> nvml = Nvml::open()) nvml_ = *nvml;
}

DeviceDescription Device::description() const {
  const cudaDeviceProp& properties = gpu_.properties();
  int khz = 0;
  cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, gpu_.number());
  DeviceDescription description{properties.name,
                                properties.multiProcessorCount,
                                khz / 1e3,
                                static_cast<int64_t>(properties.totalGlobalMem),
                                properties.l2CacheSize,
                                gpu_.number()};
  int gpus = 0;
  cudaGetDeviceCount(&gpus);
  for (int gpu = 0; gpu < gpus; ++gpu) description.pci_addresses.push_back(pci_address_of(gpu));
  return description;
}

double Device::clock_mhz() const {
  return nvml_ ? nvml_->clock_mhz(pci_address_) : 0;
}

Status Device::time(PreparedKernel& kernel, size_t pairs, TimedRuns& out) try {
  const Launches& launches = launches_of(kernel);
  const cudaStream_t stream = gpu_.stream();
  launches.launch(stream);  // loads its code
  gpu_.wait();
  const int64_t before_ns = steady_now_ns();
  launches.launch(stream);
  const int64_t launching_ns = steady_now_ns() - before_ns;
  gpu_.wait();
  trace_.take();
  constexpr int64_t kSeparating_ns = 20'000;  // flush and marks
  constexpr int64_t kMostWait_ns = 20'000'000;
  launch_wait(
      std::min(kMostWait_ns, static_cast<int64_t>(pairs) * (2 * launching_ns + kSeparating_ns)),
      stream);
  for (size_t i = 0; i < pairs; ++i) {
    gpu_.flush(stream);
    launch_mark(stream);
    launches.launch(stream);
    launch_mark(stream);
    launches.launch(stream);
  }
  launch_mark(stream);
  gpu_.wait();
  const std::vector<Segment> segments = split_at_marks(trace_.take(), launches.counts());
  if (segments.size() != 2 * pairs + 1) throw Failure("CUPTI: runs and records do not match");
  for (size_t i = 0; i < 2 * pairs; ++i) {
    if (segments[i].count == 0) throw Failure("CUPTI: a run without records");
    const auto took = static_cast<double>(segments[i].end_ns - segments[i].start_ns) * 1e-9;
    (i % 2 == 0 ? out.cold_s : out.hot_s).push_back(std::max(1e-9, took));
  }
  return ok();
} catch (const std::exception& error) {
  return failed(error);
}

Result<double> Device::replay_seconds(PreparedKernel& kernel) try {
  constexpr double kLong_s = 1e-3;
  const Launches& launches = launches_of(kernel);
  const cudaStream_t stream = gpu_.stream();
  const Paused paused(trace_);
  const auto replay = [&](int copies) {
    return Graph(stream, [&] { launch_copies(launches, copies, stream); }).seconds();
  };
  const double one = replay(1);
  const int many = one > kLong_s ? 3 : 21;
  return (replay(many) - one) / (many - 1);
} catch (const std::exception& error) {
  return failed(error);
}

Result<std::vector<double>> Device::launch_seconds(std::span<PreparedKernel* const> kernels) try {
  constexpr size_t kTurns = 9;
  const Paused paused(trace_);
  std::vector<std::vector<double>> times(kernels.size());
  for (size_t turn = 0; turn <= kTurns; ++turn) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      const int64_t before_ns = steady_now_ns();
      launches_of(*kernels[i]).launch(gpu_.stream());
      const int64_t took_ns = steady_now_ns() - before_ns;
      if (turn > 0) times[i].push_back(static_cast<double>(took_ns) * 1e-9);  // the first loads
    }
    gpu_.wait();  // the queue of launches holds a turn, and never fills
  }
  std::vector<double> medians;
  for (std::vector<double>& some : times) {
    std::nth_element(some.begin(), some.begin() + kTurns / 2, some.end());
    medians.push_back(some[kTurns / 2]);
  }
  return medians;
} catch (const std::exception& error) {
  return failed(error);
}

Result<DispatchTimes> Device::dispatch_times() try {
  constexpr int kKernels = 500;            // fewer than the launches that a stream holds
  constexpr int64_t kWait_ns = 5'000'000;  // of the device: longer than launching them takes
  const cudaStream_t stream = gpu_.stream();
  Launches update(gpu_);
  add_stream(update, {StreamWork::Kind::kUpdate, Bytes(64 << 10), 2});
  TimedRuns runs;
  const Status timed = time(update, kKernels / 10, runs);
  if (!timed) return timed.error();
  std::sort(runs.hot_s.begin(), runs.hot_s.end());
  const double alone = runs.hot_s[runs.hot_s.size() / 2];
  const Paused paused(trace_);
  const double replayed =
      Graph(stream, [&] { launch_copies(update, kKernels, stream); }).seconds() / kKernels;
  Stopwatch watch(stream);
  launch_wait(kWait_ns, stream);
  watch.start();
  launch_copies(update, kKernels, stream);
  const double launched = watch.stop_s() / kKernels;
  std::vector<double> waited;
  for (int i = 0; i < kKernels; ++i) {
    const int64_t before_ns = steady_now_ns();
    update.run();
    waited.push_back(static_cast<double>(steady_now_ns() - before_ns) * 1e-9);
  }
  std::sort(waited.begin(), waited.end());
  return DispatchTimes{std::max(0.0, replayed - alone), std::max(0.0, launched - alone),
                       std::max(0.0, waited[waited.size() / 2] - alone)};
} catch (const std::exception& error) {
  return failed(error);
}

namespace {

// Before each run the caches are flushed: every kernel reads buffers of its own, so that all are
// cold, as they were measured. The whole is timed without tracing; where each task lies in it comes
// from a traced run, stretched to the same length.
class TasksOnGpu : public LoadedTasks {
 public:
  TasksOnGpu(const Gpu& gpu, Trace& trace, std::vector<DeviceTask> tasks, LaunchMode mode)
      : gpu_(gpu), trace_(trace), tasks_(std::move(tasks)) {
    const cudaStream_t stream = gpu_.stream();
    launch_all(tasks_, stream);  // loads the code of every kernel
    gpu_.wait();
    trace_.take();
    for (const DeviceTask& task : tasks_) {
      launch_mark(stream);
      for (PreparedKernel* const kernel : task) launches_of(*kernel).launch(stream);
    }
    gpu_.wait();
    for (const Segment& segment : split_at_marks(trace_.take(), Launches::Counts::kAll)) {
      counts_.push_back(segment.count);
    }
    if (mode == LaunchMode::kStream) return;
    const Paused paused(trace_);
    graph_.emplace(stream, [&] { launch_all(tasks_, stream); });
    graph_->launch();
    gpu_.wait();
  }

  Result<DeviceRun> run() override try {
    const double seconds = time();
    trace_.take();
    gpu_.flush(gpu_.stream());
    launch_all(tasks_, gpu_.stream());
    gpu_.wait();
    return stretched(split_by_counts(trace_.take(), counts_), std::llround(seconds * 1e9));
  } catch (const std::exception& error) {
    return failed(error);
  }

 private:
  double time() {
    const Paused paused(trace_);
    Stopwatch watch(gpu_.stream());
    gpu_.flush(gpu_.stream());
    // A replay is queued behind what the device waits for, longer than giving it a graph takes;
    // launches by the host begin when the device is idle.
    constexpr int64_t kAhead_ns = 2'000'000;
    if (graph_) launch_wait(kAhead_ns, gpu_.stream());
    if (!graph_) gpu_.wait();
    watch.start();
    if (graph_) {
      graph_->launch();
    } else {
      launch_all(tasks_, gpu_.stream());
    }
    return watch.stop_s();
  }

  const Gpu& gpu_;
  Trace& trace_;
  std::vector<DeviceTask> tasks_;
  std::vector<size_t> counts_;  // activities of each task
  std::optional<Graph> graph_;
};

}  // namespace

DeviceRun stretched(const std::vector<Segment>& segments, int64_t makespan_ns) {
  int64_t origin = std::numeric_limits<int64_t>::max();
  int64_t end = 0;
  for (const Segment& segment : segments) {
    if (segment.count == 0) continue;
    origin = std::min(origin, segment.start_ns);
    end = std::max(end, segment.end_ns);
  }
  const double stretch =
      end > origin ? static_cast<double>(makespan_ns) / static_cast<double>(end - origin) : 1;
  DeviceRun run;
  run.makespan_ns = makespan_ns;
  int64_t last = 0;
  for (const Segment& segment : segments) {
    const auto at = [&](int64_t ns) {
      return std::llround(static_cast<double>(ns - origin) * stretch);
    };
    run.start_ns.push_back(segment.count == 0 ? last : at(segment.start_ns));
    run.end_ns.push_back(segment.count == 0 ? last : at(segment.end_ns));
    last = run.end_ns.back();
  }
  return run;
}

Result<std::unique_ptr<LoadedTasks>> Device::load(std::vector<DeviceTask> tasks,
                                                  LaunchMode mode) try {
  return std::unique_ptr<LoadedTasks>(
      std::make_unique<TasksOnGpu>(gpu_, trace_, std::move(tasks), mode));
} catch (const std::exception& error) {
  return failed(error);
}

}  // namespace soapbox::calib::cuda
