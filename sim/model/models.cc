#include "sim/model/models.h"

#include <algorithm>
#include <array>

#include "sim/base/str.h"
#include "sim/model/cnn.h"

namespace soapbox {

namespace {

constexpr std::array kModels = std::to_array<ModelRow>({
    {"alexnet", "AlexNet, 224 x 224 (arXiv 1404.5997; shapes of FlexFlow and OptCNN)", 256,
     build_alexnet},
    {"lenet", "LeNet-5, 32 x 32 (LeCun et al. 1998), for optimality studies", 64, build_lenet},
});

static_assert(std::ranges::is_sorted(kModels, {}, &ModelRow::name));

}  // namespace

std::span<const ModelRow> model_table() {
  return kModels;
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const ModelRow& row : kModels) names.emplace_back(row.name);
  return names;
}

Result<const ModelRow*> find_model(std::string_view name) {
  for (const ModelRow& row : kModels) {
    if (row.name == name) return &row;
  }
  return bad_input(unknown_name("model", name, model_names()));
}

Result<Model> build_model(std::string_view name, int64_t global_batch) {
  const Result<const ModelRow*> row = find_model(name);
  if (!row) return row.error();
  if (global_batch < 1) {
    return bad_input(str_cat("model '", name, "': global batch ", global_batch, "; allowed: > 0"));
  }
  return (*row)->build(global_batch);
}

}  // namespace soapbox
