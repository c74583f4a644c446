#include "sim/base/json_object.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox {

namespace {

using Json = nlohmann::ordered_json;

struct Place {
  int line = 1;
  int column = 1;
  void pass(char c) {
    column = c == '\n' ? 1 : column + 1;
    line += c == '\n' ? 1 : 0;
  }
};

Place place_of(std::string_view text, size_t offset, Place place) {
  for (const char c : text.substr(0, std::min(offset, text.size()))) place.pass(c);
  return place;
}

struct Member {
  std::string key;
  Place place;            // of the key
  size_t value_from = 0;  // offset behind the colon
  Place value_place;
};

// The offset behind the string that begins at `offset`.
size_t skip_string(std::string_view text, size_t offset) {
  for (++offset; offset < text.size() && text[offset] != '"'; ++offset) {
    if (text[offset] == '\\') ++offset;
  }
  return offset + 1;
}

// The members of the object that `text`, valid JSON, is.
std::vector<Member> members_of(std::string_view text, Place start) {
  std::vector<Member> members;
  int depth = 0;
  size_t counted = 0;
  Place place = start;
  const auto advance = [&](size_t to) {
    for (; counted < to; ++counted) place.pass(text[counted]);
  };
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (c != '"') {
      ++at;
      continue;
    }
    const size_t end = skip_string(text, at);
    const size_t next = text.find_first_not_of(" \t\r\n", end);
    if (depth == 1 && next != std::string_view::npos && text[next] == ':') {
      advance(at);
      Member member;
      member.key = Json::parse(text.substr(at, end - at)).get<std::string>();
      member.place = place;
      member.value_from = next + 1;
      advance(next + 1);
      member.value_place = place;
      members.push_back(std::move(member));
    }
    at = end;
  }
  return members;
}

// The offset of the first bracket that is nested too deeply to be printed again, or none.
constexpr int kDeepest = 64;
std::optional<size_t> too_deep(std::string_view text) {
  int depth = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') at = skip_string(text, at) - 1;
    if (c == '}' || c == ']') --depth;
    if ((c == '{' || c == '[') && ++depth > kDeepest) return at;
  }
  return std::nullopt;
}

// Where the value that begins at `from` ends: before the comma or bracket that closes it.
size_t end_of_value(std::string_view text, size_t from) {
  int depth = 0;
  size_t at = from;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth < 0 || (depth == 0 && c == ',')) return at;
    ++at;
  }
  return at;
}

}  // namespace

JsonFault json_fault(std::string_view text) {
  try {
    const Json valid = Json::parse(text);
    SOAPBOX_CHECK(false, "the text is JSON");
  } catch (const Json::parse_error& error) {
    return {error.byte > 0 ? error.byte - 1 : 0, "not valid JSON"};
  } catch (const Json::out_of_range& error) {  // "... parsing '1e999'"
    const std::string_view what = error.what();
    const size_t begin = what.find('\'') + 1;
    const std::string_view number = what.substr(begin, what.rfind('\'') - begin);
    const size_t offset = text.find(number);
    return {offset == std::string_view::npos ? 0 : offset,
            str_cat(shown(number), " is beyond the largest number")};
  }
}

struct JsonObject::Document {
  std::string text;
  std::string file;
  Place start;
  Json json;
  std::vector<Member> members;
  std::set<std::string, std::less<>> asked;
  std::optional<Error> error;

  const Member* member(std::string_view key) const {
    const auto found = std::ranges::find(members, key, &Member::key);
    return found == members.end() ? nullptr : &*found;
  }
  Status distinct_keys() const {
    std::set<std::string_view> keys;
    for (const Member& one : members) {
      if (keys.insert(one.key).second) continue;
      return bad_input(str_cat("key '", shown(one.key), "' is given twice"),
                       {file, one.place.line, one.place.column});
    }
    return ok();
  }
  // What the object whose text begins at offset `from`, at `place`, is made of.
  std::unique_ptr<Document> inner(const Json& value, size_t from, const Place& place) const {
    auto document = std::make_unique<Document>();
    document->file = file;
    document->text = text.substr(from, end_of_value(text, from) - from);
    document->start = place;
    document->json = value;
    document->members = members_of(document->text, place);
    return document;
  }
  // The value asked for, or none.
  const Json* find(std::string_view key) {
    asked.insert(std::string(key));
    const auto found = json.find(std::string(key));
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
};

JsonObject::JsonObject(std::unique_ptr<Document> document) : document_(std::move(document)) {}
JsonObject::JsonObject(JsonObject&&) noexcept = default;
JsonObject& JsonObject::operator=(JsonObject&&) noexcept = default;
JsonObject::~JsonObject() = default;

Result<JsonObject> JsonObject::parse(std::string_view text, const std::string& file) {
  auto document = std::make_unique<Document>();
  document->text = text;
  document->file = file;
  const auto refuse = [&](size_t offset, std::string message) {
    const Place place = place_of(text, offset, {});
    return bad_input(std::move(message), {file, place.line, place.column});
  };
  if (const std::optional<size_t> offset = too_deep(text)) {
    return refuse(*offset, str_cat("nested more than ", kDeepest, " deep"));
  }
  try {
    document->json = Json::parse(text);
  } catch (const Json::exception&) {
    const JsonFault fault = json_fault(text);
    return refuse(fault.offset, fault.message);
  }
  if (!document->json.is_object()) return refuse(0, "expected a JSON object");
  document->members = members_of(document->text, {});
  if (Status status = document->distinct_keys(); !status) return status.error();
  return JsonObject(std::move(document));
}

Result<JsonObject> JsonObject::object(std::string_view key) {
  const Json* value = document_->find(key);
  if (value == nullptr) {
    auto nothing = std::make_unique<Document>();
    nothing->file = document_->file;
    nothing->json = Json::object();
    return JsonObject(std::move(nothing));
  }
  if (!value->is_object()) {
    return bad_input(str_cat(key, " must be an object, not ", shown(value->dump())), where(key));
  }
  const Member* member = document_->member(key);
  return JsonObject(document_->inner(*value, member->value_from, member->value_place));
}

Result<std::vector<JsonObject>> JsonObject::objects(std::string_view key) {
  const Json* value = document_->find(key);
  const auto refuse = [&](const std::string& what) {
    return bad_input(str_cat(key, what, "; allowed: a list of objects"), where(key));
  };
  if (value == nullptr) return refuse(" is missing");
  if (!value->is_array()) return refuse(str_cat(" is ", shown(value->dump())));
  const Member* member = document_->member(key);
  const std::string& text = document_->text;
  std::vector<JsonObject> objects;
  size_t from = text.find('[', member->value_from) + 1;
  for (const Json& element : *value) {
    if (!element.is_object()) return refuse(str_cat(" holds ", shown(element.dump())));
    const std::string_view before =
        std::string_view(text).substr(member->value_from, from - member->value_from);
    const Place place = place_of(before, before.size(), member->value_place);
    objects.push_back(JsonObject(document_->inner(element, from, place)));
    from = end_of_value(text, from) + 1;
  }
  return objects;
}

bool JsonObject::has(std::string_view key) const {
  return document_->find(key) != nullptr;
}

void JsonObject::ask(std::string_view key) {
  document_->asked.insert(std::string(key));
}

SourcePosition JsonObject::where(std::string_view key) const {
  const Member* member = document_->member(key);
  const Place place = member == nullptr ? document_->start : member->place;
  return {document_->file, place.line, place.column};
}

void JsonObject::fail(std::string_view key, std::string message) {
  if (!document_->error) document_->error = bad_input(std::move(message), where(key));
}

Status JsonObject::status() const {
  if (document_->error) return *document_->error;
  return ok();
}

Status JsonObject::strict_status() const {
  if (document_->error) return *document_->error;
  if (Status status = document_->distinct_keys(); !status) return status;
  const std::vector<std::string> unread = unread_keys();
  if (unread.empty()) return ok();
  const std::vector<std::string> known(document_->asked.begin(), document_->asked.end());
  return bad_input(unknown_name("key", unread.front(), known), where(unread.front()));
}

std::vector<std::string> JsonObject::unread_keys() const {
  std::vector<std::string> keys;
  for (const Member& member : document_->members) {
    if (!document_->asked.contains(member.key)) keys.push_back(member.key);
  }
  return keys;
}

namespace {

std::string allowed(JsonObject::Range range) {
  return str_cat("whole numbers from ", range.low, " to ", range.high);
}

std::optional<int64_t> whole(const Json& value, JsonObject::Range range) {
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) {
    return std::nullopt;
  }
  const auto number = value.get<int64_t>();
  if (number < range.low || number > range.high) return std::nullopt;
  return number;
}

}  // namespace

int64_t JsonObject::integer_or(std::vector<std::string_view> keys, int64_t otherwise, Range range) {
  std::optional<int64_t> first;
  for (const std::string_view key : keys) {
    const Json* value = document_->find(key);
    if (value == nullptr || first) continue;
    first = whole(*value, range);
    if (!first) {
      fail(key, str_cat(key, " is ", shown(value->dump()), "; allowed: ", allowed(range)));
      return range.low;
    }
  }
  return first.value_or(otherwise);
}

int64_t JsonObject::integer(std::vector<std::string_view> keys, Range range) {
  const bool there = std::ranges::any_of(keys, [this](std::string_view key) { return has(key); });
  const std::string_view key = keys.front();
  if (!there) {
    fail(key, str_cat("missing key '", key, "'; allowed: ", allowed(range)));
    return range.low;
  }
  return integer_or(std::move(keys), range.low, range);
}

double JsonObject::number_or(std::string_view key, double otherwise, double low, double high) {
  const Json* value = document_->find(key);
  if (value == nullptr) return otherwise;
  if (value->is_number() && value->get<double>() >= low && value->get<double>() <= high) {
    return value->get<double>();
  }
  fail(key,
       str_cat(key, " is ", shown(value->dump()), "; allowed: numbers from ", low, " to ", high));
  return otherwise;
}

bool JsonObject::flag_or(std::string_view key, bool otherwise) {
  const Json* value = document_->find(key);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  fail(key, str_cat(key, " is ", shown(value->dump()), "; allowed: true, false"));
  return otherwise;
}

std::string JsonObject::text_or(std::string_view key, const std::string& otherwise) {
  const Json* value = document_->find(key);
  if (value == nullptr) return otherwise;
  if (value->is_string()) return value->get<std::string>();
  fail(key, str_cat(key, " is ", shown(value->dump()), "; allowed: a string"));
  return otherwise;
}

std::string JsonObject::text(std::string_view key) {
  if (!has(key)) fail(key, str_cat("missing key '", key, "'; allowed: a string"));
  return text_or(key, "");
}

std::vector<int64_t> JsonObject::integers(std::string_view key, Range range) {
  const Json* value = document_->find(key);
  std::vector<int64_t> numbers;
  if (value != nullptr && value->is_array()) {
    for (const Json& element : *value) {
      const std::optional<int64_t> number = whole(element, range);
      if (!number) break;
      numbers.push_back(*number);
    }
    if (numbers.size() == value->size()) return numbers;
  }
  fail(key,
       value == nullptr
           ? str_cat("missing key '", key, "'; allowed: a list of ", allowed(range))
           : str_cat(key, " is ", shown(value->dump()), "; allowed: a list of ", allowed(range)));
  return {};
}

size_t JsonObject::size_of(std::string_view key) {
  const Json* value = document_->find(key);
  return value != nullptr && value->is_structured() ? value->size() : 0;
}

}  // namespace soapbox
