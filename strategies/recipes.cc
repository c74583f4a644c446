#include "strategies/recipes.h"

#include <algorithm>
#include <array>

#include "sim/base/find_row.h"
#include "strategies/searcher.h"

namespace soapbox::strategies {
namespace {

constexpr std::array kRecipes = {
    RecipeRow{"data_parallel", "every operator split by samples over all devices", data_parallel},
    RecipeRow{"expert",
              "one weird trick for CNNs; GNMT's layers over a node's devices for RNNs; "
              "table_parallel for DLRM",
              expert},
    RecipeRow{"model_parallel", "whole operators, contiguous groups balanced by FLOPs",
              model_parallel},
    RecipeRow{"one_weird_trick", "linear layers split by output channel, all else by samples",
              one_weird_trick},
    RecipeRow{"table_parallel", "embedding tables spread over the devices, all else by samples",
              table_parallel},
};
static_assert(std::ranges::is_sorted(kRecipes, std::ranges::less_equal(), &RecipeRow::name));

}  // namespace

std::span<const RecipeRow> recipe_table() {
  return kRecipes;
}

Result<const RecipeRow*> find_recipe(std::string_view name) {
  return find_row(kRecipes, "recipe", name);
}

}  // namespace soapbox::strategies
