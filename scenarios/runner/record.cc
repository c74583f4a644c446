#include "scenarios/runner/record.h"

#include <cstdio>

#include "sim/base/str.h"

namespace soapbox::runner {

void Record::add(std::string name, results::Cell cell) {
  columns_.push_back({std::move(name)});
  cells_.push_back(std::move(cell));
}

std::string Record::render(results::Format format) const {
  results::Table table(columns_);
  table.add_row(cells_);
  return results::render_record(table, format);
}

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string percent(double fraction, int decimals) {
  return str_cat(fixed(100 * fraction, decimals), " %");
}

Option format_option() {
  return {"format", "FORMAT", "table (default), csv, json or jsonl"};
}

Result<results::Format> read_format(const Arguments& arguments) {
  return arguments.parsed("format", "table", results::parse_format);
}

}  // namespace soapbox::runner
