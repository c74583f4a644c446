#include "scenarios/runner/scenario_files/toml_file.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <sstream>
#include <toml.hpp>
#include <utility>

#include "scenarios/runner/scenario_files/text_file.h"
#include "scenarios/runner/scenario_files/toml_syntax.h"
#include "scenarios/runner/scenario_files/units_text.h"
#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

// std::map, so that no order depends on hashing.
using TomlValue = toml::basic_value<toml::discard_comments, std::map, std::vector>;

// The value as it stands in the file, or at least its first line.
std::string source_text(const TomlValue& value) {
  const toml::source_location where = value.location();
  const std::string& line = where.line_str();
  const size_t begin = std::min<size_t>(where.column() - 1, line.size());
  return line.substr(begin, where.region());
}

std::string kind_of(const TomlValue& value) {
  switch (value.type()) {
    case toml::value_t::boolean:
      return "a boolean";
    case toml::value_t::integer:
      return "an integer";
    case toml::value_t::floating:
      return "a number";
    case toml::value_t::string:
      return "a string";
    case toml::value_t::array:
      return "a list";
    case toml::value_t::table:
      return "a table";
    default:
      return "a date";
  }
}

}  // namespace

// The parsed file, which of its tables and keys were asked for, and the error to show.
class TomlDocument {
 public:
  TomlDocument(TomlValue root, std::string file) : root_(std::move(root)), file_(std::move(file)) {
    open(root_, "the file");
  }
  static TomlTable root(TomlValue value, std::string file) {
    return {std::make_shared<TomlDocument>(std::move(value), std::move(file)), 0};
  }

  struct Table {
    const TomlValue* value;
    std::string name;                // for messages: "[node]"
    std::vector<std::string> asked;  // keys, in the order of asking
  };
  const Table& table(size_t index) const { return tables_[index]; }

  size_t open(const TomlValue& value, std::string name) {
    for (size_t i = 0; i < tables_.size(); ++i) {
      if (tables_[i].value == &value) return i;
    }
    tables_.push_back({&value, std::move(name), {}});
    return tables_.size() - 1;
  }
  const TomlValue& nothing() const { return nothing_; }

  // The value of a key, or null. Remembers that it was asked for.
  const TomlValue* ask(size_t index, std::string_view key) {
    Table& table = tables_[index];
    if (std::find(table.asked.begin(), table.asked.end(), key) == table.asked.end()) {
      table.asked.emplace_back(key);
    }
    const auto& entries = table.value->as_table();
    const auto found = entries.find(std::string(key));
    return found == entries.end() ? nullptr : &found->second;
  }
  // The same, where absence is an error.
  const TomlValue* require(size_t index, std::string_view key, std::string_view what) {
    const TomlValue* value = ask(index, key);
    if (value != nullptr || tables_[index].value == &nothing_) return value;
    if (!missing_) {
      missing_ = bad_input(str_cat("missing key '", key, "' in ", tables_[index].name, ": ", what),
                           where(*tables_[index].value));
    }
    return nullptr;
  }

  SourcePosition where(const TomlValue& value) const {
    if (&value == &root_ || &value == &nothing_) return {file_, 1, 0};
    const toml::source_location at = value.location();
    return {file_, static_cast<int>(at.line()), static_cast<int>(at.column())};
  }
  void fail(const TomlValue& value, std::string message) {
    if (!wrong_) wrong_ = bad_input(std::move(message), where(value));
  }
  bool good() const { return !wrong_ && !missing_; }

  Status finish() {
    check_unknown_keys();
    if (wrong_) return *wrong_;
    if (missing_) return *missing_;
    return ok();
  }

 private:
  // Of all keys that nobody asked for, shows the first in the file.
  void check_unknown_keys() {
    std::optional<Error> first;
    for (const Table& table : tables_) {
      for (const auto& [key, value] : table.value->as_table()) {
        if (std::find(table.asked.begin(), table.asked.end(), key) != table.asked.end()) continue;
        SourcePosition at = key_position(key, value);
        if (first &&
            std::pair(first->where.line, first->where.column) <= std::pair(at.line, at.column)) {
          continue;
        }
        std::string text = unknown_name("key", shown(key), table.asked);
        const std::string quoted = str_cat("unknown key '", shown(key), "'");
        text.insert(quoted.size(), " in " + table.name);
        first = bad_input(std::move(text), std::move(at));
      }
    }
    if (first) wrong_ = std::move(first);
  }

  // The parser keeps positions of values only: the key is looked for before its value.
  SourcePosition key_position(const std::string& key, const TomlValue& value) const {
    SourcePosition at = where(value);
    const std::string line = value.location().line_str();
    const size_t limit = value.is_table() ? std::string::npos : static_cast<size_t>(at.column - 1);
    const size_t found = line.rfind(key, limit);
    if (found != std::string::npos) at.column = static_cast<int>(found) + 1;
    return at;
  }

  TomlValue root_;
  TomlValue nothing_ = TomlValue::table_type();
  std::string file_;
  std::vector<Table> tables_;
  std::optional<Error> wrong_;
  std::optional<Error> missing_;
};

namespace {

void fail_kind(TomlDocument& document, std::string_view key, const TomlValue& value,
               std::string_view expected) {
  document.fail(value, str_cat("'", key, "' is ", kind_of(value), ", ", shown(source_text(value)),
                               "; it must be ", expected));
}

std::optional<std::string> read_string(TomlDocument& document, std::string_view key,
                                       const TomlValue& value, std::string_view expected) {
  if (!value.is_string()) {
    fail_kind(document, key, value, expected);
    return std::nullopt;
  }
  std::string text = value.as_string().str;
  if (text.empty()) document.fail(value, str_cat("'", key, "' is empty; it must be ", expected));
  return text;
}

std::optional<int64_t> read_integer(TomlDocument& document, std::string_view key,
                                    const TomlValue& value, TomlTable::IntegerRange range) {
  const auto expected = [&] {
    return range.high == std::numeric_limits<int64_t>::max()
               ? str_cat("an integer of at least ", range.low)
               : str_cat("an integer from ", range.low, " to ", range.high);
  };
  if (!value.is_integer()) {
    fail_kind(document, key, value, expected());
    return std::nullopt;
  }
  // The parser turns a literal that does not fit into some other number: longer than 18 digits, an
  // integer is out of every range here. Its text is looked up where it is long alone: that counts
  // the lines of the file.
  const bool is_long = toml::detail::get_region(value)->size() > 18;
  const std::string literal = is_long ? source_text(value) : std::string();
  const auto digits = std::count_if(literal.begin(), literal.end(),
                                    [](unsigned char c) { return std::isalnum(c) != 0; });
  if (digits > 18 || value.as_integer() < range.low || value.as_integer() > range.high) {
    document.fail(
        value, str_cat("'", key, "' is ", shown(source_text(value)), "; it must be ", expected()));
    return std::nullopt;
  }
  return value.as_integer();
}

std::optional<double> read_number(TomlDocument& document, std::string_view key,
                                  const TomlValue& value, TomlTable::NumberRange range) {
  const auto expected = [&] {
    return range.high == std::numeric_limits<double>::max()
               ? str_cat("a number of at least ", range.low)
               : str_cat("a number from ", range.low, " to ", range.high);
  };
  if (!value.is_integer() && !value.is_floating()) {
    fail_kind(document, key, value, expected());
    return std::nullopt;
  }
  double number = value.is_floating() ? value.as_floating() : 0;
  if (value.is_integer()) number = static_cast<double>(value.as_integer());
  // Written so that NaN is refused.
  if (!(number >= range.low && number <= range.high)) {
    document.fail(
        value, str_cat("'", key, "' is ", shown(source_text(value)), "; it must be ", expected()));
    return std::nullopt;
  }
  return number;
}

template <class Quantity>
std::optional<Quantity> read_quantity(TomlDocument& document, std::string_view key,
                                      const TomlValue& value, std::string_view expected,
                                      Result<Quantity> (*parse)(std::string_view)) {
  if (!value.is_string()) {
    fail_kind(document, key, value, expected);
    return std::nullopt;
  }
  Result<Quantity> quantity = parse(shown(value.as_string().str));
  if (!quantity) {
    document.fail(value, str_cat("'", key, "': ", quantity.error().message));
    return std::nullopt;
  }
  return *quantity;
}

constexpr std::string_view kBandwidth = "a bandwidth with its unit, as in \"12.5 GB/s\"";
constexpr std::string_view kDuration = "a duration with its unit, as in \"5 us\"";
constexpr std::string_view kBytes = "a size with its unit, as in \"16 GB\"";

// The items of a list, each read by `read(item)`; absent is empty.
template <class Item, class Read>
std::vector<Item> read_list(TomlDocument& document, size_t table, std::string_view key,
                            std::string_view expected, Read read) {
  std::vector<Item> items;
  const TomlValue* value = document.ask(table, key);
  if (value == nullptr) return items;
  if (!value->is_array()) {
    fail_kind(document, key, *value, expected);
    return items;
  }
  for (const TomlValue& item : value->as_array()) {
    std::optional<Item> one = read(item);
    if (one) items.push_back(std::move(*one));
  }
  return items;
}

}  // namespace

std::string TomlTable::string(std::string_view key) const {
  const TomlValue* value = document_->require(table_, key, "a string");
  return value ? read_string(*document_, key, *value, "a string").value_or("") : "";
}

std::string TomlTable::string_or(std::string_view key, std::string_view otherwise) const {
  return document_->ask(table_, key) ? string(key) : std::string(otherwise);
}

std::string TomlTable::choice(std::string_view key, std::span<const std::string> allowed) const {
  const std::string expected = str_cat("one of ", join(allowed, ", "));
  const TomlValue* value = document_->require(table_, key, expected);
  if (value == nullptr) return "";
  std::optional<std::string> text = read_string(*document_, key, *value, expected);
  if (!text) return "";
  if (std::find(allowed.begin(), allowed.end(), *text) == allowed.end()) {
    document_->fail(*value, unknown_name(key, shown(*text), allowed));
  }
  return *text;
}

bool TomlTable::boolean_or(std::string_view key, bool otherwise) const {
  const TomlValue* value = document_->ask(table_, key);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->as_boolean();
  fail_kind(*document_, key, *value, "true or false");
  return otherwise;
}

int64_t TomlTable::integer(std::string_view key, IntegerRange range) const {
  const TomlValue* value = document_->require(table_, key, "an integer");
  return value ? read_integer(*document_, key, *value, range).value_or(range.low) : range.low;
}

int64_t TomlTable::integer_or(std::string_view key, int64_t otherwise, IntegerRange range) const {
  return document_->ask(table_, key) ? integer(key, range) : otherwise;
}

double TomlTable::number(std::string_view key, NumberRange range) const {
  const TomlValue* value = document_->require(table_, key, "a number");
  return value ? read_number(*document_, key, *value, range).value_or(range.low) : range.low;
}

double TomlTable::number_or(std::string_view key, double otherwise, NumberRange range) const {
  return document_->ask(table_, key) ? number(key, range) : otherwise;
}

BytesPerSecond TomlTable::bandwidth(std::string_view key) const {
  const TomlValue* value = document_->require(table_, key, kBandwidth);
  const BytesPerSecond any(1e9);
  if (value == nullptr) return any;
  const BytesPerSecond rate =
      read_quantity(*document_, key, *value, kBandwidth, parse_bandwidth).value_or(any);
  if (rate.rate() <= 0) {
    document_->fail(*value, str_cat("'", key, "' is zero; it must be ", kBandwidth));
    return any;
  }
  return rate;
}

Duration TomlTable::duration(std::string_view key) const {
  const TomlValue* value = document_->require(table_, key, kDuration);
  if (value == nullptr) return Duration();
  return read_quantity(*document_, key, *value, kDuration, parse_duration).value_or(Duration());
}

Duration TomlTable::duration_or(std::string_view key, Duration otherwise) const {
  return document_->ask(table_, key) ? duration(key) : otherwise;
}

Bytes TomlTable::bytes(std::string_view key) const {
  const TomlValue* value = document_->require(table_, key, kBytes);
  if (value == nullptr) return Bytes();
  return read_quantity(*document_, key, *value, kBytes, parse_bytes).value_or(Bytes());
}

std::vector<std::string> TomlTable::strings(std::string_view key) const {
  return read_list<std::string>(
      *document_, table_, key, "a list of strings",
      [&](const TomlValue& item) { return read_string(*document_, key, item, "a string"); });
}

std::vector<int64_t> TomlTable::integers(std::string_view key, IntegerRange range) const {
  return read_list<int64_t>(
      *document_, table_, key, "a list of integers",
      [&](const TomlValue& item) { return read_integer(*document_, key, item, range); });
}

std::vector<double> TomlTable::numbers(std::string_view key, NumberRange range) const {
  return read_list<double>(
      *document_, table_, key, "a list of numbers",
      [&](const TomlValue& item) { return read_number(*document_, key, item, range); });
}

bool TomlTable::has(std::string_view key) const {
  return document_->ask(table_, key) != nullptr;
}

TomlTable TomlTable::table(std::string_view key) const {
  const TomlValue* value = document_->require(table_, key, "a table");
  if (value != nullptr && !value->is_table()) {
    fail_kind(*document_, key, *value, "a table");
    value = nullptr;
  }
  const std::string name = str_cat("[", key, "]");
  return {document_, document_->open(value ? *value : document_->nothing(), name)};
}

std::optional<TomlTable> TomlTable::table_if(std::string_view key) const {
  if (document_->ask(table_, key) == nullptr) return std::nullopt;
  return table(key);
}

std::vector<TomlTable> TomlTable::tables(std::string_view key) const {
  const std::string name = str_cat("[[", key, "]]");
  std::vector<TomlTable> result;
  const TomlValue* value = document_->ask(table_, key);
  if (value == nullptr) return result;
  if (!value->is_array()) {
    fail_kind(*document_, key, *value, str_cat("a list of tables, written ", name));
    return result;
  }
  for (const TomlValue& item : value->as_array()) {
    if (item.is_table()) {
      result.push_back({document_, document_->open(item, name)});
    } else {
      fail_kind(*document_, key, item, "a table");
    }
  }
  return result;
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, value] : document_->table(table_).value->as_table()) {
    result.push_back(key);
  }
  for (const std::string& key : result) document_->ask(table_, key);
  return result;
}

SourcePosition TomlTable::where(std::string_view key) const {
  const TomlValue* value = document_->ask(table_, key);
  return value ? document_->where(*value) : where();
}

SourcePosition TomlTable::where() const {
  return document_->where(*document_->table(table_).value);
}

void TomlTable::fail(std::string_view key, std::string message) const {
  const TomlValue* value = document_->ask(table_, key);
  document_->fail(value ? *value : *document_->table(table_).value, std::move(message));
}

void TomlTable::fail(std::string message) const {
  document_->fail(*document_->table(table_).value, std::move(message));
}

bool TomlTable::good() const {
  return document_->good();
}

Status TomlTable::finish() const {
  return document_->finish();
}

Result<TomlTable> parse_toml(std::string_view text, const std::string& file) {
  if (Status status = check_toml_depth(text, file); !status) return status.error();
  try {
    std::istringstream stream{std::string(text)};
    // The parser copies its source's name for every character class that it tries: an empty name
    // copies without allocating. Errors take theirs from `file`.
    TomlValue root = toml::parse<toml::discard_comments, std::map, std::vector>(stream, "");
    return TomlDocument::root(std::move(root), file);
  } catch (const toml::exception& error) {
    return toml_syntax_error(error.what(), file);
  } catch (const std::exception& error) {
    return bad_input(str_cat("not valid TOML: ", shown(error.what())), {file, 0, 0});
  }
}

Result<TomlTable> read_toml_file(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse_toml(*text, path);
}

}  // namespace soapbox::runner
