// CSV files as spreadsheets and Python write them (RFC 4180: quotes, doubled quotes, commas and
// line breaks inside quotes), read strictly: a header that names the columns, as many cells in
// every row, errors with line and column.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::runner {

class CsvFile {
 public:
  static Result<CsvFile> read(const std::string& path);
  // `file` is only for error positions.
  static Result<CsvFile> parse(std::string_view text, const std::string& file);

  const std::vector<std::string>& columns() const { return columns_; }
  size_t row_count() const { return rows_.size(); }
  // Fails at the header, with the nearest name.
  Result<size_t> column(std::string_view name) const;
  const std::string& text(size_t row, size_t column) const { return rows_[row][column].text; }
  // Absent where the cell is empty; fails where it is no finite number.
  Result<std::optional<double>> number(size_t row, size_t column) const;
  SourcePosition where(size_t row, size_t column) const;
  // "FILE:LINE:COLUMN: mem_gb 'x': MESSAGE"
  Error error(size_t row, size_t column, std::string_view message) const;

 private:
  struct Cell {
    std::string text;
    int line = 0;
    int column = 0;
  };
  class Parser;

  std::string file_;
  std::vector<std::string> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace soapbox::runner
