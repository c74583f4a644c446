// What --model means: built-in models, Transformers, files.
#include <algorithm>
#include <filesystem>
#include <system_error>

#include "scenarios/runner/model_files/model_file.h"
#include "scenarios/runner/options.h"
#include "sim/base/str.h"
#include "sim/model/models.h"
#include "sim/model/transformer_graph.h"
#include "sim/model/transformers.h"

namespace soapbox::runner {
namespace {

bool is_folder(const std::string& text) {
  std::error_code ignored;
  const bool named = text.find('/') != std::string::npos || text == "." || text == "..";
  return named && std::filesystem::is_directory(text, ignored);
}

bool is_path(const std::string& text) {
  return text.find('/') != std::string::npos || is_folder(text) ||
         text.ends_with(kModelFiles.extension) || text.ends_with(".json");
}

bool is_hf_config(const std::string& text) {
  return text.ends_with(".json") || is_folder(text);
}

Result<LoadedTransformer> read_hf(const std::string& path) {
  return read_hf_config(is_folder(path) ? (std::filesystem::path(path) / "config.json").string()
                                        : path);
}

Result<LoadedTransformer> resized(Result<LoadedTransformer> loaded,
                                  std::optional<int64_t> seq_len) {
  if (!loaded || !seq_len) return loaded;
  Result<Transformer> model = with_seq_len(std::move(loaded->model), *seq_len);
  if (!model) return model.error();
  return LoadedTransformer{*std::move(model), std::move(loaded->notes)};
}

Result<LoadedModel> operators_of(Result<LoadedTransformer> loaded, const BatchChoice& batch,
                                 int64_t batch_per_device) {
  if (!loaded) return loaded.error();
  const Result<int64_t> samples = global_batch(batch, batch_per_device);
  if (!samples) return samples.error();
  Result<Model> model = operator_graph(loaded->model, *samples);
  if (!model) return model.error();
  return LoadedModel{*std::move(model), std::move(loaded->notes)};
}

Result<LoadedModel> without_notes(Result<Model> model) {
  if (!model) return model.error();
  return LoadedModel{*std::move(model), {}};
}

}  // namespace

Status check_model_name(const ScenarioFolder& scenarios, const std::string& name_or_path) {
  if (is_path(name_or_path)) return ok();
  std::vector<std::string> known = model_names();
  for (const std::string& name : transformer_names()) known.push_back(name);
  for (const std::string& name : scenarios.names(kModelFiles)) known.push_back(name);
  std::sort(known.begin(), known.end());
  if (std::find(known.begin(), known.end(), name_or_path) != known.end()) return ok();
  return bad_input(unknown_name("model", name_or_path, known));
}

bool is_transformer(const std::string& name_or_path) {
  return is_hf_config(name_or_path) || find_transformer(name_or_path).has_value();
}

Result<LoadedTransformer> load_transformer(const ScenarioFolder& scenarios,
                                           const std::string& name_or_path,
                                           std::optional<int64_t> seq_len) {
  if (is_hf_config(name_or_path)) return resized(read_hf(name_or_path), seq_len);
  if (const Result<const TransformerRow*> row = find_transformer(name_or_path)) {
    return resized(LoadedTransformer{make_transformer(**row), {}}, seq_len);
  }
  if (Status status = check_model_name(scenarios, name_or_path); !status) return status.error();
  return bad_input(str_cat("model '", name_or_path,
                           "' is an operator graph; allowed here: Transformers, that is one of ",
                           join(transformer_names(), ", "), ", or a Hugging Face config.json"));
}

Result<LoadedModel> load_model(const ScenarioFolder& scenarios, const std::string& name_or_path,
                               const BatchChoice& batch, std::optional<int64_t> seq_len) {
  if (Status status = check_model_name(scenarios, name_or_path); !status) return status.error();
  if (is_transformer(name_or_path)) {
    const Result<const TransformerRow*> row = find_transformer(name_or_path);
    return operators_of(load_transformer(scenarios, name_or_path, seq_len), batch,
                        row ? (*row)->batch_per_device : 1);
  }
  if (seq_len) {
    return usage_error(str_cat("--seq-len is for Transformers, and '", name_or_path, "' is none"));
  }
  if (!is_path(name_or_path)) {
    if (const Result<const ModelRow*> row = find_model(name_or_path)) {
      const Result<int64_t> samples = global_batch(batch, (*row)->batch_per_device);
      if (!samples) return samples.error();
      return without_notes((*row)->build(*samples));
    }
  }
  const Result<std::string> path = scenarios.path(kModelFiles, name_or_path);
  if (!path) return path.error();
  return without_notes(read_model(*path, batch));
}

}  // namespace soapbox::runner
