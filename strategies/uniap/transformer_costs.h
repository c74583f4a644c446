// The project's own costs as UniAP's optimisation needs them: the kernels, exchanges and bytes of
// layer_work.h, timed on one kind of device and on the cluster's process groups.
//
// Devices of a stage follow each other; tensor ranks are neighbours, data ranks are strided by tp
// (parallel_plan.h). Between layers of one stage with degrees tp and tp' the hidden vectors are
// gathered over max(tp, tp') / min(tp, tp') ranks, in one of the two passes: the other needs a
// slice of what a rank has. Between stages every rank sends its hidden vectors to its counterpart,
// forward and backward, and the receivers reshard them.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/collective/group_cost.h"
#include "sim/cost/kernel_costs.h"
#include "sim/model/transformer.h"
#include "sim/parallel/layer_work.h"
#include "sim/plan/parallel_plan.h"
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
  Bytes reserve = mebibytes(1024);  // what a framework keeps for itself on every device
};

class TransformerCosts : public LayerCosts {
 public:
  // All are kept by reference. REQUIRES: devices of one kind.
  TransformerCosts(const Transformer& model, const Cluster& cluster, const KernelCosts& kernels,
                   const GroupCosts& groups, const TransformerCostsOptions& options);

  size_t layer_count() const override { return model_.layers.size(); }
  std::string layer_name(size_t layer) const override;
  std::vector<Edge> edges() const override;
  int32_t device_count() const override { return static_cast<int32_t>(cluster_.device_count()); }
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
  // One rank's part of one kind of layer: independent of the data ranks.
  struct RankCosts {
    LayerWork work;
    double forward_s = 0;
    double backward_s = 0;
    double tensor_forward_s = 0;
    double tensor_backward_s = 0;
  };
  const RankCosts& rank_costs(size_t layer, int32_t tp, int64_t samples, int32_t stages) const;
  double steps_s(const std::vector<Step>& steps, const GroupShape& tensor,
                 double& exchange_s) const;
  // A group of `ranks`, `stride` apart, on a stage of `devices`.
  GroupShape shape(int64_t ranks, int64_t stride, int64_t devices) const;
  double collective_s(CollectiveOp op, double bytes, const GroupShape& group) const;
  // Hidden vectors that an edge carries, per sample.
  double edge_bytes(const Edge& edge) const;
  bool is_hub_edge(const Edge& edge) const { return edge.to > edge.from + 1; }
  int64_t devices_of(int32_t stages) const { return device_count() / stages; }

  const Transformer& model_;
  const Cluster& cluster_;
  const KernelCosts& kernels_;
  const GroupCosts& groups_;
  TransformerCostsOptions options_;
  std::vector<size_t> kind_of_layer_;  // the first layer that equals it
  mutable std::map<std::tuple<size_t, int32_t, int64_t, int32_t>, RankCosts> known_;
};

}  // namespace soapbox::strategies::uniap
