#include "sim/model/transformer_graph.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox {

namespace {

Dim attribute(std::string name, int64_t size, bool divisible = true) {
  return {std::move(name), size, DimClass::kAttribute, divisible};
}
Dim parameter(std::string name, int64_t size, bool divisible = true) {
  return {std::move(name), size, DimClass::kParameter, divisible};
}
Dim reduction(std::string name, int64_t size) {
  return {std::move(name), size, DimClass::kReduction, false};
}

std::vector<AxisMap> follow_all(size_t rank) {
  std::vector<AxisMap> maps;
  for (size_t dim = 0; dim < rank; ++dim) maps.push_back(AxisMap::follow(dim));
  return maps;
}

// Follows samples and tokens, reads everything of the other axes.
std::vector<AxisMap> token_by_token(size_t rank) {
  std::vector<AxisMap> maps(rank, AxisMap::whole());
  maps[0] = AxisMap::follow(0);
  maps[1] = AxisMap::follow(1);
  return maps;
}

// Adds the operators of a stack layer by layer. Hidden vectors are sample x length x hidden.
class StackGraph {
 public:
  explicit StackGraph(int64_t batch) : batch_(batch) {}

  void add(const TransformerLayer& layer);
  Result<OpGraph> build() { return OpGraph::make(std::move(ops_), std::move(weights_)); }

 private:
  struct Heads {  // sizes of one attention
    int64_t groups;
    int64_t queries_per_group;
    int64_t width;        // of a query
    int64_t value_width;  // of a value
  };

  void add_embedding(const TransformerLayer& layer);
  OpId embed_tokens(const TransformerLayer& layer, const std::string& name);
  OpId embed_patches(const TransformerLayer& layer, const std::string& name);
  void add_block(const TransformerLayer& layer);
  OpId self_attention(const TransformerLayer& layer, OpId input);
  OpId cross_attention(const TransformerLayer& layer, OpId input);
  OpId mlp(const TransformerLayer& layer, OpId input);
  void add_merge(const TransformerLayer& layer);
  void add_head(const TransformerLayer& layer);
  OpId tied_logits(const TransformerLayer& layer, std::vector<AxisMap> axes,
                   std::vector<Dim> outputs);

  OpId norm(std::string name, const TransformerLayer& layer, OpId input);
  OpId sum(std::string name, OpId left, OpId right);
  // Reads `fan_in` values of `input` at `axes` and gives `outputs` beside the samples.
  Operator product(std::string name, OpId input, std::vector<AxisMap> axes,
                   std::vector<Dim> outputs, int64_t fan_in) const;
  // The same with a matrix of its own, one row for each output channel, biases behind it.
  OpId linear(std::string name, OpId input, std::vector<AxisMap> axes, std::vector<Dim> outputs,
              int64_t fan_in, bool bias);
  struct Attended {
    Heads heads;
    int64_t length;  // of the queries
    double pairs;    // of a query and a key, of one sample and head
    int64_t states;  // keys that a query sees, on average
  };
  OpId attend(std::string name, const Attended& attended, Input queries, Input states);
  // The projection behind an attention.
  OpId project(std::string name, const TransformerLayer& layer, OpId attention, int64_t fan_in);

  void use_whole(OpId op, std::string name, int64_t size) {
    if (size == 0) return;
    const WeightId weight = weights_.push_back({std::move(name), {size}, DataType::kFp32});
    ops_[op].weights.push_back({weight, {AxisMap::whole()}});
  }
  std::string name(std::string_view part) const { return str_cat(prefix_, part); }
  OpId append(Operator op) {
    op.layer = op.name;
    return ops_.push_back(std::move(op));
  }

  static Heads heads_of(const Attention& attention) {
    return {attention.kv_heads, attention.heads / attention.kv_heads, attention.head_dim,
            attention.value_dim > 0 ? attention.value_dim : attention.head_dim};
  }

  int64_t batch_;
  IdVector<OpId, Operator> ops_;
  IdVector<WeightId, Weight> weights_;
  std::optional<OpId> current_;    // the last layer's hidden vectors
  std::optional<OpId> encoder_;    // the encoder's, once a decoder has begun
  std::optional<WeightId> table_;  // of the embedding
  bool class_token_ = false;       // before the patches of an image
  std::string prefix_;             // of the names in this layer
  int64_t blocks_ = 0;
};

OpId StackGraph::norm(std::string name, const TransformerLayer& layer, OpId input) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kElementwise;
  op.output_rank = 3;
  op.dims = ops_[input].dims;
  op.dims.resize(3);
  op.dims[2] = attribute("hidden", op.dims[2].size, false);  // its mean needs all of a vector
  op.inputs = {{input, follow_all(3)}};
  const int64_t width = op.dims[2].size;
  const OpId id = append(std::move(op));
  use_whole(id, ops_[id].name, (layer.norm_bias ? 2 : 1) * width);
  return id;
}

OpId StackGraph::sum(std::string name, OpId left, OpId right) {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kElementwise;
  op.output_rank = 3;
  for (size_t dim = 0; dim < 3; ++dim) {
    const Dim& of_left = ops_[left].dims[dim];
    SOAPBOX_CHECK(of_left.size == ops_[right].dims[dim].size, "summed tensors have one shape");
    op.dims.push_back(dim == 0 ? of_left : attribute(of_left.name, of_left.size));
  }
  op.inputs = {{left, follow_all(3)}, {right, follow_all(3)}};
  op.flops_per_point = 1;
  return append(std::move(op));
}

Operator StackGraph::product(std::string name, OpId input, std::vector<AxisMap> axes,
                             std::vector<Dim> outputs, int64_t fan_in) const {
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kLinear;
  op.dims = {{"sample", batch_, DimClass::kSample, true}};
  op.dims.insert(op.dims.end(), outputs.begin(), outputs.end());
  op.output_rank = op.dims.size();
  op.dims.push_back(reduction("in_channel", fan_in));
  op.inputs = {{input, std::move(axes)}};
  op.flops_per_point = 2;
  return op;
}

OpId StackGraph::linear(std::string name, OpId input, std::vector<AxisMap> axes,
                        std::vector<Dim> outputs, int64_t fan_in, bool bias) {
  Operator op = product(std::move(name), input, std::move(axes), std::move(outputs), fan_in);
  std::vector<int64_t> shape;
  std::vector<AxisMap> weight_axes;
  for (size_t dim = 0; dim < op.output_rank; ++dim) {
    if (op.dims[dim].dim_class != DimClass::kParameter) continue;
    shape.push_back(op.dims[dim].size);
    weight_axes.push_back(AxisMap::follow(dim));
  }
  shape.push_back(fan_in + (bias ? 1 : 0));
  weight_axes.push_back(AxisMap::whole());
  const WeightId weight = weights_.push_back({op.name, std::move(shape), DataType::kFp32});
  op.weights = {{weight, std::move(weight_axes)}};
  return append(std::move(op));
}

void StackGraph::add_embedding(const TransformerLayer& layer) {
  if (current_) encoder_ = current_;
  prefix_ = encoder_ ? "decoder_" : "";
  const std::string table_name = name("embedding");
  current_ =
      layer.patch_values > 0 ? embed_patches(layer, table_name) : embed_tokens(layer, table_name);
  for (int32_t i = 0; i < layer.norm_count(); ++i) {
    current_ = norm(str_cat(table_name, ".norm", i == 0 ? "" : to_text(i)), layer, *current_);
  }
}

OpId StackGraph::embed_tokens(const TransformerLayer& layer, const std::string& table_name) {
  Operator source;
  source.name = name("tokens");
  source.kind = OpKind::kInput;
  source.type = DataType::kInt32;
  source.dims = {{"sample", batch_, DimClass::kSample, true}, attribute("length", layer.seq_len)};
  source.output_rank = 2;
  const OpId tokens = append(std::move(source));

  Operator op;
  op.name = table_name;
  op.kind = OpKind::kEmbedding;
  op.dims = {{"sample", batch_, DimClass::kSample, true},
             attribute("length", layer.seq_len),
             parameter("out_channel", layer.hidden)};
  op.output_rank = 3;
  op.inputs = {{tokens, follow_all(2)}};
  if (!layer.tied || !table_) {
    table_ = weights_.push_back({table_name, {layer.vocab, layer.hidden}, DataType::kFp32});
  }
  op.weights = {{*table_, {AxisMap::whole(), AxisMap::follow(2)}}};
  if (layer.positions > 0) {
    const WeightId positions = weights_.push_back(
        {table_name + ".positions", {layer.positions, layer.hidden}, DataType::kFp32});
    op.weights.push_back({positions, {AxisMap::whole(), AxisMap::follow(2)}});
  }
  const OpId id = append(std::move(op));
  use_whole(id, table_name + ".other", layer.other_parameters);
  return id;
}

// A linear map of each patch; then a class token before them, where there are positions for it.
OpId StackGraph::embed_patches(const TransformerLayer& layer, const std::string& table_name) {
  Operator source;
  source.name = name("patches");
  source.kind = OpKind::kInput;
  source.dims = {{"sample", batch_, DimClass::kSample, true},
                 attribute("length", layer.seq_len),
                 attribute("value", layer.patch_values, false)};
  source.output_rank = 3;
  const OpId patches = append(std::move(source));
  const OpId embedded =
      linear(table_name, patches, token_by_token(3),
             {attribute("length", layer.seq_len), parameter("out_channel", layer.hidden)},
             layer.patch_values, layer.bias);
  if (layer.positions == 0) {
    use_whole(embedded, table_name + ".other", layer.other_parameters);
    return embedded;
  }
  Operator op;
  op.name = table_name + ".positions";
  op.kind = OpKind::kElementwise;
  op.dims = {{"sample", batch_, DimClass::kSample, true},
             attribute("length", layer.positions),
             parameter("hidden", layer.hidden)};
  op.output_rank = 3;
  // Position i holds patch i - class tokens.
  const int64_t class_tokens = layer.positions - layer.seq_len;
  class_token_ = class_tokens > 0;
  op.inputs = {
      {embedded, {AxisMap::follow(0), AxisMap::window(1, 1, 1, class_tokens), AxisMap::follow(2)}}};
  const WeightId positions =
      weights_.push_back({op.name, {layer.positions, layer.hidden}, DataType::kFp32});
  op.weights = {{positions, {AxisMap::follow(1), AxisMap::follow(2)}}};
  const OpId id = append(std::move(op));
  use_whole(id, table_name + ".other", layer.other_parameters);
  return id;
}

OpId StackGraph::attend(std::string name, const Attended& attended, Input queries, Input states) {
  const Heads& heads = attended.heads;
  Operator op;
  op.name = std::move(name);
  op.kind = OpKind::kAttention;
  op.dims = {{"sample", batch_, DimClass::kSample, true},
             attribute("length", attended.length),
             attribute("group", heads.groups),
             attribute("query", heads.queries_per_group, false),
             attribute("channel", heads.value_width, false),
             reduction("states", attended.states)};
  op.output_rank = 5;
  op.inputs = {std::move(queries), std::move(states)};
  // The scores over a query's width, the sum over a value's, of the pairs that see each other.
  const auto widths = static_cast<double>(heads.width + heads.value_width);
  const double points = static_cast<double>(attended.length * attended.states) *
                        static_cast<double>(heads.value_width);
  op.flops_per_point = 2 * widths * attended.pairs / points;
  return append(std::move(op));
}

OpId StackGraph::project(std::string name, const TransformerLayer& layer, OpId attention,
                         int64_t fan_in) {
  return linear(std::move(name), attention, token_by_token(5),
                {attribute("length", layer.seq_len), parameter("out_channel", layer.hidden)},
                fan_in, layer.bias);
}

OpId StackGraph::self_attention(const TransformerLayer& layer, OpId input) {
  const Heads heads = heads_of(layer.attention);
  const int64_t queries = heads.queries_per_group * heads.width;
  const int64_t channels = queries + heads.width + heads.value_width;
  const OpId qkv = linear(name("qkv"), input, token_by_token(3),
                          {attribute("length", layer.seq_len), parameter("group", heads.groups),
                           parameter("channel", channels, false)},
                          layer.hidden, layer.bias || layer.qkv_bias);
  use_whole(qkv, name("other"), layer.other_parameters);
  const double pairs = layer.attention_pairs();
  const auto states =
      std::max<int64_t>(1, std::llround(pairs / static_cast<double>(layer.seq_len)));
  // Windows that do not slide keep to themselves; else every token may be seen.
  const int64_t window = layer.attention.window;
  const bool apart = !layer.attention.causal && window > 0 && window < layer.seq_len;
  const OpId attention = attend(name("attention"), {heads, layer.seq_len, pairs, states},
                                {qkv,
                                 {AxisMap::follow(0), AxisMap::follow(1), AxisMap::follow(2),
                                  AxisMap::fixed_range(0, queries)}},
                                {qkv,
                                 {AxisMap::follow(0), apart ? AxisMap::follow(1) : AxisMap::whole(),
                                  AxisMap::follow(2), AxisMap::fixed_range(queries, channels)}});
  return project(name("projection"), layer, attention, layer.attention.heads * heads.value_width);
}

OpId StackGraph::cross_attention(const TransformerLayer& layer, OpId input) {
  SOAPBOX_CHECK(encoder_.has_value(), "cross attention reads an encoder");
  const Heads heads = heads_of(layer.attention);
  const int64_t queries = heads.queries_per_group * heads.width;
  const int64_t channels = heads.width + heads.value_width;
  const bool bias = layer.bias || layer.qkv_bias;
  const OpId q = linear(name("cross_q"), input, token_by_token(3),
                        {attribute("length", layer.seq_len), parameter("group", heads.groups),
                         parameter("channel", queries, false)},
                        layer.hidden, bias);
  const OpId kv = linear(name("cross_kv"), *encoder_, token_by_token(3),
                         {attribute("length", layer.cross_len), parameter("group", heads.groups),
                          parameter("channel", channels, false)},
                         layer.hidden, bias);
  const auto pairs = static_cast<double>(layer.seq_len) * static_cast<double>(layer.cross_len);
  const std::vector<AxisMap> of_queries = {AxisMap::follow(0), AxisMap::follow(1),
                                           AxisMap::follow(2), AxisMap::whole()};
  const std::vector<AxisMap> of_states = {AxisMap::follow(0), AxisMap::whole(), AxisMap::follow(2),
                                          AxisMap::whole()};
  const OpId attention =
      attend(name("cross_attention"), {heads, layer.seq_len, pairs, layer.cross_len},
             {q, of_queries}, {kv, of_states});
  return project(name("cross_projection"), layer, attention,
                 layer.attention.heads * heads.value_width);
}

// A gated MLP's two matrices up are one operator that gives pairs, of which one value is left
// behind the activation.
OpId StackGraph::mlp(const TransformerLayer& layer, OpId input) {
  const int64_t inner = layer.mlp.hidden;
  std::vector<Dim> outputs = {attribute("length", layer.seq_len), parameter("out_channel", inner)};
  std::vector<AxisMap> down_axes = token_by_token(3);
  if (layer.mlp.gated) {
    outputs.push_back(parameter("gate", 2, false));
    down_axes.push_back(AxisMap::fixed_range(0, 1));
  }
  const OpId up =
      linear(name("up"), input, token_by_token(3), std::move(outputs), layer.hidden, layer.bias);
  return linear(name("down"), up, std::move(down_axes),
                {attribute("length", layer.seq_len), parameter("out_channel", layer.hidden)}, inner,
                layer.bias);
}

// One norm: attention and MLP read it side by side. One for each part: before it. Twice as many:
// behind it, too. One more: behind the block.
void StackGraph::add_block(const TransformerLayer& layer) {
  prefix_ = str_cat("block", blocks_++, ".");
  using Part = OpId (StackGraph::*)(const TransformerLayer&, OpId);
  std::vector<std::pair<std::string, Part>> parts;
  if (layer.attention.heads > 0) parts.emplace_back("attention", &StackGraph::self_attention);
  if (layer.cross_len > 0) parts.emplace_back("cross", &StackGraph::cross_attention);
  if (layer.mlp.hidden > 0) parts.emplace_back("mlp", &StackGraph::mlp);
  const auto wanted = static_cast<size_t>(layer.norm_count());
  const bool side_by_side = wanted < parts.size();
  size_t norms = 0;
  OpId shared = *current_;
  for (const auto& [part, add_part] : parts) {
    OpId input = side_by_side ? shared : *current_;
    if (norms < wanted && (!side_by_side || norms == 0)) {
      ++norms;
      input = shared = norm(name(str_cat(part, "_norm")), layer, *current_);
    }
    OpId output = (this->*add_part)(layer, input);
    if (wanted == 2 * parts.size()) {
      ++norms;
      output = norm(name(str_cat(part, "_post_norm")), layer, output);
    }
    current_ = sum(name(str_cat(part, "_sum")), *current_, output);
  }
  for (; norms < wanted; ++norms) {
    current_ = norm(name(str_cat("last_norm", norms)), layer, *current_);
  }
}

// Concatenates four neighbours, normalises and projects them. Tokens are numbered so that
// neighbours follow one another.
void StackGraph::add_merge(const TransformerLayer& layer) {
  prefix_ = str_cat("merge", blocks_, ".");
  Operator op;
  op.name = name("concat");
  op.kind = OpKind::kConcat;
  op.dims = {{"sample", batch_, DimClass::kSample, true},
             attribute("length", layer.seq_len),
             attribute("hidden", 2 * layer.hidden, false)};
  op.output_rank = 3;
  op.inputs = {{*current_, {AxisMap::follow(0), AxisMap::window(1, 4, 4, 0), AxisMap::whole()}}};
  const OpId merged = norm(name("norm"), layer, append(std::move(op)));
  current_ = linear(name("projection"), merged, token_by_token(3),
                    {attribute("length", layer.seq_len), parameter("out_channel", layer.hidden)},
                    2 * layer.hidden, layer.bias);
}

// With the embedding's matrix, and biases of their own.
OpId StackGraph::tied_logits(const TransformerLayer& layer, std::vector<AxisMap> axes,
                             std::vector<Dim> outputs) {
  Operator op =
      product(name("logits"), *current_, std::move(axes), std::move(outputs), layer.hidden);
  const AxisMap classes = AxisMap::follow(op.output_rank - 1);
  op.weights = {{*table_, {classes, AxisMap::whole()}}};
  if (layer.bias) {
    const WeightId bias = weights_.push_back({name("bias"), {layer.vocab}, DataType::kFp32});
    op.weights.push_back({bias, {classes}});
  }
  return append(std::move(op));
}

void StackGraph::add_head(const TransformerLayer& layer) {
  prefix_ = "head.";
  for (int32_t i = 0; i < layer.norm_count(); ++i) {
    current_ = norm(name(str_cat("norm", i == 0 ? "" : to_text(i))), layer, *current_);
  }
  // A classifier reads the class token, or the mean of all.
  std::vector<AxisMap> axes = token_by_token(3);
  std::vector<Dim> outputs = {parameter("class", layer.vocab)};
  if (layer.seq_len > 1) {
    outputs.insert(outputs.begin(), attribute("length", layer.seq_len));
  } else {
    axes[1] = class_token_ ? AxisMap::fixed_range(0, 1) : AxisMap::whole();
  }
  const OpId logits = layer.tied && table_ ? tied_logits(layer, std::move(axes), std::move(outputs))
                                           : linear(name("logits"), *current_, std::move(axes),
                                                    std::move(outputs), layer.hidden, layer.bias);
  use_whole(logits, name("other"), layer.other_parameters);

  Operator op;
  op.name = "softmax";
  op.kind = OpKind::kSoftmax;
  op.output_rank = ops_[logits].output_rank;
  for (size_t dim = 0; dim < op.output_rank; ++dim) {
    const Dim& of_logits = ops_[logits].dims[dim];
    op.dims.push_back(dim == 0 ? of_logits : attribute(of_logits.name, of_logits.size));
  }
  op.inputs = {{logits, follow_all(op.output_rank)}};
  op.flops_per_point = 5;  // maximum, subtract, exponentiate, sum, divide
  append(std::move(op));
}

void StackGraph::add(const TransformerLayer& layer) {
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return add_embedding(layer);
    case LayerKind::kBlock:
      return add_block(layer);
    case LayerKind::kMerge:
      return add_merge(layer);
    case LayerKind::kHead:
      return add_head(layer);
  }
}

Status check_expressible(const Transformer& stack) {
  const auto refuse = [&stack](std::string_view why) {
    return bad_input(str_cat("model '", stack.name, "' has no operator graph: ", why,
                             "; plans of whole layers (recipes megatron and fsdp) can have it"));
  };
  for (const TransformerLayer& layer : stack.layers) {
    if (layer.mlp.experts > 0) return refuse("tokens choose their experts at run time");
    if (layer.attention.kv_rank > 0) return refuse("latent attention is a stack's only");
  }
  if (stack.layers.front().kind != LayerKind::kEmbedding) return refuse("it has no embedding");
  return ok();
}

}  // namespace

Result<Model> operator_graph(const Transformer& stack, int64_t batch) {
  if (batch < 1) {
    return bad_input(str_cat("model '", stack.name, "': global batch ", batch, "; allowed: > 0"));
  }
  if (const Status sound = check_transformer(stack); !sound) return sound.error();
  if (const Status expressible = check_expressible(stack); !expressible) {
    return expressible.error();
  }
  StackGraph builder(batch);
  for (const TransformerLayer& layer : stack.layers) builder.add(layer);
  Result<OpGraph> graph = builder.build();
  if (!graph) return graph.error();
  return Model{stack.name, batch, *std::move(graph)};
}

}  // namespace soapbox
