#include "strategies/screen.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/divisors.h"

namespace soapbox::strategies {
namespace {

// Sums over the layers before each one, so that a stage is a difference.
struct Prefix {
  std::vector<double> sums = {0};
  void add(double value) { sums.push_back(sums.back() + value); }
  double between(size_t first, size_t last) const { return sums[last] - sums[first]; }
};

// All layers under one strategy and micro-batch, whatever the stages and the sharding.
struct LayerSums {
  Prefix forward;  // seconds
  Prefix backward;
  Prefix weight;
  Prefix kept;  // bytes
  Prefix dense;
  Prefix experts;
  double transient = 0;
  double output_bytes = 0;

  void clear() {
    for (Prefix* prefix : {&forward, &backward, &weight, &kept, &dense, &experts}) {
      prefix->sums.assign(1, 0);
    }
    transient = output_bytes = 0;
  }
};

struct Stage {
  double forward = 0;
  double backward = 0;
  double weight = 0;
  double kept = 0;
  double dense = 0;
  double experts = 0;
  double pass() const { return forward + backward + weight; }
};

class Screener {
 public:
  Screener(const ParallelProblem& problem, const ScreenSpace& space, size_t best_count,
           const std::function<bool()>& keep_going)
      : problem_(problem),
        space_(space),
        best_count_(best_count),
        keep_going_(keep_going),
        devices_(static_cast<int64_t>(problem.cluster.device_count())),
        devices_per_node_(problem.groups.fabric().devices_per_node),
        blocks_(problem.model.block_count()),
        chunks_(static_cast<size_t>(blocks_) + 1) {}

  ScreenOutcome run() {
    for (const ParallelPlan& base : space_.bases) {
      if (!outcome_.interrupted) screen_base(base);
    }
    // Whoever waits no longer gets the best so far.
    if (outcome_.interrupted && best_.size() > 1) best_.resize(1);
    simulate_best();
    return std::move(outcome_);
  }

 private:
  void screen_base(const ParallelPlan& base) {
    for (const int32_t tensor : space_.tensor) {
      for (const int32_t context : space_.context) {
        for (const int32_t expert : space_.expert) {
          for (const bool sequence : space_.sequence_parallel) {
            if (sequence && tensor == 1) continue;
            ParallelPlan plan = base;
            plan.strategies = {{.tensor_parallel = tensor,
                                .context_parallel = context,
                                .expert_parallel = expert,
                                .sequence_parallel = sequence}};
            screen_passes(plan);
            if (outcome_.interrupted) return;
          }
        }
      }
    }
  }

  void screen_passes(ParallelPlan& plan) {
    for (const Recompute recompute : space_.recompute) {
      for (const int64_t microbatch : space_.microbatch) {
        plan.strategies[0].recompute = recompute;
        plan.microbatch = microbatch;
        screen_layouts(plan);
        if (outcome_.interrupted) return;
      }
    }
  }

  // All plans with the same layer prices, which depend on neither stages nor data ranks.
  void screen_layouts(ParallelPlan& plan) {
    priced_ = {};
    LayerStrategy& strategy = plan.strategies[0];
    for (const int32_t pipeline : space_.pipeline) {
      const int64_t ranks =
          int64_t{strategy.tensor_parallel} * strategy.context_parallel * pipeline;
      if (devices_ % ranks != 0) continue;
      strategy.data_parallel = static_cast<int32_t>(devices_ / ranks);
      const int64_t together = plan.microbatch * strategy.data_parallel;
      if (space_.global_batch % together != 0) continue;
      plan.microbatches = space_.global_batch / together;
      plan.pipeline_parallel = pipeline;
      if (!fits(plan)) continue;
      screen_schedules(plan);
      if (outcome_.interrupted) return;
    }
  }

  void screen_schedules(ParallelPlan& plan) {
    for (const PipelineSchedule schedule : space_.schedules) {
      const bool split = splits_backward(schedule);
      for (const int32_t chunks : space_.chunks) {
        plan.schedule = schedule;
        plan.chunks_per_stage = chunks;
        if (chunks > blocks_ / plan.pipeline_parallel || !has_chunks(plan)) continue;
        if (!priced_[split]) price(plan, split, sums_[split]);
        priced_[split] = true;
        plan.chunk_begin = chunks_of(plan.stage_count());
        screen_sharding(plan, sums_[split]);
        if (outcome_.interrupted) return;
      }
    }
  }

  // Whether stages and ranks fit model and devices, whatever the schedule.
  bool fits(ParallelPlan& plan) {
    if (plan.pipeline_parallel > blocks_) return false;
    plan.schedule = PipelineSchedule::k1F1B;
    plan.chunks_per_stage = 1;
    plan.chunk_begin = chunks_of(plan.pipeline_parallel);
    return bool(check_parallel_plan(problem_.model, plan, static_cast<size_t>(devices_)));
  }

  // Whether the schedule runs so many chunks per stage, and is not another one under its name.
  static bool has_chunks(const ParallelPlan& plan) {
    using enum PipelineSchedule;
    const bool pipelined = plan.pipeline_parallel > 1;
    if (plan.schedule == kInterleaved) return pipelined && plan.chunks_per_stage > 1;
    if (plan.schedule == kZbV) return pipelined && plan.chunks_per_stage == 2;
    return plan.chunks_per_stage == 1 && (pipelined || plan.schedule == k1F1B);
  }

  const std::vector<int32_t>& chunks_of(int32_t stages) {
    std::vector<int32_t>& begin = chunks_[static_cast<size_t>(stages)];
    if (begin.empty()) begin = even_chunks(problem_.model, stages);
    return begin;
  }

  void price(const ParallelPlan& plan, bool split, LayerSums& sums) const {
    sums.clear();
    const LayerPricing pricing{problem_.kernels[HardwareId(0)], problem_.groups, problem_.factors,
                               devices_per_node_, split};
    const TransformerLayer* previous = nullptr;
    LayerWork work;
    LayerCost cost;
    for (const TransformerLayer& layer : problem_.model.layers) {
      if (previous == nullptr || !(layer == *previous)) {
        work = make_layer_work(layer, plan.strategies[0], plan);
        cost = price_layer(work, plan.strategies[0], plan, pricing);
      }
      previous = &layer;
      sums.forward.add(cost.forward.total().seconds());
      sums.backward.add(cost.backward.total().seconds());
      sums.weight.add(cost.weight.total().seconds());
      sums.kept.add(static_cast<double>(work.kept_bytes));
      sums.dense.add(static_cast<double>(work.dense_parameters));
      sums.experts.add(static_cast<double>(work.expert_parameters));
      sums.transient = std::max(sums.transient, static_cast<double>(work.transient_bytes));
      sums.output_bytes = std::max(sums.output_bytes, static_cast<double>(work.output_bytes));
    }
  }

  std::vector<Stage>& stages_of(const ParallelPlan& plan, const LayerSums& sums) {
    stages_.assign(static_cast<size_t>(plan.pipeline_parallel), Stage());
    PipelineShape shape;
    shape.schedule = plan.schedule;
    shape.stages = plan.pipeline_parallel;
    shape.chunks_per_stage = plan.chunks_per_stage;
    for (int32_t position = 0; position < plan.stage_count(); ++position) {
      const auto at = static_cast<size_t>(position);
      const auto first = static_cast<size_t>(plan.chunk_begin[at]);
      const size_t last = at + 1 < plan.chunk_begin.size()
                              ? static_cast<size_t>(plan.chunk_begin[at + 1])
                              : problem_.model.layers.size();
      Stage& stage = stages_[static_cast<size_t>(shape.stage_of(position))];
      stage.forward += sums.forward.between(first, last);
      stage.backward += sums.backward.between(first, last);
      stage.weight += sums.weight.between(first, last);
      stage.kept += sums.kept.between(first, last);
      stage.dense += sums.dense.between(first, last);
      stage.experts += sums.experts.between(first, last);
    }
    return stages_;
  }

  void screen_sharding(ParallelPlan& plan, const LayerSums& sums) {
    const size_t layers = problem_.model.layers.size();
    const double whole = sums.forward.between(0, layers) + sums.backward.between(0, layers) +
                         sums.weight.between(0, layers);
    const double bound = static_cast<double>(plan.microbatches) * whole / plan.pipeline_parallel +
                         problem_.factors.step_overhead.seconds();
    std::vector<Stage>* stages = nullptr;
    for (const int32_t zero : space_.zero) {
      plan.strategies[0].zero_stage = zero;
      ++outcome_.configurations;
      if (outcome_.configurations % 4096 == 0 && !keep_going_()) {
        outcome_.interrupted = true;
        return;
      }
      if (bound >= worst_kept()) {
        ++outcome_.pruned;
        pruned_bound_ = std::min(pruned_bound_, bound);
        continue;
      }
      if (stages == nullptr) stages = &stages_of(plan, sums);
      ++outcome_.evaluated;
      if (memory(plan, sums, *stages) > available()) continue;
      ++outcome_.feasible;
      offer(plan, time(plan, sums, *stages), bound);
    }
  }

  // --- closed forms, in seconds and bytes ---

  double available() const {
    const Hardware& hardware = problem_.cluster.hardware()[HardwareId(0)];
    return (hardware.memory - problem_.factors.reserved).as_double();
  }

  double in_flight(const ParallelPlan& plan, int32_t stage) const {
    const double m = static_cast<double>(plan.microbatches);
    const int32_t p = plan.pipeline_parallel;
    const int32_t v = plan.chunks_per_stage;
    switch (plan.schedule) {
      case PipelineSchedule::kGPipe:
        return m;
      case PipelineSchedule::k1F1B:
        return std::min<double>(m, p - stage);
      case PipelineSchedule::kInterleaved:
        return std::min(m, static_cast<double>(2 * (p - stage - 1) + (v - 1) * p + 1) / v);
      case PipelineSchedule::kZb2p:
        return std::min<double>(m, 2 * p - 1);
      default:
        return std::min<double>(m, p);
    }
  }

  double memory(const ParallelPlan& plan, const LayerSums& sums,
                const std::vector<Stage>& stages) const {
    const LayerStrategy& strategy = plan.strategies[0];
    const RankLayout layout(strategy, devices_per_node_);
    const double p = static_cast<double>(size_bytes(plan.precision.parameters));
    const auto states = [&](double count, int32_t shards) {
      return state_bytes(plan.precision, strategy.zero_stage, count, shards).total();
    };
    double most = 0;
    for (size_t i = 0; i < stages.size(); ++i) {
      const Stage& stage = stages[i];
      double bytes = states(stage.dense, layout.replicas()) +
                     states(stage.experts, layout.expert_replicas()) +
                     stage.kept * in_flight(plan, static_cast<int32_t>(i));
      if (strategy.zero_stage == 3) {
        bytes += 4 * p * (sums.dense.sums[2] - sums.dense.sums[1]);
      }
      most = std::max(most, bytes);
    }
    return most + sums.transient;
  }

  double collective(CollectiveOp op, double bytes, const GroupShape& shape) const {
    return exchange_time(problem_.groups, problem_.factors, op, bytes, shape).seconds();
  }

  // Gathering parameters and reducing gradients of a stage, each once.
  struct Traffic {
    double gather = 0;
    double reduce = 0;
  };
  Traffic data_traffic(const ParallelPlan& plan, const Stage& stage) const {
    const LayerStrategy& strategy = plan.strategies[0];
    const RankLayout layout(strategy, devices_per_node_);
    const double parameter = static_cast<double>(size_bytes(plan.precision.parameters));
    const double gradient = static_cast<double>(size_bytes(plan.precision.gradients));
    const CollectiveOp op =
        strategy.zero_stage > 0 ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce;
    Traffic traffic;
    const auto add = [&](double count, int32_t ranks, const GroupShape& group) {
      if (ranks == 1 || count == 0) return;
      traffic.reduce += collective(op, count * gradient, group);
      if (strategy.zero_stage > 0) {
        traffic.gather += collective(CollectiveOp::kAllGather, count * parameter, group);
      }
    };
    add(stage.dense, layout.replicas(), layout.replica_group());
    add(stage.experts, layout.expert_replicas(), layout.expert_replica_group());
    return traffic;
  }

  // The passes of a stage while data traffic runs beside them, by which kernels take longer.
  // Sharded parameters and their gradients travel with every pass, which does not end before they
  // are there.
  Stage beside(const ParallelPlan& plan, const Traffic& traffic, Stage stage) const {
    const bool sharded = plan.strategies[0].zero_stage == 3;
    const double passes = sharded ? 1 : static_cast<double>(plan.microbatches);
    const double gather = sharded || plan.overlap_parameters ? traffic.gather / passes : 0;
    const double reduce = sharded || plan.overlap_gradients ? traffic.reduce / passes : 0;
    const double again = sharded ? gather : 0;
    const double overlap = problem_.factors.overlap;
    stage.forward += overlap * std::min(stage.forward, gather);
    stage.backward += overlap * std::min(stage.backward, again + reduce);
    stage.weight += overlap * std::min(stage.weight, again);
    if (sharded) {
      stage.forward = std::max(stage.forward, gather);
      stage.backward = std::max(stage.backward, gather + reduce - stage.weight);
    }
    return stage;
  }

  // `last_layer`: the share of the stage's traffic whose gradients are ready last, so that nothing
  // hides them.
  double exposed_data(const ParallelPlan& plan, const Traffic& traffic, const Stage& stage,
                      double last_layer) const {
    const auto [gather, reduce] = traffic;
    const double backward = (stage.backward + stage.weight) / plan.chunks_per_stage;
    if (plan.strategies[0].zero_stage == 3) return last_layer * reduce;
    return (plan.overlap_parameters ? std::max(0.0, gather - stage.forward) : gather) +
           (plan.overlap_gradients ? std::max(last_layer * reduce, reduce - backward) : reduce);
  }

  double update_time(const ParallelPlan& plan, const Stage& stage) const {
    const RankLayout layout(plan.strategies[0], devices_per_node_);
    const bool sharded = plan.strategies[0].zero_stage > 0;
    const double count = stage.dense / (sharded ? layout.replicas() : 1) +
                         stage.experts / (sharded ? layout.expert_replicas() : 1);
    const Kernel kernel = optimizer_kernel(plan.precision, count);
    return problem_.kernels[HardwareId(0)].time(kernel).time.seconds() * problem_.factors.compute;
  }

  // One message from a stage to the next; none where there is no next.
  double send_time(const ParallelPlan& plan, const LayerSums& sums) const {
    if (plan.pipeline_parallel == 1) return 0;
    return collective(CollectiveOp::kSendRecv, sums.output_bytes,
                      strided_group(2, devices_ / plan.pipeline_parallel, devices_per_node_));
  }

  // Until the first micro-batch has come through and after the last one has begun to leave: what is
  // beside m passes of the slowest stage. `mean`: of the stages.
  double fill_time(const ParallelPlan& plan, const Stage& mean, double slowest) const {
    const double m = static_cast<double>(plan.microbatches);
    const double p = plan.pipeline_parallel;
    const double chain = (p - 1) * (mean.forward + mean.backward);
    switch (plan.schedule) {
      case PipelineSchedule::kInterleaved:
        return (p - 1) * mean.pass() / plan.chunks_per_stage;
      // Few micro-batches cannot fill the time until the first backward pass comes back.
      case PipelineSchedule::kZb1p:
        return chain - std::min((p - 1) * mean.weight, (m - 1) * mean.weight);
      case PipelineSchedule::kZb2p:
        return chain - std::min(2 * (p - 1) * mean.weight, (m - 1) * mean.forward);
      case PipelineSchedule::kZbV:
        return chain - (m - 1) * mean.forward;
      default:
        return p * mean.pass() - slowest;
    }
  }

  double time(const ParallelPlan& plan, const LayerSums& sums,
              const std::vector<Stage>& stages) const {
    const double m = static_cast<double>(plan.microbatches);
    const double p = plan.pipeline_parallel;
    const double send = send_time(plan, sums);
    // A stage that waits while it sends: each chunk's output forward and gradient back, but for
    // those at the ends.
    const int32_t messages = 2 * plan.chunks_per_stage - (plan.pipeline_parallel == 2 ? 1 : 0);
    const double waits = plan.overlap_sends ? 0 : messages * send;
    double slowest = 0;
    double after = 0;
    Stage mean;
    for (const Stage& alone : stages) {
      const Traffic traffic = data_traffic(plan, alone);
      Stage stage = beside(plan, traffic, alone);
      stage.forward += waits / 2;
      stage.backward += waits / 2;
      slowest = std::max(slowest, stage.pass());
      const double first = &alone == &stages.front() ? sums.dense.sums[1] : 0;
      const double exposed = exposed_data(plan, traffic, stage, first / std::max(stage.dense, 1.0));
      after = std::max(after, exposed + update_time(plan, stage));
      mean.forward += stage.forward / p;
      mean.backward += stage.backward / p;
      mean.weight += stage.weight / p;
    }
    const double fill = std::max(0.0, fill_time(plan, mean, slowest));
    const double hops = plan.overlap_sends ? 2 * (p - 1) * plan.chunks_per_stage : 0;
    return m * slowest + fill + hops * send + after + problem_.factors.step_overhead.seconds();
  }

  // --- the best ---

  double worst_kept() const {
    return best_.size() < best_count_ ? std::numeric_limits<double>::infinity()
                                      : best_.back().seconds;
  }

  // Ties stay in the order of the space.
  void offer(const ParallelPlan& plan, double seconds, double bound) {
    if (seconds >= worst_kept()) return;
    const auto at = std::ranges::upper_bound(best_, seconds, {}, &Candidate::seconds);
    best_.insert(at, {plan, seconds, bound});
    if (best_.size() > best_count_) best_.pop_back();
  }

  void simulate_best() {
    if (outcome_.pruned > 0) outcome_.pruned_bound = from_seconds(pruned_bound_);
    for (const Candidate& candidate : best_) {
      ParallelRun run = simulate_parallel(problem_, candidate.plan);
      outcome_.best.push_back({candidate.plan, from_seconds(candidate.seconds),
                               from_seconds(candidate.bound), std::move(run.outcome),
                               run.memory[fullest_stage(run.memory)].peak});
    }
    std::stable_sort(outcome_.best.begin(), outcome_.best.end(),
                     [](const ScreenEntry& a, const ScreenEntry& b) {
                       const auto* x = std::get_if<Report>(&a.outcome);
                       const auto* y = std::get_if<Report>(&b.outcome);
                       if ((x == nullptr) != (y == nullptr)) return x != nullptr;
                       return x != nullptr && x->iteration_time < y->iteration_time;
                     });
  }

  struct Candidate {
    ParallelPlan plan;
    double seconds = 0;
    double bound = 0;
  };

  const ParallelProblem& problem_;
  const ScreenSpace& space_;
  size_t best_count_;
  const std::function<bool()>& keep_going_;
  int64_t devices_;
  int64_t devices_per_node_;
  int64_t blocks_;
  std::vector<std::vector<int32_t>> chunks_;  // where they begin, by their number
  std::array<LayerSums, 2> sums_;  // with weight gradients in the backward pass, and apart
  std::array<bool, 2> priced_ = {};
  std::vector<Stage> stages_;
  std::vector<Candidate> best_;
  double pruned_bound_ = std::numeric_limits<double>::infinity();
  ScreenOutcome outcome_;
};

}  // namespace

ScreenSpace ScreenSpace::all(const Transformer& model, int64_t devices, int64_t global_batch) {
  ScreenSpace space;
  space.global_batch = global_batch;
  space.tensor = divisors<int32_t>(devices);
  space.pipeline = space.tensor;
  space.context = space.tensor;
  space.chunks = divisors<int32_t>(model.block_count());
  const auto with_experts = std::ranges::find_if(
      model.layers, [](const TransformerLayer& layer) { return layer.mlp.experts > 0; });
  space.expert = with_experts == model.layers.end() ? std::vector<int32_t>{1}
                                                    : divisors<int32_t>(with_experts->mlp.experts);
  space.zero = {0, 1, 2, 3};
  space.microbatch = divisors(global_batch);
  space.sequence_parallel = {false, true};
  space.recompute = {Recompute::kNone, Recompute::kSelective, Recompute::kFull};
  using enum PipelineSchedule;
  space.schedules = {kGPipe, k1F1B, kInterleaved, kZb1p, kZb2p, kZbV};
  return space;
}

bool ScreenOutcome::proves_best() const {
  if (interrupted || best.empty()) return false;
  const auto* report = std::get_if<Report>(&best.front().outcome);
  return report != nullptr && (!pruned_bound || report->iteration_time <= *pruned_bound);
}

ScreenOutcome screen(const ParallelProblem& problem, const ScreenSpace& space, size_t best_count,
                     const std::function<bool()>& keep_going) {
  SOAPBOX_CHECK(best_count > 0, "a screening that keeps nothing");
  return Screener(problem, space, best_count, keep_going).run();
}

}  // namespace soapbox::strategies
