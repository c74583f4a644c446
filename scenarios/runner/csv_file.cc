#include "scenarios/runner/csv_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "scenarios/runner/text_file.h"
#include "scenarios/runner/toml_syntax.h"
#include "sim/base/str.h"

namespace soapbox::runner {

// One pass over the text, record by record.
class CsvFile::Parser {
 public:
  Parser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  bool at_end() const { return next_ >= text_.size(); }

  Result<std::vector<Cell>> record() {
    std::vector<Cell> cells;
    for (;;) {
      Cell cell{"", line_, column_};
      if (!at_end() && text_[next_] == '"') {
        if (Status status = quoted(cell); !status) return status.error();
      } else {
        while (!at_end() && text_[next_] != ',' && !at_line_end()) {
          if (text_[next_] == '"') return bad_input("a quote inside an unquoted cell", here());
          cell.text += take();
        }
      }
      cells.push_back(std::move(cell));
      if (at_end()) return cells;
      if (at_line_end()) {
        if (text_[next_] == '\r') take();
        take();
        return cells;
      }
      if (text_[next_] != ',') return bad_input("text after the closing quote", here());
      take();
    }
  }

 private:
  Status quoted(Cell& cell) {
    take();
    for (;;) {
      if (at_end()) {
        return bad_input("a quote that is never closed", {file_, cell.line, cell.column});
      }
      const char c = take();
      if (c != '"') {
        cell.text += c;
      } else if (!at_end() && text_[next_] == '"') {
        cell.text += take();
      } else {
        return ok();
      }
    }
  }

  bool at_line_end() const {
    return text_[next_] == '\n' ||
           (text_[next_] == '\r' && next_ + 1 < text_.size() && text_[next_ + 1] == '\n');
  }

  char take() {
    const char c = text_[next_++];
    ++column_;
    if (c == '\n') {
      ++line_;
      column_ = 1;
    }
    return c;
  }

  SourcePosition here() const { return {file_, line_, column_}; }

  std::string_view text_;
  const std::string& file_;
  size_t next_ = 0;
  int line_ = 1;
  int column_ = 1;
};

Result<CsvFile> CsvFile::read(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse(*text, path);
}

Result<CsvFile> CsvFile::parse(std::string_view text, const std::string& file) {
  CsvFile csv;
  csv.file_ = file;
  Parser parser(text, csv.file_);
  if (parser.at_end()) return bad_input("the file is empty; it needs a header line", {file, 1, 0});
  const Result<std::vector<Cell>> header = parser.record();
  if (!header) return header.error();
  for (const Cell& cell : *header) {
    if (std::find(csv.columns_.begin(), csv.columns_.end(), cell.text) != csv.columns_.end()) {
      return bad_input(str_cat("two columns are named '", shown(cell.text), "'"),
                       {file, cell.line, cell.column});
    }
    csv.columns_.push_back(cell.text);
  }
  while (!parser.at_end()) {
    Result<std::vector<Cell>> record = parser.record();
    if (!record) return record.error();
    if (record->size() != csv.columns_.size()) {
      return bad_input(
          str_cat("a row of ", record->size(), " cells; the header has ", csv.columns_.size()),
          {file, record->front().line, 0});
    }
    csv.rows_.push_back(std::move(*record));
  }
  return csv;
}

Result<size_t> CsvFile::column(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found != columns_.end()) return static_cast<size_t>(found - columns_.begin());
  const std::string near = nearest_name(name, columns_);
  return bad_input(
      str_cat("no column '", name, "'", near.empty() ? "" : str_cat("; '", near, "' may be meant")),
      {file_, 1, 0});
}

Result<std::optional<double>> CsvFile::number(size_t row, size_t column) const {
  const std::string& cell = text(row, column);
  if (cell.empty()) return std::optional<double>();
  double value = 0;
  const auto [end, failed] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (failed != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) {
    return error(row, column, "is not a number");
  }
  return std::optional<double>(value);
}

SourcePosition CsvFile::where(size_t row, size_t column) const {
  const Cell& cell = rows_[row][column];
  return {file_, cell.line, cell.column};
}

Error CsvFile::error(size_t row, size_t column, std::string_view message) const {
  return bad_input(str_cat(columns_[column], " '", shown(text(row, column)), "': ", message),
                   where(row, column));
}

}  // namespace soapbox::runner
