// The curves of the Megatron papers keep their order: of any two points of a published sweep, the
// one that was faster is predicted to be faster. Rows are those of scenarios/validation.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/runner/measured_runs/measured_run.h"
#include "scenarios/runner/problem.h"
#include "scenarios/runner/run_predictor.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// Rows first .. last of a group. A point is throughput per GPU, so models may differ in a sweep.
struct Sweep {
  const char* what;
  const char* group;
  int first;
  int last;
};

// Narayanan et al. 2021 (MEGFIG: figures, MEGSC21: tables), Korthikanti et al. 2022 (SEQPAR).
const std::vector<Sweep> kSweeps = {
    {"pipelines, weak scaling, batch 8", "MEGFIG", 1, 4},
    {"pipelines, weak scaling, batch 128", "MEGFIG", 5, 8},
    {"batch size, one chunk per stage", "MEGFIG", 9, 13},
    {"batch size, interleaved", "MEGFIG", 14, 18},
    {"tensor against pipeline parallel, batch 32", "MEGFIG", 19, 22},
    {"tensor against pipeline parallel, batch 128", "MEGFIG", 23, 27},
    {"pipeline against data parallel, batch 32", "MEGFIG", 28, 32},
    {"pipeline against data parallel, batch 512", "MEGFIG", 33, 37},
    {"tensor against data parallel, batch 32", "MEGFIG", 38, 40},
    {"tensor against data parallel, batch 128", "MEGFIG", 41, 43},
    {"tensor against data parallel, batch 512", "MEGFIG", 44, 48},
    {"micro-batch, batch 128", "MEGFIG", 49, 51},
    {"micro-batch, batch 512", "MEGFIG", 52, 55},
    {"weak scaling to a trillion", "MEGSC21", 1, 10},
    // Against each other these two plans are not ordered: DeepSpeed's ZeRO-3 of 2021 without model
    // parallelism took 1.3 to 3.6 times the predicted time.
    {"ZeRO-3, 175B", "MEGSC21", 11, 13},
    {"ZeRO-3, 530B", "MEGSC21", 14, 16},
    {"Megatron, 175B", "MEGSC21", 17, 19},
    {"Megatron, 530B", "MEGSC21", 20, 22},
    {"recomputation, 22B", "SEQPAR", 1, 2},
    {"recomputation, 175B", "SEQPAR", 3, 4},
    {"recomputation, 530B", "SEQPAR", 5, 6},
    {"recomputation, 1T", "SEQPAR", 7, 8},
};

// Pairs that are predicted in the wrong order.
const std::map<std::pair<std::string, std::string>, const char*> kExceptions = {
    {{"MEGFIG-0024", "MEGFIG-0027"},
     "tensor parallel over two nodes, 16 ranks, is 6 % too fast; 2 % apart as published"},
    {{"MEGSC21-0001", "MEGSC21-0003"}, "without tensor parallelism is 3 % too fast against tp 4"},
    {{"MEGSC21-0002", "MEGSC21-0003"}, "3 % apart as published; tp 2 against tp 4"},
    {{"MEGSC21-0003", "MEGSC21-0005"}, "3 % apart as published; tp 4 against tp 8, pp 2"},
    {{"MEGSC21-0003", "MEGSC21-0006"}, "1 % apart as published; tp 4 against tp 8, pp 4"},
};

std::string id_of(const Sweep& sweep, int row) {
  char text[32];
  std::snprintf(text, sizeof text, "%s-%04d", sweep.group, row);
  return text;
}

// What printing and digitising leave open, of TFLOP/s: two points closer than this have no order.
double resolution(const MeasuredRun& run) {
  if (run.metric != "tflops_per_gpu") return 0;
  return run.id.starts_with("MEGFIG") ? 2 : 1;
}

struct Point {
  std::string id;
  double measured = 0;  // throughput, in the unit of the sweep
  double predicted = 0;
  double resolution = 0;
};

class Trends : public testing::Test {
 protected:
  Trends()
      : predictor_(*RunPredictor::make(*find_scenarios())),
        runs_(*read_measured_runs(SOAPBOX_SOURCE_DIR "/scenarios/validation/training_runs.csv")) {}

  // Figure 16 states 91 billion parameters and no more: 12 l h^2 = 90.6e9 with 72 layers of 10240.
  static MeasuredRun completed(MeasuredRun run) {
    if (run.model != "gpt-91b") return run;
    run.layers = 72;
    run.hidden = 10240;
    run.heads = 80;
    return run;
  }

  Point point(const std::string& id) const {
    for (const MeasuredRun& run : runs_.runs) {
      if (run.id != id) continue;
      const RunPrediction prediction = predictor_.predict(completed(run));
      EXPECT_TRUE(prediction.step_time.has_value()) << id << ": " << prediction.reason;
      if (!prediction.step_time) return {};
      const double predicted_s = prediction.step_time->seconds();
      const double value = std::stod(run.value);
      const bool time = run.metric == "step_time_s";
      const double measured = time ? 1 / value : value;
      // The work of a step cancels; where a figure states none, the steps of the sweep are alike.
      const double measured_s = run.derived_step_time_s.value_or(0);
      const double predicted =
          measured_s > 0 ? measured * measured_s / predicted_s : 1 / predicted_s;
      return {id, measured, predicted, resolution(run)};
    }
    ADD_FAILURE() << "no row " << id;
    return {};
  }

  RunPredictor predictor_;
  MeasuredRuns runs_;
};

TEST_F(Trends, PublishedSweepsKeepTheirOrder) {
  int pairs = 0;
  int wrong = 0;
  for (const Sweep& sweep : kSweeps) {
    std::vector<Point> points;
    for (int row = sweep.first; row <= sweep.last; ++row)
      points.push_back(point(id_of(sweep, row)));
    for (size_t i = 0; i < points.size(); ++i) {
      for (size_t j = i + 1; j < points.size(); ++j) {
        const Point& a = points[i];
        const Point& b = points[j];
        if (std::abs(a.measured - b.measured) <= std::max(a.resolution, b.resolution)) continue;
        ++pairs;
        if ((a.measured < b.measured) == (a.predicted < b.predicted)) continue;
        ++wrong;
        EXPECT_TRUE(kExceptions.contains({a.id, b.id}))
            << sweep.what << ": " << a.id << " " << a.measured << " (predicted " << a.predicted
            << "), " << b.id << " " << b.measured << " (predicted " << b.predicted << ")";
      }
    }
  }
  EXPECT_GT(pairs, 120);
  EXPECT_LE(wrong, 6);
  RecordProperty("pairs", pairs);
  RecordProperty("wrong", wrong);
}

// At the same batch, interleaving was faster in every case, and is (Figure 12).
TEST_F(Trends, InterleavingIsFasterAtEveryBatch) {
  for (int row = 9; row <= 13; ++row) {
    const Sweep figure{"", "MEGFIG", 0, 0};
    EXPECT_LT(point(id_of(figure, row)).predicted, point(id_of(figure, row + 5)).predicted) << row;
  }
}

}  // namespace
}  // namespace soapbox::runner
