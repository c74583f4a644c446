#include "sim/base/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "sim/base/str.h"

namespace soapbox {

namespace {

// Empty lines at the end are no rows.
std::string_view without_empty_end(std::string_view text) {
  size_t end = text.find_last_not_of("\r\n") + 1;
  if (end < text.size() && text[end] == '\r') ++end;
  if (end < text.size() && text[end] == '\n') ++end;
  return text.substr(0, end);
}

}  // namespace

// Cuts text into lines of cells. A quoted cell may contain commas, line breaks and doubled quotes.
class CsvTable::Reader {
 public:
  Reader(std::string_view text, const std::string& file) : text_(text), file_(file) {
    if (text_.substr(0, 3) == "\xef\xbb\xbf") text_.remove_prefix(3);  // a byte order mark
  }

  bool at_end() const { return at_ == text_.size(); }
  int line() const { return line_; }

  Result<std::vector<Cell>> next_line() {
    std::vector<Cell> cells;
    for (;;) {
      Result<Cell> cell = next_cell();
      if (!cell) return cell.error();
      cells.push_back(*std::move(cell));
      if (!take(',')) break;
    }
    take('\r');
    if (!at_end() && !take('\n')) return error("expected ',' or the end of the line");
    return cells;
  }

 private:
  Result<Cell> next_cell() {
    Cell cell{"", line_, column_};
    if (!take('"')) {
      while (!at_end() && std::string_view(",\r\n").find(text_[at_]) == std::string_view::npos) {
        if (text_[at_] == '"') return error("a quote inside a cell that does not begin with one");
        cell.text += advance();
      }
      return cell;
    }
    for (;;) {
      if (at_end()) return bad_input("this quote is not closed", {file_, cell.line, cell.column});
      const char c = advance();
      if (c == '"' && !take('"')) return cell;
      cell.text += c;
    }
  }

  char advance() {
    const char c = text_[at_++];
    ++column_;
    if (c == '\n') {
      ++line_;
      column_ = 1;
    }
    return c;
  }

  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    advance();
    return true;
  }

  Error error(std::string message) const {
    return bad_input(std::move(message), {file_, line_, column_});
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  int line_ = 1;
  int column_ = 1;
};

Result<CsvTable> CsvTable::parse(std::string_view text, const std::string& file,
                                 std::span<const std::string_view> columns) {
  SOAPBOX_CHECK(!columns.empty(), "a table has columns");
  CsvTable table;
  table.file_ = file;
  table.columns_.assign(columns.begin(), columns.end());
  Reader reader(without_empty_end(text), file);
  Result<std::vector<Cell>> header = reader.next_line();
  if (!header) return header.error();
  const Status right = table.check_header(*header);
  if (!right) return right.error();
  table.header_ = *std::move(header);
  const Status rows = table.read_rows(reader);
  if (!rows) return rows.error();
  return table;
}

Result<CsvTable> CsvTable::parse(std::string_view text, const std::string& file) {
  CsvTable table;
  table.file_ = file;
  Reader reader(without_empty_end(text), file);
  Result<std::vector<Cell>> header = reader.next_line();
  if (!header) return header.error();
  for (const Cell& cell : *header) {
    const SourcePosition where = {file, cell.line, cell.column};
    if (cell.text.empty()) return bad_input("a column without a name", where);
    if (std::find(table.columns_.begin(), table.columns_.end(), cell.text) !=
        table.columns_.end()) {
      return bad_input(str_cat("column '", shown(cell.text), "' is there twice"), where);
    }
    table.columns_.push_back(cell.text);
  }
  table.header_ = *std::move(header);
  const Status rows = table.read_rows(reader);
  if (!rows) return rows.error();
  return table;
}

Status CsvTable::read_rows(Reader& reader) {
  while (!reader.at_end()) {
    Result<std::vector<Cell>> line = reader.next_line();
    if (!line) return line.error();
    if (line->size() != columns_.size()) {
      return bad_input(
          str_cat("a row needs ", columns_.size(), " cells, this one has ", line->size()),
          {file_, line->front().line, line->front().column});
    }
    for (Cell& cell : *line) cells_.push_back(std::move(cell));
  }
  if (cells_.empty()) return bad_input("the table has no rows", {file_, reader.line(), 0});
  return ok();
}

Status CsvTable::check_header(const std::vector<Cell>& header) const {
  for (size_t i = 0; i < std::max(header.size(), columns_.size()); ++i) {
    const Cell& cell = header[std::min(i, header.size() - 1)];
    const SourcePosition where = {file_, cell.line, cell.column};
    if (i >= header.size()) {
      return bad_input(str_cat("column ", i + 1, ", '", columns_[i], "', is missing"), where);
    }
    if (i >= columns_.size()) {
      return bad_input(str_cat("column '", shown(cell.text), "' is one too many"), where);
    }
    if (cell.text != columns_[i]) {
      return bad_input(str_cat("column ", i + 1, " of the header is '", shown(cell.text),
                               "'; it must be '", columns_[i], "'"),
                       where);
    }
  }
  return ok();
}

Result<CsvTable> CsvTable::read(const std::string& path,
                                std::span<const std::string_view> columns) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return bad_input("cannot read the file", {path, 0, 0});
  return parse(text.str(), path, columns);
}

Result<int64_t> CsvTable::count(size_t row, size_t column) const {
  constexpr int64_t kMost = int64_t{1} << 53;
  const std::string& cell = text(row, column);
  int64_t value = 0;
  const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (status != std::errc() || end != cell.data() + cell.size() || value <= 0 || value > kMost) {
    return error(row, column, "must be a positive whole number");
  }
  return value;
}

Result<double> CsvTable::positive(size_t row, size_t column) const {
  const std::string& cell = text(row, column);
  double value = 0;
  const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (status != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value) ||
      value <= 0) {
    return error(row, column, "must be a positive number");
  }
  return value;
}

SourcePosition CsvTable::where(size_t row, size_t column) const {
  return {file_, cell(row, column).line, cell(row, column).column};
}

SourcePosition CsvTable::header_where(size_t column) const {
  return {file_, header_[column].line, header_[column].column};
}

Error CsvTable::error(size_t row, size_t column, std::string_view message) const {
  return bad_input(str_cat(columns_[column], " '", shown(text(row, column)), "': ", message),
                   where(row, column));
}

}  // namespace soapbox
