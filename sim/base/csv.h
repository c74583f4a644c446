// Comma-separated text with a header line (RFC 4180, UTF-8), read strictly: exactly the columns
// asked for, every row with all of them, numbers that are numbers; an error says line and column.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox {

class CsvTable {
 public:
  // Refuses a header other than `columns`, a row with too few or too many cells, a quote out of
  // place and a table without rows. `file` is only for error positions.
  static Result<CsvTable> parse(std::string_view text, const std::string& file,
                                std::span<const std::string_view> columns);
  static Result<CsvTable> read(const std::string& path, std::span<const std::string_view> columns);
  // The same for a table whose header the caller checks: any columns, each with a name of its own.
  static Result<CsvTable> parse(std::string_view text, const std::string& file);

  const std::vector<std::string>& columns() const { return columns_; }
  SourcePosition header_where(size_t column) const;
  size_t row_count() const { return cells_.size() / columns_.size(); }
  const std::string& text(size_t row, size_t column) const { return cell(row, column).text; }
  // A positive whole number, at most 2^53.
  Result<int64_t> count(size_t row, size_t column) const;
  // A positive finite number.
  Result<double> positive(size_t row, size_t column) const;

  SourcePosition where(size_t row, size_t column) const;
  // "FILE:LINE:COLUMN: time_us '0': MESSAGE"
  Error error(size_t row, size_t column, std::string_view message) const;

 private:
  struct Cell {
    std::string text;
    int line = 0;
    int column = 0;  // of its first byte, 1-based
  };
  const Cell& cell(size_t row, size_t column) const {
    return cells_[row * columns_.size() + column];
  }
  class Reader;
  Status read_rows(Reader& reader);
  Status check_header(const std::vector<Cell>& header) const;

  std::string file_;
  std::vector<std::string> columns_;
  std::vector<Cell> header_;
  std::vector<Cell> cells_;  // row after row
};

}  // namespace soapbox
