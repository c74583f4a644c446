#include "calib/sampling/session.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "calib/backend/precise_wait.h"
#include "calib/runs/graph_run.h"
#include "calib/sampling/loopback.h"

namespace soapbox::calib {
namespace {

constexpr size_t kAnchors = 5;
constexpr size_t kInTurns = 16;  // kernels: more code and pages than a core remembers
constexpr double kAnchorPeriod_s = 30;

template <class Point>
void shuffle(std::vector<Point>& points, Rng& rng) {
  for (size_t i = points.size(); i > 1; --i) {
    std::swap(points[i - 1], points[rng.below(static_cast<uint32_t>(i))]);
  }
}

std::vector<ProbePoint> each_once(std::vector<ProbePoint> points) {
  std::set<Measurable> seen;
  std::erase_if(points, [&](const ProbePoint& point) { return !seen.insert(point.what).second; });
  return points;
}

std::vector<Collective> take_collectives(std::vector<ProbePoint>& points) {
  std::vector<Collective> taken;
  std::erase_if(points, [&](const ProbePoint& point) {
    const auto* collective = std::get_if<Collective>(&point.what);
    if (collective != nullptr) taken.push_back(*collective);
    return collective != nullptr;
  });
  return taken;
}

// The first point of each of some probes.
std::vector<ProbePoint> choose_anchors(const std::vector<ProbePoint>& points) {
  std::vector<ProbePoint> anchors;
  std::set<std::string> probes;
  for (const ProbePoint& point : points) {
    if (anchors.size() == kAnchors) break;
    if (probes.insert(point.probe).second) anchors.push_back(point);
  }
  return anchors;
}

class Session {
 public:
  Session(KernelModule& module, const SessionSpec& spec)
      : module_(module),
        spec_(spec),
        measurer_(measure_spec(spec.quick), spec.seed),
        begin_ns_(steady_now_ns()) {}

  double elapsed_s() const { return static_cast<double>(steady_now_ns() - begin_ns_) * 1e-9; }

  Status measure_anchors(const std::vector<ProbePoint>& anchors) {
    const Result<std::vector<double>> medians = measure(anchors, true);
    if (!medians) return medians.error();
    for (size_t i = 0; i < anchors.size(); ++i) {
      if ((*medians)[i] > 0) anchor_medians_[i].push_back((*medians)[i]);
    }
    last_anchors_s_ = elapsed_s();
    return ok();
  }

  // The cold medians, on cores of kernels that take turns; 0 where the library refuses.
  Result<std::vector<double>> measure(std::span<const ProbePoint> points, bool anchors) {
    if (spec_.interrupted()) return Error{ErrorCode::kInterrupted, "interrupted", {}};
    std::vector<std::unique_ptr<PreparedKernel>> kernels;
    std::vector<Sample> samples;
    for (const ProbePoint& point : points) {
      Result<std::unique_ptr<PreparedKernel>> kernel = prepare(point);
      if (!kernel) refuse(kernel.error());
      kernels.push_back(kernel ? *std::move(kernel) : nullptr);
      samples.push_back({point, {}, elapsed_s(), anchors});
    }
    if (KernelDevice* const device = module_.device()) {
      time_on(*device, kernels, samples);
    } else {
      time_in_turns(kernels, samples);
    }
    std::vector<double> medians(points.size(), 0);
    for (size_t i = 0; i < samples.size(); ++i) {
      if (kernels[i] == nullptr) continue;
      const Status written = spec_.write(to_line(samples[i]));
      if (!written) return written.error();
      medians[i] = median(samples[i].measured.cold_s);
      if (anchors) continue;
      ++outcome_.measured;
      outcome_.disturbed += samples[i].measured.disturbed;
    }
    return medians;
  }

  // The groups that share their ranks follow each other: joining them takes a second.
  Status measure_collectives(std::vector<Collective> collectives) {
    std::stable_sort(collectives.begin(), collectives.end(),
                     [](const Collective& a, const Collective& b) { return a.ranks < b.ranks; });
    std::unique_ptr<CollectiveGroup> group;
    int64_t ranks = 0;
    for (const Collective& collective : collectives) {
      if (spec_.interrupted()) return Error{ErrorCode::kInterrupted, "interrupted", {}};
      if (time_is_up()) break;
      if (collective.ranks != ranks) {
        ranks = collective.ranks;
        group.reset();
        auto made = module_.collectives(ranks, Bytes(largest(collectives)));
        if (made) group = *std::move(made);
        if (!made) refuse(made.error());
      } else if (group == nullptr) {
        ++outcome_.refused;
      }
      if (group == nullptr) continue;
      Sample sample{{"collective", collective}, {}, elapsed_s(), false};
      Result<Measurement> measured = measurer_.measure(collective, *group);
      if (!measured) {
        refuse(measured.error());
        continue;
      }
      sample.measured = *std::move(measured);
      const Status written = spec_.write(to_line(sample));
      if (!written) return written.error();
      ++outcome_.measured;
    }
    return ok();
  }

  bool anchors_are_due() const { return elapsed_s() - last_anchors_s_ > kAnchorPeriod_s; }
  bool time_is_up() const { return elapsed_s() > spec_.most_seconds; }

  SessionOutcome outcome(size_t points) {
    outcome_.seconds = elapsed_s();
    outcome_.left_out = points - outcome_.measured - std::min(outcome_.refused, points);
    outcome_.disturbed /= static_cast<double>(std::max<size_t>(1, outcome_.measured));
    for (const auto& [anchor, medians] : anchor_medians_) {
      outcome_.drift = std::max(outcome_.drift, std::fabs(medians.back() / medians.front() - 1));
    }
    return outcome_;
  }

 private:
  static MeasureSpec measure_spec(bool quick) {
    MeasureSpec spec;
    if (!quick) return spec;
    spec.most_samples = 30;
    spec.most_seconds = 0.08;
    spec.interval_share = 0.02;
    return spec;
  }
  static int64_t largest(const std::vector<Collective>& collectives) {
    int64_t bytes = 0;
    for (const Collective& collective : collectives) bytes = std::max(bytes, collective.bytes);
    return bytes;
  }
  void refuse(const Error& error) {
    if (outcome_.refused++ == 0) outcome_.first_refusal = error.message;
  }
  using Kernels = std::vector<std::unique_ptr<PreparedKernel>>;
  static std::vector<PreparedKernel*> those_there(const Kernels& kernels) {
    std::vector<PreparedKernel*> there;
    for (const auto& kernel : kernels) {
      if (kernel != nullptr) there.push_back(kernel.get());
    }
    return there;
  }
  // Drops kernels that cannot be timed.
  void time_on(KernelDevice& device, Kernels& kernels, std::vector<Sample>& samples) {
    for (size_t i = 0; i < kernels.size(); ++i) {
      if (kernels[i] == nullptr) continue;
      Result<Measurement> measured = measurer_.measure(*kernels[i], device);
      if (measured) {
        samples[i].measured = *std::move(measured);
      } else {
        refuse(measured.error());
        kernels[i] = nullptr;
      }
    }
    const Result<std::vector<double>> launch_s = device.launch_seconds(those_there(kernels));
    for (size_t i = 0, next = 0; launch_s && i < kernels.size(); ++i) {
      if (kernels[i] != nullptr) samples[i].measured.launch_s = (*launch_s)[next++];
    }
  }
  void time_in_turns(const Kernels& kernels, std::vector<Sample>& samples) {
    const std::vector<PreparedKernel*> there = those_there(kernels);
    if (there.empty()) return;
    std::vector<Measurement> measured = measurer_.measure(there);
    for (size_t i = 0, next = 0; i < kernels.size(); ++i) {
      if (kernels[i] != nullptr) samples[i].measured = std::move(measured[next++]);
    }
  }
  Result<std::unique_ptr<PreparedKernel>> prepare(const ProbePoint& point) {
    if (const auto* piece = std::get_if<Piece>(&point.what)) {
      return module_.prepare(operator_of(*piece), extents_of(*piece), piece->phase);
    }
    const Stream& stream = std::get<Stream>(point.what);
    if (stream.kind == StreamWork::Kind::kLoopback) return prepare_loopback(Bytes(stream.bytes));
    return module_.prepare(
        StreamWork{stream.kind, Bytes(stream.bytes), stream.inputs, stream.peer});
  }

  KernelModule& module_;
  const SessionSpec& spec_;
  Measurer measurer_;
  int64_t begin_ns_;
  double last_anchors_s_ = 0;
  std::map<size_t, std::vector<double>> anchor_medians_;
  SessionOutcome outcome_;
};

// Keeps the cores but the first busy for its lifetime.
class BusyNeighbours {
 public:
  BusyNeighbours(KernelModule& module, const std::vector<int>& cores) {
    for (size_t i = 1; i < cores.size(); ++i) {
      threads_.emplace_back([this, &module, core = cores[i]] { work(module, core); });
    }
  }
  BusyNeighbours(const BusyNeighbours&) = delete;
  BusyNeighbours& operator=(const BusyNeighbours&) = delete;
  ~BusyNeighbours() {
    stop_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void work(KernelModule& module, int core) {
    pin_to_core(core);
    module.enter_thread();
    Piece piece;
    piece.extents = {128, 256, 256};
    const auto product = module.prepare(operator_of(piece), extents_of(piece), piece.phase);
    const auto copy = module.prepare(StreamWork{StreamWork::Kind::kCopy, Bytes(1 << 20), 1});
    while (product && copy && !stop_.load(std::memory_order_relaxed)) {
      (*product)->run();
      (*copy)->run();
    }
  }
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<SessionOutcome> run_session(KernelModule& module, std::vector<ProbePoint> points,
                                   const SampleHeader& header, const SessionSpec& spec) {
  const std::vector<int> cores = usable_cores();
  if (!cores.empty()) pin_to_core(cores.front());
  module.enter_thread();
  Status written = spec.write(to_line(header));
  if (!written) return written.error();
  points = each_once(std::move(points));
  const size_t all = points.size();
  std::vector<Collective> collectives = take_collectives(points);
  const std::vector<ProbePoint> anchors = choose_anchors(points);
  Rng rng(spec.seed, 1000);
  shuffle(points, rng);
  shuffle(collectives, rng);
  std::optional<BusyNeighbours> neighbours;
  if (module.device() == nullptr) neighbours.emplace(module, cores);
  if (spec.realtime) ask_for_realtime();  // after the neighbours, who would inherit it
  Session session(module, spec);
  Status anchored = session.measure_anchors(anchors);
  if (!anchored) return anchored.error();
  for (size_t i = 0; i < points.size() && !session.time_is_up(); i += kInTurns) {
    spec.progress(i, points.size(), points[i].probe);
    const std::span<const ProbePoint> some =
        std::span(points).subspan(i, std::min(kInTurns, points.size() - i));
    const Result<std::vector<double>> measured = session.measure(some, false);
    if (!measured) return measured.error();
    if (!session.anchors_are_due()) continue;
    anchored = session.measure_anchors(anchors);
    if (!anchored) return anchored.error();
  }
  if (!collectives.empty()) pin_to_cores(cores);  // a library's own threads would inherit it
  Status exchanged = session.measure_collectives(std::move(collectives));
  if (!exchanged) return exchanged.error();
  if (!cores.empty()) pin_to_core(cores.front());
  anchored = session.measure_anchors(anchors);
  if (!anchored) return anchored.error();
  return session.outcome(all);
}

double dispatch_seconds() {
  constexpr int kTasks = 2000;
  constexpr int kRuns = 15;
  TaskGraph graph(1);
  for (int i = 0; i < kTasks; ++i) {
    const TaskId task = graph.add_task(ResourceId(0), nanoseconds(1));
    if (i > 0) graph.add_edge(TaskId(task.value() - 1), task);
  }
  graph.finish();
  GraphRunSpec spec;
  spec.perform = [](TaskId, int64_t, const std::atomic<bool>&) -> Status { return ok(); };
  std::vector<double> each;
  for (int run = 0; run < kRuns; ++run) {
    const Result<GraphRun> done = run_graph(graph, spec);
    SOAPBOX_CHECK(done.has_value(), "nothing can fail");
    each.push_back(static_cast<double>(done->makespan_ns) * 1e-9 / kTasks);
  }
  return median(each);
}

}  // namespace soapbox::calib
