// Delta simulation of plans against lower() and a full run: after every random change of one or
// several operators, every task's ready, start and end and the iteration time must be equal.
// SOAPBOX_FUZZ_MUTATIONS=N runs about N mutations in all.
#include "sim/simulate/delta.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/plan/test_plan.h"
#include "sim/simulate/lower.h"
#include "sim/simulate/random_model.h"

namespace soapbox {
namespace {

constexpr std::string_view kRandom = "random";

struct Setting {
  std::string_view model;
  int64_t batch;
  size_t nodes;
  size_t gpus;
  SyncMode sync;
};

class PlanFuzz {
 public:
  PlanFuzz(const Setting& setting, uint64_t seed)
      : rng_(seed),
        model_(setting.model == kRandom ? random_model(rng_)
                                        : *build_model(setting.model, setting.batch)),
        cluster_(test_cluster(setting.nodes, setting.gpus, 0.5)),
        costs_(*Costs::make(model_, cluster_, {})),
        problem_{model_, cluster_, costs_, {}},
        delta_(problem_),
        plan_(random_plan(model_.graph, cluster_.device_count(), setting.sync, rng_)) {
    EXPECT_EQ(delta_.reset(plan_), full(plan_));
  }

  void mutate() {
    Plan next = plan_;
    std::vector<OpId> changed;
    const uint32_t count = rng_.below(8) == 0 ? 3 : 1;
    for (uint32_t i = 0; i < count; ++i) {
      const OpId op(rng_.below(static_cast<uint32_t>(model_.graph.ops().size())));
      next.ops[op] = random_config(model_.graph.op(op), cluster_.device_count(),
                                   2 * cluster_.device_count(), rng_);
      changed.push_back(op);
    }
    if (rng_.below(2) == 0) align_layer(next, changed);
    const Duration expected = full(next);
    std::optional<Duration> limit;
    if (rng_.below(3) == 0) limit = Duration(expected.picoseconds() / 100 * (90 + rng_.below(20)));
    const std::optional<Duration> time = delta_.propose(next, changed, limit);
    ASSERT_EQ(time.has_value(), !limit || expected <= *limit);
    if (time) {
      ASSERT_EQ(*time, expected);
      ASSERT_NO_FATAL_FAILURE(compare(next));
    }
    if (time && rng_.below(2) == 0) {
      delta_.accept();
      plan_ = std::move(next);
    } else {
      delta_.reject();
      full(plan_);
      ASSERT_NO_FATAL_FAILURE(compare(plan_));
    }
  }

 private:
  // Gives all steps of the changed operators' layers one configuration: their edges become equal.
  void align_layer(Plan& plan, std::vector<OpId>& changed) const {
    const std::vector<OpId> leaders = changed;
    for (const OpId leader : leaders) {
      for (const OpId op : model_.graph.ops().ids()) {
        const std::string& layer = model_.graph.op(op).layer;
        if (op == leader || layer.empty() || layer != model_.graph.op(leader).layer) continue;
        plan.ops[op] = plan.ops[leader];
        changed.push_back(op);
      }
    }
  }
  Duration full(const Plan& plan) {
    const Lowered lowered = lower(model_, cluster_, costs_, plan);
    engine_.run(lowered.graph, timeline_);
    return timeline_.makespan - SimTime() + lowered.serial_sync;
  }
  void compare(const Plan& plan) {
    const Timeline times = delta_.timeline(plan);
    ASSERT_EQ(times.end.size(), timeline_.end.size());
    ASSERT_EQ(times.makespan, timeline_.makespan);
    for (const TaskId task : times.end.ids()) {
      ASSERT_EQ(times.ready[task], timeline_.ready[task]) << "task " << task.value();
      ASSERT_EQ(times.start[task], timeline_.start[task]) << "task " << task.value();
      ASSERT_EQ(times.end[task], timeline_.end[task]) << "task " << task.value();
    }
  }

  Rng rng_;
  Model model_;
  Cluster cluster_;
  Costs costs_;
  Problem problem_;
  FifoEngine engine_;
  Timeline timeline_;
  DeltaSimulation delta_;
  Plan plan_;
};

TEST(DeltaSimulation, EqualsAFullRunTaskByTask) {
  const Setting settings[] = {
      {"lenet", 24, 1, 2, SyncMode::kOverlapped},      {"lenet", 24, 2, 2, SyncMode::kBulk},
      {"lenet", 24, 2, 3, SyncMode::kParameterServer}, {"lenet", 24, 2, 2, SyncMode::kSerial},
      {kRandom, 0, 2, 2, SyncMode::kOverlapped},       {kRandom, 0, 3, 1, SyncMode::kBulk},
      {kRandom, 0, 1, 4, SyncMode::kParameterServer},  {kRandom, 0, 2, 3, SyncMode::kSerial},
      {"rnnlm2", 24, 2, 2, SyncMode::kOverlapped},     {"rnnlm2", 24, 1, 3, SyncMode::kBulk},
  };
  const char* const text = std::getenv("SOAPBOX_FUZZ_MUTATIONS");
  const uint64_t mutations = text != nullptr ? std::stoull(text) : 1400;
  const uint64_t per_run = 50;
  for (uint64_t run = 0; run * per_run < mutations; ++run) {
    const Setting& setting = settings[run % std::size(settings)];
    SCOPED_TRACE(str_cat(setting.model, ", sync ", to_string(setting.sync), ", seed ", run));
    PlanFuzz fuzz(setting, run);
    for (uint64_t i = 0; i < per_run; ++i) {
      ASSERT_NO_FATAL_FAILURE(fuzz.mutate()) << "mutation " << i;
    }
  }
}

}  // namespace
}  // namespace soapbox
