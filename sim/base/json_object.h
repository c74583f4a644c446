// Reading a JSON object that another program wrote: values are checked strictly and every error
// points at its line and column, while keys that nobody asks for are left for the caller to list.
//
// As with TOML (toml_file.h), reading never stops in the middle: where something is wrong, a value
// of no meaning is returned and the first error is kept until status(). A null is as good as
// absent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox {

// Where and why a text is no JSON. REQUIRES: the parser refuses it.
struct JsonFault {
  size_t offset = 0;
  std::string message;
};
JsonFault json_fault(std::string_view text);

class JsonObject {
 public:
  // Error: not JSON, not an object, or a key twice at the top.
  static Result<JsonObject> parse(std::string_view text, const std::string& file);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(JsonObject&&) noexcept;
  ~JsonObject();

  // Whole numbers are allowed from `low` to `high`, both included. Of several keys (the same thing
  // has other names in other files) the first that is there counts.
  struct Range {
    int64_t low = 0;
    int64_t high = 0;
  };
  int64_t integer(std::vector<std::string_view> keys, Range range);
  int64_t integer_or(std::vector<std::string_view> keys, int64_t otherwise, Range range);
  double number_or(std::string_view key, double otherwise, double low, double high);
  bool flag_or(std::string_view key, bool otherwise);
  std::string text_or(std::string_view key, const std::string& otherwise);
  std::string text(std::string_view key);
  std::vector<int64_t> integers(std::string_view key, Range range);
  size_t size_of(std::string_view key);  // members of an object or array; 0 where there is none
  // The objects of a list, each with errors and unread keys of its own.
  Result<std::vector<JsonObject>> objects(std::string_view key);
  // An object in this one, whose errors and unread keys are its own; empty where there is none.
  Result<JsonObject> object(std::string_view key);

  bool has(std::string_view key) const;              // and is not null
  void ask(std::string_view key);                    // counts as asked for, whatever it is
  SourcePosition where(std::string_view key) const;  // of the key, or of the object without it
  // Keeps an error of the caller's own about a key.
  void fail(std::string_view key, std::string message);
  Status status() const;
  std::vector<std::string> unread_keys() const;  // in the file's order
  // status(), or the first key that was not asked for as an error with the nearest of those that
  // were: for files that this program wrote.
  Status strict_status() const;

 private:
  struct Document;
  explicit JsonObject(std::unique_ptr<Document> document);
  std::unique_ptr<Document> document_;
};

}  // namespace soapbox
