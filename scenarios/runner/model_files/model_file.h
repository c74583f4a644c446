// What --model means. Models as TOML, layer by layer: scenarios/models/README.md describes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "scenarios/runner/model_files/hf_config.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "scenarios/runner/scenario_files/toml_file.h"
#include "sim/base/result.h"
#include "sim/model/graph.h"

namespace soapbox::runner {

// Of a global batch: beyond any training run, and iteration times stay below 106 days.
inline constexpr int64_t kMostSamples = 1 << 24;
inline constexpr int64_t kMostTokens = 1 << 30;  // of one sample

// How many samples an iteration takes: so many altogether, or the model's own number for each
// device.
struct BatchChoice {
  std::optional<int64_t> global;
  int64_t devices = 1;
};

// Error: no or too many samples.
Result<int64_t> global_batch(const BatchChoice& choice, int64_t per_device);

// The model's name is the file's without its folder and extension. Every layer is checked where it
// stands: unknown keys, unknown or later inputs, shapes that do not fit.
Result<Model> read_model(const std::string& path, const BatchChoice& batch);
Result<Model> model_from_toml(const TomlTable& file, const std::string& name,
                              const BatchChoice& batch);

// What --model NAME|FILE means where operators are placed: a name of the model table, of the table
// of Transformers or of scenarios/models; a model as TOML; a Hugging Face config.json, or the
// folder with it. `seq_len`: tokens of a sample of a Transformer instead of its own; an error for
// other models.
struct LoadedModel {
  Model model;
  std::vector<std::string> notes;  // as of LoadedTransformer
};
Result<LoadedModel> load_model(const ScenarioFolder& scenarios, const std::string& name_or_path,
                               const BatchChoice& batch, std::optional<int64_t> seq_len = {});
// What it means where whole layers are: a Transformer's name, config.json or folder.
// Error: also for models that are operator graphs alone, such as alexnet.
Result<LoadedTransformer> load_transformer(const ScenarioFolder& scenarios,
                                           const std::string& name_or_path,
                                           std::optional<int64_t> seq_len = {});
// Whether it is one of those, and not a model of operators; unknown names are not.
bool is_transformer(const std::string& name_or_path);
// The refusal of an unknown name, before anything else is read.
Status check_model_name(const ScenarioFolder& scenarios, const std::string& name_or_path);

}  // namespace soapbox::runner
