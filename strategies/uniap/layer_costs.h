// LayerCosts: what one layer takes under one strategy, whoever says so: the project's own cost
// models, or a profile of Galvatron's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strategies/uniap/cost_tables.h"

namespace soapbox::strategies::uniap {

// Seconds on every device of a stage, for one micro-batch where not said otherwise.
struct LayerSeconds {
  double forward = 0;
  double backward = 0;        // profiled; the assembly may take twice the forward instead
  double tensor_forward = 0;  // tensor-parallel collectives: not hidden behind anything
  double tensor_backward = 0;
  double gather_forward = 0;   // fully sharded parameters, fetched for the forward pass
  double gather_backward = 0;  // and again for the backward pass
  // Gradients over the data ranks, once where they are accumulated; overlapped with the backward
  // pass as far as it goes.
  double gradient = 0;
  bool gradient_each_time = false;  // sharded gradients are reduced in every micro-batch
  double update = 0;                // of the parameters, once per iteration
};

class LayerCosts {
 public:
  virtual ~LayerCosts() = default;

  virtual size_t layer_count() const = 0;
  virtual std::vector<Edge> edges() const = 0;  // sorted, (u, u + 1) among them
  virtual int32_t device_count() const = 0;
  // Of a device, without what runtimes keep for themselves and what single layers need while they
  // run.
  virtual Bytes memory_limit(int64_t samples, int32_t stages) const = 0;

  // All for a micro-batch of `samples` on one of `stages` stages. `allowed`: whether the layer can
  // be split so, dp | samples included; the others are asked only then.
  virtual bool allowed(size_t layer, const Strategy& strategy, int64_t samples) const = 0;
  virtual LayerSeconds seconds(size_t layer, const Strategy& strategy, int64_t samples,
                               int32_t stages) const = 0;
  virtual LayerBytes bytes(size_t layer, const Strategy& strategy, int64_t samples,
                           int32_t stages) const = 0;
  // The tensors of an edge brought from one strategy's layout to another's, forward and backward,
  // on the devices of one stage.
  virtual double reshard(const Edge& edge, const Strategy& from, const Strategy& to,
                         int64_t samples, int32_t stages) const = 0;
  // The same from one stage to the next, transfer included.
  virtual double transfer(const Edge& edge, const Strategy& from, const Strategy& to,
                          int64_t samples, int32_t stages) const = 0;
};

}  // namespace soapbox::strategies::uniap
