// Costs of layers from measured profiles in Galvatron's form (galvatron/galvatron2.h), whichever
// planner reads them: what UniAP's own optimisation was given, too.
//
// A layer takes the profiled forward time of b / tp samples per rank, and twice that backwards. Its
// collectives take the profiled times: 2 all-reduces of the hidden vectors in each pass where tp >
// 1, gradients once per iteration, gathers of sharded parameters in each pass. Embedding and head
// are profiled together and share their time and, without a pipeline, their memory. Profiles know
// no optimiser step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/result.h"
#include "strategies/galvatron/galvatron2.h"
#include "strategies/uniap/layer_costs.h"

namespace soapbox::strategies::uniap {

// What a profile does not say of the model and its devices.
struct ProfiledProblem {
  std::vector<int64_t> heads;  // of each type of layer; 0: without attention
  int32_t devices = 1;
  Bytes memory;         // of a device, without what the framework keeps
  bool precise = true;  // fp32; else 16 bits travel
};

class ProfiledCosts : public LayerCosts {
 public:
  // Refuses profiles without a bandwidth or memory that plans on so many devices need.
  static Result<ProfiledCosts> make(galvatron::Galvatron2Profile profile, ProfiledProblem problem);

  // The blocks between an embedding (layer 0) and a head.
  size_t layer_count() const override { return type_of_block_.size() + 2; }
  std::vector<Edge> edges() const override;
  int32_t device_count() const override { return problem_.devices; }
  Bytes memory_limit(int64_t /*samples*/, int32_t /*stages*/) const override {
    return problem_.memory;
  }
  bool allowed(size_t layer, const Strategy& strategy, int64_t samples) const override;
  LayerSeconds seconds(size_t layer, const Strategy& strategy, int64_t samples,
                       int32_t stages) const override;
  LayerBytes bytes(size_t layer, const Strategy& strategy, int64_t samples,
                   int32_t stages) const override;
  double reshard(const Edge& edge, const Strategy& from, const Strategy& to, int64_t samples,
                 int32_t stages) const override;
  double transfer(const Edge& edge, const Strategy& from, const Strategy& to, int64_t samples,
                  int32_t stages) const override;

 private:
  ProfiledCosts(galvatron::Galvatron2Profile profile, ProfiledProblem problem);
  bool is_vocab(size_t layer) const { return layer == 0 || layer + 1 == layer_count(); }
  const galvatron::Galvatron2Layers& block(size_t layer) const;
  const galvatron::VocabMemory& vocab(size_t layer, int32_t stages) const;
  // Hidden vectors of one sample after a layer.
  double hidden_bytes(size_t layer) const;
  // `bytes` on a bus of the ranks, all of them `times` (n - 1) / n over it.
  double bus_s(double times, double bytes, int32_t ranks, bool neighbours) const;
  double all_reduce_s(double bytes, int32_t ranks) const;  // of neighbours, by the curve if any

  galvatron::Galvatron2Profile profile_;
  ProfiledProblem problem_;
  std::vector<size_t> type_of_block_;
};

}  // namespace soapbox::strategies::uniap
