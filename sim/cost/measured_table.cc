#include "sim/cost/measured_table.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox {
namespace {

constexpr std::array<std::string_view, 7> kColumns = {"hardware", "kind",   "type",   "phase",
                                                      "extents",  "window", "time_us"};
constexpr size_t kOpKinds = static_cast<size_t>(OpKind::kElementwise) + 1;
constexpr size_t kDataTypes = static_cast<size_t>(DataType::kInt64) + 1;
enum Column : size_t { kHardware, kKind, kType, kPhase, kExtents, kWindow, kTime };

// Positive whole numbers with `separators` between them, one of its letters each, in order.
std::optional<std::vector<int64_t>> split_numbers(std::string_view text,
                                                  std::string_view separators, bool repeat) {
  std::vector<int64_t> numbers;
  size_t separator = 0;
  for (;;) {
    int64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc() || value <= 0) return std::nullopt;
    numbers.push_back(value);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (text.empty()) break;
    if (separator >= separators.size() || text[0] != separators[separator]) return std::nullopt;
    if (!repeat) ++separator;
    text.remove_prefix(1);
  }
  if (!repeat && separator != separators.size()) return std::nullopt;
  return numbers;
}

// The value whose to_string is the cell, of an enumeration with `count` values.
template <class Enum>
Result<Enum> read_name(const CsvTable& table, size_t row, Column column, size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(to_string(static_cast<Enum>(i)));
    if (names.back() == table.text(row, column)) return static_cast<Enum>(i);
  }
  return bad_input(unknown_name(kColumns[column], table.text(row, column), names),
                   table.where(row, column));
}

}  // namespace

bool MeasuredTable::before(const Entry& a, const Entry& b, size_t dim) {
  if (a.routine != b.routine) return a.routine < b.routine;
  for (size_t i = 0; i < kMaxDims; ++i) {
    if (i != dim && a.extents[i] != b.extents[i]) return a.extents[i] < b.extents[i];
  }
  return a.extents[dim] < b.extents[dim];
}

bool MeasuredTable::same_sweep(const Entry& a, const Entry& b, size_t dim) {
  if (a.routine != b.routine) return false;
  for (size_t i = 0; i < kMaxDims; ++i) {
    if (i != dim && a.extents[i] != b.extents[i]) return false;
  }
  return true;
}

Result<MeasuredTable> MeasuredTable::read(const std::string& path, const std::string& hardware) {
  const Result<CsvTable> csv = CsvTable::read(path, kColumns);
  return csv ? from_csv(*csv, hardware) : csv.error();
}

Result<MeasuredTable> MeasuredTable::parse(std::string_view text, const std::string& file,
                                           const std::string& hardware) {
  const Result<CsvTable> csv = CsvTable::parse(text, file, kColumns);
  return csv ? from_csv(*csv, hardware) : csv.error();
}

Result<MeasuredTable> MeasuredTable::from_csv(const CsvTable& csv, const std::string& hardware) {
  std::vector<Entry> entries;
  std::vector<MeasuredPiece> pieces;
  std::map<std::pair<Routine, Extents>, int> line_of;
  for (size_t row = 0; row < csv.row_count(); ++row) {
    if (csv.text(row, kHardware) != hardware) {
      return csv.error(row, kHardware, str_cat("this table belongs to ", hardware));
    }
    const auto kind = read_name<OpKind>(csv, row, kKind, kOpKinds);
    if (!kind) return kind.error();
    const auto type = read_name<DataType>(csv, row, kType, kDataTypes);
    if (!type) return type.error();
    const auto phase = read_name<Phase>(csv, row, kPhase, kPhases);
    if (!phase) return phase.error();
    const auto extents = split_numbers(csv.text(row, kExtents), "x", true);
    if (!extents || extents->size() > kMaxDims) {
      return csv.error(row, kExtents, "must be up to 6 positive numbers, as in 64x256x13x13x384");
    }
    std::vector<int64_t> window = {0, 0, 0};
    if (has_window(*kind)) {
      const auto numbers = split_numbers(csv.text(row, kWindow), "xs", false);
      if (!numbers) return csv.error(row, kWindow, "must be kernel and stride, as in 3x3s1");
      window = *numbers;
    } else if (csv.text(row, kWindow) != "-") {
      return csv.error(row, kWindow, str_cat("must be - for ", to_string(*kind)));
    }
    const Result<double> time_us = csv.positive(row, kTime);
    if (!time_us) return time_us.error();
    Entry entry;
    entry.extents = {1, 1, 1, 1, 1, 1};
    std::copy(extents->begin(), extents->end(), entry.extents.begin());
    entry.time = from_seconds(*time_us * 1e-6);
    pieces.push_back({{.kind = *kind,
                       .extents = *extents,
                       .phase = *phase,
                       .kernel_h = window[0],
                       .kernel_w = window[1],
                       .stride = window[2],
                       .type = *type},
                      entry.time});
    entry.routine = routine_of(pieces.back().piece);
    const int line = csv.where(row, 0).line;
    const auto [first, fresh] = line_of.emplace(std::pair(entry.routine, entry.extents), line);
    if (!fresh) {
      return csv.error(row, kExtents, str_cat("already given in line ", first->second));
    }
    entries.push_back(entry);
  }
  MeasuredTable table;
  table.pieces_ = std::move(pieces);
  for (size_t dim = 0; dim < kMaxDims; ++dim) {
    table.by_dim_[dim] = entries;
    std::sort(table.by_dim_[dim].begin(), table.by_dim_[dim].end(),
              [dim](const Entry& a, const Entry& b) { return before(a, b, dim); });
  }
  return table;
}

std::optional<MeasuredTable::Figure> MeasuredTable::find(const Operator& op, const Extents& extents,
                                                         Phase phase) const {
  Entry key;
  key.routine = routine_of(op, phase);
  key.extents = {1, 1, 1, 1, 1, 1};
  std::copy_n(extents.begin(), op.dims.size(), key.extents.begin());
  for (size_t dim = 0; dim < op.dims.size(); ++dim) {
    const std::vector<Entry>& entries = by_dim_[dim];
    const auto above =
        std::lower_bound(entries.begin(), entries.end(), key,
                         [dim](const Entry& a, const Entry& b) { return before(a, b, dim); });
    if (above == entries.end() || !same_sweep(*above, key, dim)) continue;
    if (above->extents == key.extents) return Figure{above->time, false};
    if (above == entries.begin() || !same_sweep(above[-1], key, dim)) continue;
    const Entry& below = above[-1];
    const double share = static_cast<double>(key.extents[dim] - below.extents[dim]) /
                         static_cast<double>(above->extents[dim] - below.extents[dim]);
    return Figure{below.time + scaled(above->time - below.time, share), true};
  }
  return std::nullopt;
}

}  // namespace soapbox
