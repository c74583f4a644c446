#include "results/validation.h"

#include <gtest/gtest.h>

#include "results/store.h"
#include "results/test_files.h"

namespace soapbox::results {
namespace {

ValidationRow timed(std::string run, std::string group, double predicted, double measured) {
  ValidationRow row;
  row.run = std::move(run);
  row.group = std::move(group);
  row.predicted_step_time_s = predicted;
  row.low_s = predicted * 0.9;
  row.high_s = predicted * 1.1;
  row.measured_step_time_s = measured;
  row.feasible = true;
  return row;
}

TEST(Validation, ErrorsAreRelativeToWhatWasMeasured) {
  EXPECT_NEAR(*timed("a", "A", 1.2, 1.0).step_time_error(), 0.2, 1e-15);
  ValidationRow row = timed("a", "A", 1.2, 1.0);
  row.predicted_step_time_s.reset();
  EXPECT_EQ(row.step_time_error(), std::nullopt);
  EXPECT_EQ(row.memory_error(), std::nullopt);
  row.predicted_peak_memory_bytes = 3;
  row.measured_peak_memory_bytes = 4;
  EXPECT_EQ(row.memory_error(), -0.25);
}

TEST(Validation, GroupsComeInOrderAndAllOfThemLast) {
  std::vector<ValidationRow> rows = {timed("b1", "B", 1.1, 1.0), timed("a1", "A", 0.8, 1.0),
                                     timed("a2", "A", 1.05, 1.0)};
  ValidationRow unpredicted;
  unpredicted.run = "a3";
  unpredicted.group = "A";
  unpredicted.measured_step_time_s = 2;
  unpredicted.reason = "unknown model";
  rows.push_back(unpredicted);
  const std::vector<ValidationSummary> summaries = summarise(rows);
  ASSERT_EQ(summaries.size(), 3U);
  EXPECT_EQ(summaries[0].group, "A");
  EXPECT_EQ(summaries[0].runs, 3U);
  EXPECT_EQ(summaries[0].predicted, 2U);
  EXPECT_EQ(summaries[0].step_times, 2U);
  EXPECT_NEAR(summaries[0].step_time->median, 0.125, 1e-12);
  EXPECT_NEAR(summaries[0].step_time->bias, -0.075, 1e-12);
  EXPECT_EQ(summaries[0].worst_run, "a1");
  EXPECT_EQ(summaries[0].in_interval, 1U);  // 1.0 is not within 0.72 to 0.88
  EXPECT_EQ(summaries[2].group, "all");
  EXPECT_EQ(summaries[2].runs, 4U);
  EXPECT_EQ(summaries[2].step_times, 3U);
}

TEST(Validation, MemoryThatRanOutIsFoundOrMissed) {
  std::vector<ValidationRow> rows;
  for (const auto& [ran_out, feasible] : std::vector<std::pair<bool, bool>>{
           {true, false}, {true, true}, {false, true}, {false, false}, {false, true}}) {
    ValidationRow row;
    row.group = "A";
    row.ran_out_of_memory = ran_out;
    row.feasible = feasible;
    rows.push_back(row);
  }
  const ValidationSummary all = summarise(rows).back();
  EXPECT_EQ(all.ran_out, 2U);
  EXPECT_EQ(all.found_out, 1U);
  EXPECT_EQ(all.ran, 3U);
  EXPECT_EQ(all.called_infeasible, 1U);
  EXPECT_FALSE(all.step_time);
}

TEST(Validation, OrderIsComparedInsideSweepsOfFourAndMore) {
  std::vector<ValidationRow> rows;
  const auto add = [&rows](const char* sweep, double predicted, double measured) {
    rows.push_back(timed("r", "A", predicted, measured));
    rows.back().sweep = sweep;
  };
  // The same order, and the same but for a swap of neighbours: 1 - 6 x 2 / (4 x 15) = 0.8.
  for (const double time : {1.0, 2.0, 3.0, 4.0}) add("s1", time * time, time);
  add("s2", 1, 1);
  add("s2", 3, 2);
  add("s2", 2, 3);
  add("s2", 4, 4);
  add("small", 1, 2);
  const ValidationSummary all = summarise(rows).back();
  EXPECT_EQ(all.sweeps, 2U);
  EXPECT_NEAR(*all.rank_correlation, 0.9, 1e-12);
}

TEST(Validation, ARecordNamesEveryFieldOfEveryRun) {
  std::vector<ValidationRow> rows = {timed("a1", "A", 2, 1)};
  rows[0].assumptions = {"micro_batch=1: not stated"};
  ValidationRow refused;
  refused.run = "a2";
  refused.reason = "unknown model";
  rows.push_back(refused);
  const std::string text = render(record_table(rows), Format::kJsonl);
  EXPECT_NE(text.find("{\"id\":\"a1\",\"predicted_step_time_s\":2.0,\"low_s\":1.8"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\"assumptions\":[\"micro_batch=1: not stated\"],\"reason\":null"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("{\"id\":\"a2\",\"predicted_step_time_s\":null,\"low_s\":null,"
                      "\"high_s\":null,\"predicted_peak_memory_bytes\":null,\"feasible\":null,"
                      "\"assumptions\":[],\"reason\":\"unknown model\""),
            std::string::npos)
      << text;
}

TEST(Validation, TablesShowPercentagesAndTheWorstFirst) {
  const std::vector<ValidationRow> rows = {timed("a1", "A", 1.1, 1), timed("a2", "A", 0.5, 1),
                                           timed("a3", "A", 1.3, 1)};
  const std::vector<ValidationSummary> summaries = summarise(rows);
  const Table times = step_time_table(summaries);
  ASSERT_EQ(times.rows().size(), 2U);
  EXPECT_EQ(times.rows()[0][0], Cell("A"));
  EXPECT_EQ(times.rows()[0][8], Cell(-50.0));
  EXPECT_TRUE(memory_table(summaries).rows().empty());  // nothing of memory is known
  const Table worst = worst_table(rows, 2);
  ASSERT_EQ(worst.rows().size(), 2U);
  EXPECT_EQ(worst.rows()[0][0], Cell("a2"));
  EXPECT_EQ(worst.rows()[1][0], Cell("a3"));
}

TEST(Validation, RowsAreStoredOnceHoweverOftenTheyArePut) {
  const ScratchDirectory scratch;
  Result<Store> opened = Store::open(scratch.file("v.db"));
  ASSERT_TRUE(opened);
  Store& store = *opened;
  ValidationRow row;
  row.dataset = "d";
  row.line = 1;
  row.code = "c";
  row.run = "A-1";
  row.group = "A";
  row.split = "test";
  row.measured_step_time_s = 2;
  row.predicted_step_time_s = 2.5;
  row.feasible = true;
  row.assumptions = {"dp=2: not stated"};
  ValidationRow refused;
  refused.dataset = "d";
  refused.line = 2;
  refused.code = "c";
  refused.run = "A-2";
  refused.split = "calibrate";
  refused.reason = "unknown model";
  const std::vector<ValidationRow> rows = {row, refused};
  ASSERT_TRUE(store.put_validations(rows));
  ASSERT_TRUE(store.put_validations(rows));
  const Result<Table> table = store.table("validations");
  ASSERT_TRUE(table);
  ASSERT_EQ(table->rows().size(), 2u);
  EXPECT_EQ(table->rows()[0][9], Cell(0.25));  // step_time_error
  EXPECT_EQ(table->rows()[0][17], Cell("[\"dp=2: not stated\"]"));
  EXPECT_EQ(table->rows()[1][18], Cell("unknown model"));
  // Without a prediction there is a reason.
  refused.reason.clear();
  EXPECT_FALSE(store.put_validations({&refused, 1}));
}

}  // namespace
}  // namespace soapbox::results
