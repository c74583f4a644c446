// The project's own costs as UniAP's optimisation needs them: layers priced as the simulator prices
// them (sim/parallel), so that tables and simulation differ in what they combine, not in what a
// layer takes.
//
// Devices of a stage follow each other; tensor ranks are neighbours, data ranks are strided by tp
// (parallel_plan.h). Between layers of one stage with degrees tp and tp' the hidden vectors are
// gathered over max(tp, tp') / min(tp, tp') ranks, in one of the two passes: the other needs a
// slice of what a rank has. Between stages tensor ranks send a part each and gather it again,
// forward and backward.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "sim/parallel/stage_costs.h"
#include "strategies/uniap/layer_costs.h"

namespace soapbox::strategies::uniap {

// How the output of an encoder reaches the blocks of the decoder.
//   kAlongChain  from layer to layer with the decoder's hidden vectors, as pipelines send it
//   kHub         by an edge of its own to every block, as UniAP's graphs have it
enum class CrossAttention : uint8_t { kAlongChain, kHub };

struct TransformerCostsOptions {
  Precision precision;
  bool flash_attention = true;
  CrossAttention cross_attention = CrossAttention::kAlongChain;
};

class TransformerCosts : public LayerCosts {
 public:
  // The problem is kept by reference. REQUIRES: devices of one kind and speed.
  TransformerCosts(const ParallelProblem& problem, const TransformerCostsOptions& options);

  size_t layer_count() const override { return problem_.model.layers.size(); }
  std::vector<Edge> edges() const override;
  int32_t device_count() const override {
    return static_cast<int32_t>(problem_.cluster.device_count());
  }
  Bytes memory_limit(int64_t samples, int32_t stages) const override;
  bool allowed(size_t layer, const Strategy& strategy, int64_t samples) const override;
  LayerSeconds seconds(size_t layer, const Strategy& strategy, int64_t samples,
                       int32_t stages) const override;
  LayerBytes bytes(size_t layer, const Strategy& strategy, int64_t samples,
                   int32_t stages) const override;
  double reshard(const Edge& edge, const Strategy& from, const Strategy& to, int64_t samples,
                 int32_t stages) const override;
  double transfer(const Edge& edge, const Strategy& from, const Strategy& to, int64_t samples,
                  int32_t stages) const override;

  // The strategy as a plan states it.
  static LayerStrategy layer_strategy(const Strategy& strategy);

 private:
  // What one rank does of one kind of layer.
  struct RankCosts {
    LayerWork work;
    LayerCost cost;
  };
  const RankCosts& rank_costs(size_t layer, const Strategy& strategy, int64_t samples) const;
  double collective_s(CollectiveOp op, double bytes, const GroupShape& group) const;
  // Hidden vectors that an edge carries, per sample.
  double edge_bytes(const Edge& edge) const;
  int64_t devices_per_node() const { return problem_.groups.fabric().devices_per_node; }

  const ParallelProblem& problem_;
  TransformerCostsOptions options_;
  std::vector<size_t> kind_of_layer_;  // the first layer that equals it
  mutable std::mutex knowing_;         // a race's threads plan on the same costs
  mutable std::map<std::tuple<size_t, int32_t, int32_t, bool, int64_t>, RankCosts> known_;
};

}  // namespace soapbox::strategies::uniap
