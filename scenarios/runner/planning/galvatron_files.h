// Galvatron's files: profiles of layers and hardware, read; plans, read and written.
//
// Keys as in Galvatron-2 (AFDWang/Hetu-Galvatron): one flat JSON object for each kind of figure.
//   computation_profiling_*.json   layertype_I_bszB_seqS: forward ms per sample of one layer
//                                  layertype_other_bszB_seqS: of embedding and head
//                                  layernum[N]_bszB_seqS: forward ms of a whole model
//                                  (older files leave out _seqS, or both; S may be a list)
//   memory_profiling_*.json        layertype_I[_sp]: parameter_size and
//                                  tp_activation_per_bsz_dict in MB, by sequence length or not
//                                  other_memory_pp_off|on_first|on_last[_sp]: model_states and
//                                  activation of embedding and head
//                                  P_T_D..: what was measured, which is not read
//   allreduce_bandwidth_*.json     allreduce_size_K_consec_0|1: bus GB/s of K ranks
//   p2p_bandwidth_*.json           pp_size_K: GB/s between K stages
//   sp_time_*.json                 allreduce_size_K_MMB_time, all2all_size_K_MMB_time: ms
//   overlap_coefficient.json       overlap_coe
// A profile is refused where a figure cannot be right: a time that is not positive, a bandwidth
// that falls as messages grow. What a measurement may jitter is allowed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "strategies/galvatron/strategy.h"

namespace soapbox::runner {

struct GalvatronProfile {
  struct LayerTime {
    std::string layer;  // "layertype_0", "layertype_other", "layernum[2]"
    int64_t batch = 0;  // 0: not stated
    std::string seq;    // "512" or "[512,512]"; empty: not stated
    double ms = 0;
  };
  using ByTensorDegree = std::map<int32_t, double>;
  struct LayerMemory {
    std::string layer;  // "layertype_0"
    bool sequence_parallel = false;
    std::string seq;
    double parameter_mb = 0;
    ByTensorDegree activation_mb;  // of a sample
    double checkpoint_mb = 0;      // 0: not stated
  };
  struct OtherMemory {
    std::string place;  // "pp_off", "pp_on_first", "pp_on_last"
    bool sequence_parallel = false;
    std::string seq;
    ByTensorDegree states_mb;
    ByTensorDegree activation_mb;
  };
  struct Bandwidth {
    std::string op;  // "allreduce", "pp"
    int64_t ranks = 0;
    bool consecutive = true;
    double gb_per_s = 0;
  };
  struct MessageTime {
    std::string op;  // "allreduce", "all2all"
    int64_t ranks = 0;
    int64_t megabytes = 0;
    double ms = 0;
  };
  std::vector<LayerTime> layers;
  std::vector<LayerMemory> memory;
  std::vector<OtherMemory> other_memory;
  std::vector<Bandwidth> bandwidths;
  std::vector<MessageTime> messages;  // sorted by op, ranks, size
  double overlap = 0;                 // 0: not stated
};

// `file` is for error positions.
Result<GalvatronProfile> parse_galvatron_profile(std::string_view text, const std::string& file);

struct GalvatronPlanFile {
  int32_t pp = 1;
  std::vector<int64_t> stage_layers;
  std::vector<strategies::galvatron::LayerChoice> layers;
  int64_t global_batch = 0;
  int64_t chunks = 1;
  std::string pipeline_type = "gpipe";  // or "pipedream_flush"
  std::string default_dp_type = "ddp";  // or "zero2"
  int64_t vocab_tp = 1;
  int64_t vocab_sp = 0;
  int64_t embed_sdp = 0;
  friend bool operator==(const GalvatronPlanFile&, const GalvatronPlanFile&) = default;
};

// For `devices` of them; the file does not say how many. Refuses lists of different lengths,
// degrees that do not divide the devices, and stages that are not all of the layers.
Result<GalvatronPlanFile> parse_galvatron_plan(std::string_view text, const std::string& file,
                                               int32_t devices);
std::string galvatron_plan_to_json(const GalvatronPlanFile& plan);

}  // namespace soapbox::runner
