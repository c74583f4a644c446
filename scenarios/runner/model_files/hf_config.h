// Models as Hugging Face describes them: a config.json, as most published models have one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/model/transformer.h"

namespace soapbox::runner {

struct LoadedTransformer {
  Transformer model;
  // One line each: what was assumed where the file is silent, and the keys that were not understood
  // and not used.
  std::vector<std::string> notes;
};

// The model is called by its file, or by its folder where the file is a config.json.
// Errors say line and column, the value and what is allowed: unknown kinds of model (with the
// nearest one), sizes that are missing, out of range or do not fit each other, and features that
// the stack cannot express.
Result<LoadedTransformer> read_hf_config(const std::string& path);
Result<LoadedTransformer> hf_config_from_json(std::string_view text, const std::string& path);

std::vector<std::string> hf_model_types();  // that are understood, sorted

}  // namespace soapbox::runner
