// Plans that do not fit the memory, through the program: simulated, searched for and raced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scenarios/runner/commands.h"
#include "scenarios/runner/test_program.h"

namespace soapbox::runner {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class InfeasiblePlans : public testing::Test {
 protected:
  ProgramFolder folder_;
};

// 97 GiB of tables on devices of 80: a searcher begins where nothing fits.
TEST_F(InfeasiblePlans, ASearchFindsAPlanThatFits) {
  const std::vector<std::string> words = {"search",     "--method",  "hill",         "--model",
                                          "dlrm_dcnv2", "--cluster", "dgx_a100_80g", "--budget",
                                          "60",         "--format",  "json"};
  const auto on = [&](const char* devices) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--devices", devices});
    return folder_.run(all);
  };
  const Ran found = on("4");
  ASSERT_EQ(found.exit_code, 0) << found.messages;
  const json record = json::parse(found.output);
  EXPECT_EQ(record["feasible"], true);
  EXPECT_LE(record["peak_memory_bytes"], record["available_memory_bytes"]);
  const Ran none = on("1");
  EXPECT_EQ(none.exit_code, static_cast<int>(ExitCode::kInfeasible));
  EXPECT_EQ(none.output, "");
  EXPECT_THAT(none.messages, HasSubstr("fits the memory; the nearest is out of memory on node0"));
}

TEST_F(InfeasiblePlans, ARaceKeepsWhatDoesNotFitAsSuch) {
  folder_.file("e.toml",
               "name = \"tables\"\n\n[[instances]]\nmodels = [\"dlrm_dcnv2\"]\n"
               "clusters = [\"dgx_a100_80g\"]\ndevices = [2]\n\n"
               "[[methods]]\nrecipe = \"data_parallel\"\n\n[[methods]]\nrecipe = "
               "\"table_parallel\"\n");
  const Ran ran = folder_.run({"race", "e.toml", "--format", "json"});
  const json rows = json::parse(ran.output);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["status"], "infeasible");
  EXPECT_EQ(rows[1]["status"], "ok");
  EXPECT_THAT(ran.messages, HasSubstr("out of memory on node0.gpu0"));
}

}  // namespace
}  // namespace soapbox::runner
