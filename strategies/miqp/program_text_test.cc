// The program as people read it, written down by hand from the equations.
#include "strategies/miqp/program_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapbox::miqp {
namespace {

using testing::HasSubstr;
using testing::Not;

Instance two_layers() {
  Instance in;
  in.layers = 2;
  in.strategies = 2;
  in.stages = 2;
  in.microbatches = 4;
  in.edges = {{0, 1}};
  in.compute = {3, 5, 3, kNotAllowed};
  in.memory = {4, 1, 4, 1};
  in.memory_limit = {4, 6};
  in.reshard = {0, 1, 1, 0};
  in.reshard_cross = {2, 3, kNotAllowed, 2};
  in.time_exponent = -1;
  return in;
}

TEST(ProgramText, WritesEveryConstraintByName) {
  EXPECT_EQ(program_text(two_layers()),
            "variables: 2 layers u, 2 stages i, 2 strategies k, 4 microbatches\n"
            "  (9) P[u,i] in {0, 1}   layer u is on stage i\n"
            "  (9) S[u,k] in {0, 1}   layer u has strategy k\n"
            "      p[i] >= 0          time of stage i\n"
            "      o[j] >= 0          time from stage j to stage j + 1\n"
            "\nminimise\n"
            "  (1) objective: p[0] + p[1] + o[0] + 3 max(p[0], p[1], o[0])\n"
            "\nwhere\n"
            "  compute[0] = 0.3 S[0,0] + 0.5 S[0,1]\n"
            "  compute[1] = 0.3 S[1,0]\n"
            "  reshard[0,1] = 0.1 S[0,0] S[1,1] + 0.1 S[0,1] S[1,0]\n"
            "  reshard_cross[0,1] = 0.2 S[0,0] S[1,0] + 0.3 S[0,0] S[1,1] + 0.2 S[0,1] S[1,1]\n"
            "\nsubject to\n"
            "  (2) computation_stage[0]: p[0] = P[0,0] compute[0] + P[1,0] compute[1]\n"
            "      + P[0,0] P[1,0] reshard[0,1]\n"
            "  (2) computation_stage[1]: p[1] = P[0,1] compute[0] + P[1,1] compute[1]\n"
            "      + P[0,1] P[1,1] reshard[0,1]\n"
            "  (3) communication_stage[0]: o[0] = P[0,0] P[1,1] reshard_cross[0,1]\n"
            "  (4) memory[0]: P[0,0] (4 S[0,0] + 1 S[0,1]) + P[1,0] (4 S[1,0]) <= 4\n"
            "  (4) memory[1]: P[0,1] (4 S[0,0] + 1 S[0,1]) + P[1,1] (4 S[1,0]) <= 6\n"
            "  (5) order[0,1]: 1 P[0,1] <= 1 P[1,1]\n"
            "  (6) placement[0]: P[0,0] + P[0,1] = 1\n"
            "  (6) placement[1]: P[1,0] + P[1,1] = 1\n"
            "  (7) not_empty[0]: P[0,0] + P[1,0] >= 1\n"
            "  (7) not_empty[1]: P[0,1] + P[1,1] >= 1\n"
            "  (8) selection[0]: S[0,0] + S[0,1] = 1\n"
            "  (8) selection[1]: S[1,0] + S[1,1] = 1\n"
            "  not_allowed: S[1,1] = 0\n"
            "  not_allowed: S[0,1] S[1,0] = 0 where 0 and 1 are on neighbouring stages\n");
}

// Three stages: an edge from stage 0 to stage 2 is at both boundaries.
TEST(ProgramText, ChargesLongEdgesAtEachHop) {
  Instance in = two_layers();
  in.stages = 3;
  in.memory_limit = {4, 6, 6};
  in.long_edges = LongEdges::kPerHop;
  in.empty_stages = true;
  const std::string text = program_text(in);
  EXPECT_THAT(text, HasSubstr("o[0] = P[0,0] P[1,1] reshard_cross[0,1]"));
  EXPECT_THAT(text, HasSubstr("+ P[0,0] P[1,2] reshard_cross[0,1]"));
  EXPECT_THAT(text, HasSubstr("(3) communication_stage[1]: o[1] = P[0,0] P[1,2]"));
  EXPECT_THAT(text, HasSubstr("+ P[0,1] P[1,2] reshard_cross[0,1]"));
  EXPECT_THAT(text, Not(HasSubstr("not_empty")));
}

}  // namespace
}  // namespace soapbox::miqp
