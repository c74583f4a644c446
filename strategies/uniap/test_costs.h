// Costs in round numbers, for tests: layers of one second per sample.
#pragma once

#include "strategies/uniap/layer_costs.h"

namespace soapbox::strategies::uniap {

// Forward 1 s per sample, backward 3 s, both over tp x dp devices; 0.25 s of collectives each way
// where tp > 1; gradients 4 s where dp > 1; gathers 0.5 s each way where sharded. States 80 MiB
// over tp and, where sharded, dp; activations 10 MiB per sample over tp and dp. Changing the
// strategy costs 0.125 s, leaving a stage 0.0625 s more.
class RoundCosts : public LayerCosts {
 public:
  RoundCosts(size_t layers, int32_t devices, Bytes limit)
      : layers_(layers), devices_(devices), limit_(limit) {}

  size_t layer_count() const override { return layers_; }
  std::vector<Edge> edges() const override {
    std::vector<Edge> chain;
    for (size_t u = 0; u + 1 < layers_; ++u) chain.push_back({u, u + 1});
    return chain;
  }
  int32_t device_count() const override { return devices_; }
  Bytes memory_limit(int64_t /*samples*/, int32_t /*stages*/) const override { return limit_; }
  bool allowed(size_t /*layer*/, const Strategy& s, int64_t samples) const override {
    return samples % s.dp == 0;
  }
  LayerSeconds seconds(size_t /*layer*/, const Strategy& s, int64_t samples,
                       int32_t /*stages*/) const override {
    const double forward = static_cast<double>(samples) / s.tp / s.dp;
    LayerSeconds seconds{.forward = forward, .backward = 3 * forward};
    if (s.tp > 1) seconds.tensor_forward = seconds.tensor_backward = 0.25;
    if (s.dp > 1) seconds.gradient = 4;
    if (s.fsdp) seconds.gather_forward = seconds.gather_backward = 0.5;
    return seconds;
  }
  LayerBytes bytes(size_t /*layer*/, const Strategy& s, int64_t samples,
                   int32_t /*stages*/) const override {
    const int64_t shards = s.tp * (s.fsdp ? s.dp : 1);
    return {mebibytes(80 / shards), mebibytes(10 * samples / s.tp / s.dp)};
  }
  double reshard(const Edge& /*edge*/, const Strategy& from, const Strategy& to,
                 int64_t /*samples*/, int32_t /*stages*/) const override {
    return from == to ? 0 : 0.125;
  }
  double transfer(const Edge& edge, const Strategy& from, const Strategy& to, int64_t samples,
                  int32_t stages) const override {
    return reshard(edge, from, to, samples, stages) + 0.0625;
  }

 private:
  size_t layers_;
  int32_t devices_;
  Bytes limit_;
};

}  // namespace soapbox::strategies::uniap
