// MeasuredRun: one row of a table of published training runs, as it is written; an empty cell is
// what the source does not state.
//
// A table that is no such table is refused: unknown columns that resemble a missing one, rows of
// the wrong length. A cell that cannot be understood does not cost the other rows: its run carries
// the error, and whoever asks about the run gets it as the reason.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::runner {

struct MeasuredRun {
  std::string id;
  std::string source;
  std::string group;  // of runs from one source; the first part of the id where not stated
  std::string model;
  std::optional<double> params_b;  // 10^9 parameters
  std::optional<int64_t> layers;
  std::optional<int64_t> hidden;
  std::optional<int64_t> heads;
  std::optional<int64_t> kv_heads;
  std::optional<int64_t> ffn_hidden;
  std::optional<int64_t> vocab;
  std::optional<int64_t> seq_len;
  std::string gpu;
  std::optional<double> gpu_mem_gb;  // as sold: 2^30 bytes each
  std::optional<int64_t> num_gpus;
  std::optional<int64_t> gpus_per_node;
  std::string intra_node_link;
  std::string inter_node_link;
  std::optional<int64_t> tp;
  std::optional<int64_t> pp;
  std::string vpp;  // a number, or words
  std::optional<int64_t> dp;
  std::optional<int64_t> cp;
  std::optional<int64_t> ep;
  std::string zero_stage;
  std::string sequence_parallel;
  std::optional<int64_t> micro_batch;
  std::optional<int64_t> global_batch;
  std::optional<int64_t> grad_accum;
  std::string precision;
  std::string recompute;
  std::string flash_attention;
  std::string metric;
  std::string value;
  std::optional<double> peak_mem_gb;
  std::optional<double> derived_step_time_s;
  std::string trust;  // A, B or C
  std::string notes;

  std::optional<Error> bad_cell;  // the first cell that is not understood

  bool ran_out_of_memory() const;  // a configuration that did not fit
  // Seconds of one step: as derived by the table, or from its metric and what that counts.
  std::optional<double> step_time_s() const;
  // A value is printed that gives no step time: of another metric, or what it counts is not stated.
  bool has_unclear_time() const;
};

struct MeasuredRuns {
  std::vector<MeasuredRun> runs;      // in the order of the table
  std::vector<std::string> messages;  // columns that are ignored or absent
};

// The columns of scenarios/validation/README.md in any order. A run must name its id, model, gpu
// and num_gpus; every other column may be absent, which is as if it were empty.
Result<MeasuredRuns> parse_measured_runs(std::string_view text, const std::string& file);
Result<MeasuredRuns> read_measured_runs(const std::string& path);

}  // namespace soapbox::runner
