#include "strategies/miqp/explain.h"

#include <algorithm>
#include <vector>

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

// The least that a layer needs on a stage, and with which strategy.
struct Least {
  int64_t memory = kNotAllowed;
  size_t strategy = 0;
};

Least least_memory(const Instance& in, size_t stage, size_t layer) {
  Least least;
  for (size_t k = 0; k < in.strategies; ++k) {
    if (!in.allowed(layer, k)) continue;
    const int64_t memory = in.memory_at(stage, layer, k);
    if (memory < least.memory) least = {memory, k};
  }
  return least;
}

std::string components(const Instance& in, size_t stage, size_t layer, size_t strategy) {
  if (in.memory_per_microbatch.empty()) return "";
  const size_t at = layer * in.strategies + strategy;
  return str_cat(" (states ", real_memory(in, in.memory[at]), ", activations ", in.in_flight(stage),
                 " x ", real_memory(in, in.memory_per_microbatch[at]), ")");
}

// A layer that fits on no stage at all.
std::string layer_too_large(const Instance& in) {
  for (size_t u = 0; u < in.layers; ++u) {
    size_t best = 0;
    bool fits = false;
    for (size_t i = 0; i < in.stages && !fits; ++i) {
      fits = least_memory(in, i, u).memory <= in.memory_limit[i];
      const auto excess = [&](size_t stage) {
        return least_memory(in, stage, u).memory - in.memory_limit[stage];
      };
      if (excess(i) < excess(best)) best = i;
    }
    if (fits) continue;
    const Least least = least_memory(in, best, u);
    return str_cat("memory: layer ", u, " needs at least ", real_memory(in, least.memory),
                   components(in, best, u, least.strategy), " with strategy ", least.strategy,
                   " on stage ", best, ", whose limit is ", real_memory(in, in.memory_limit[best]));
  }
  return "";
}

// The sum over layers of their least memory on any stage, against the sum of
// the limits.
std::string sum_too_large(const Instance& in) {
  double states = 0;
  double limit = 0;
  for (size_t u = 0; u < in.layers; ++u) {
    int64_t least = kNotAllowed;
    for (size_t i = 0; i < in.stages; ++i) least = std::min(least, least_memory(in, i, u).memory);
    states += real_memory(in, least);
  }
  for (size_t i = 0; i < in.stages; ++i) limit += real_memory(in, in.memory_limit[i]);
  if (states <= limit) return "";
  return str_cat("memory: all layers need at least ", states, ", each with the strategy that needs",
                 " least; the limits of ", in.stages, in.stages == 1 ? " stage" : " stages",
                 " add up to ", limit);
}

// On a chain: filling stages in order with as many layers as fit shows the
// first that overflows.
std::string greedy_overflow(const Instance& in) {
  const std::vector<uint32_t> order = topological_order(in);
  size_t next = 0;
  for (size_t i = 0; i < in.stages; ++i) {
    int64_t used = 0;
    const size_t first = next;
    while (next < in.layers) {
      const int64_t memory = least_memory(in, i, order[next]).memory;
      if (used + memory > in.memory_limit[i]) break;
      used += memory;
      ++next;
    }
    if (i + 1 == in.stages && next < in.layers) {
      const int64_t memory = least_memory(in, i, order[next]).memory;
      return str_cat(
          "memory: stages filled in order with the least that "
          "layers need leave layer ",
          order[next], " and ", in.layers - next - 1, " after it without room: stage ", i,
          " holds ", next - first, " layers in ", real_memory(in, used), " of ",
          real_memory(in, in.memory_limit[i]), ", the next needs ", real_memory(in, memory));
    }
  }
  return "";
}

}  // namespace

std::string explain_infeasible(const Instance& in) {
  if (in.stages > in.layers && !in.empty_stages) {
    return str_cat("stages: ", in.stages, " stages need a layer each, and there are ", in.layers,
                   in.layers == 1 ? " layer" : " layers");
  }
  for (size_t u = 0; u < in.layers; ++u) {
    bool any = false;
    for (size_t k = 0; k < in.strategies; ++k) any = any || in.allowed(u, k);
    if (!any) return str_cat("strategies: layer ", u, " has no strategy that is allowed");
  }
  for (std::string reason : {layer_too_large(in), sum_too_large(in), greedy_overflow(in)}) {
    if (!reason.empty()) return reason;
  }
  return "no choice of stages and strategies meets the memory limits and the "
         "pairs that are not "
         "allowed at the same time";
}

}  // namespace soapbox::miqp
