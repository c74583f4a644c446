#include "strategies/miqp/chain.h"

#include <algorithm>

namespace soapbox::miqp {
namespace {

void add_table(std::vector<int64_t>& sum, const int64_t* table) {
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = sum[i] == kNotAllowed || table[i] == kNotAllowed ? kNotAllowed : sum[i] + table[i];
  }
}

}  // namespace

Chain make_chain(const Instance& in) {
  Chain chain;
  chain.order = topological_order(in);
  std::vector<size_t> position(in.layers);
  for (size_t u = 0; u < in.layers; ++u) position[chain.order[u]] = u;
  const size_t pairs = in.strategies * in.strategies;
  chain.reshard.assign(in.layers, std::vector<int64_t>(pairs, 0));
  chain.reshard_cross = chain.reshard;
  std::vector<bool> follows(in.layers, false);
  follows[0] = true;
  for (size_t e = 0; e < in.edges.size(); ++e) {
    const size_t from = position[in.edges[e].from];
    const size_t to = position[in.edges[e].to];
    if (to == from + 1) {
      follows[to] = true;
      add_table(chain.reshard[to], &in.reshard[e * pairs]);
      add_table(chain.reshard_cross[to], &in.reshard_cross[e * pairs]);
    } else {
      chain.skips.push_back({from, to, e});
    }
  }
  chain.is_path = std::find(follows.begin(), follows.end(), false) == follows.end();
  return chain;
}

std::optional<size_t> only_hub(const Instance& in, const Chain& chain) {
  if (chain.skips.empty() || in.long_edges != LongEdges::kFree) return std::nullopt;
  const size_t hub = chain.skips[0].from;
  const bool only = std::all_of(chain.skips.begin(), chain.skips.end(),
                                [hub](const SkipEdge& skip) { return skip.from == hub; });
  return only ? std::optional(hub) : std::nullopt;
}

}  // namespace soapbox::miqp
