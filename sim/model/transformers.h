// The table of built-in Transformer stacks: data alone. Adding one: a row in transformers.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/base/result.h"
#include "sim/model/encoders.h"
#include "sim/model/gpt.h"
#include "sim/model/transformer.h"

namespace soapbox {

using TransformerShape = std::variant<GptShape, BertShape, T5Shape, VitShape, SwinShape>;

struct TransformerRow {
  std::string_view name;    // as on the command line
  std::string_view source;  // of its shape
  TransformerShape shape;
  // Unless a global batch is given; a paper's where one is known.
  int64_t batch_per_device = 1;
};

std::span<const TransformerRow> transformer_table();  // sorted by name
std::vector<std::string> transformer_names();
// The row of that name, or an error that gives the nearest name and all known ones.
Result<const TransformerRow*> find_transformer(std::string_view name);
Transformer make_transformer(const TransformerRow& row);
// Error: names the field, its value and what is allowed.
Result<Transformer> make_transformer(std::string name, std::string source,
                                     const TransformerShape& shape);

}  // namespace soapbox
