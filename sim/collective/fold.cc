#include "sim/collective/fold.h"

namespace soapbox {

namespace {

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

}  // namespace

std::unique_ptr<const Schedule> find_fold(const Schedule& schedule, const StepNetwork& network,
                                          Bytes total, uint32_t chunks) {
  const uint32_t ranks = schedule.rank_count();
  if (network.path_count() != ranks || !network.paths_are_disjoint()) return nullptr;
  if (!MessageBytes(schedule, total, chunks).uniform()) return nullptr;
  for (uint32_t period = 1; period < ranks; ++period) {
    if (ranks % period == 0 && repeats(network, ranks, period)) return schedule.folded(period);
  }
  return nullptr;
}

}  // namespace soapbox
