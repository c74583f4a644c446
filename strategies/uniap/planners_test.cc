#include "strategies/uniap/planners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/base/str.h"
#include "strategies/uniap/test_tables.h"

namespace soapbox::strategies::uniap {
namespace {

std::vector<TableSpec> specs() {
  std::vector<TableSpec> all;
  for (const double tightness : {0.0, 0.2, 0.5, 1.0}) {
    for (const int32_t stages : {1, 2, 3}) {
      for (const bool alike : {false, true}) {
        TableSpec spec{.layers = 5, .strategies = 3, .stages = stages, .tightness = tightness};
        spec.alike = alike;
        spec.one_forward = stages == 3;
        spec.skip_edge = stages == 2 && !alike;
        all.push_back(spec);
      }
    }
  }
  return all;
}

double least_of_all(const CostTables& tables) {
  double best = kNoCutoff;
  for_each_assignment(tables, [&](const Assignment& a) {
    const auto value = evaluate(tables, a);
    if (value) best = std::min(best, value->total_s);
  });
  return best;
}

TEST(Planners, TheExactOneFindsTheLeastOfAllAssignments) {
  int feasible = 0;
  int infeasible = 0;
  for (const TableSpec& spec : specs()) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const CostTables tables = random_tables(spec, seed);
      const double best = least_of_all(tables);
      const CellAnswer answer = plan_miqp(tables, {});
      EXPECT_TRUE(answer.proven);
      ASSERT_EQ(answer.assignment.has_value(), best < kNoCutoff) << "seed " << seed;
      (answer.assignment ? feasible : infeasible) += 1;
      if (!answer.assignment) continue;
      const auto value = evaluate(tables, *answer.assignment);
      ASSERT_TRUE(value);
      EXPECT_NEAR(value->total_s, best, 1e-9 * best);
      EXPECT_NEAR(answer.bound_s, best, 1e-9 * best);
    }
  }
  EXPECT_GT(feasible, 20);
  EXPECT_GT(infeasible, 10);
}

TEST(Planners, AShortageIsFoundExactlyWhereNoAssignmentFits) {
  for (const TableSpec& spec : specs()) {
    for (uint64_t seed = 10; seed < 20; ++seed) {
      const CostTables tables = random_tables(spec, seed);
      EXPECT_EQ(shortage(tables).has_value(), least_of_all(tables) == kNoCutoff) << "seed " << seed;
    }
  }
}

TEST(Planners, NoRivalBeatsTheExactOneAndEveryPlanFits) {
  for (const TableSpec& spec : specs()) {
    for (uint64_t seed = 20; seed < 26; ++seed) {
      const CostTables tables = random_tables(spec, seed);
      const double best = least_of_all(tables);
      for (const PlannerRow& row : planner_table()) {
        const CellAnswer answer = row.plan(tables, {});
        if (!answer.assignment) {
          EXPECT_FALSE(answer.reason.empty() && best < kNoCutoff) << row.name;
          continue;
        }
        const auto value = evaluate(tables, *answer.assignment);
        ASSERT_TRUE(value) << row.name << ": its plan does not fit";
        EXPECT_GE(value->total_s, best * (1 - 1e-9)) << row.name;
      }
    }
  }
}

// Alpa's own objective, by its definition: for every cut the strategies of least traffic in each
// stage, among those that fit; then the sum plus the bottleneck, transfers left out.
double alpa_by_definition(const CostTables& tables, const Assignment& cut) {
  double sum = 0;
  double bottleneck = 0;
  for (size_t i = 0; i < cut.stage_begin.size(); ++i) {
    double traffic = kNoCutoff;
    double time = kNoCutoff;
    for_each_assignment(tables, [&](const Assignment& a) {
      if (a.stage_begin != cut.stage_begin) return;
      Bytes memory;
      double own_traffic = 0;
      double own_time = 0;
      for (size_t u = a.stage_begin[i]; u < a.stage_end(i); ++u) {
        const size_t entry = tables.at(u, a.strategy[u]);
        memory += tables.layer_bytes(u, a.strategy[u], i);
        own_traffic += tables.communication_s[entry];
        own_time += tables.compute_s[entry];
        if (u == a.stage_begin[i]) continue;
        const double reshard =
            tables
                .reshard_s[tables.at(chain_edge(tables, u - 1), a.strategy[u - 1], a.strategy[u])];
        own_traffic += reshard;
        own_time += reshard;
      }
      if (memory > tables.limit[i] || own_traffic >= traffic - 1e-12) return;
      traffic = own_traffic;
      time = own_time;
    });
    sum += time;
    bottleneck = std::max(bottleneck, time);
  }
  return sum + static_cast<double>(tables.microbatches - 1) * bottleneck;
}

TEST(Planners, AlpaSolvesItsTwoLevelsExactly) {
  for (const bool tight : {false, true}) {
    for (uint64_t seed = 30; seed < 36; ++seed) {
      const CostTables tables = random_tables(
          {.layers = 4, .strategies = 3, .stages = 2, .tightness = tight ? 0.3 : 1.0}, seed);
      double best = kNoCutoff;
      for (const size_t second : {1, 2, 3}) {
        best = std::min(best, alpa_by_definition(tables, {{0, second}, {0, 0, 0, 0}}));
      }
      const CellAnswer answer = plan_alpa(tables, {});
      ASSERT_EQ(answer.assignment.has_value(), best < kNoCutoff);
      if (!answer.assignment) continue;
      EXPECT_NEAR(alpa_by_definition(tables, *answer.assignment), best, 1e-6 * 4 + 1e-9 * best);
    }
  }
}

TEST(Planners, GalvatronIsExactWithinStagesThatWereCutBeforehand) {
  for (uint64_t seed = 40; seed < 50; ++seed) {
    TableSpec spec{.layers = 6, .strategies = 3, .stages = 2, .tightness = 0.6, .alike = true};
    const CostTables tables = random_tables(spec, seed);
    const CellAnswer answer = plan_galvatron(tables, {});
    if (!answer.assignment) continue;
    EXPECT_THAT(answer.assignment->stage_begin, testing::ElementsAre(0, 3));
    std::vector<double> least(2, kNoCutoff);
    for_each_assignment(tables, [&](const Assignment& a) {
      if (a.stage_begin != answer.assignment->stage_begin || !evaluate(tables, a)) return;
      const Objective value = value_of(tables, a);
      for (size_t i = 0; i < 2; ++i) least[i] = std::min(least[i], value.compute_stage_s[i]);
    });
    const Objective value = value_of(tables, *answer.assignment);
    for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(value.compute_stage_s[i], least[i], 1e-9);
  }
}

TEST(Planners, EvenCutsGiveTheEndsToTheOuterStages) {
  TableSpec spec{.layers = 34, .strategies = 1, .stages = 4};
  EXPECT_THAT(even_cut(random_tables(spec, 1)), testing::ElementsAre(0, 9, 17, 25));
  spec.layers = 35;  // 33 inner layers: the last stage takes one more
  EXPECT_THAT(even_cut(random_tables(spec, 1)), testing::ElementsAre(0, 9, 17, 25));
  spec.stages = 1;
  EXPECT_THAT(even_cut(random_tables(spec, 1)), testing::ElementsAre(0));
}

TEST(Planners, UnknownNamesGetTheNearest) {
  const auto row = find_planner("galvatrn");
  ASSERT_FALSE(row);
  EXPECT_THAT(row.error().message, testing::HasSubstr("did you mean 'galvatron'?"));
}

}  // namespace
}  // namespace soapbox::strategies::uniap
