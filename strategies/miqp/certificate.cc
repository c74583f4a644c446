#include "strategies/miqp/certificate.h"

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

class Hasher {
 public:
  void add(int64_t number) {
    char bytes[8];
    for (int i = 0; i < 8; ++i) {
      bytes[i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
    }
    hash_ = hash_bytes({bytes, 8}, hash_);
  }
  template <class T>
  void add_all(const std::vector<T>& numbers) {
    add(static_cast<int64_t>(numbers.size()));
    for (const T number : numbers) add(static_cast<int64_t>(number));
  }
  void add(const ProofInterval& interval) {
    add(static_cast<int64_t>(interval.stage));
    add(static_cast<int64_t>(interval.kind));
    add(static_cast<int64_t>(interval.first));
    add(static_cast<int64_t>(interval.last));
  }
  void add(const ChainProof& proof) {
    add(proof.hub_strategy);
    add(proof.shift);
    add(static_cast<int64_t>(proof.multipliers.size()));
    for (const std::vector<int64_t>& multipliers : proof.multipliers) add_all(multipliers);
    add(static_cast<int64_t>(proof.intervals.size()));
    for (const ProofInterval& interval : proof.intervals) add(interval);
    add(static_cast<int64_t>(proof.entries.size()));
    for (const ProofEntry& entry : proof.entries) {
      add(entry.interval);
      for (const int64_t number :
           {entry.first_strategy, entry.last_strategy, entry.value, entry.multiplier, entry.most}) {
        add(number);
      }
    }
    add(static_cast<int64_t>(proof.leaves.size()));
    for (const ProofLeaf& leaf : proof.leaves) {
      for (const int64_t number : {leaf.low, leaf.high, leaf.bound}) add(number);
    }
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = kHashSeed;
};

}  // namespace

std::string_view to_string(ProofMethod method) {
  return method == ProofMethod::kChain ? "chain" : "labels";
}

uint64_t certificate_hash(const Certificate& certificate) {
  Hasher hasher;
  hasher.add(static_cast<int64_t>(certificate.instance));
  hasher.add(static_cast<int64_t>(certificate.method));
  hasher.add_all(certificate.stage);
  hasher.add_all(certificate.strategy);
  hasher.add(certificate.objective);
  hasher.add(certificate.bound);
  hasher.add(certificate.hub ? static_cast<int64_t>(*certificate.hub) : -1);
  hasher.add(static_cast<int64_t>(certificate.proofs.size()));
  for (const ChainProof& proof : certificate.proofs) hasher.add(proof);
  return hasher.hash();
}

}  // namespace soapbox::miqp
