#include "strategies/uniap/simulated_profile.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/base/check.h"

namespace soapbox::strategies::uniap {
namespace {

using galvatron::ForwardTime;
using galvatron::Galvatron2Layers;
using galvatron::Galvatron2Profile;

constexpr double kMib = 1 << 20;
constexpr int64_t kMostSamples = 8;  // of a profiled batch

double mib(Bytes bytes) {
  return bytes.as_double() / kMib;
}

ForwardTime forward_time(const TransformerCosts& costs, size_t layer) {
  std::vector<std::pair<double, double>> points;
  for (int64_t samples = 1; samples <= kMostSamples; ++samples) {
    points.emplace_back(static_cast<double>(samples),
                        1e3 * costs.seconds(layer, {}, samples, costs.device_count()).forward);
  }
  return ForwardTime::fit(points);
}

// Adds what one layer needs on one of `tp` devices of a stage.
void add_memory(const TransformerCosts& costs, size_t layer, int32_t tp, int32_t stages,
                galvatron::VocabMemory& memory) {
  const LayerBytes bytes = costs.bytes(layer, {.tp = tp, .dp = 1}, 1, stages);
  memory.states_mb[tp] += mib(bytes.states);
  memory.activation_mb_per_sample[tp] += mib(bytes.activation);
}

Galvatron2Layers layers_of(const ParallelProblem& problem, const TransformerCosts& costs,
                           size_t first, size_t end) {
  const TransformerLayer& layer = problem.model.layers[first];
  Galvatron2Layers type;
  type.layers = static_cast<int32_t>(end - first);
  type.hidden = layer.hidden;
  type.seq_len = layer.seq_len;
  type.forward = forward_time(costs, first);
  galvatron::VocabMemory memory;
  for (int32_t tp = 1; tp <= costs.device_count(); tp *= 2) {
    if (costs.allowed(first, {.tp = tp, .dp = 1}, 1)) add_memory(costs, first, tp, 1, memory);
  }
  type.parameter_mb = memory.states_mb.at(1) / 4;
  type.activation_mb_per_sample = memory.activation_mb_per_sample;
  type.checkpoint_mb_per_sample = static_cast<double>(layer.seq_len * layer.hidden) * 4 / kMib;
  return type;
}

// GB/s of the bus: passes x (n - 1) / n of the bytes in the time of all.
double bus_gb_per_s(const ParallelProblem& problem, CollectiveOp op, double passes, Bytes bytes,
                    const GroupShape& group, int32_t ranks) {
  const double time_s =
      problem.groups.time(op, bytes, group).time.seconds() * problem.factors.exchange;
  return passes * (ranks - 1) / ranks * bytes.as_double() / time_s * 1e-9;
}

void profile_links(const ParallelProblem& problem, int32_t devices, Galvatron2Profile& profile) {
  const int64_t per_node = problem.groups.fabric().devices_per_node;
  for (int32_t ranks = 2; ranks <= devices; ranks *= 2) {
    for (const bool neighbours : {true, false}) {
      const int64_t stride = neighbours ? 1 : devices / ranks;
      profile.all_reduce_gb_per_s[{ranks, neighbours}] =
          bus_gb_per_s(problem, CollectiveOp::kAllReduce, 2, mebibytes(64),
                       strided_group(ranks, stride, per_node), ranks);
    }
    const GroupShape pair = strided_group(2, devices / ranks, per_node);
    // One way over the link: a bus of two with (n - 1) / n = 1/2 twice.
    profile.p2p_gb_per_s[ranks] =
        bus_gb_per_s(problem, CollectiveOp::kSendRecv, 2, mebibytes(128), pair, 2);
  }
}

}  // namespace

Galvatron2Profile simulated_profile(const ParallelProblem& problem, const TransformerCosts& costs) {
  const std::vector<TransformerLayer>& layers = problem.model.layers;
  const size_t last = layers.size() - 1;
  SOAPBOX_CHECK(layers.size() >= 3, "no blocks between embedding and head");
  Galvatron2Profile profile;
  for (size_t first = 1; first < last;) {
    size_t end = first + 1;
    while (end < last && layers[end] == layers[first]) ++end;
    profile.types.push_back(layers_of(problem, costs, first, end));
    first = end;
  }
  const ForwardTime embedding = forward_time(costs, 0);
  const ForwardTime head = forward_time(costs, last);
  profile.vocab = {embedding.ms_per_sample + head.ms_per_sample,
                   embedding.fixed_ms + head.fixed_ms};
  for (int32_t tp = 1; tp <= costs.device_count(); tp *= 2) {
    add_memory(costs, 0, tp, 2, profile.vocab_first);
    add_memory(costs, last, tp, 2, profile.vocab_last);
    add_memory(costs, 0, tp, 1, profile.vocab_alone);
    add_memory(costs, last, tp, 1, profile.vocab_alone);
  }
  profile_links(problem, costs.device_count(), profile);
  return profile;
}

}  // namespace soapbox::strategies::uniap
