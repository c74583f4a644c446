// A proof that no plan of an instance costs less than a bound, small enough to
// store and cheap to check (certify.h) without the solver.
//
// Along a path of layers, stages are intervals of positions. The proof gives
// what the checker cannot guess, and the checker computes the rest anew:
//
//   multipliers  of the memory rows: every interval's time is at least
//                max over lambda of min over paths (time + lambda memory) -
//                lambda limit;
//   intervals    for which that bound is wanted by the strategies of both ends;
//   entries      single intervals with both ends whose bound is more than that:
//                no path within memory is shorter;
//   leaves       intervals of the bottleneck T. The least sum f(high) of all p
//                and o with no term above `high`, by these bounds, costs at
//                least f(high) + (c - 1) low. Larger T than the last leaf's cost
//                c T or more.
//
// A path whose skipping edges all matter through one layer, the hub, has one
// such proof for each of its strategies. Other graphs have no proof to store:
// the checker enumerates labels (proof_labels.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "strategies/miqp/instance.h"

namespace soapbox::miqp {

// Of a bound: there is no plan at all. Of a threshold: none.
inline constexpr int64_t kUnlimited = int64_t{1} << 60;

enum class ProofKind : uint8_t {
  kPlain,   // a stage as it is
  kHub,     // it holds the hub: the hub's readers in it pay resharding inside
  kFollow,  // it comes right after the hub's: readers pay resharding across, and
            // a stage's value is its time and what they pay
};

struct ProofInterval {
  uint32_t stage = 0;  // stands for all stages with the same memory
  ProofKind kind = ProofKind::kPlain;
  uint32_t first = 0;  // positions in topological order
  uint32_t last = 0;
  friend auto operator<=>(const ProofInterval&, const ProofInterval&) = default;
};

struct ProofEntry {
  ProofInterval interval;
  int64_t first_strategy = -1;  // -1: any
  int64_t last_strategy = -1;
  int64_t value = 0;       // no path is below it; kUnlimited: none fits
  int64_t multiplier = 0;  // which helps to see it
  // It holds for plans whose bottleneck is at most this.
  int64_t most = kUnlimited;
  friend bool operator==(const ProofEntry&, const ProofEntry&) = default;
};

struct ProofLeaf {
  int64_t low = 0;
  int64_t high = 0;
  int64_t bound = 0;  // kUnlimited: no plan has such a bottleneck
  friend bool operator==(const ProofLeaf&, const ProofLeaf&) = default;
};

struct ChainProof {
  int64_t hub_strategy = -1;                      // -1: no hub
  int64_t shift = 0;                              // multipliers are divided by 2^shift
  std::vector<std::vector<int64_t>> multipliers;  // [stage with memory of its own]
  std::vector<ProofInterval> intervals;
  std::vector<ProofEntry> entries;
  std::vector<ProofLeaf> leaves;  // from the largest bottleneck down to 0
  friend bool operator==(const ChainProof&, const ChainProof&) = default;
};

enum class ProofMethod : uint8_t { kChain, kLabels };

struct Certificate {
  uint64_t instance = 0;  // instance_hash()
  ProofMethod method = ProofMethod::kChain;
  std::vector<uint32_t> stage;     // the plan; empty: none is claimed
  std::vector<uint32_t> strategy;  // [layer]
  int64_t objective = kUnlimited;  // of the plan, in units of the instance
  int64_t bound = 0;               // no plan costs less; kUnlimited: there is none
  std::optional<uint32_t> hub;     // a layer
  std::vector<ChainProof> proofs;  // of kChain: one, or one for each strategy of the hub
  friend bool operator==(const Certificate&, const Certificate&) = default;
};

std::string_view to_string(ProofMethod method);

// 64 bits over everything in it: a certificate that was changed by accident is
// told from one whose claim is wrong.
uint64_t certificate_hash(const Certificate& certificate);

}  // namespace soapbox::miqp
