#include "scenarios/runner/measured_runs/measured_run.h"

#include <gtest/gtest.h>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

std::string refusal(std::string_view text) {
  const Result<MeasuredRuns> table = parse_measured_runs(text, "runs.csv");
  return table ? "accepted" : table.error().to_string();
}

MeasuredRun only_run(std::string_view text) {
  const Result<MeasuredRuns> table = parse_measured_runs(text, "runs.csv");
  EXPECT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->runs.size(), 1U);
  return table->runs.front();
}

TEST(MeasuredRuns, ColumnsAreFoundByNameAndEmptyCellsAreNotStated) {
  const MeasuredRun run = only_run(
      "gpu,id,model,num_gpus,tp,micro_batch,params_b,notes\n"
      "H100-SXM,DGXC-0001,llama3-8b,8,2,,8.03,\"schedule 1F1B, plain\"\n");
  EXPECT_FALSE(run.bad_cell);
  EXPECT_EQ(run.group, "DGXC");  // from the id
  EXPECT_EQ(run.num_gpus, 8);
  EXPECT_EQ(run.tp, 2);
  EXPECT_EQ(run.micro_batch, std::nullopt);
  EXPECT_EQ(run.layers, std::nullopt);  // no such column
  EXPECT_EQ(run.params_b, 8.03);
  EXPECT_EQ(run.notes, "schedule 1F1B, plain");
}

TEST(MeasuredRuns, CountsMayBeWrittenAsDecimalsAndNotKnownInWords) {
  const MeasuredRun run =
      only_run("id,model,gpu,num_gpus,pp,dp,cp\nX-1,gpt,H100-SXM, 16.0 ,n/a,4,nan\n");
  EXPECT_FALSE(run.bad_cell);
  EXPECT_EQ(run.num_gpus, 16);
  EXPECT_EQ(run.pp, std::nullopt);
  EXPECT_EQ(run.dp, 4);
  EXPECT_EQ(run.cp, std::nullopt);
}

TEST(MeasuredRuns, ABadCellIsTheRunsOwnAndNamesItsPlace) {
  const Result<MeasuredRuns> table = parse_measured_runs(
      "id,model,gpu,num_gpus,tp\nX-1,gpt,H100-SXM,8,two\nX-2,gpt,H100-SXM,8,2\nX-3,gpt,,8,2\n"
      "X-4,gpt,H100-SXM,0,2\nX-5,gpt,H100-SXM,8,2.5\nX-6,gpt,H100-SXM,8,-2\n"
      "X-7,gpt,H100-SXM,NaN,2\n",
      "runs.csv");
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->runs.size(), 7U);
  ASSERT_TRUE(table->runs[0].bad_cell);
  EXPECT_EQ(table->runs[0].bad_cell->to_string(),
            "runs.csv:2:20: tp 'two': must be a positive whole number, or empty if not stated");
  EXPECT_FALSE(table->runs[1].bad_cell);
  ASSERT_TRUE(table->runs[2].bad_cell);
  EXPECT_EQ(table->runs[2].bad_cell->to_string(), "runs.csv:4:9: gpu '': must not be empty");
  for (const size_t row : {3U, 4U, 5U, 6U}) EXPECT_TRUE(table->runs[row].bad_cell) << row;
}

TEST(MeasuredRuns, AMisspeltColumnIsRefusedAndAnyOtherIsIgnoredAloud) {
  EXPECT_EQ(refusal("id,model,gpu,num_gpus,micro_bach\nX-1,gpt,H100-SXM,8,1\n"),
            "runs.csv:1:23: unknown column 'micro_bach'; did you mean 'micro_batch'?");
  EXPECT_EQ(refusal("id,model,gpu\nX-1,gpt,H100-SXM\n"),
            "runs.csv:1:1: column 'num_gpus' is missing");
  const Result<MeasuredRuns> table =
      parse_measured_runs("id,model,gpu,num_gpus,weather\nX-1,gpt,H100-SXM,8,rain\n", "runs.csv");
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->messages.size(), 2U);
  EXPECT_EQ(table->messages[0], "column 'weather' is ignored");
}

TEST(MeasuredRuns, HeadersAreReadAsTheyAreWritten) {
  const MeasuredRun run =
      only_run("\xEF\xBB\xBFID, Model ,GPU,Num GPUs,TP\r\nX-1,gpt,H100-SXM,8,2\r\n\r\n");
  EXPECT_EQ(run.id, "X-1");
  EXPECT_EQ(run.num_gpus, 8);
  EXPECT_EQ(run.tp, 2);
  EXPECT_EQ(refusal("id,model,gpu,num_gpus,tp,TP\nX-1,gpt,H100-SXM,8,1,2\n"),
            "runs.csv:1:26: column 'tp' is there twice");
}

TEST(MeasuredRuns, AFigureThatGivesNoTimeIsUnclear) {
  const std::string header = "id,model,gpu,num_gpus,metric,value\n";
  for (const char* const figure : {"furlongs,5", "step_time_s,-5", "step_time_s,NaN",
                                   "step_time_s,\"1,234\"", "samples_per_s,8"}) {
    const MeasuredRun run = only_run(str_cat(header, "X-1,gpt,H100-SXM,8,", figure, "\n"));
    EXPECT_EQ(run.step_time_s(), std::nullopt) << figure;
    EXPECT_TRUE(run.has_unclear_time()) << figure;
  }
  EXPECT_FALSE(only_run(header + "X-1,gpt,H100-SXM,8,step_time_s,5\n").has_unclear_time());
  EXPECT_FALSE(only_run(header + "X-1,gpt,H100-SXM,8,oom,OOM\n").has_unclear_time());
  EXPECT_FALSE(only_run(header + "X-1,gpt,H100-SXM,8,,\n").has_unclear_time());
}

TEST(MeasuredRuns, AnIdGivenTwiceIsTheSecondRunsFault) {
  const Result<MeasuredRuns> table = parse_measured_runs(
      "id,model,gpu,num_gpus\nX-1,gpt,H100-SXM,8\nX-1,gpt,H100-SXM,8\n", "runs.csv");
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->runs.size(), 2U);
  EXPECT_FALSE(table->runs[0].bad_cell);
  ASSERT_TRUE(table->runs[1].bad_cell);
  EXPECT_EQ(table->runs[1].bad_cell->to_string(),
            "runs.csv:3:1: the id 'X-1' is that of line 2 too");
}

TEST(MeasuredRuns, StepTimesFollowFromWhatTheMetricCounts) {
  const std::string header =
      "id,model,gpu,num_gpus,global_batch,seq_len,metric,value,derived_step_time_s\n";
  const std::string run = "X-1,gpt,H100-SXM,8,16,1000,";
  EXPECT_EQ(only_run(header + run + "step_time_s,2.5,\n").step_time_s(), 2.5);
  EXPECT_EQ(only_run(header + run + "samples_per_s,8,\n").step_time_s(), 2.0);
  // 16 x 1000 tokens over 8 GPUs of 500 tokens/s each.
  EXPECT_EQ(only_run(header + run + "tokens_per_s_per_gpu,500,\n").step_time_s(), 4.0);
  EXPECT_EQ(only_run(header + run + "tokens_per_s_per_gpu,500,3\n").step_time_s(), 3.0);
  EXPECT_EQ(only_run(header + run + "tflops_per_gpu,140,\n").step_time_s(), std::nullopt);
  EXPECT_EQ(only_run(header + run + "oom,OOM,\n").step_time_s(), std::nullopt);
  EXPECT_TRUE(only_run(header + run + "oom,OOM,\n").ran_out_of_memory());
}

}  // namespace
}  // namespace soapbox::runner
