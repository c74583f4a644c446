// Plans run for real, in this order: their predictions are stored, they run, both are compared.
//
// Plans take turns: all run once, then all once more, so that a machine that slows down or speeds
// up does so for all of them. Of a plan's runs the fastest counts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/runs/graph_run.h"
#include "results/store.h"
#include "scenarios/runner/commands.h"
#include "scenarios/runner/execution.h"
#include "scenarios/runner/interrupt.h"
#include "sim/simulate/simulate.h"

namespace soapbox::runner {

struct RealRunSpec {
  int64_t repeats = 9;
  std::optional<double> time_scale;  // paced: real seconds per simulated second; absent: chosen
  bool tcp_links = false;            // paced: links send their bytes through loopback TCP
  bool realtime = false;             // cpu: ask for real-time priority
  calib::LaunchMode launch = calib::LaunchMode::kGraph;  // cuda
};

// --launch graph|stream|wait.
Result<calib::LaunchMode> read_launch(const Arguments& arguments);

// A plan made ready; each call runs it once.
struct PreparedRun {
  std::function<Result<calib::GraphRun>()> run;
  double time_scale = 1;
  std::string settings = "{}";  // canonical JSON, for the database
};

// To add a backend: a function that makes plans ready, and a row.
struct BackendRow {
  std::string_view name;
  std::string_view summary;
  // Changes what the simulator predicts of a plan, and the key of the run that it is stored as.
  Status (*adjust)(const LoadedProblem& loaded, const Plan& plan, const RealRunSpec& spec,
                   Run& predicted, results::RunKey& key);
  Result<PreparedRun> (*prepare)(const LoadedProblem& loaded, const Plan& plan,
                                 const Run& predicted, const RealRunSpec& spec,
                                 const Interrupt& interrupt);
};
std::span<const BackendRow> backend_table();  // sorted by name
Result<const BackendRow*> find_backend(std::string_view name);

// A plan and what identifies its prediction.
struct NamedPlan {
  std::string name;  // for people
  results::RunKey key;
  Plan plan;
};

struct Comparison {
  Run predicted;
  Timeline measured = {};  // of the fastest repeat, in simulated time
  Duration predicted_time = {};
  Duration measured_time = {};
  uint64_t trace_hash = 0;  // of the prediction
  double time_scale = 1;
  double lateness_p50_s = 0;  // of the repeat's tasks, real time
  double lateness_p99_s = 0;
  // The fastest of every other run, the first and the second one's: how well a plan's own
  // measurements agree. Equal where there was one run.
  std::array<double, 2> half_s = {};
  double error() const { return predicted_time.seconds() / measured_time.seconds() - 1; }
  // How far the end of a task is from its predicted one, as a share of the measured iteration.
  double task_error_mean = 0;
  double task_error_worst = 0;
};

// One for each plan. At most kPlansInTurn are prepared and take turns at a time: all have buffers.
inline constexpr size_t kPlansInTurn = 32;
Result<std::vector<Comparison>> run_for_real(const LoadedProblem& loaded,
                                             std::span<const NamedPlan> plans,
                                             const BackendRow& backend, const RealRunSpec& spec,
                                             results::Store& store, const Interrupt& interrupt,
                                             const Console& console);

}  // namespace soapbox::runner
