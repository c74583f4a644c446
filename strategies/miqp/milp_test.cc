// The linear model's files against other solvers.
#include "strategies/miqp/milp.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "sim/base/str.h"
#include "strategies/miqp/exact.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

// Two layers on one stage, one strategy: every row can be written down by hand.
Instance two_layers() {
  Instance in;
  in.layers = 2;
  in.strategies = 1;
  in.stages = 1;
  in.microbatches = 3;
  in.edges = {{0, 1}};
  in.compute = {3, 5};
  in.memory = {1, 1};
  in.memory_limit = {4};
  in.reshard = {2};
  in.reshard_cross = {7};
  return in;
}

TEST(Milp, WritesLpAsReadersExpect) {
  EXPECT_EQ(to_lp(build_milp(two_layers(), MilpForm::kMcCormick, 1)),
            "Minimize\n objective: + 1 p_0 + 2 T\nSubject To\n"
            " layer_0: + 1 y_0_0_0 = 1\n layer_1: + 1 y_1_0_0 = 1\n"
            " memory_0: + 0.25 y_0_0_0 + 0.25 y_1_0_0 <= 1\n"
            " used_0: + 1 y_0_0_0 + 1 y_1_0_0 >= 1\n"
            " and_0_0_0_0_0: + 1 x_0_0_0_0_0 - 1 y_0_0_0 - 1 y_1_0_0 >= -1\n"
            " time_p_0: - 1 p_0 + 3 y_0_0_0 + 5 y_1_0_0 + 2 x_0_0_0_0_0 = 0\n"
            " most_p_0: + 1 T - 1 p_0 >= 0\n"
            "Binary\n y_0_0_0\n y_1_0_0\nEnd\n");
}

// The optimum that a solver's command prints for a file, or nothing where it is
// not installed.
std::optional<double> ask(const std::string& command, const std::string& marker) {
  const std::filesystem::path out =
      std::filesystem::temp_directory_path() / str_cat("soapbox_milp_", getpid(), ".txt");
  const int status = std::system(str_cat(command, " > ", out.string(), " 2>&1").c_str());
  std::stringstream text;
  text << std::ifstream(out).rdbuf();
  std::filesystem::remove(out);
  const size_t at = text.str().find(marker);
  if (status != 0 || at == std::string::npos) return std::nullopt;
  return std::strtod(text.str().c_str() + at + marker.size(), nullptr);
}

TEST(Milp, OtherSolversReadItsFiles) {
  InstanceSpec spec;
  spec.layers = 5;
  spec.strategies = 3;
  const Instance in = random_chain(spec, 3);
  const auto optimum = static_cast<double>(solve_exact(in).objective) * 1e-6;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / str_cat("soapbox_milp_files_", getpid());
  std::filesystem::create_directories(folder);
  int asked = 0;
  for (const MilpForm form : {MilpForm::kFlow, MilpForm::kMcCormick}) {
    const MilpModel model = build_milp(in, form, 1e-6);
    const std::string lp = (folder / "model.lp").string();
    const std::string mps = (folder / "model.mps").string();
    std::ofstream(lp) << to_lp(model);
    std::ofstream(mps) << to_mps(model);
    const std::pair<std::string, std::string> commands[] = {
        {str_cat("cbc ", lp, " solve"), "Objective value:"},
        {str_cat("cbc ", mps, " solve"), "Objective value:"},
        {str_cat("glpsol --lp ", lp, " -o /dev/stdout"), "Objective:  objective ="},
        {str_cat("glpsol --freemps ", mps, " -o /dev/stdout"), "Objective:  objective ="}};
    for (const auto& [command, marker] : commands) {
      const std::optional<double> value = ask(command, marker);
      if (!value) continue;
      ++asked;
      EXPECT_NEAR(*value / optimum, 1, 1e-5) << command;
    }
  }
  std::filesystem::remove_all(folder);
  if (asked == 0) GTEST_SKIP() << "neither cbc nor glpsol is installed";
}

}  // namespace
}  // namespace soapbox::miqp
