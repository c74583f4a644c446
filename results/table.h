// Table: what every command prints. Columns have names (the unit last: iteration_time_s), cells are
// text, lists of texts, integers, named integers, numbers, booleans or nothing; four formats.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/result.h"

namespace soapbox::results {

class Cell {
 public:
  using Texts = std::vector<std::string>;
  // Named whole numbers: an object in JSON.
  using Counts = std::vector<std::pair<std::string, int64_t>>;
  using Value = std::variant<std::monostate, bool, int64_t, double, std::string, Texts, Counts>;

  Cell() = default;                                             // nothing
  Cell(bool value) : value_(value) {}                           // NOLINT: implicit
  Cell(double value) : value_(value) {}                         // NOLINT: implicit
  Cell(std::string value) : value_(std::move(value)) {}         // NOLINT: implicit
  Cell(std::string_view value) : value_(std::string(value)) {}  // NOLINT: implicit
  Cell(const char* value) : value_(std::string(value)) {}       // NOLINT: implicit
  Cell(Texts value) : value_(std::move(value)) {}               // NOLINT: implicit
  Cell(Counts value) : value_(std::move(value)) {}              // NOLINT: implicit
  // REQUIRES: the number is below 2^63.
  template <std::integral Integer>
  Cell(Integer value) : value_(static_cast<int64_t>(value)) {  // NOLINT: implicit
    SOAPBOX_CHECK(std::signed_integral<Integer> || static_cast<int64_t>(value) >= 0,
                  "number does not fit a cell");
  }
  template <class T>
  Cell(const std::optional<T>& value) {  // NOLINT: implicit
    if (value) *this = Cell(*value);
  }

  const Value& value() const { return value_; }
  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_number() const {
    return std::holds_alternative<int64_t>(value_) || std::holds_alternative<double>(value_);
  }
  friend bool operator==(const Cell&, const Cell&) = default;

 private:
  Value value_;
};

struct Column {
  std::string name;
  // Digits after the point on a terminal; absent: six significant ones. CSV and JSON are exact
  // always.
  std::optional<int> decimals = {};
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // REQUIRES: one cell for each column.
  void add_row(std::vector<Cell> cells) {
    SOAPBOX_CHECK(cells.size() == columns_.size(), "a row needs one cell for each column");
    rows_.push_back(std::move(cells));
  }
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

enum class Format : uint8_t { kTable, kCsv, kJson, kJsonl };
Result<Format> parse_format(std::string_view name);  // table, csv, json, jsonl

// The whole table, ending with a line feed.
//   table: aligned for a terminal, numbers to the right, "-" for nothing; a display, not an
//   interface csv:   RFC 4180 quoting, lines end with LF; nothing is an empty field json:  an array
//   of objects, keys in column order; nothing is null jsonl: an object on each line
// Doubles are written with the fewest digits that read back as the same bits; NaN and the
// infinities are nothing, as JSON has no word for them. Bytes that are not UTF-8 become U+FFFD in
// JSON. A list of texts is an array in JSON and joined by "; " elsewhere; named
// integers are an object, and name=number likewise.
std::string render(const Table& table, Format format);

// The same for a table of one row: `table` prints a line for each column, `json` one object.
std::string render_record(const Table& table, Format format);

}  // namespace soapbox::results
