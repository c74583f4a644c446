#include "scenarios/runner/measured_runs/schedule_of_run.h"

#include <array>
#include <charconv>

#include "scenarios/runner/measured_runs/model_of_run.h"
#include "scenarios/runner/measured_runs/run_wording.h"

namespace soapbox::runner {
namespace {

struct ScheduleName {
  std::string_view text;
  PipelineSchedule schedule;
  bool exact = true;
};
constexpr std::array kSchedules = {
    ScheduleName{"1f1b-interleaved", PipelineSchedule::kInterleaved},
    ScheduleName{"1f1b-i", PipelineSchedule::kInterleaved},
    ScheduleName{"1f1b", PipelineSchedule::k1F1B},
    ScheduleName{"zb-1p", PipelineSchedule::kZb1p},
    ScheduleName{"zb1p", PipelineSchedule::kZb1p},
    ScheduleName{"zb-2p", PipelineSchedule::kZb2p},
    ScheduleName{"zb2p", PipelineSchedule::kZb2p},
    ScheduleName{"zb-v", PipelineSchedule::kZbV},
    ScheduleName{"zbv", PipelineSchedule::kZbV},
    // Primus calls its ZB-1p so.
    ScheduleName{"zbb", PipelineSchedule::kZb1p},
    ScheduleName{"zero-bubble", PipelineSchedule::kZb1p},
    ScheduleName{"v-half", PipelineSchedule::kZbV, false},
    ScheduleName{"v-min", PipelineSchedule::kZbV, false},
    ScheduleName{"gpipe", PipelineSchedule::kGPipe},
};

// As the notes name it ("schedule ZB-1p; ..."); nothing where they do not.
const ScheduleName* stated_schedule(const MeasuredRun& run) {
  const std::string notes = lower_case(run.notes);
  const size_t at = notes.find("schedule ");
  if (at == std::string::npos) return nullptr;
  const std::string_view named = std::string_view(notes).substr(at + 9);
  for (const ScheduleName& name : kSchedules) {
    if (named.starts_with(name.text)) return &name;
  }
  return nullptr;
}

// Chunks of a stage where the run has several and does not say how many: the fewest that cut its
// blocks evenly, with embedding and head as a block each where that is what comes out even.
int64_t fewest_even_chunks(int64_t blocks, int64_t stages) {
  for (const int64_t cut : {blocks, blocks + 2}) {
    for (int64_t chunks = 2; chunks * stages <= cut; ++chunks) {
      if (cut % (chunks * stages) == 0) return chunks;
    }
  }
  return 2 * stages <= blocks ? 2 : 1;
}

Status choose_schedule(const MeasuredRun& run, const Transformer& model, ParallelPlan& plan,
                       Assumptions& assumptions) {
  if (plan.pipeline_parallel == 1) return ok();
  int64_t chunks = 1;
  const char* end = run.vpp.data() + run.vpp.size();
  const auto [stop, status] = std::from_chars(run.vpp.data(), end, chunks);
  const bool is_number = !run.vpp.empty() && status == std::errc() && stop == end && chunks > 0;
  const bool unsaid = !is_number && (contains(run.vpp, "interleaved") ||
                                     (run.vpp.empty() && contains(run.notes, "interleaving used")));
  if (!is_number) chunks = 1;
  if (unsaid) {
    chunks = fewest_even_chunks(model.block_count(), plan.pipeline_parallel);
    assumptions.add("vpp", chunks, "interleaved; the number of chunks is not stated");
  } else if (!is_number && !run.vpp.empty()) {
    assumptions.add("vpp", 1, str_cat("'", shown(run.vpp), "' is not understood"));
  } else if (run.vpp.empty()) {
    assumptions.add("vpp", 1, "not stated");
  }
  if (const ScheduleName* name = stated_schedule(run)) {
    plan.schedule = name->schedule;
    if (name->schedule == PipelineSchedule::kZbV) chunks = 2;
    if (name->schedule == PipelineSchedule::kZb1p || name->schedule == PipelineSchedule::kZb2p ||
        name->schedule == PipelineSchedule::kGPipe) {
      chunks = 1;
    }
    if (name->schedule == PipelineSchedule::kInterleaved && chunks == 1) {
      chunks = fewest_even_chunks(model.block_count(), plan.pipeline_parallel);
      assumptions.add("vpp", chunks, "interleaved; the number of chunks is not stated");
    }
    if (!name->exact) {
      assumptions.add("schedule", to_string(name->schedule), str_cat("nearest to ", name->text));
    }
  } else {
    if (contains(lower_case(run.notes), "varuna schedule")) {
      assumptions.add("schedule", "1f1b", "the nearest to Varuna's");
    }
    plan.schedule = chunks > 1 ? PipelineSchedule::kInterleaved : PipelineSchedule::k1F1B;
  }
  if (chunks * plan.pipeline_parallel > model.block_count() + 2) {
    return bad_input(str_cat(chunks, " chunks on each of ", plan.pipeline_parallel,
                             " stages are more than the ", model.block_count(), " layers"));
  }
  plan.chunks_per_stage = static_cast<int32_t>(chunks);
  return ok();
}

// Chunks of equal numbers of blocks; where embedding and head stand for one block each, as NeMo and
// Megatron-LM cut such models, the first and the last have one block fewer.
void set_chunks(const Transformer& model, ParallelPlan& plan, Assumptions& assumptions) {
  const int64_t chunks = plan.stage_count();
  const int64_t blocks = model.block_count();
  plan.chunk_begin = even_chunks(model, static_cast<int32_t>(chunks));
  if (chunks == 1 || blocks % chunks == 0) return;
  if ((blocks + 2) % chunks == 0) {
    const int64_t width = (blocks + 2) / chunks;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      plan.chunk_begin[static_cast<size_t>(chunk)] = static_cast<int32_t>(chunk * width);
    }
    assumptions.add("stages", "uneven", "embedding and head count as a layer each");
    return;
  }
  assumptions.add("stages", "uneven", str_cat(blocks, " layers over ", chunks, " chunks"));
}

}  // namespace

Status set_schedule(const MeasuredRun& run, const Transformer& model, ParallelPlan& plan,
                    Assumptions& assumptions) {
  const Status chosen = choose_schedule(run, model, plan, assumptions);
  if (!chosen) return chosen;
  set_chunks(model, plan, assumptions);
  return ok();
}

}  // namespace soapbox::runner
