#include "sim/collective/fold.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

namespace soapbox {

namespace {

constexpr uint32_t kNone = UINT32_MAX;

bool paths_are_alike(const StepNetwork& network, uint32_t a, uint32_t b) {
  const std::span<const uint32_t> links_a = network.path_links(a);
  const std::span<const uint32_t> links_b = network.path_links(b);
  if (network.path_latency(a) != network.path_latency(b)) return false;
  if (links_a.size() != links_b.size()) return false;
  for (size_t i = 0; i < links_a.size(); ++i) {
    const BytesPerSecond bandwidth = network.links()[links_a[i]].bandwidth;
    if (bandwidth != network.links()[links_b[i]].bandwidth) return false;
  }
  return true;
}

bool repeats(const StepNetwork& network, uint32_t ranks, uint32_t period) {
  for (uint32_t rank = period; rank < ranks; ++rank) {
    if (!paths_are_alike(network, rank - period, rank)) return false;
  }
  return true;
}

Fold fold_ring(const Schedule& schedule, const StepNetwork& network) {
  const uint32_t ranks = schedule.rank_count();
  if (network.path_count() != ranks || !network.paths_are_disjoint()) return {};
  for (uint32_t period = 1; period < ranks; ++period) {
    if (ranks % period != 0 || !repeats(network, ranks, period)) continue;
    std::unique_ptr<const Schedule> folded = schedule.folded(period);
    if (folded == nullptr) return {};
    return {std::move(folded), std::nullopt, period};
  }
  return {};
}

// One step of every rank after the other, and in it no link twice: condition (c).
bool goes_in_steps(const Schedule& schedule, const StepNetwork& network) {
  const uint32_t ranks = schedule.rank_count();
  if (schedule.message_count() % ranks != 0) return false;
  std::vector<uint32_t> last_step(network.links().size(), kNone);
  for (uint32_t id = 0; id < schedule.message_count(); ++id) {
    const Message message = schedule.message(id);
    if (message.from != id % ranks) return false;
    if (message.is_join()) continue;
    for (const uint32_t link : network.path_links(message.path)) {
      if (last_step[link] == id / ranks) return false;
      last_step[link] = id / ranks;
    }
  }
  return true;
}

// A renumbering of the ranks, and of the messages with them.
struct Renumbering {
  RankSymmetry kind = RankSymmetry::kRotation;
  uint32_t amount = 0;
  uint32_t ranks = 1;

  uint32_t rank(uint32_t r) const {
    return kind == RankSymmetry::kRotation ? (r + amount) % ranks : r ^ amount;
  }
  uint32_t message(uint32_t id) const { return id - id % ranks + rank(id % ranks); }
};

// Links that renumberings map onto each other.
class LinkOrbits {
 public:
  explicit LinkOrbits(size_t links) : parents_(links) {
    std::iota(parents_.begin(), parents_.end(), 0U);
  }
  void join(uint32_t a, uint32_t b) {
    const uint32_t root_a = find(a);
    const uint32_t root_b = find(b);
    parents_[std::max(root_a, root_b)] = std::min(root_a, root_b);
  }
  std::vector<uint32_t> representatives() {
    std::vector<uint32_t> all(parents_.size());
    for (uint32_t link = 0; link < all.size(); ++link) all[link] = find(link);
    return all;
  }

 private:
  uint32_t find(uint32_t link) {
    while (parents_[link] != link) link = parents_[link] = parents_[parents_[link]];
    return link;
  }
  std::vector<uint32_t> parents_;
};

// Condition (a) of one message.
bool is_image(const Schedule& schedule, uint32_t id, const Renumbering& g) {
  const Message message = schedule.message(id);
  const Message image = schedule.message(g.message(id));
  if (image.to != g.rank(message.to) || image.block_count != message.block_count) return false;
  uint32_t lone = 0;
  uint32_t lone_image = 0;
  const std::span<const uint32_t> dependents = schedule.dependents(id, lone);
  const std::span<const uint32_t> expected = schedule.dependents(g.message(id), lone_image);
  if (dependents.size() != expected.size()) return false;
  std::vector<uint32_t> images;
  for (const uint32_t dependent : dependents) images.push_back(g.message(dependent));
  std::vector<uint32_t> sorted(expected.begin(), expected.end());
  std::sort(images.begin(), images.end());
  std::sort(sorted.begin(), sorted.end());
  return images == sorted;
}

// Conditions (a) and (b) of one generator; adds to the orbits.
bool is_symmetry(const Schedule& schedule, const StepNetwork& network, const Renumbering& g,
                 LinkOrbits& orbits) {
  std::vector<uint32_t> images(network.links().size(), kNone);
  std::vector<uint32_t> origins(network.links().size(), kNone);
  for (uint32_t id = 0; id < schedule.message_count(); ++id) {
    if (!is_image(schedule, id, g)) return false;
    const Message message = schedule.message(id);
    if (message.is_join()) continue;
    const uint32_t image_path = schedule.message(g.message(id)).path;
    if (!paths_are_alike(network, message.path, image_path)) return false;
    const std::span<const uint32_t> links = network.path_links(message.path);
    const std::span<const uint32_t> image_links = network.path_links(image_path);
    for (size_t i = 0; i < links.size(); ++i) {
      uint32_t& image = images[links[i]];
      uint32_t& origin = origins[image_links[i]];
      if (image == kNone && origin == kNone) {
        image = image_links[i];
        origin = links[i];
        orbits.join(image, origin);
      }
      if (image != image_links[i] || origin != links[i]) return false;
    }
  }
  return true;
}

// Ranks 0 .. lanes - 1 in place of all: rank r is r modulo lanes.
class FoldedSteps final : public Schedule {
 public:
  FoldedSteps(const Schedule& whole, uint32_t lanes)
      : Schedule(whole.rank_count(), whole.block_count(),
                 whole.message_count() / whole.rank_count() * lanes),
        waits_are_single_(whole.waits_are_single()),
        join_count_(whole.join_count() / whole.rank_count() * lanes) {
    const uint32_t ranks = whole.rank_count();
    for (uint32_t id = 0; id < message_count(); ++id) {
      const uint32_t original = id / lanes * ranks + id % lanes;
      messages_.push_back(whole.message(original));
      waits_.push_back(whole.wait_count(original));
      uint32_t lone = 0;
      for (const uint32_t dependent : whole.dependents(original, lone)) {
        dependents_.push_back(dependent / ranks * lanes + dependent % ranks % lanes);
      }
      rows_.push_back(static_cast<uint32_t>(dependents_.size()));
    }
  }

  uint32_t join_count() const override { return join_count_; }
  std::vector<RankPair> pairs() const override {
    std::vector<RankPair> pairs;
    for (const Message& message : messages_) {
      if (!message.is_join()) pairs.push_back({message.from, message.to});
    }
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    return pairs;
  }
  Message message(uint32_t id) const override { return messages_[id]; }
  uint32_t wait_count(uint32_t id) const override { return waits_[id]; }
  std::span<const uint32_t> dependents(uint32_t id, uint32_t& /*lone*/) const override {
    return {dependents_.data() + rows_[id], rows_[id + 1] - rows_[id]};
  }
  bool waits_are_single() const override { return waits_are_single_; }

 private:
  std::vector<Message> messages_;
  std::vector<uint32_t> waits_;
  std::vector<uint32_t> rows_{0};
  std::vector<uint32_t> dependents_;
  bool waits_are_single_;
  uint32_t join_count_;
};

Fold fold_steps(const Schedule& schedule, const StepNetwork& network) {
  const uint32_t ranks = schedule.rank_count();
  const RankSymmetry kind = schedule.symmetry();
  if (kind == RankSymmetry::kNone || !goes_in_steps(schedule, network)) return {};
  if (kind == RankSymmetry::kExclusiveOr && !std::has_single_bit(ranks)) return {};
  for (uint32_t lanes = 1; lanes < ranks; ++lanes) {
    if (ranks % lanes != 0) continue;
    LinkOrbits orbits(network.links().size());
    bool symmetric = is_symmetry(schedule, network, {kind, lanes, ranks}, orbits);
    // One rotation generates the others; of the exclusive ors every bit is a generator.
    for (uint32_t bit = 2 * lanes; symmetric && kind == RankSymmetry::kExclusiveOr && bit < ranks;
         bit *= 2) {
      symmetric = is_symmetry(schedule, network, {kind, bit, ranks}, orbits);
    }
    if (!symmetric) continue;
    return {std::make_unique<FoldedSteps>(schedule, lanes),
            network.identified(orbits.representatives()), lanes};
  }
  return {};
}

}  // namespace

Fold find_fold(const Schedule& schedule, const StepNetwork& network, Bytes total, uint32_t chunks) {
  if (!MessageBytes(schedule, total, chunks).uniform()) return {};
  Fold fold = fold_ring(schedule, network);
  if (fold.schedule == nullptr) fold = fold_steps(schedule, network);
  return fold;
}

}  // namespace soapbox
