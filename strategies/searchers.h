// The searchers: one function, one file each. The table is in searchers.cc.
#pragma once

#include "strategies/searcher.h"

namespace soapbox::strategies {

Result<SearchOutcome> exhaustive_search(const SearchRequest& request);
Result<SearchOutcome> hill_search(const SearchRequest& request);
Result<SearchOutcome> mcmc_search(const SearchRequest& request);
Result<SearchOutcome> random_search(const SearchRequest& request);

}  // namespace soapbox::strategies
