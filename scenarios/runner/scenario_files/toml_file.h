// Strict reading of TOML files: a key that nobody asks for is an error, and so is anything but
// exactly what was asked for. Every error says file, line, column, the offending value and what is
// allowed.
//
//   Result<TomlTable> file = read_toml_file(path);
//   if (!file) return file.error();
//   const TomlTable link = file->table("link");
//   const BytesPerSecond bandwidth = link.bandwidth("bandwidth");
//   const Duration latency = link.duration_or("latency", Duration());
//   if (Status status = file->finish(); !status) return status.error();
//
// Reading never stops in the middle: where something is wrong, a value of no meaning is returned
// and the error is kept in the file, until finish() returns the one to show: an unknown key first,
// because a misspelt key makes others look missing or wrong; then the first wrong value; then a
// missing key. So nothing read may be trusted before finish().
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::runner {

class TomlDocument;

// One table of a file. Copies are cheap and share the file.
class TomlTable {
 public:
  // Integers and numbers are allowed from `low` to `high`, both included.
  struct IntegerRange {
    int64_t low = 0;
    int64_t high = std::numeric_limits<int64_t>::max();
  };
  struct NumberRange {
    double low = 0;
    double high = std::numeric_limits<double>::max();
  };

  std::string string(std::string_view key) const;  // not empty
  std::string string_or(std::string_view key, std::string_view otherwise) const;
  // One of `allowed`.
  std::string choice(std::string_view key, std::span<const std::string> allowed) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  int64_t integer(std::string_view key, IntegerRange range) const;
  int64_t integer_or(std::string_view key, int64_t otherwise, IntegerRange range) const;
  double number(std::string_view key, NumberRange range) const;  // integers too; no NaN
  double number_or(std::string_view key, double otherwise, NumberRange range) const;
  BytesPerSecond bandwidth(std::string_view key) const;  // "12.5 GB/s", more than zero
  Duration duration(std::string_view key) const;         // "5 us"
  Duration duration_or(std::string_view key, Duration otherwise) const;
  Bytes bytes(std::string_view key) const;  // "16 GB"
  // A list; absent is empty.
  std::vector<std::string> strings(std::string_view key) const;
  std::vector<int64_t> integers(std::string_view key, IntegerRange range) const;
  std::vector<double> numbers(std::string_view key, NumberRange range) const;

  bool has(std::string_view key) const;  // counts as asking for it
  // A table that must be there; without it an empty one is returned, whose own errors are not
  // shown.
  TomlTable table(std::string_view key) const;
  std::optional<TomlTable> table_if(std::string_view key) const;
  std::vector<TomlTable> tables(std::string_view key) const;  // [[key]]; absent is empty
  // All keys in alphabetical order, for tables whose keys are names; counts as asking for all.
  std::vector<std::string> keys() const;

  // For checks of the caller's own. `fail` keeps the error for finish().
  SourcePosition where(std::string_view key) const;  // of its value, or of the table without one
  SourcePosition where() const;                      // of the table
  void fail(std::string_view key, std::string message) const;
  void fail(std::string message) const;
  // Whether nothing was wrong so far, keys not asked for yet aside.
  bool good() const;
  // The error of the whole file, if any. Call it once, after the last reading.
  Status finish() const;

 private:
  friend class TomlDocument;
  TomlTable(std::shared_ptr<TomlDocument> document, size_t table)
      : document_(std::move(document)), table_(table) {}

  std::shared_ptr<TomlDocument> document_;
  size_t table_;
};

Result<TomlTable> read_toml_file(const std::string& path);
// `file` is only for error positions.
Result<TomlTable> parse_toml(std::string_view text, const std::string& file);

}  // namespace soapbox::runner
