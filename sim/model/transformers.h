// The table of built-in Transformer stacks: data alone. Adding one: a row in transformers.cc.
#pragma once

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
};

std::span<const TransformerRow> transformer_table();  // sorted by name
std::vector<std::string> transformer_names();
// The row of that name, or an error that gives the nearest name and all known ones.
Result<const TransformerRow*> find_transformer(std::string_view name);
Transformer make_transformer(const TransformerRow& row);

}  // namespace soapbox
