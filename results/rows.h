// The rows of the results database as plain values, and the identity of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::results {

// What is simulated. Two instances are the same exactly when the simulator reads the same input.
struct InstanceRow {
  std::string model;
  std::string cluster;
  int64_t devices = 0;  // > 0
  int64_t batch = 0;    // samples per iteration over all devices, > 0
  std::string network;  // the network fidelity's name, and its overlap factors if not 1
  std::string costs;  // fingerprint of everything else that is read: costs, model and cluster files
  friend bool operator==(const InstanceRow&, const InstanceRow&) = default;
};

// A searcher or a fixed recipe, with the settings that change what it does.
struct MethodRow {
  std::string name;
  std::string settings = "{}";  // canonical JSON: sorted keys, no spaces
  friend bool operator==(const MethodRow&, const MethodRow&) = default;
};

// Everything that decides a run's result, and nothing else.
struct RunKey {
  InstanceRow instance;
  MethodRow method;
  uint64_t seed = 0;    // below 2^63, as SQLite's integers are signed
  uint64_t budget = 0;  // evaluations; 0 for a fixed recipe
  std::string code;     // fingerprint of the program
  friend bool operator==(const RunKey&, const RunKey&) = default;
};

// 32 hexadecimal digits: a 128-bit hash of the key's canonical text, in which every field has its
// name and length, so that no two different keys have the same text. Stable between machines.
std::string identity(const RunKey& key);

enum class RunStatus : uint8_t {
  kOk,           // ran to its end
  kInfeasible,   // ran to its end; no plan fits
  kInterrupted,  // stopped from outside; to be run again
  kFailed,       // broke; to be run again
};
std::string_view status_name(RunStatus status);  // as stored: "ok", "infeasible", ...
// A final run is not repeated: its result is a function of its key.
inline bool is_final(RunStatus status) {
  return status == RunStatus::kOk || status == RunStatus::kInfeasible;
}

// The figures of the best plan.
struct Figures {
  Duration iteration_time;  // > 0
  double samples_per_s = 0;
  Bytes communication;
  uint64_t trace_hash = 0;
  friend bool operator==(const Figures&, const Figures&) = default;
};

// One step of the best-so-far curve.
struct ImprovementRow {
  uint64_t evaluation = 0;  // 1-based
  Duration iteration_time;
  double cpu_s = 0;
  friend bool operator==(const ImprovementRow&, const ImprovementRow&) = default;
};

struct RunRow {
  RunKey key;
  RunStatus status = RunStatus::kFailed;
  std::optional<Figures> best;  // absent: no feasible plan was found
  uint64_t evaluations = 0;
  uint64_t best_at_evaluation = 0;  // 0: none
  double cpu_s = 0;
  double wall_s = 0;
  std::string started_at;  // ISO 8601, UTC
  std::string command;     // the command line
  std::string version;     // of the program
  std::string host;
  std::string provenance;                    // where the costs come from
  std::string note;                          // why it stopped, what does not fit, what failed
  std::vector<ImprovementRow> improvements;  // evaluations rise, iteration times fall
  std::string plan;                          // JSON; empty: none
  friend bool operator==(const RunRow&, const RunRow&) = default;
};

struct StudyRow {
  std::string name;
  std::string experiment;  // the experiment file's text
  std::string created_at;
  std::string version;
  friend bool operator==(const StudyRow&, const StudyRow&) = default;
};

// What one task of a plan did, and what was predicted of it. Times since the start of the
// iteration.
struct ExecutedTaskRow {
  std::string kind;
  std::string place;  // device or link
  SimTime predicted_start;
  SimTime predicted_end;
  SimTime start;
  SimTime end;
  friend bool operator==(const ExecutedTaskRow&, const ExecutedTaskRow&) = default;
};

// A plan that was run for real; the run that it belongs to has the prediction.
struct ExecutionRow {
  std::string backend;          // "paced", "cpu", ...
  std::string settings = "{}";  // canonical JSON
  int64_t repeats = 0;          // > 0
  Duration iteration_time;      // of the fastest repeat, > 0
  double lateness_p99_s = 0;
  std::string started_at;  // ISO 8601, UTC
  std::string command;
  std::string version;
  std::string host;
  std::vector<ExecutedTaskRow> tasks;  // of the fastest repeat, in the order of ids
};

// One published figure: what some source measured for (model, cluster, strategy, devices).
struct ReferenceRow {
  std::string figure;  // e.g. "fig6_throughput"
  std::string model;
  std::string cluster;  // empty: the source does not say
  std::string strategy;
  int64_t devices = 0;
  std::string metric;  // with its unit, e.g. "samples_per_s_per_device"
  double value = 0;
  std::string grade;  // "P": printed in the source; "D": digitised from a drawing
  friend bool operator==(const ReferenceRow&, const ReferenceRow&) = default;
};

}  // namespace soapbox::results
