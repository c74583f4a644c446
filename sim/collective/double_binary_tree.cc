// Two binary trees that each move half of the data (Sanders, Speck, Traeff: "Two-tree algorithms
// for full bandwidth broadcast, reduction and scan", Parallel Computing 35(12), 2009).
//
// The first tree has the ranks in order and its leaves are the even ranks: the root of a range of m
// ranks is its 2^floor(log2 m)-th. The second is the first with ranks shifted by one (n odd) or
// mirrored (n even). Then no rank is an inner node of both, so that every rank sends and receives
// about S in each direction, where a single tree leaves half of the ranks idle: with many chunks
// all_reduce takes about 2 S / b. Any number of ranks, depth ceil(log2 (n + 1)) - 1, O(n) messages.
//
// broadcast from rank 0, which is not the root: it sends each half to the root of its tree first.
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "sim/collective/algorithms.h"

namespace soapbox {

namespace {

struct Tree {
  uint32_t root = 0;
  std::vector<std::optional<uint32_t>> parent;
  std::vector<uint32_t> from_root;  // every rank after its parent
};

Tree in_order_tree(uint32_t count) {
  Tree tree;
  tree.parent.resize(count);
  struct Range {
    uint32_t begin;
    uint32_t end;
    std::optional<uint32_t> parent;
  };
  std::vector<Range> open{{0, count, std::nullopt}};
  for (size_t i = 0; i < open.size(); ++i) {
    const Range range = open[i];
    const uint32_t size = range.end - range.begin;
    if (size == 0) continue;
    const uint32_t root = range.begin + std::bit_floor(size) - 1;
    tree.parent[root] = range.parent;
    tree.from_root.push_back(root);
    open.push_back({range.begin, root, root});
    open.push_back({root + 1, range.end, root});
  }
  tree.root = tree.from_root.front();
  return tree;
}

Tree renumbered(const Tree& tree, bool mirror) {
  const auto n = static_cast<uint32_t>(tree.parent.size());
  const auto name = [&](uint32_t rank) { return mirror ? n - 1 - rank : (rank + 1) % n; };
  Tree other;
  other.parent.resize(n);
  other.root = name(tree.root);
  for (const uint32_t rank : tree.from_root) {
    other.from_root.push_back(name(rank));
    if (tree.parent[rank]) other.parent[name(rank)] = name(*tree.parent[rank]);
  }
  return other;
}

}  // namespace

Result<std::unique_ptr<const Schedule>> build_double_binary_tree(const CollectiveShape& shape) {
  const uint32_t n = shape.ranks;
  auto schedule = std::make_unique<ListedSchedule>(n, 2);
  const Tree first = in_order_tree(n);
  const std::array<Tree, 2> trees = {first, renumbered(first, n % 2 == 0)};
  const bool reduces = shape.op == CollectiveOp::kAllReduce;
  for (uint32_t half = 0; half < 2; ++half) {
    const Tree& tree = trees[half];
    std::vector<std::vector<uint32_t>> received(n);
    if (reduces) {
      for (auto rank = tree.from_root.rbegin(); rank != tree.from_root.rend(); ++rank) {
        const std::optional<uint32_t> parent = tree.parent[*rank];
        if (!parent) continue;
        const uint32_t id = schedule->send({*rank, *parent}, half, 1, true, received[*rank]);
        received[*parent].push_back(id);
      }
    } else if (tree.root != 0) {
      received[tree.root] = {schedule->send({0, tree.root}, half, 1, false, {})};
    }
    for (const uint32_t rank : tree.from_root) {
      const std::optional<uint32_t> parent = tree.parent[rank];
      if (!parent || (!reduces && rank == 0)) continue;
      received[rank] = {schedule->send({*parent, rank}, half, 1, false, received[*parent])};
    }
  }
  schedule->finish();
  return std::unique_ptr<const Schedule>(std::move(schedule));
}

// A rank receives from two children in one tree and one parent in each: 2 S per port in all_reduce.
double estimate_double_binary_tree(const Terrain& terrain, CollectiveOp op, double bytes,
                                   double chunks) {
  const double depth = std::ceil(std::log2(terrain.ranks + 1)) - 1;
  const double passes = op == CollectiveOp::kAllReduce ? 2 : 1;
  const double chunk = bytes / chunks / terrain.ring_bandwidth();
  return passes * (depth * (terrain.far_latency + chunk) + (chunks - 1) * chunk);
}

}  // namespace soapbox
