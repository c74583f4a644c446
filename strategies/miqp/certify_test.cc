// Certificates of the exact solver's answers against the checker, and the
// checker against certificates that were changed.
#include "strategies/miqp/certify.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "strategies/miqp/brute.h"
#include "strategies/miqp/exact.h"
#include "strategies/miqp/prove.h"
#include "strategies/miqp/test_instances.h"

namespace soapbox::miqp {
namespace {

// The certificate of an answer is accepted and says what the answer says.
void expect_certified(const Instance& in, const Solution& solution, uint64_t seed) {
  const Result<Certificate> certificate = prove(in, solution);
  ASSERT_TRUE(certificate) << certificate.error().message << ", seed " << seed;
  const Result<CertifyReport> report = certify(in, *certificate);
  ASSERT_TRUE(report) << report.error().message << ", seed " << seed;
  EXPECT_TRUE(report->proven) << "seed " << seed;
  EXPECT_EQ(certificate->objective, solution.plan ? solution.objective : kUnlimited);
}

TEST(Certify, AcceptsTheProofsOfChains) {
  Rng rng(31);
  for (uint64_t seed = 0; seed < rounds(300); ++seed) {
    const Instance in = random_chain(random_spec(rng, 12, 5), seed);
    expect_certified(in, solve_exact(in), seed);
  }
}

TEST(Certify, AcceptsTheProofsOfHubs) {
  Rng rng(32);
  for (uint64_t seed = 0; seed < rounds(150); ++seed) {
    InstanceSpec spec = random_spec(rng, 8, 4);
    spec.layers += 3;
    Instance in = random_chain(spec, seed);
    const auto last = static_cast<uint32_t>(spec.layers);
    const uint32_t hub = rng.below(last - 2);
    add_edge(in, hub, hub + 2, rng);
    for (uint32_t v = hub + 2; v < last; ++v) {
      if (rng.below(2) == 0) add_edge(in, hub, v, rng);
    }
    expect_certified(in, solve_exact(in), seed);
  }
}

TEST(Certify, AcceptsTheProofsOfOtherGraphs) {
  Rng rng(33);
  for (uint64_t seed = 0; seed < rounds(150); ++seed) {
    InstanceSpec spec = random_spec(rng, 5, 3);
    Instance in = random_chain(spec, seed);
    for (uint32_t u = 0; u < in.layers; ++u) {
      for (uint32_t v = u + 1; v < in.layers; ++v) {
        if (rng.below(4) == 0) add_edge(in, u, v, rng);
      }
    }
    if (rng.below(2) == 0) in.long_edges = LongEdges::kPerHop;
    in.empty_stages = rng.below(4) == 0;
    expect_certified(in, solve_exact(in), seed);
  }
}

// The same where nothing but a bound is known: it may be below the optimum.
TEST(Certify, AcceptsTheBoundsOfStoppedSearches) {
  Rng rng(34);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    InstanceSpec spec = random_spec(rng, 14, 5);
    spec.noise = 0.3;
    const Instance in = random_chain(spec, seed);
    SolveOptions options;
    options.time_limit_s = 0;
    const Solution stopped = solve_exact(in, options);
    const Result<Certificate> certificate = prove(in, stopped);
    ASSERT_TRUE(certificate) << certificate.error().message;
    const Result<CertifyReport> report = certify(in, *certificate);
    ASSERT_TRUE(report) << report.error().message << ", seed " << seed;
    EXPECT_EQ(report->proven, certificate->bound == certificate->objective);
    EXPECT_LE(certificate->bound, stopped.plan ? stopped.objective : kUnlimited);
  }
}

// An answer that is too good, with a certificate made for it, must be refused:
// the claim alone, and with everything else as the prover would have it.
TEST(Certify, NeverCertifiesMoreThanTheOptimum) {
  Rng rng(35);
  for (uint64_t seed = 0; seed < rounds(100); ++seed) {
    const Instance in = random_chain(random_spec(rng, 6, 3), seed);
    const Solution brute = solve_brute(in);
    if (!brute.plan) continue;
    const Result<Certificate> more = prove(in, brute, brute.objective + 1 + rng.below(1000));
    ASSERT_TRUE(more);
    EXPECT_LE(more->bound, brute.objective) << "seed " << seed;
    Certificate claimed = *more;
    claimed.bound = brute.objective + 1;
    EXPECT_FALSE(certify(in, claimed)) << "seed " << seed;
  }
}

// The checker is only worth something if it does not repeat the solver's
// mistakes: it includes nothing of it.
TEST(Certify, SharesNoCodeWithTheSolver) {
  const std::string folder = std::string(SOAPBOX_SOURCE_DIR) + "/strategies/miqp/";
  const std::set<std::string> allowed = {"instance.h",     "certificate.h", "certify.h",
                                         "proof_bounds.h", "proof_costs.h", "proof_labels.h",
                                         "proof_paths.h"};
  for (const std::string& header : allowed) {
    for (const char* const ending : {".h", ".cc"}) {
      std::ifstream file(folder + header.substr(0, header.size() - 2) + ending);
      ASSERT_TRUE(file) << header;
      for (std::string line; std::getline(file, line);) {
        const std::string prefix = "#include \"strategies/miqp/";
        if (!line.starts_with(prefix)) continue;
        const std::string name = line.substr(prefix.size(), line.size() - prefix.size() - 1);
        EXPECT_TRUE(allowed.contains(name)) << header << " includes " << name;
      }
    }
  }
}

using Change = std::function<bool(Certificate&)>;  // false: there is nothing to change

// What a certificate can get wrong, one field each.
using Changes = std::vector<std::pair<std::string, Change>>;

// A change of the last proof.
Change proof(const std::function<bool(ChainProof&)>& change) {
  return [change](Certificate& c) { return !c.proofs.empty() && change(c.proofs.back()); };
}

Change leaf(const std::function<void(ProofLeaf&)>& change) {
  return proof([change](ChainProof& p) {
    if (!p.leaves.empty()) change(p.leaves[p.leaves.size() / 2]);
    return !p.leaves.empty();
  });
}

Changes claim_changes() {
  return {
      {"instance", [](Certificate& c) { return ++c.instance != 0; }},
      {"objective too low", [](Certificate& c) { return c.objective-- < kUnlimited; }},
      {"objective too high", [](Certificate& c) { return c.objective++ < kUnlimited; }},
      {"bound too high", [](Certificate& c) { return ++c.bound <= kUnlimited; }},
      {"bound too low", [](Certificate& c) { return c.bound-- < kUnlimited; }},
      {"no plan", [](Certificate& c) { return !std::exchange(c.stage, {}).empty(); }},
      {"a layer less",
       [](Certificate& c) {
         if (c.strategy.empty()) return false;
         c.strategy.pop_back();
         return true;
       }},
      {"stage out of range",
       [](Certificate& c) { return !c.stage.empty() && (c.stage[0] = 1000) != 0; }},
      {"strategy out of range",
       [](Certificate& c) { return !c.strategy.empty() && (c.strategy[0] = 1000) != 0; }},
      {"method labels with proofs",
       [](Certificate& c) {
         c.method = ProofMethod::kLabels;
         return !c.proofs.empty();
       }},
      {"hub out of range", [](Certificate& c) { return (c.hub = 100000).has_value(); }},
      {"proof missing",
       [](Certificate& c) {
         if (c.proofs.empty()) return false;
         c.proofs.pop_back();
         return true;
       }},
      {"proof twice",
       [](Certificate& c) {
         if (c.proofs.empty()) return false;
         c.proofs.push_back(c.proofs[0]);
         return true;
       }},
      {"strategy of a hub", proof([](ChainProof& p) { return ++p.hub_strategy >= 0; })},
  };
}

Changes part_changes() {
  return {
      {"shift", proof([](ChainProof& p) { return (p.shift = 63) != 0; })},
      {"negative shift", proof([](ChainProof& p) { return (p.shift = -1) != 0; })},
      {"multipliers missing", proof([](ChainProof& p) {
         p.multipliers.pop_back();
         return true;
       })},
      {"multiplier negative", proof([](ChainProof& p) {
         p.multipliers[0].push_back(-1);
         return true;
       })},
      {"multiplier too large", proof([](ChainProof& p) {
         p.multipliers[0].push_back(kUnlimited);
         return true;
       })},
      {"interval of no stage", proof([](ChainProof& p) {
         return !p.intervals.empty() && (p.intervals[0].stage = 1000) != 0;
       })},
      {"interval out of range", proof([](ChainProof& p) {
         return !p.intervals.empty() && (p.intervals[0].last = 1000) != 0;
       })},
      {"interval backwards", proof([](ChainProof& p) {
         return !p.intervals.empty() && (p.intervals[0].first = 1000) != 0;
       })},
      {"entry out of range", proof([](ChainProof& p) {
         return !p.entries.empty() && (p.entries[0].interval.last = 1000) != 0;
       })},
      {"entry's strategy out of range", proof([](ChainProof& p) {
         return !p.entries.empty() && (p.entries[0].first_strategy = 1000) != 0;
       })},
      {"entry's other strategy out of range", proof([](ChainProof& p) {
         return !p.entries.empty() && (p.entries[0].last_strategy = -2) != 0;
       })},
      {"entry far too high",
       proof([](ChainProof& p) { return !p.entries.empty() && (p.entries[0].value *= 2) > 0; })},
      {"entry for no plan",
       proof([](ChainProof& p) { return !p.entries.empty() && (p.entries[0].most = -1) != 0; })},
      {"entry's multiplier", proof([](ChainProof& p) {
         return !p.entries.empty() && (p.entries[0].multiplier = kUnlimited) != 0;
       })},
  };
}

Changes leaf_changes() {
  return {
      {"leaf missing", proof([](ChainProof& p) {
         if (p.leaves.empty()) return false;
         p.leaves.erase(p.leaves.begin() + static_cast<std::ptrdiff_t>(p.leaves.size() / 2));
         return true;
       })},
      {"leaf twice", proof([](ChainProof& p) {
         if (p.leaves.empty()) return false;
         p.leaves.push_back(p.leaves.back());
         return true;
       })},
      {"leaf's low", leaf([](ProofLeaf& l) { ++l.low; })},
      {"leaf's low too low", leaf([](ProofLeaf& l) { --l.low; })},
      {"leaf's high", leaf([](ProofLeaf& l) { ++l.high; })},
      {"leaf's bound", leaf([](ProofLeaf& l) { ++l.bound; })},
      {"leaf's bound too low", leaf([](ProofLeaf& l) { --l.bound; })},
  };
}

Changes changes() {
  Changes all = claim_changes();
  for (const Changes& more : {part_changes(), leaf_changes()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// Each change alone, on chains and hubs. A change that may leave a valid proof
// (a value within what is true) is not in the table; the digest of the file
// finds those, too.
TEST(Certify, RefusesEveryChange) {
  std::map<std::string, int> refused;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    InstanceSpec spec;
    spec.family = seed % 2 == 0 ? Family::kRandom : Family::kTransformer;
    spec.layers = 10;
    spec.strategies = 4;
    spec.stages = 1 + seed % 4;
    spec.noise = 0.3;
    spec.tightness = seed % 7 == 0 ? 0.01 : 0.2;
    const Instance in = seed % 3 == 0 ? random_hub(spec, seed) : random_chain(spec, seed);
    const Result<Certificate> certificate = prove(in, solve_exact(in));
    ASSERT_TRUE(certificate && certify(in, *certificate)) << "seed " << seed;
    for (const auto& [name, change] : changes()) {
      Certificate changed = *certificate;
      if (!change(changed) || changed == *certificate) continue;
      EXPECT_FALSE(certify(in, changed)) << name << ", seed " << seed;
      EXPECT_NE(certificate_hash(changed), certificate_hash(*certificate)) << name;
      ++refused[name];
    }
    Instance other = in;
    ++other.compute[0];
    EXPECT_FALSE(certify(other, *certificate)) << "seed " << seed;
  }
  for (const auto& [name, change] : changes()) EXPECT_GT(refused[name], 0) << name;
}

// A certificate of another instance, sealed for this one: where the optimum of
// this one is lower, nothing can save it.
TEST(Certify, RefusesProofsOfDearerInstances) {
  int tried = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    InstanceSpec spec;
    spec.family = Family::kRandom;
    spec.layers = 8;
    spec.strategies = 3;
    spec.noise = 0.3;
    const Instance in = random_chain(spec, seed);
    Instance cheaper = in;
    cheaper.compute[seed % cheaper.compute.size()] /= 2;
    const Solution solution = solve_exact(in);
    if (!solution.plan || solve_exact(cheaper).objective >= solution.objective) continue;
    Certificate certificate = *prove(in, solution);
    certificate.instance = instance_hash(cheaper);
    EXPECT_FALSE(certify(cheaper, certificate)) << "seed " << seed;
    certificate.stage.clear();
    certificate.strategy.clear();
    certificate.objective = kUnlimited;
    EXPECT_FALSE(certify(cheaper, certificate)) << "seed " << seed;
    ++tried;
  }
  EXPECT_GT(tried, 10);
}

}  // namespace
}  // namespace soapbox::miqp
