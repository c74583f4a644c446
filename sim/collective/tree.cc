// Binary trees: rank r has the children 2 r + 1 and 2 r + 2.
//
//   broadcast   a rank sends everything to its children when it has it
//   all_reduce  a rank sends the sum of its own and its children's data to its parent, then the
//               result is broadcast
// Any number of ranks; depth floor(log2 n). Chunks flow through the tree. A full binary tree of
// depth h whose ranks send and receive at bandwidth b, alone on every link between two ranks:
// all_reduce 2 h (a + S / b) with one chunk, plus (K - 1) S / (K b) of S / K in place of S with K.
// Data that every rank must send twice: S per direction, so trees win where latency counts.
// O(n) messages.
#include <cmath>
#include <vector>

#include "sim/collective/algorithms.h"

namespace soapbox {

Result<std::unique_ptr<const Schedule>> build_tree(const CollectiveShape& shape) {
  const uint32_t n = shape.ranks;
  auto schedule = std::make_unique<ListedSchedule>(n, 1);
  std::vector<std::vector<uint32_t>> received(n);  // what a rank waits for
  if (shape.op == CollectiveOp::kAllReduce) {
    for (uint32_t rank = n - 1; rank > 0; --rank) {
      const uint32_t parent = (rank - 1) / 2;
      const uint32_t id = schedule->send({rank, parent}, 0, 1, true, received[rank]);
      received[parent].push_back(id);
    }
  }
  for (uint32_t rank = 1; rank < n; ++rank) {
    const uint32_t parent = (rank - 1) / 2;
    const uint32_t id = schedule->send({parent, rank}, 0, 1, false, received[parent]);
    received[rank] = {id};
  }
  schedule->finish();
  return std::unique_ptr<const Schedule>(std::move(schedule));
}

// Parents are mostly in other nodes, and two children share their parent's port.
double estimate_tree(const Terrain& terrain, CollectiveOp op, double bytes, double chunks) {
  const double depth = std::floor(std::log2(terrain.ranks));
  const double chunk = 2 * bytes / chunks / terrain.far_share;
  const double passes = op == CollectiveOp::kAllReduce ? 2 : 1;
  return passes * depth * (terrain.far_latency + chunk) + (chunks - 1) * chunk;
}

}  // namespace soapbox
