// Where local searches start from.
#pragma once

#include <string>
#include <vector>

#include "sim/base/result.h"
#include "strategies/proposals.h"
#include "strategies/searcher.h"

namespace soapbox::strategies {

// The plans to start from, in order, with the request's synchronisation mode: by name if the
// request names any, else `defaults`. Equal plans are kept once (on one device all recipes agree).
// A random start is drawn from the request's proposal distribution. REQUIRES: check_request()
// accepts the request.
Result<std::vector<Plan>> starting_plans(const SearchRequest& request,
                                         const std::vector<std::string>& defaults,
                                         const ProposalRow& proposals, const Neighbourhood& around);

// The Philox streams of a seed: what one use draws does not shift another's numbers.
inline constexpr uint64_t kRandomStartStream = 1u << 16;  // + index of the start
inline constexpr uint64_t kChainStream = 0;               // + index of the start

}  // namespace soapbox::strategies
