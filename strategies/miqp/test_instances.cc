#include "strategies/miqp/test_instances.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace soapbox::miqp {
namespace {

int64_t whole(double value) {
  return static_cast<int64_t>(std::llround(value));
}

// A strategy of a block on 8 or more devices: degrees of tensor parallelism and
// sharding.
struct BlockStrategy {
  double tensor;   // parallel degree
  double shard;    // how often model states are cut
  double compute;  // time, relative
  double states;
  double activations;
};

BlockStrategy block_strategy(size_t k) {
  const double tensor = std::pow(2.0, static_cast<double>(k % 4));
  const bool sharded = (k / 4) % 2 == 1;
  const bool recompute = (k / 8) % 2 == 1;
  const double more = 1 + 0.03 * static_cast<double>(k / 16);
  BlockStrategy s{};
  s.tensor = tensor;
  s.shard = sharded ? 8 : tensor;
  s.compute = (1 + 0.12 * (tensor - 1) + (sharded ? 0.25 : 0)) * (recompute ? 1.33 : 1) * more;
  s.states = 16.0 / s.shard;
  s.activations = (recompute ? 2.0 : 8.0) * (0.4 + 0.6 / tensor) / more;
  return s;
}

class Drawer {
 public:
  Drawer(const InstanceSpec& spec, uint64_t seed) : spec_(spec), rng_(seed, 7) {
    in_.layers = spec.layers;
    in_.strategies = spec.strategies;
    in_.stages = spec.stages;
    in_.microbatches = spec.microbatches;
    in_.memory_model = spec.memory_model;
  }

  Instance draw() {
    for (size_t u = 0; u < spec_.layers; ++u) draw_layer(u);
    for (uint32_t u = 0; u + 1 < spec_.layers; ++u) draw_edge(u, u + 1);
    set_limits();
    if (spec_.forbidden) forbid();
    return in_;
  }

  void draw_edge(uint32_t from, uint32_t to) {
    in_.edges.push_back({from, to});
    for (size_t k = 0; k < spec_.strategies; ++k) {
      for (size_t l = 0; l < spec_.strategies; ++l) {
        const auto [inside, across] = reshard(k, l);
        in_.reshard.push_back(inside);
        in_.reshard_cross.push_back(across);
      }
    }
  }

  Instance& instance() { return in_; }

 private:
  double jitter() { return 1 + spec_.noise * (2 * rng_.uniform() - 1); }

  void draw_layer(size_t) {
    const double size = jitter();
    const bool split = spec_.memory_model == MemoryModel::kOneForward;
    for (size_t k = 0; k < spec_.strategies; ++k) {
      int64_t time = 0;
      int64_t memory = 0;
      int64_t each = 0;
      switch (spec_.family) {
        case Family::kTransformer: {
          const BlockStrategy s = block_strategy(k);
          time = whole(1e6 * s.compute * size * jitter());
          memory = whole(1e5 * s.states * size);
          const double activations = 1e5 * s.activations * size * jitter();
          if (split) each = whole(activations / static_cast<double>(spec_.microbatches));
          if (!split) memory += whole(activations);
          break;
        }
        case Family::kRandom: {
          const double x = rng_.uniform();
          time = whole(1e6 * (0.2 + x));
          memory = whole(1e6 * (1.3 - x + 0.2 * rng_.uniform()));
          if (split) each = whole(1e5 * rng_.uniform());
          break;
        }
        case Family::kSum:
          memory = whole(1e5 * (1 + 9 * rng_.uniform()));
          time = 20000000 - 7 * memory;
          break;
        case Family::kTies:
          time = rng_.below(4);
          memory = rng_.below(4);
          if (split) each = rng_.below(2);
          break;
      }
      in_.compute.push_back(time);
      in_.memory.push_back(memory);
      if (split) in_.memory_per_microbatch.push_back(each);
    }
  }

  std::pair<int64_t, int64_t> reshard(size_t k, size_t l) {
    switch (spec_.family) {
      case Family::kTransformer: {
        const double distance = std::abs(block_strategy(k).tensor - block_strategy(l).tensor);
        return {distance == 0 ? 0 : whole(1e5 * (0.5 + 0.3 * distance) * jitter()),
                whole(1e5 * (1 + 0.2 * distance) * jitter())};
      }
      case Family::kRandom:
        return {k == l ? 0 : whole(4e5 * rng_.uniform()), whole(6e5 * rng_.uniform())};
      case Family::kSum:
        return {0, 0};
      case Family::kTies:
        return {rng_.below(3), rng_.below(3)};
    }
    return {0, 0};
  }

  // Between the least that all layers can need on average and what the fastest
  // would take.
  void set_limits() {
    double least = 0;
    double most = 0;
    for (size_t u = 0; u < in_.layers; ++u) {
      int64_t low = kNotAllowed;
      int64_t high = 0;
      for (size_t k = 0; k < in_.strategies; ++k) {
        low = std::min(low, in_.memory_at(0, u, k));
        high = std::max(high, in_.memory_at(0, u, k));
      }
      least += static_cast<double>(low);
      most += static_cast<double>(high);
    }
    const double wanted =
        (least + spec_.tightness * (most - least)) / static_cast<double>(in_.stages);
    const double slack = 1 + 0.1 * static_cast<double>(in_.stages > 1);
    for (size_t i = 0; i < in_.stages; ++i) {
      const double factor = spec_.uneven ? 0.7 + 0.6 * rng_.uniform() : 1;
      in_.memory_limit.push_back(whole(wanted * slack * factor));
    }
  }

  void forbid() {
    for (int64_t& time : in_.compute) {
      if (rng_.below(8) == 0) time = kNotAllowed;
    }
    for (int64_t& memory : in_.memory) {
      if (rng_.below(16) == 0) memory = kNotAllowed;
    }
    for (std::vector<int64_t>* table : {&in_.reshard, &in_.reshard_cross}) {
      for (int64_t& time : *table) {
        if (rng_.below(8) == 0) time = kNotAllowed;
      }
    }
  }

  InstanceSpec spec_;
  Rng rng_;
  Instance in_;
};

}  // namespace

Instance random_chain(const InstanceSpec& spec, uint64_t seed) {
  return Drawer(spec, seed).draw();
}

void add_edge(Instance& instance, uint32_t from, uint32_t to, Rng& rng) {
  instance.edges.push_back({from, to});
  const int64_t scale = *std::max_element(
      instance.compute.begin(), instance.compute.end(),
      [](int64_t a, int64_t b) { return (a == kNotAllowed ? 0 : a) < (b == kNotAllowed ? 0 : b); });
  const uint32_t most = scale == kNotAllowed ? 1 : static_cast<uint32_t>(scale / 3 + 1);
  for (size_t i = 0; i < instance.strategies * instance.strategies; ++i) {
    instance.reshard.push_back(rng.below(most));
    instance.reshard_cross.push_back(rng.below(most));
  }
}

Instance random_hub(const InstanceSpec& spec, uint64_t seed) {
  Drawer drawer(spec, seed);
  drawer.draw();
  const auto hub = static_cast<uint32_t>(spec.layers / 2 - 1);
  for (uint32_t v = hub + 2; v < spec.layers; ++v) drawer.draw_edge(hub, v);
  return drawer.instance();
}

InstanceSpec random_spec(Rng& rng, size_t most_layers, size_t most_strategies) {
  InstanceSpec spec;
  spec.family = static_cast<Family>(rng.below(4));
  spec.layers = 1 + rng.below(static_cast<uint32_t>(most_layers));
  spec.strategies = 1 + rng.below(static_cast<uint32_t>(most_strategies));
  spec.stages = 1 + rng.below(4);
  constexpr int64_t kMicrobatches[] = {1, 2, 4, 16, 64};
  spec.microbatches = kMicrobatches[rng.below(5)];
  spec.noise = 0.3 * rng.uniform();
  spec.tightness = rng.uniform() * 0.8;
  spec.forbidden = rng.below(3) == 0;
  spec.uneven = rng.below(3) == 0;
  if (rng.below(4) == 0) spec.memory_model = MemoryModel::kOneForward;
  return spec;
}

uint64_t rounds(uint64_t usual) {
  const char* const more = std::getenv("SOAPBOX_MIQP_FUZZ");
  return usual * (more ? std::strtoull(more, nullptr, 10) : 1);
}

}  // namespace soapbox::miqp
