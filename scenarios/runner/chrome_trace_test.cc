#include "scenarios/runner/chrome_trace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/runner/execution.h"
#include "scenarios/runner/test_problem.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;

class ChromeTrace : public testing::TestWithParam<SyncMode> {
 protected:
  ChromeTrace()
      : loaded_(load_for_test(lenet_on_four())),
        run_(simulate(loaded_->problem(),
                      *make_recipe(loaded_->problem(), "data_parallel", GetParam()))),
        events_(json::parse(chrome_trace(loaded_->problem(), run_))["traceEvents"]) {}

  std::unique_ptr<const LoadedProblem> loaded_;
  ::soapbox::Run run_;
  json events_;
};

// Picoseconds of a time in microseconds with six decimals: exact below 2^53 / 1e6 seconds.
int64_t picoseconds_of(const json& microseconds) {
  return std::llround(microseconds.get<double>() * 1e6);
}

TEST_P(ChromeTrace, EveryTaskIsOneEventAtItsExactTime) {
  std::set<uint32_t> seen;
  int64_t end = 0;
  for (const json& event : events_) {
    if (event["ph"] != "X") continue;
    end = std::max(end, picoseconds_of(event["ts"]) + picoseconds_of(event["dur"]));
    if (!event["args"].contains("task")) continue;
    const TaskId task(event["args"]["task"].get<uint32_t>());
    EXPECT_TRUE(seen.insert(task.value()).second);
    EXPECT_EQ(picoseconds_of(event["ts"]), run_.timeline.start[task].picoseconds());
    EXPECT_EQ(picoseconds_of(event["dur"]),
              (run_.timeline.end[task] - run_.timeline.start[task]).picoseconds());
  }
  EXPECT_EQ(seen.size(), run_.lowered.graph.task_count());
  EXPECT_EQ(end, std::get<Report>(run_.outcome).iteration_time.picoseconds());
}

TEST_P(ChromeTrace, EventsOfOneTrackDoNotOverlap) {
  std::map<std::pair<int64_t, int64_t>, std::map<int64_t, int64_t>> tracks;  // start -> end
  for (const json& event : events_) {
    if (event["ph"] != "X" || picoseconds_of(event["dur"]) == 0) continue;
    const int64_t start = picoseconds_of(event["ts"]);
    const auto track = std::pair(event["pid"].get<int64_t>(), event["tid"].get<int64_t>());
    EXPECT_TRUE(tracks[track].emplace(start, start + picoseconds_of(event["dur"])).second);
  }
  for (const auto& [track, spans] : tracks) {
    int64_t free_at = 0;
    for (const auto& [start, end] : spans) {
      EXPECT_GE(start, free_at) << "process " << track.first << " thread " << track.second;
      free_at = end;
    }
  }
}

TEST_P(ChromeTrace, MemoryIsACounterOfEveryDevice) {
  const Cluster& cluster = loaded_->cluster();
  std::map<std::string, int64_t> peaks;
  std::map<std::string, int64_t> at;
  for (const json& event : events_) {
    if (event["ph"] != "C") continue;
    const std::string name = event["name"];
    const int64_t now = picoseconds_of(event["ts"]);
    EXPECT_TRUE(!at.contains(name) || at[name] < now);
    at[name] = now;
    int64_t total = 0;
    for (const auto& [component, bytes] : event["args"].items()) total += bytes.get<int64_t>();
    peaks[name] = std::max(peaks[name], total);
  }
  ASSERT_EQ(peaks.size(), cluster.device_count());
  for (const DeviceId device : cluster.devices().ids()) {
    EXPECT_EQ(peaks["memory of " + cluster.device_name(device)],
              run_.peaks[device].total().count());
  }
}

TEST_P(ChromeTrace, EveryTrackThatIsUsedHasAName) {
  std::set<std::pair<int64_t, int64_t>> named;
  for (const json& event : events_) {
    const auto track = std::pair(event["pid"].get<int64_t>(), event["tid"].get<int64_t>());
    if (event["name"] == "thread_name") named.insert(track);
    if (event["ph"] == "X" && event["args"].contains("task")) {
      EXPECT_TRUE(named.contains(track)) << event;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllModes, ChromeTrace,
                         testing::Values(SyncMode::kSerial, SyncMode::kParameterServer,
                                         SyncMode::kBulk, SyncMode::kOverlapped),
                         [](const auto& mode) { return to_string(mode.param); });

}  // namespace
}  // namespace soapbox::runner
