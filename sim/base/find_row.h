// Looks a name up in a table: rows that have a member `name`.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/str.h"

namespace soapbox {

template <class Table>
std::vector<std::string> row_names(const Table& table) {
  std::vector<std::string> names;
  for (const auto& row : table) names.emplace_back(row.name);
  return names;
}

// Of several tables, where a name may be of any of them.
template <class... Tables>
std::vector<std::string> sorted_row_names(const Tables&... tables) {
  std::vector<std::string> names;
  (std::ranges::copy(row_names(tables), std::back_inserter(names)), ...);
  std::ranges::sort(names);
  return names;
}

// The row of that name. Error: bad input with the nearest name; `kind` is the noun, e.g. "model".
template <class Table>
Result<const typename Table::value_type*> find_row(const Table& table, std::string_view kind,
                                                   std::string_view name) {
  for (const auto& row : table) {
    if (row.name == name) return &row;
  }
  return bad_input(unknown_name(kind, name, row_names(table)));
}

}  // namespace soapbox
