#include "scenarios/runner/planning/instance_file.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/str.h"

namespace soapbox::runner {

const std::string_view kInstanceKeys =
    "INSTANCE.json is one JSON object:\n"
    "  layers, strategies, stages, microbatches   whole numbers\n"
    "  edges               [[from, to], ..]: acyclic; parallel edges add up\n"
    "  compute             [layer][strategy]: time on its stage for one microbatch\n"
    "  memory              [layer][strategy]\n"
    "  memory_limit        [stage], or one number for all\n"
    "  reshard             [edge][from's strategy][to's strategy]: time inside a stage\n"
    "  reshard_cross       the same where the edge goes to the next stage\n"
    "and, if wanted:\n"
    "  memory_per_microbatch  [layer][strategy]: activations of one microbatch in flight\n"
    "  memory_model        \"gpipe\" (default): all microbatches are in flight; \"1f1b\": stage i "
    "of\n"
    "                      pp, from 0, has min(pp - i, microbatches), and memory_per_microbatch\n"
    "                      must be given\n"
    "  long_edges          \"free\" (default, as UniAP): edges over two or more boundaries cost\n"
    "                      nothing; \"per_hop\": reshard_cross at each boundary\n"
    "  empty_stages        false (default, as UniAP) or true\n"
    "null in compute, memory, reshard or reshard_cross: not allowed. Every edge leads to the same "
    "or\n"
    "a later stage. The objective is UniAP's equation (1), in the unit of compute:\n"
    "  sum of stage times + sum of boundary times + (microbatches - 1) x the largest of them.";

namespace {

enum class Type { kNull, kBoolean, kNumber, kString, kArray, kObject };

// A JSON value that knows where it begins.
struct Value {
  Type type = Type::kNull;
  bool boolean = false;
  double number = 0;
  std::string text;
  std::vector<Value> items;        // of an array, or the members' values
  std::vector<std::string> names;  // of the members
  size_t offset = 0;
};

// Characters of a text; counts how many were taken.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* taken) : at_(at), taken_(taken) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*taken_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ == b.at_;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) {
    return a.at_ != b.at_;
  }

 private:
  const char* at_;
  size_t* taken_;
};

// Builds a Value from the parser's events.
class Builder {
 public:
  Builder(std::string_view text, const size_t* taken) : text_(text), taken_(taken) {}

  bool null() { return add(scalar(Type::kNull)); }
  bool boolean(bool value) {
    Value v = scalar(Type::kBoolean);
    v.boolean = value;
    return add(std::move(v));
  }
  bool number_integer(int64_t value) { return number(static_cast<double>(value)); }
  bool number_unsigned(uint64_t value) { return number(static_cast<double>(value)); }
  bool number_float(double value, const std::string&) { return number(value); }
  bool string(std::string& value) {
    Value v{Type::kString, false, 0, value, {}, {}, *taken_ - 1};
    v.offset -= std::min(v.offset, value.size() + 1);
    return add(std::move(v));
  }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Type::kObject); }
  bool start_array(size_t) { return open(Type::kArray); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    const std::vector<std::string>& names = stack_.back().names;
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      failure_ = str_cat("the key '", shown(name), "' appears twice");
      failure_offset_ = *taken_ - std::min(*taken_, name.size() + 2);
      return false;
    }
    stack_.back().names.push_back(name);
    return true;
  }
  bool parse_error(size_t position, const std::string& token, const nlohmann::json::exception& e) {
    failure_offset_ = position == 0 ? 0 : position - 1;
    const std::string_view what = e.what();
    const size_t reason = what.find("; expected");
    failure_ = str_cat("not JSON at '", shown(token.empty() ? "end of file" : token), "'");
    if (reason != std::string_view::npos) failure_ += what.substr(reason);
    if (e.id == 406) failure_ = str_cat("the number ", shown(token), " is too large");
    return false;
  }

  Value& root() { return root_; }
  const std::string& failure() const { return failure_; }
  size_t failure_offset() const { return failure_offset_; }

 private:
  // The parser has taken the token, and one character more after a number.
  Value scalar(Type type) const {
    const auto in_token = [this](size_t i) {
      const char c = text_[i];
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' ||
             c == '.';
    };
    size_t end = std::min(*taken_, text_.size());
    while (end > 0 && !in_token(end - 1)) --end;
    while (end > 0 && in_token(end - 1)) --end;
    Value value;
    value.type = type;
    value.offset = end;
    return value;
  }
  bool number(double number) {
    Value value = scalar(Type::kNumber);
    value.number = number;
    return add(std::move(value));
  }
  bool open(Type type) {
    if (stack_.size() >= 16) {
      failure_ = "nested more than 16 deep";
      failure_offset_ = *taken_ - 1;
      return false;
    }
    Value value;
    value.type = type;
    value.offset = *taken_ - 1;
    stack_.push_back(std::move(value));
    return true;
  }
  bool close() {
    Value value = std::move(stack_.back());
    stack_.pop_back();
    return add(std::move(value));
  }
  bool add(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else {
      stack_.back().items.push_back(std::move(value));
    }
    return true;
  }

  std::string_view text_;
  const size_t* taken_;
  Value root_;
  std::vector<Value> stack_;
  std::string failure_;
  size_t failure_offset_ = 0;
};

class InstanceReader {
 public:
  InstanceReader(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  Result<miqp::RealInstance> read();

 private:
  Error error_at(size_t offset, std::string message) const {
    const std::string_view before = text_.substr(0, std::min(offset, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n');
    const size_t start = before.rfind('\n');
    const size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1);
    return bad_input(std::move(message),
                     {file_, static_cast<int>(line) + 1, static_cast<int>(column) + 1});
  }
  std::string_view token_at(size_t offset) const {
    const size_t end = text_.find_first_of(",]}\n", offset);
    return text_.substr(offset, std::min<size_t>(end - offset, 40));
  }
  Error wrong(const Value& value, std::string_view name, std::string_view allowed) const {
    return error_at(value.offset,
                    str_cat(name, ": '", shown(token_at(value.offset)), "'; ", allowed));
  }

  const Value* member(std::string_view name) const {
    for (size_t i = 0; i < root_.names.size(); ++i) {
      if (root_.names[i] == name) return &root_.items[i];
    }
    return nullptr;
  }
  Status check_keys() const;
  Status read_count(std::string_view name, double most, size_t& count) const;
  Status read_number(const Value& value, const std::string& name, bool may_be_null,
                     double& number) const;
  Status check_length(const Value& value, const std::string& name, size_t length,
                      std::string_view what) const;
  Status read_table(std::string_view name, const std::vector<std::pair<size_t, const char*>>& shape,
                    bool may_be_null, std::vector<double>& table) const;
  Status read_level(const Value& value, const std::string& name,
                    const std::vector<std::pair<size_t, const char*>>& shape, size_t level,
                    bool may_be_null, std::vector<double>& table) const;
  Status read_edges(miqp::RealInstance& in) const;
  Status read_limits(miqp::RealInstance& in) const;
  template <class T>
  Status read_word(std::string_view name, const std::vector<std::pair<std::string, T>>& words,
                   T& value) const;

  std::string_view text_;
  const std::string& file_;
  Value root_;
};

Status InstanceReader::check_keys() const {
  static const std::vector<std::string> kRequired = {
      "layers",  "strategies", "stages",       "microbatches", "edges",
      "compute", "memory",     "memory_limit", "reshard",      "reshard_cross"};
  std::vector<std::string> known = kRequired;
  for (const char* const key :
       {"memory_model", "memory_per_microbatch", "long_edges", "empty_stages"}) {
    known.emplace_back(key);
  }
  for (size_t i = 0; i < root_.names.size(); ++i) {
    if (std::find(known.begin(), known.end(), root_.names[i]) == known.end()) {
      return error_at(root_.items[i].offset, unknown_name("key", root_.names[i], known));
    }
  }
  for (const std::string& key : kRequired) {
    if (!member(key)) return error_at(root_.offset, str_cat("the key '", key, "' is missing"));
  }
  return ok();
}

Status InstanceReader::read_count(std::string_view name, double most, size_t& count) const {
  const Value& value = *member(name);
  const double number = value.number;
  if (value.type != Type::kNumber || number != std::floor(number) || number < 1 || number > most) {
    return wrong(value, name, str_cat("expected a whole number from 1 to ", most));
  }
  count = static_cast<size_t>(number);
  return ok();
}

Status InstanceReader::read_number(const Value& value, const std::string& name, bool may_be_null,
                                   double& number) const {
  if (value.type == Type::kNull && may_be_null) {
    number = std::numeric_limits<double>::quiet_NaN();
    return ok();
  }
  if (value.type != Type::kNumber || !(value.number >= 0) || value.number > 1e30) {
    return wrong(value, name,
                 may_be_null ? "expected a number from 0 to 1e30, or null for what is not allowed"
                             : "expected a number from 0 to 1e30");
  }
  number = value.number;
  return ok();
}

Status InstanceReader::check_length(const Value& value, const std::string& name, size_t length,
                                    std::string_view what) const {
  if (value.type != Type::kArray) {
    return wrong(value, name, str_cat("expected an array of ", length, " ", what));
  }
  if (value.items.size() == length) return ok();
  return error_at(value.offset, str_cat(name, " has ", value.items.size(), " entries; expected ",
                                        length, ", one for each of the ", what));
}

Status InstanceReader::read_level(const Value& value, const std::string& name,
                                  const std::vector<std::pair<size_t, const char*>>& shape,
                                  size_t level, bool may_be_null,
                                  std::vector<double>& table) const {
  if (level == shape.size()) {
    double number = 0;
    if (Status status = read_number(value, name, may_be_null, number); !status) return status;
    table.push_back(number);
    return ok();
  }
  const auto [length, what] = shape[level];
  if (Status status = check_length(value, name, length, what); !status) return status;
  for (size_t i = 0; i < length; ++i) {
    const Status status = read_level(value.items[i], str_cat(name, "[", i, "]"), shape, level + 1,
                                     may_be_null, table);
    if (!status) return status;
  }
  return ok();
}

Status InstanceReader::read_table(std::string_view name,
                                  const std::vector<std::pair<size_t, const char*>>& shape,
                                  bool may_be_null, std::vector<double>& table) const {
  const Value* const value = member(name);
  return value ? read_level(*value, std::string(name), shape, 0, may_be_null, table) : ok();
}

Status InstanceReader::read_edges(miqp::RealInstance& in) const {
  const Value& edges = *member("edges");
  if (edges.type != Type::kArray) return wrong(edges, "edges", "expected [[from, to], ..]");
  for (size_t e = 0; e < edges.items.size(); ++e) {
    const Value& edge = edges.items[e];
    const std::string name = str_cat("edges[", e, "]");
    if (edge.type != Type::kArray || edge.items.size() != 2) {
      return wrong(edge, name, "expected [from, to]");
    }
    uint32_t ends[2] = {0, 0};
    for (size_t side = 0; side < 2; ++side) {
      const Value& end = edge.items[side];
      if (end.type != Type::kNumber || end.number != std::floor(end.number) || end.number < 0 ||
          end.number >= static_cast<double>(in.layers)) {
        return wrong(end, name, str_cat("expected a layer from 0 to ", in.layers - 1));
      }
      ends[side] = static_cast<uint32_t>(end.number);
    }
    if (ends[0] == ends[1]) {
      return error_at(edge.offset, str_cat(name, " joins layer ", ends[0],
                                           " with itself; the graph must be acyclic"));
    }
    in.edges.push_back({ends[0], ends[1]});
  }
  miqp::Instance graph;
  graph.layers = in.layers;
  graph.edges = in.edges;
  if (miqp::topological_order(graph).empty()) {
    return error_at(edges.offset, "edges: the layers form a cycle; the graph must be acyclic");
  }
  return ok();
}

Status InstanceReader::read_limits(miqp::RealInstance& in) const {
  const Value& limit = *member("memory_limit");
  if (limit.type != Type::kNumber) {
    return read_table("memory_limit", {{in.stages, "stages"}}, false, in.memory_limit);
  }
  double number = 0;
  if (Status status = read_number(limit, "memory_limit", false, number); !status) return status;
  in.memory_limit.assign(in.stages, number);
  return ok();
}

template <class T>
Status InstanceReader::read_word(std::string_view name,
                                 const std::vector<std::pair<std::string, T>>& words,
                                 T& value) const {
  const Value* const found = member(name);
  if (!found) return ok();
  std::vector<std::string> known;
  for (const auto& [word, meaning] : words) {
    if (found->type == Type::kString && found->text == word) {
      value = meaning;
      return ok();
    }
    known.push_back(word);
  }
  if (found->type != Type::kString) {
    return wrong(*found, name, str_cat("expected one of ", join(known, ", ")));
  }
  return error_at(found->offset, unknown_name(name, found->text, known));
}

Result<miqp::RealInstance> InstanceReader::read() {
  size_t taken = 0;
  Builder builder(text_, &taken);
  const CountingIterator begin(text_.data(), &taken);
  const CountingIterator end(text_.data() + text_.size(), &taken);
  if (!nlohmann::json::sax_parse(begin, end, &builder)) {
    return error_at(builder.failure_offset(), builder.failure());
  }
  root_ = std::move(builder.root());
  if (root_.type != Type::kObject) return error_at(0, "an instance is a JSON object");
  if (Status status = check_keys(); !status) return status.error();
  miqp::RealInstance in;
  size_t microbatches = 0;
  for (const auto& [name, most, count] :
       {std::tuple("layers", 1e5, &in.layers), std::tuple("strategies", 1024.0, &in.strategies),
        std::tuple("stages", 1e4, &in.stages), std::tuple("microbatches", 1e6, &microbatches)}) {
    if (Status status = read_count(name, most, *count); !status) return status.error();
  }
  in.microbatches = static_cast<int64_t>(microbatches);
  using Shape = std::vector<std::pair<size_t, const char*>>;
  if (Status status = read_edges(in); !status) return status.error();
  const Shape nodes = {{in.layers, "layers"}, {in.strategies, "strategies"}};
  const Shape pairs = {
      {in.edges.size(), "edges"}, {in.strategies, "strategies"}, {in.strategies, "strategies"}};
  for (const auto& [name, shape, may_be_null, table] :
       {std::tuple("compute", nodes, true, &in.compute),
        std::tuple("memory", nodes, true, &in.memory),
        std::tuple("memory_per_microbatch", nodes, false, &in.memory_per_microbatch),
        std::tuple("reshard", pairs, true, &in.reshard),
        std::tuple("reshard_cross", pairs, true, &in.reshard_cross)}) {
    if (Status status = read_table(name, shape, may_be_null, *table); !status) {
      return status.error();
    }
  }
  if (Status status = read_limits(in); !status) return status.error();
  const Status model = read_word<miqp::MemoryModel>(
      "memory_model",
      {{"gpipe", miqp::MemoryModel::kGpipe}, {"1f1b", miqp::MemoryModel::kOneForward}},
      in.memory_model);
  if (!model) return model.error();
  const Status long_edges = read_word<miqp::LongEdges>(
      "long_edges", {{"free", miqp::LongEdges::kFree}, {"per_hop", miqp::LongEdges::kPerHop}},
      in.long_edges);
  if (!long_edges) return long_edges.error();
  if (const Value* const empty = member("empty_stages")) {
    if (empty->type != Type::kBoolean)
      return wrong(*empty, "empty_stages", "expected true or false");
    in.empty_stages = empty->boolean;
  }
  if (in.memory_model == miqp::MemoryModel::kOneForward && in.memory_per_microbatch.empty()) {
    return error_at(member("memory_model")->offset,
                    "memory_model 1f1b needs memory_per_microbatch, the activations of one "
                    "microbatch in flight");
  }
  return in;
}

}  // namespace

Result<miqp::RealInstance> instance_from_json(std::string_view text, const std::string& file) {
  return InstanceReader(text, file).read();
}

Result<miqp::Instance> load_instance(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  const Result<miqp::RealInstance> real = instance_from_json(*text, path);
  if (!real) return real.error();
  Result<miqp::Instance> instance = miqp::quantise(*real);
  if (!instance) {
    Error error = instance.error();
    error.where = {path};
    return error;
  }
  return instance;
}

}  // namespace soapbox::runner
