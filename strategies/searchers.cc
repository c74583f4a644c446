#include "strategies/searchers.h"

#include <algorithm>
#include <array>

#include "sim/base/find_row.h"

namespace soapbox::strategies {
namespace {

constexpr std::array kSearchers = {
    SearcherRow{"exhaustive", "every plan of the SOAP space in order; for tiny cases only",
                exhaustive_search},
    SearcherRow{"hill", "first improvement from each start, then random restarts", hill_search},
    SearcherRow{"mcmc", "FlexFlow's Markov chain: Metropolis acceptance, several starts",
                mcmc_search},
    SearcherRow{"random", "independent random plans: the floor for every other searcher",
                random_search},
};
static_assert(std::ranges::is_sorted(kSearchers, std::ranges::less_equal(), &SearcherRow::name));

}  // namespace

std::span<const SearcherRow> searcher_table() {
  return kSearchers;
}

Result<const SearcherRow*> find_searcher(std::string_view name) {
  return find_row(kSearchers, "method", name);
}

}  // namespace soapbox::strategies
