#include "sim/engine/trace.h"

#include <bit>

namespace soapbox {
namespace {

// The finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit.
uint64_t mix(uint64_t word) {
  word ^= word >> 33;
  word *= 0xff51afd7ed558ccd;
  word ^= word >> 33;
  word *= 0xc4ceb9fe1a85ec53;
  return word ^ word >> 33;
}

uint64_t word_of(SimTime time) {
  return static_cast<uint64_t>(time.picoseconds());
}

}  // namespace

uint64_t trace_hash(const TaskGraph& graph, const Timeline& timeline) {
  uint64_t hash = mix(graph.task_count());
  for (TaskId task : id_range<TaskId>(graph.task_count())) {
    // Mixed before they meet the running hash, so that the processor overlaps tasks.
    const uint64_t start = word_of(timeline.start[task]) * 0x9e3779b97f4a7c15;
    const uint64_t end = word_of(timeline.end[task]) * 0xd6e8feb86659fd93;
    const uint64_t word = mix(start ^ std::rotl(end, 32) ^ graph.resource(task).value());
    hash = std::rotl(hash ^ word, 27) * 0x2545f4914f6cdd1d;
  }
  return mix(hash);
}

}  // namespace soapbox
