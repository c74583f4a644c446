#include "scenarios/runner/model_files/model_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <vector>

#include "sim/base/str.h"
#include "sim/model/builder.h"

namespace soapbox::runner {
namespace {

// Beyond any real layer; their products stay below 2^63 for the graph's own checks.
constexpr int64_t kMostExtent = 1 << 24;
constexpr TomlTable::IntegerRange kExtent = {.low = 1, .high = kMostExtent};

// What a layer gives to those that read it.
enum class Shape : uint8_t { kImages, kVectors, kTokens, kSequence };

std::string_view shape_name(Shape shape) {
  switch (shape) {
    case Shape::kImages:
      return "images";
    case Shape::kVectors:
      return "vectors";
    case Shape::kTokens:
      return "tokens";
    case Shape::kSequence:
      return "a sequence";
  }
  return "?";
}

struct Layer {
  Shape shape = Shape::kVectors;
  std::vector<OpId> ops;           // a sequence has one for each run of fused steps
  int64_t steps_per_operator = 1;  // of tokens
};

class ModelReader {
 public:
  ModelReader(std::string name, int64_t batch) : builder_(std::move(name), batch) {}

  // False where something is wrong; the table has the error.
  bool read(const TomlTable& table);
  Result<Model> build() { return builder_.build(); }

  static std::vector<std::string> kinds();

 private:
  using Read = Layer (ModelReader::*)(const TomlTable&, const std::string& name);
  struct Kind {
    std::string_view name;
    Read read;
  };
  static const std::array<Kind, 13> kKinds;

  Layer images(const TomlTable& table, const std::string& name);
  Layer conv(const TomlTable& table, const std::string& name);
  Layer pool(const TomlTable& table, const std::string& name);
  Layer pool_all(const TomlTable& table, const std::string& name);
  Layer dense(const TomlTable& table, const std::string& name);
  Layer softmax(const TomlTable& table, const std::string& name);
  Layer concat(const TomlTable& table, const std::string& name);
  Layer add(const TomlTable& table, const std::string& name);
  Layer tokens(const TomlTable& table, const std::string& name);
  Layer embedding(const TomlTable& table, const std::string& name);
  Layer lstm(const TomlTable& table, const std::string& name);
  Layer linear(const TomlTable& table, const std::string& name);
  Layer attention(const TomlTable& table, const std::string& name);

  // The layer named by `key`, or the one above where the key is absent. Null after an error.
  const Layer* input(const TomlTable& table, std::initializer_list<Shape> allowed,
                     std::string_view key = "input");
  std::vector<const Layer*> inputs(const TomlTable& table, std::initializer_list<Shape> allowed);
  const Layer* find(const TomlTable& table, std::string_view key, const std::string& name,
                    std::initializer_list<Shape> allowed);
  // A window that fits the images; null after an error.
  std::optional<Window> window(const TomlTable& table, const Layer& images);
  int64_t channels_of(const Layer& layer) const { return builder_.size(layer.ops[0], 2); }

  ModelBuilder builder_;
  std::map<std::string, Layer> layers_;
  std::string last_;
};

constexpr std::array<ModelReader::Kind, 13> ModelReader::kKinds = {{
    {"add", &ModelReader::add},
    {"attention", &ModelReader::attention},
    {"concat", &ModelReader::concat},
    {"conv", &ModelReader::conv},
    {"dense", &ModelReader::dense},
    {"embedding", &ModelReader::embedding},
    {"images", &ModelReader::images},
    {"linear", &ModelReader::linear},
    {"lstm", &ModelReader::lstm},
    {"pool", &ModelReader::pool},
    {"pool_all", &ModelReader::pool_all},
    {"softmax", &ModelReader::softmax},
    {"tokens", &ModelReader::tokens},
}};

std::vector<std::string> ModelReader::kinds() {
  std::vector<std::string> names;
  names.reserve(kKinds.size());
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

bool ModelReader::read(const TomlTable& table) {
  const std::string name = table.string("name");
  const std::string kind = table.choice("kind", kinds());
  if (layers_.contains(name)) table.fail("name", str_cat("two layers are called '", name, "'"));
  if (!table.good()) return false;
  for (const Kind& known : kKinds) {
    if (known.name != kind) continue;
    Layer layer = (this->*known.read)(table, name);
    if (!table.good()) return false;
    layers_.emplace(name, std::move(layer));
    last_ = name;
  }
  return true;
}

const Layer* ModelReader::find(const TomlTable& table, std::string_view key,
                               const std::string& name, std::initializer_list<Shape> allowed) {
  const auto found = layers_.find(name);
  if (found == layers_.end()) {
    std::vector<std::string> known;
    for (const auto& [other, layer] : layers_) known.push_back(other);
    table.fail(key, unknown_name("layer above", name, known));
    return nullptr;
  }
  const Shape shape = found->second.shape;
  if (std::find(allowed.begin(), allowed.end(), shape) == allowed.end()) {
    std::vector<std::string> wanted;
    for (const Shape other : allowed) wanted.emplace_back(shape_name(other));
    table.fail(key, str_cat("'", name, "' gives ", shape_name(shape), "; this layer reads ",
                            join(wanted, " or ")));
    return nullptr;
  }
  return &found->second;
}

const Layer* ModelReader::input(const TomlTable& table, std::initializer_list<Shape> allowed,
                                std::string_view key) {
  if (!table.has(key) && last_.empty()) {
    table.fail("the first layer is images or tokens");
    return nullptr;
  }
  return find(table, key, table.string_or(key, last_), allowed);
}

std::vector<const Layer*> ModelReader::inputs(const TomlTable& table,
                                              std::initializer_list<Shape> allowed) {
  std::vector<const Layer*> layers;
  const std::vector<std::string> names = table.strings("inputs");
  if (names.empty()) table.fail("inputs", "'inputs' must name at least one layer");
  for (const std::string& name : names) {
    const Layer* layer = find(table, "inputs", name, allowed);
    if (layer == nullptr) return {};
    layers.push_back(layer);
  }
  return layers;
}

std::optional<Window> ModelReader::window(const TomlTable& table, const Layer& images) {
  const int64_t kernel = table.integer("kernel", kExtent);
  const int64_t stride = table.integer_or("stride", 1, kExtent);
  const int64_t padding = table.integer_or("padding", 0, {.low = 0, .high = kMostExtent});
  const int64_t side = std::min(builder_.size(images.ops[0], 2), builder_.size(images.ops[0], 3));
  if (!table.good()) return std::nullopt;
  if (side + 2 * padding < kernel || padding >= kernel) {
    table.fail("kernel", str_cat("a window of ", kernel, " with padding ", padding,
                                 " does not fit an image of ", side));
    return std::nullopt;
  }
  return square(kernel, stride, padding);
}

Layer ModelReader::images(const TomlTable& table, const std::string& name) {
  const int64_t channels = table.integer("channels", kExtent);
  const int64_t size = table.integer("size", {.low = 1, .high = 1 << 16});
  return {Shape::kImages, {builder_.images(name, channels, size)}};
}

Layer ModelReader::conv(const TomlTable& table, const std::string& name) {
  const int64_t channels = table.integer("channels", kExtent);
  static const std::vector<std::string> kExtras = {"nothing", "bias", "batch_norm"};
  const std::string extra = table.has("extra") ? table.choice("extra", kExtras) : "bias";
  const Layer* from = input(table, {Shape::kImages});
  if (from == nullptr) return {};
  const std::optional<Window> fits = window(table, *from);
  if (!fits || !table.good()) return {};
  const PerChannel per_channel = extra == "nothing"      ? PerChannel::kNothing
                                 : extra == "batch_norm" ? PerChannel::kBatchNorm
                                                         : PerChannel::kBias;
  return {Shape::kImages, {builder_.conv(name, from->ops[0], channels, *fits, per_channel)}};
}

Layer ModelReader::pool(const TomlTable& table, const std::string& name) {
  const Layer* from = input(table, {Shape::kImages});
  if (from == nullptr) return {};
  const std::optional<Window> fits = window(table, *from);
  if (!fits) return {};
  return {Shape::kImages, {builder_.pool(name, from->ops[0], *fits)}};
}

Layer ModelReader::pool_all(const TomlTable& table, const std::string& name) {
  const Layer* from = input(table, {Shape::kImages});
  if (from == nullptr) return {};
  return {Shape::kImages, {builder_.pool_all(name, from->ops[0])}};
}

// Of a sequence it reads the last step.
Layer ModelReader::dense(const TomlTable& table, const std::string& name) {
  const int64_t channels = table.integer("channels", kExtent);
  const Layer* from = input(table, {Shape::kImages, Shape::kVectors, Shape::kSequence});
  if (from == nullptr || !table.good()) return {};
  if (from->shape == Shape::kSequence) {
    return {Shape::kVectors, {builder_.dense_last(name, from->ops.back(), channels)}};
  }
  return {Shape::kVectors, {builder_.dense(name, from->ops[0], channels)}};
}

Layer ModelReader::softmax(const TomlTable& table, const std::string& name) {
  const Layer* from = input(table, {Shape::kVectors, Shape::kSequence});
  if (from == nullptr) return {};
  Layer layer{from->shape, {}};
  for (size_t i = 0; i < from->ops.size(); ++i) {
    layer.ops.push_back(from->shape == Shape::kVectors
                            ? builder_.softmax(name, from->ops[i])
                            : builder_.softmax_step(name, static_cast<int32_t>(i), from->ops[i]));
  }
  return layer;
}

// Along the channels; all else must be equal.
Layer ModelReader::concat(const TomlTable& table, const std::string& name) {
  const std::vector<const Layer*> parts = inputs(table, {Shape::kImages, Shape::kVectors});
  std::vector<OpId> ops;
  for (const Layer* part : parts) {
    ops.push_back(part->ops[0]);
    const bool fits = part->shape == parts[0]->shape &&
                      (part->shape == Shape::kVectors ||
                       (builder_.size(ops.back(), 2) == builder_.size(ops[0], 2) &&
                        builder_.size(ops.back(), 3) == builder_.size(ops[0], 3)));
    if (!fits) table.fail("inputs", "concatenated layers differ in their channels only");
  }
  if (!table.good()) return {};
  return {parts[0]->shape, {builder_.concat(name, ops, 1)}};
}

Layer ModelReader::add(const TomlTable& table, const std::string& name) {
  const std::vector<const Layer*> parts = inputs(table, {Shape::kImages, Shape::kVectors});
  if (!table.good()) return {};
  if (parts.size() != 2 || parts[0]->shape != parts[1]->shape) {
    table.fail("inputs", "'add' takes two layers of one shape");
    return {};
  }
  const size_t rank = parts[0]->shape == Shape::kImages ? 4 : 2;
  for (size_t dim = 1; dim < rank; ++dim) {
    if (builder_.size(parts[0]->ops[0], dim) != builder_.size(parts[1]->ops[0], dim)) {
      table.fail("inputs", "'add' takes two layers of one shape");
      return {};
    }
  }
  return {parts[0]->shape, {builder_.add(name, parts[0]->ops[0], parts[1]->ops[0])}};
}

Layer ModelReader::tokens(const TomlTable& table, const std::string& name) {
  const int64_t length = table.integer("length", {.low = 1, .high = 1 << 16});
  const int64_t fused = table.integer_or("steps_per_operator", length, kExtent);
  if (!table.good()) return {};
  if (length % fused != 0) {
    table.fail("steps_per_operator", str_cat(fused, " does not divide the length ", length));
    return {};
  }
  return {Shape::kTokens, {builder_.tokens(name, length)}, fused};
}

Layer ModelReader::embedding(const TomlTable& table, const std::string& name) {
  const int64_t vocabulary = table.integer("vocabulary", kExtent);
  const int64_t channels = table.integer("channels", kExtent);
  const Layer* from = input(table, {Shape::kTokens});
  if (from == nullptr || !table.good()) return {};
  const SequenceLayer weights = builder_.embedding_layer(name, vocabulary, channels);
  Layer layer{Shape::kSequence, {}};
  const int64_t count = builder_.size(from->ops[0], 1) / from->steps_per_operator;
  for (int32_t step = 0; step < count; ++step) {
    layer.ops.push_back(builder_.embed(weights, step, from->ops[0], from->steps_per_operator));
  }
  return layer;
}

// Begins with zero, or with the state in which `initial` ended.
Layer ModelReader::lstm(const TomlTable& table, const std::string& name) {
  const int64_t hidden = table.integer("hidden", kExtent);
  const Layer* from = input(table, {Shape::kSequence});
  std::optional<OpId> state;
  if (table.has("initial")) {
    const Layer* initial = input(table, {Shape::kSequence}, "initial");
    if (initial == nullptr) return {};
    state = initial->ops.back();
    if (table.good() && builder_.size(*state, 2) != hidden) {
      table.fail("initial", str_cat("its ", builder_.size(*state, 2), " channels are not the ",
                                    hidden, " of 'hidden'"));
    }
  }
  if (from == nullptr || !table.good()) return {};
  const SequenceLayer weights = builder_.lstm_layer(name, channels_of(*from), hidden);
  Layer layer{Shape::kSequence, {}};
  for (size_t i = 0; i < from->ops.size(); ++i) {
    state = builder_.lstm(weights, static_cast<int32_t>(i), from->ops[i], state);
    layer.ops.push_back(*state);
  }
  return layer;
}

// At every step, of one sequence or of several side by side.
Layer ModelReader::linear(const TomlTable& table, const std::string& name) {
  const int64_t channels = table.integer("channels", kExtent);
  std::vector<const Layer*> parts;
  if (table.has("inputs")) {
    parts = inputs(table, {Shape::kSequence});
  } else if (const Layer* from = input(table, {Shape::kSequence})) {
    parts = {from};
  }
  if (!table.good()) return {};
  int64_t in_channels = 0;
  for (const Layer* part : parts) {
    in_channels += channels_of(*part);
    if (part->ops.size() != parts[0]->ops.size() ||
        builder_.size(part->ops[0], 1) != builder_.size(parts[0]->ops[0], 1)) {
      table.fail("inputs", "the sequences have different steps");
      return {};
    }
  }
  const SequenceLayer weights = builder_.linear_layer(name, in_channels, channels);
  Layer layer{Shape::kSequence, {}};
  for (size_t i = 0; i < parts[0]->ops.size(); ++i) {
    std::vector<OpId> ops;
    ops.reserve(parts.size());
    for (const Layer* part : parts) ops.push_back(part->ops[i]);
    layer.ops.push_back(builder_.linear(weights, static_cast<int32_t>(i), ops));
  }
  return layer;
}

// Every step of the input looks at all steps of `states`.
Layer ModelReader::attention(const TomlTable& table, const std::string& name) {
  const Layer* queries = input(table, {Shape::kSequence});
  (void)table.string("states");
  const Layer* states = input(table, {Shape::kSequence}, "states");
  if (queries == nullptr || states == nullptr || !table.good()) return {};
  if (channels_of(*queries) != channels_of(*states)) {
    table.fail("states", str_cat("its ", channels_of(*states), " channels are not the ",
                                 channels_of(*queries), " of the input"));
    return {};
  }
  const OpId all =
      states->ops.size() == 1 ? states->ops[0] : builder_.concat(name + "_states", states->ops, 1);
  Layer layer{Shape::kSequence, {}};
  for (size_t i = 0; i < queries->ops.size(); ++i) {
    layer.ops.push_back(builder_.attention(name, static_cast<int32_t>(i), queries->ops[i], all));
  }
  return layer;
}

}  // namespace

Result<int64_t> global_batch(const BatchChoice& choice, int64_t per_device) {
  const bool fits = choice.global.has_value() || choice.devices <= kMostSamples / per_device;
  const int64_t batch = choice.global.value_or(fits ? per_device * choice.devices : 0);
  if (batch >= 1 && batch <= kMostSamples) return batch;
  return bad_input(str_cat("the batch must be from 1 to ", kMostSamples));
}

Result<Model> model_from_toml(const TomlTable& file, const std::string& name,
                              const BatchChoice& choice) {
  (void)file.string_or("summary", name);
  (void)file.string_or("source", name);
  const int64_t per_device = file.integer("batch_per_device", {.low = 1, .high = kMostSamples});
  const Result<int64_t> batch = global_batch(choice, per_device);
  if (!batch) file.fail(batch.error().message);
  const std::vector<TomlTable> tables = file.tables("layer");
  if (tables.empty()) file.fail("a model has at least one [[layer]]");
  ModelReader reader(name, batch ? *batch : 1);
  bool good = file.good();
  for (const TomlTable& table : tables) {
    if (good) {
      good = reader.read(table);
    } else {
      (void)table.keys();  // not read, and not to be complained of
    }
  }
  if (Status status = file.finish(); !status) return status.error();
  return reader.build();
}

Result<Model> read_model(const std::string& path, const BatchChoice& batch) {
  const Result<TomlTable> file = read_toml_file(path);
  if (!file) return file.error();
  Result<Model> model = model_from_toml(*file, std::filesystem::path(path).stem().string(), batch);
  if (model || !model.error().where.file.empty()) return model;
  return bad_input(model.error().message, {path});
}

}  // namespace soapbox::runner
