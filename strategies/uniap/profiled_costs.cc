#include "strategies/uniap/profiled_costs.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::strategies::uniap {
namespace {

using galvatron::Galvatron2Layers;
using galvatron::Galvatron2Profile;
using galvatron::VocabMemory;

constexpr double kMib = 1 << 20;

Bytes mib(double count) {
  return Bytes(std::llround(count * kMib));
}

// What plans on so many devices ask of the hardware.
Status check_hardware(const Galvatron2Profile& profile, int32_t devices) {
  for (int32_t ranks = 2; ranks <= devices; ranks *= 2) {
    for (const bool neighbours : {true, false}) {
      if (!neighbours && ranks == devices) continue;
      if (!profile.all_reduce_gb_per_s.contains({ranks, neighbours})) {
        return bad_input(str_cat("the profiles have no allreduce_size_", ranks, "_consec_",
                                 neighbours ? 1 : 0, ", which ", devices, " devices need"));
      }
    }
    if (!profile.p2p_gb_per_s.contains(ranks)) {
      return bad_input(
          str_cat("the profiles have no pp_size_", ranks, ", which ", devices, " devices need"));
    }
  }
  return ok();
}

}  // namespace

ProfiledCosts::ProfiledCosts(Galvatron2Profile profile, ProfiledProblem problem)
    : profile_(std::move(profile)), problem_(std::move(problem)) {
  for (size_t t = 0; t < profile_.types.size(); ++t) {
    type_of_block_.insert(type_of_block_.end(), static_cast<size_t>(profile_.types[t].layers), t);
  }
}

Result<ProfiledCosts> ProfiledCosts::make(Galvatron2Profile profile, ProfiledProblem problem) {
  SOAPBOX_CHECK(problem.heads.size() == profile.types.size(), "heads: one number for each type");
  if ((problem.devices & (problem.devices - 1)) != 0) {
    return bad_input(
        str_cat("profiles are of powers of two; the cluster has ", problem.devices, " devices"));
  }
  const Status status = check_hardware(profile, problem.devices);
  if (!status) return status.error();
  return ProfiledCosts(std::move(profile), std::move(problem));
}

std::vector<Edge> ProfiledCosts::edges() const {
  std::vector<Edge> chain;
  for (size_t u = 0; u + 1 < layer_count(); ++u) chain.push_back({u, u + 1});
  return chain;
}

const Galvatron2Layers& ProfiledCosts::block(size_t layer) const {
  return profile_.types[type_of_block_[layer - 1]];
}

const VocabMemory& ProfiledCosts::vocab(size_t layer, int32_t stages) const {
  if (stages == 1) return profile_.vocab_alone;
  return layer == 0 ? profile_.vocab_first : profile_.vocab_last;
}

double ProfiledCosts::hidden_bytes(size_t layer) const {
  const size_t near = std::clamp<size_t>(layer, 1, type_of_block_.size());
  const Galvatron2Layers& type = block(near);
  return static_cast<double>(type.seq_len * type.hidden) * (problem_.precise ? 4 : 2);
}

double ProfiledCosts::bus_s(double times, double bytes, int32_t ranks, bool neighbours) const {
  if (ranks == 1) return 0;
  const double gb_per_s =
      profile_.all_reduce_gb_per_s.at({ranks, neighbours || ranks == problem_.devices});
  return times * (ranks - 1) / ranks * bytes / (1e9 * gb_per_s);
}

double ProfiledCosts::all_reduce_s(double bytes, int32_t ranks) const {
  const auto curve = profile_.all_reduce.find(ranks);
  // Curves are of half an all-reduce.
  if (curve != profile_.all_reduce.end()) return 2e-3 * std::max(0.0, curve->second.at(bytes));
  return bus_s(2, bytes, ranks, true);
}

bool ProfiledCosts::allowed(size_t layer, const Strategy& s, int64_t samples) const {
  if (samples % s.dp != 0) return false;
  const int32_t stages = problem_.devices / (s.tp * s.dp);
  if (is_vocab(layer)) {
    const VocabMemory& memory = vocab(layer, stages);
    return memory.states_mb.contains(s.tp) && memory.activation_mb_per_sample.contains(s.tp);
  }
  const int64_t heads = problem_.heads[type_of_block_[layer - 1]];
  return block(layer).activation_mb_per_sample.contains(s.tp) && (heads == 0 || heads % s.tp == 0);
}

LayerSeconds ProfiledCosts::seconds(size_t layer, const Strategy& s, int64_t samples,
                                    int32_t stages) const {
  const double local = static_cast<double>(samples) / s.dp;
  LayerSeconds seconds;
  double parameter_bytes = 0;  // on a rank
  if (is_vocab(layer)) {
    seconds.forward = 0.5e-3 * profile_.vocab.at(local / s.tp);
    const double share = stages == 1 ? 0.5 : 1;
    parameter_bytes = share * vocab(layer, stages).states_mb.at(s.tp) / 4 * kMib;
    if (s.tp > 1) {
      seconds.tensor_forward = all_reduce_s(hidden_bytes(layer) * local, s.tp) / 2;
      seconds.tensor_backward = seconds.tensor_forward;
    }
  } else {
    seconds.forward = 1e-3 * block(layer).forward.at(local / s.tp);
    parameter_bytes = block(layer).parameter_mb / s.tp * kMib;
    if (s.tp > 1) {
      seconds.tensor_forward = 2 * all_reduce_s(hidden_bytes(layer) * local, s.tp);
      seconds.tensor_backward = seconds.tensor_forward;
    }
  }
  seconds.backward = 2 * seconds.forward;
  const double travelling = parameter_bytes / (problem_.precise ? 1 : 2);
  const bool data_neighbours = s.tp == 1;
  if (s.fsdp) {
    seconds.gather_forward = bus_s(1, travelling, s.dp, data_neighbours);
    seconds.gather_backward = seconds.gather_forward;
  }
  seconds.gradient = bus_s(s.fsdp ? 1 : 2, travelling, s.dp, data_neighbours);
  seconds.gradient_each_time = s.fsdp;
  return seconds;
}

LayerBytes ProfiledCosts::bytes(size_t layer, const Strategy& s, int64_t samples,
                                int32_t stages) const {
  const double local = static_cast<double>(samples) / s.dp;
  const double shards = s.fsdp ? s.dp : 1;
  if (is_vocab(layer)) {
    const VocabMemory& memory = vocab(layer, stages);
    const double share = stages == 1 ? 0.5 : 1;
    return {mib(share * memory.states_mb.at(s.tp) / shards),
            mib(share * memory.activation_mb_per_sample.at(s.tp) * local)};
  }
  const Galvatron2Layers& type = block(layer);
  return {mib(4 * type.parameter_mb / s.tp / shards),
          mib(type.activation_mb_per_sample.at(s.tp) * local)};
}

double ProfiledCosts::reshard(const Edge& edge, const Strategy& from, const Strategy& to,
                              int64_t samples, int32_t /*stages*/) const {
  if (from.dp == to.dp) return 0;
  const Strategy& spread = from.dp > to.dp ? from : to;
  const Strategy& gathered = from.dp > to.dp ? to : from;
  const double chunk = hidden_bytes(edge.from) * static_cast<double>(samples) / gathered.dp;
  return bus_s(1, chunk, spread.dp / gathered.dp, spread.tp == 1);
}

double ProfiledCosts::transfer(const Edge& edge, const Strategy& from, const Strategy& to,
                               int64_t samples, int32_t stages) const {
  const double whole = hidden_bytes(edge.from) * static_cast<double>(samples) / from.dp;
  const double send = whole / from.tp / (1e9 * profile_.p2p_gb_per_s.at(stages));
  return 2 * (send + bus_s(1, whole, from.tp, true)) + reshard(edge, from, to, samples, stages);
}

}  // namespace soapbox::strategies::uniap
