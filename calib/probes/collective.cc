#include <algorithm>

#include "calib/probes/probe.h"

namespace soapbox::calib {

// From 1 KiB to 1 GiB among 2, 4, .. and all GPUs. Powers of two are what is fitted; the sizes
// between them are held out (calib/sampling/collective_tables.h).
void probe_collective(const ProbeScope& scope, Rng&, std::vector<Measurable>& out) {
  for (int64_t ranks = 2, last = 1; last < scope.gpus; ranks *= 2) {
    last = std::min(ranks, scope.gpus);
    for (const CollectiveOp op :
         {CollectiveOp::kAllReduce, CollectiveOp::kReduceScatter, CollectiveOp::kAllGather,
          CollectiveOp::kBroadcast, CollectiveOp::kAllToAll}) {
      for (int64_t bytes = 1 << 10; bytes <= 1 << 30; bytes *= scope.quick ? 4 : 2) {
        out.emplace_back(Collective{op, last, bytes});
      }
      for (int64_t bytes = 3 << 10; bytes < 1 << 30; bytes *= 16) {
        out.emplace_back(Collective{op, last, bytes});
      }
    }
  }
}

}  // namespace soapbox::calib
