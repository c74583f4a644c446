#include "results/table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/str.h"

namespace soapbox::results {
namespace {

using Json = nlohmann::ordered_json;

bool is_absent(const Cell& cell) {
  const double* number = std::get_if<double>(&cell.value());
  return cell.is_null() || (number != nullptr && !std::isfinite(*number));
}

// The cell's exact text, as in CSV; empty when there is nothing.
std::string exact_text(const Cell& cell) {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return to_text(value); }
    std::string operator()(double value) const { return to_text(value); }
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(const Cell::Texts& value) const { return join(value, "; "); }
    std::string operator()(const Cell::Counts& value) const {
      std::vector<std::string> parts;
      for (const auto& [name, count] : value) parts.push_back(str_cat(name, "=", count));
      return join(parts, "; ");
    }
  };
  return is_absent(cell) ? "" : std::visit(Visitor{}, cell.value());
}

// The cell's text on a terminal: rounded, on one line.
std::string display_text(const Cell& cell, const Column& column) {
  if (is_absent(cell)) return "-";
  if (const double* number = std::get_if<double>(&cell.value())) {
    std::array<char, 400> buffer;  // 1.8e308 in full has 309 digits
    const bool fixed = column.decimals.has_value();
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), *number,
                                   fixed ? std::chars_format::fixed : std::chars_format::general,
                                   fixed ? *column.decimals : 6);
    SOAPBOX_CHECK(end.ec == std::errc(), "too many decimals");
    return std::string(buffer.data(), end.ptr);
  }
  std::string text = exact_text(cell);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return text;
}

// Code points; wide and combining characters are rare in names and cost only alignment.
size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;  // not a UTF-8 continuation byte
  }));
}

std::string padded(const std::string& text, size_t width, bool to_the_right) {
  const std::string space(width - std::min(width, display_width(text)), ' ');
  return to_the_right ? space + text : text + space;
}

void end_line(std::string& text) {
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
}

std::string render_terminal(const Table& table) {
  const size_t count = table.columns().size();
  std::vector<size_t> widths(count);
  std::vector<bool> numeric(count, true);
  std::vector<std::vector<std::string>> lines;
  for (const std::vector<Cell>& row : table.rows()) {
    std::vector<std::string>& line = lines.emplace_back();
    for (size_t i = 0; i < count; ++i) {
      line.push_back(display_text(row[i], table.columns()[i]));
      widths[i] = std::max(widths[i], display_width(line[i]));
      if (!row[i].is_null() && !row[i].is_number()) numeric[i] = false;
    }
  }
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = table.columns()[i].name;
    widths[i] = std::max(widths[i], display_width(name));
    text += (i > 0 ? "  " : "") + padded(name, widths[i], numeric[i]);
  }
  end_line(text);
  for (const std::vector<std::string>& line : lines) {
    for (size_t i = 0; i < count; ++i) {
      text += (i > 0 ? "  " : "") + padded(line[i], widths[i], numeric[i]);
    }
    end_line(text);
  }
  return text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string render_csv(const Table& table) {
  std::string text;
  for (size_t i = 0; i < table.columns().size(); ++i) {
    text += (i > 0 ? "," : "") + csv_field(table.columns()[i].name);
  }
  text += '\n';
  for (const std::vector<Cell>& row : table.rows()) {
    for (size_t i = 0; i < row.size(); ++i)
      text += (i > 0 ? "," : "") + csv_field(exact_text(row[i]));
    text += '\n';
  }
  return text;
}

Json to_json(const Cell& cell) {
  struct Visitor {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(bool value) const { return value; }
    Json operator()(int64_t value) const { return value; }
    Json operator()(double value) const { return value; }
    Json operator()(const std::string& value) const { return value; }
    Json operator()(const Cell::Texts& value) const { return value; }
    Json operator()(const Cell::Counts& value) const {
      Json object = Json::object();
      for (const auto& [name, count] : value) object[name] = count;
      return object;
    }
  };
  return is_absent(cell) ? Json(nullptr) : std::visit(Visitor{}, cell.value());
}

Json row_object(const Table& table, const std::vector<Cell>& row) {
  Json object = Json::object();
  for (size_t i = 0; i < row.size(); ++i) object[table.columns()[i].name] = to_json(row[i]);
  return object;
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<Format> parse_format(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Format>, 4> kFormats = {{
      {"table", Format::kTable},
      {"csv", Format::kCsv},
      {"json", Format::kJson},
      {"jsonl", Format::kJsonl},
  }};
  std::vector<std::string> known;
  for (const auto& [known_name, format] : kFormats) {
    if (name == known_name) return format;
    known.emplace_back(known_name);
  }
  return Error{ErrorCode::kUsage, unknown_name("format", name, known), {}};
}

std::string render(const Table& table, Format format) {
  switch (format) {
    case Format::kTable:
      return render_terminal(table);
    case Format::kCsv:
      return render_csv(table);
    case Format::kJson: {
      Json array = Json::array();
      for (const std::vector<Cell>& row : table.rows()) array.push_back(row_object(table, row));
      return dump(array, 2);
    }
    case Format::kJsonl: {
      std::string text;
      for (const std::vector<Cell>& row : table.rows()) text += dump(row_object(table, row), -1);
      return text;
    }
  }
  SOAPBOX_CHECK(false, "unknown format");
}

std::string render_record(const Table& table, Format format) {
  SOAPBOX_CHECK(table.rows().size() == 1, "a record is a table of one row");
  const std::vector<Cell>& row = table.rows().front();
  if (format == Format::kJson) return dump(row_object(table, row), 2);
  if (format != Format::kTable) return render(table, format);
  size_t width = 0;
  for (const Column& column : table.columns()) width = std::max(width, display_width(column.name));
  std::string text;
  for (size_t i = 0; i < row.size(); ++i) {
    const Column& column = table.columns()[i];
    text += padded(column.name, width, false) + "  " + display_text(row[i], column);
    end_line(text);
  }
  return text;
}

}  // namespace soapbox::results
