#include "scenarios/runner/run_predictor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "scenarios/runner/code_fingerprint.h"
#include "scenarios/runner/measured_runs/cluster_of_run.h"
#include "scenarios/runner/measured_runs/model_of_run.h"
#include "scenarios/runner/measured_runs/plan_of_run.h"
#include "scenarios/runner/measured_runs/run_wording.h"
#include "scenarios/runner/scenario_files/cluster_file.h"
#include "scenarios/runner/scenario_files/collective_profile_file.h"
#include "scenarios/runner/scenario_files/kernel_profile_file.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/parallel/simulate_parallel.h"

namespace soapbox::runner {
namespace {

struct Simulated {
  ParallelRun run;
  Bytes peak;  // on the fullest device
  bool fits = false;
  // Where some of the layers are recomputed: which share, and the time with all of them.
  double recomputed = 0;
  std::optional<Duration> all_recomputed;
};

// What of a device's memory a run may and must take.
struct MemoryBudget {
  Bytes available;
  Bytes communication_buffers;  // on each device
  Bytes other_logits;           // on the last stage, as RunPlan has them
  double optimizer_share = 1;
};

Simulated simulate_run(const ParallelProblem& problem, const ParallelPlan& plan,
                       const MemoryBudget& budget) {
  Simulated simulated;
  simulated.run = simulate_parallel(problem, plan, {.fold = true, .check_memory = false});
  for (StageMemory& stage : simulated.run.memory) {
    stage.peak.optimizer =
        Bytes(std::llround(stage.peak.optimizer.as_double() * budget.optimizer_share));
    stage.peak.buffers += budget.communication_buffers;
    if (&stage == &simulated.run.memory.back()) stage.peak.buffers += budget.other_logits;
    simulated.peak = std::max(simulated.peak, stage.peak.total());
  }
  simulated.fits = simulated.peak <= budget.available;
  return simulated;
}

// For runs that do not say what their ranks share, and ran: the optimiser's states, the activations
// between tensor ranks, or all states, where less does not fit. It costs little time, so it comes
// before recomputation. Nobody shares parameters beside a pipeline, which would gather them for
// every micro-batch.
Simulated share_what_it_takes(const ParallelProblem& problem, RunPlan& planned,
                              const MemoryBudget& budget, Assumptions& assumptions) {
  Simulated nothing = simulate_run(problem, planned.plan, budget);
  const LayerStrategy& given = planned.plan.strategies.front();
  const bool alone = given.data_parallel * given.context_parallel == 1;
  const auto try_sharing = [&](int32_t stage, bool sequence) -> std::optional<Simulated> {
    ParallelPlan plan = planned.plan;
    for (LayerStrategy& each : plan.strategies) {
      each.zero_stage = stage;
      each.sequence_parallel = each.sequence_parallel || sequence;
    }
    Simulated shared = simulate_run(problem, plan, budget);
    if (!shared.fits) return std::nullopt;
    planned.plan = std::move(plan);
    if (sequence)
      assumptions.add("sequence_parallel", "yes", "not stated, and nothing fits without");
    assumptions.add("zero_stage", stage, "not stated, the least that fits");
    return shared;
  };
  if (planned.sharding_unsaid && !nothing.fits && !alone) {
    if (std::optional<Simulated> shared = try_sharing(1, false)) return *std::move(shared);
    if (planned.sequence_unsaid) {
      if (std::optional<Simulated> shared = try_sharing(1, true)) return *std::move(shared);
    }
    if (planned.plan.pipeline_parallel == 1) {
      if (std::optional<Simulated> shared = try_sharing(3, false)) return *std::move(shared);
    }
  }
  if (planned.sharding_unsaid) assumptions.add("zero_stage", 0, "not stated");
  return nothing;
}

// For runs that do not say what they recompute, and ran: as many layers as it takes to fit, and no
// fewer than `least` of them. Time and memory lie between those of none and all.
void recompute_what_it_takes(const ParallelProblem& problem, const RunPlan& planned,
                             const MemoryBudget& budget, Simulated& none,
                             Assumptions& assumptions) {
  const double least = planned.recompute_least;
  if (none.fits && least == 0) {
    assumptions.add("recompute", "none", "not stated, and it fits");
    return;
  }
  ParallelPlan plan = planned.plan;
  for (LayerStrategy& strategy : plan.strategies) strategy.recompute = planned.recompute_up_to;
  const Simulated all = simulate_run(problem, plan, budget);
  const Report* report = std::get_if<Report>(&all.run.outcome);
  if (report == nullptr || (!all.fits && least == 0)) {
    assumptions.add("recompute", "none", "not stated, and nothing fits");
    return;
  }
  const double saved = (none.peak - all.peak).as_double();
  const double needed = (none.peak - budget.available).as_double();
  none.recomputed = saved > 0 ? std::clamp(needed / saved, least, 1.0) : least;
  none.all_recomputed = report->iteration_time;
  none.peak = none.peak - Bytes(std::llround(none.recomputed * saved));
  none.fits = none.peak <= budget.available;
  assumptions.add(
      "recompute",
      str_cat(to_string(planned.recompute_up_to), " of ", std::ceil(none.recomputed * 100),
              " % of the layers"),
      least > 0 ? "every second product is kept" : "not stated, as many as it takes to fit");
}

// When the last task but the optimiser's ends.
Duration without_optimizer(const ParallelRun& run) {
  SimTime last;
  for (size_t i = 0; i < run.lowered.tasks.size(); ++i) {
    const TaskId task(static_cast<uint32_t>(i));
    if (run.lowered.tasks[task].kind == ParallelTaskKind::kOptimizer) continue;
    last = std::max(last, run.timeline.end[task]);
  }
  return last - SimTime();
}

// Hardware that was not measured, and the nearest one that was: what is fitted is relative to the
// datasheet.
struct StandIn {
  std::string_view hardware;
  std::string_view measured;
};
constexpr std::array kStandIns = {
    StandIn{"B300-SXM-288GB", "B200-SXM-180GB"},
    StandIn{"GB300-GPU-288GB", "GB200-GPU-186GB"},
    StandIn{"H100-NVL-94GB", "H100-PCIe-80GB"},
    StandIn{"H20-SXM-96GB", "H100-SXM5-80GB"},
};

// With the peaks of tensor units at which the datasheet's share of them is what was measured.
Hardware with_measured_products(Hardware hardware, FlopsPerSecond best) {
  const KernelProfile datasheet = datasheet_kernel_profile();
  const GemmFit& fit = datasheet.gemm[static_cast<size_t>(GemmFamily::kTensorLinear)];
  const double share = best.rate() / (fit.tiles.front().efficiency * hardware.bf16_peak.rate());
  for (FlopsPerSecond* peak :
       {&hardware.fp16_peak, &hardware.bf16_peak, &hardware.fp8_peak, &hardware.fp4_peak}) {
    *peak = FlopsPerSecond(peak->rate() * share);
  }
  return hardware;
}

Result<KernelCosts> kernel_costs(const Hardware& hardware, FlopsPerSecond best_product,
                                 const std::map<std::string, KernelProfile>& profiles,
                                 Assumptions& assumptions) {
  std::string_view measured = hardware.name;
  for (const StandIn& stand_in : kStandIns) {
    if (stand_in.hardware == hardware.name) measured = stand_in.measured;
  }
  const auto found = profiles.find(std::string(measured));
  if (found == profiles.end()) {
    if (best_product.rate() > 0 && hardware.bf16_peak.rate() > 0) {
      assumptions.add("kernels", "datasheet",
                      str_cat("only the best product of ", hardware.name, " is known"));
      return KernelCosts::make(with_measured_products(hardware, best_product), nullptr);
    }
    assumptions.add("kernels", "datasheet", str_cat("no kernels of ", hardware.name, " are known"));
    return KernelCosts::make(hardware, nullptr);
  }
  if (measured == hardware.name) return KernelCosts::make(hardware, &found->second);
  assumptions.add("kernels", measured, str_cat("no kernels of ", hardware.name, " are known"));
  KernelProfile profile = found->second;
  profile.hardware = hardware.name;
  return KernelCosts::make(hardware, &profile);
}

// What is fitted holds for Transformer Engine with the vendor's attention. Its modules are Python.
// Megatron-LM before it calls several operators for a kernel or exchange of ours: 62 us of a host,
// by vTrain's runs that `suite.csv` marks for it. Of frameworks around fused kernels one stands for
// about four operators of some 10 us. What an iteration costs beside is not known of either.
void adapt(const RunPlan& plan, RunFactors& factors) {
  constexpr Duration kUnfusedIssue = microseconds(62);
  constexpr Duration kFusedIssue = microseconds(40);
  // The second generation is 1.3 to 1.5 times as fast as the first in Triton (Dao 2023, section 4).
  constexpr double kFlash1 = 1.4;
  if (plan.attention == AttentionLibrary::kVendor) factors.attention = 1;
  if (plan.attention == AttentionLibrary::kFlash1) factors.attention *= kFlash1;
  if (plan.transformer_engine) return;
  factors.issue = std::min(factors.issue, plan.plan.flash_attention ? kFusedIssue : kUnfusedIssue);
  factors.step_overhead = Duration();
}

// Over the code, the catalogue, the profiles and the clusters: what a prediction depends on beside
// its row.
Result<std::string> data_fingerprint(const ScenarioFolder& scenarios) {
  std::vector<std::string> paths = {scenarios.hardware_catalogue(), scenarios.run_factors()};
  for (const std::string_view folder : {"kernel_profiles", "collectives"}) {
    const std::filesystem::path root = scenarios.root() + "/profiles/" + std::string(folder);
    std::error_code ignored;  // a folder that is not there has no profiles
    for (const auto& entry : std::filesystem::directory_iterator(root, ignored)) {
      if (entry.path().extension() == ".toml") paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& cluster : scenarios.names(kClusterFiles)) {
    const Result<std::string> path = scenarios.path(kClusterFiles, cluster);
    if (!path) return path.error();
    paths.push_back(*path);
  }
  uint64_t hash = hash_bytes(code_fingerprint());
  for (const std::string& path : paths) {
    const Result<std::string> text = read_text_file(path);
    if (!text) return text.error();
    hash = hash_bytes(*text, hash);
  }
  return hex(hash);
}

// What the source calls peak memory. BigScience reads it off nvidia-smi, where a context alone is
// 1113 MiB, and not on the fullest stage: what is "13GB" on cards of 32 GB does not fit cards
// of 16. Taken as the first node's, where one looks.
Bytes published_peak(const MeasuredRun& run, const Simulated& simulated) {
  const std::vector<StageMemory>& stages = simulated.run.memory;
  if (contains(run.source, "bigscience")) return stages.front().peak.total() + mebibytes(1113);
  if (contains(run.notes, "(last) rank")) return stages.back().peak.total();
  return simulated.peak;
}

// By how much the interval that kernels and collectives give must grow for what frameworks differ
// in, and more where a source leaves pieces of a run unsaid: `scripts/validation_table.py` prints
// what the factors must still be multiplied by, cross-conformal over groups.
double interval_scale(const MeasuredRun& run) {
  if (run.trust == "A") return 1.3;
  return run.trust == "C" ? 4.8 : 1.8;
}

// What the run's own way of measuring makes of a simulated step.
RunPrediction prediction_of(const MeasuredRun& run, const Simulated& simulated,
                            const Report& report, const MemoryBudget& budget, bool no_update) {
  RunPrediction prediction;
  Duration step_time = report.iteration_time;
  prediction.low = report.low;
  prediction.high = report.high;
  if (simulated.all_recomputed) {
    const double all = simulated.all_recomputed->seconds() / report.iteration_time.seconds();
    const double slower = 1 + simulated.recomputed * (all - 1);
    for (Duration* time : {&step_time, &prediction.low, &prediction.high}) {
      *time = scaled(*time, slower);
    }
  }
  if (no_update) {
    const Duration update = report.iteration_time - without_optimizer(simulated.run);
    step_time = step_time - update;
    prediction.low = std::max(prediction.low - update, Duration());
    prediction.high = prediction.high - update;
  }
  const double scale = interval_scale(run);
  prediction.low = std::max(step_time - scaled(step_time - prediction.low, scale), Duration());
  prediction.high = step_time + scaled(prediction.high - step_time, scale);
  prediction.step_time = step_time;
  prediction.peak_memory = published_peak(run, simulated);
  prediction.feasible = simulated.fits;
  if (!simulated.fits) {
    prediction.reason = str_cat("out of memory: needs ", gibibytes_text(simulated.peak), " of ",
                                gibibytes_text(budget.available));
  }
  return prediction;
}

}  // namespace

Result<RunPredictor> RunPredictor::make(const ScenarioFolder& scenarios) {
  Result<HardwareCatalogue> catalogue = HardwareCatalogue::read(scenarios.hardware_catalogue());
  if (!catalogue) return catalogue.error();
  const Result<std::string> data = data_fingerprint(scenarios);
  if (!data) return data.error();
  Result<std::map<std::string, KernelProfile>> kernels =
      read_kernel_profiles(scenarios.root() + "/profiles/kernel_profiles");
  if (!kernels) return kernels.error();
  Result<RunFactorTable> factors = RunFactorTable::read(scenarios.run_factors());
  if (!factors) return factors.error();
  return RunPredictor(scenarios, *std::move(catalogue), *std::move(kernels), *std::move(factors),
                      *data);
}

RunPrediction RunPredictor::predict(const MeasuredRun& run) const {
  std::vector<std::string> said;
  Result<RunPrediction> prediction = try_predict(run, said);
  if (prediction) return *std::move(prediction);
  RunPrediction refused;
  refused.assumptions = std::move(said);
  refused.reason = prediction.error().to_string();
  return refused;
}

Result<RunPrediction> RunPredictor::try_predict(const MeasuredRun& run,
                                                std::vector<std::string>& said) const {
  if (run.bad_cell) return *run.bad_cell;
  Assumptions assumptions;
  const auto keep = [&](const Error& error) {
    said = assumptions.list();
    return error;
  };
  const Result<Transformer> model = model_of_run(run, assumptions);
  if (!model) return keep(model.error());
  const Result<ClusterDescription> description =
      cluster_of_run(run, scenarios_, catalogue_, assumptions);
  if (!description) return keep(description.error());
  Result<RunPlan> planned =
      plan_of_run(run, *model, static_cast<int64_t>(description->nodes.front().gpus), assumptions);
  if (!planned) return keep(planned.error());
  const Result<Cluster> cluster = make_cluster(*description, static_cast<size_t>(planned->devices));
  if (!cluster) return keep(cluster.error());
  const Status sound = check_parallel_plan(*model, planned->plan, cluster->device_count());
  if (!sound) return keep(sound.error());
  const Hardware& hardware = cluster->hardware()[HardwareId(0)];
  Result<KernelCosts> kernel =
      kernel_costs(hardware, catalogue_.best_product(hardware.name), kernels_, assumptions);
  if (!kernel) return keep(kernel.error());
  IdVector<HardwareId, KernelCosts> kernels;
  kernels.push_back(*std::move(kernel));
  const Result<GroupCosts> groups = load_group_costs(scenarios_, *cluster);
  if (!groups) return keep(groups.error());
  ParallelProblem problem{*model, *cluster, kernels, *groups, factors_.of(hardware.name)};
  adapt(*planned, problem.factors);

  const MemoryBudget budget{
      .available = std::max(hardware.memory - problem.factors.reserved, Bytes(0)),
      .communication_buffers = planned->communication_buffers,
      .other_logits = planned->other_logits,
      .optimizer_share = planned->optimizer_share};
  Simulated simulated = share_what_it_takes(problem, *planned, budget, assumptions);
  if (planned->recompute_up_to != Recompute::kNone) {
    recompute_what_it_takes(problem, *planned, budget, simulated, assumptions);
  }
  const Report* report = std::get_if<Report>(&simulated.run.outcome);
  if (report == nullptr) {
    const auto& stuck = std::get<Infeasible>(simulated.run.outcome);
    return keep(
        Error{ErrorCode::kInfeasible, str_cat("the plan cannot run: ", stuck.component), {}});
  }
  if (run.has_unclear_time()) {
    assumptions.add("measured time", "none",
                    str_cat("'", shown(run.value), "' of metric '", shown(run.metric),
                            "' gives no step time: see derived_step_time_s"));
  }
  RunPrediction prediction = prediction_of(run, simulated, *report, budget, planned->no_update);
  prediction.assumptions = assumptions.list();
  return prediction;
}

}  // namespace soapbox::runner
