// Random instances for the tests and the benchmarks.
#pragma once

#include <string_view>
#include <vector>

#include "sim/base/rng.h"
#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

enum class Family {
  kTransformer,  // data, tensor and sharded parallel strategies of a block:
                 // physical trade-offs
  kRandom,       // independent draws, time against memory
  kSum,          // time + alpha memory is constant, no resharding: every Lagrangian
                 // bound ties
  kTies,         // small whole numbers, many zeros
};

struct InstanceSpec {
  Family family = Family::kTransformer;
  size_t layers = 8;
  size_t strategies = 4;
  size_t stages = 2;
  int64_t microbatches = 4;
  double noise = 0.05;     // how much layers differ
  double tightness = 0.3;  // 0: the limit is barely met, 1: it never binds
  bool forbidden = false;  // some entries are not allowed
  bool uneven = false;     // limits differ between stages
  MemoryModel memory_model = MemoryModel::kGpipe;
};

// A chain of layers.
Instance random_chain(const InstanceSpec& spec, uint64_t seed);
// Adds an edge with random costs between layers that are there.
void add_edge(Instance& instance, uint32_t from, uint32_t to, Rng& rng);
// Encoder and decoder: the layer in the middle also feeds every layer of the
// second half.
Instance random_hub(const InstanceSpec& spec, uint64_t seed);

// Any family, up to so many layers and strategies, up to 4 stages.
InstanceSpec random_spec(Rng& rng, size_t most_layers, size_t most_strategies);
// How many instances a test tries: its usual number, or with SOAPBOX_MIQP_FUZZ=20 twenty times as
// many.
uint64_t rounds(uint64_t usual);

}  // namespace soapbox::miqp
