// The table of built-in models. Adding one: a builder in its family's file and a row in models.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"
#include "sim/model/graph.h"

namespace soapbox {

struct ModelRow {
  std::string_view name;     // as on the command line
  std::string_view summary;  // one line, with the source of its shapes
  int64_t batch_per_device;  // the paper's per-GPU batch, used unless a global batch is given
  Result<Model> (*build)(int64_t global_batch);
};

std::span<const ModelRow> model_table();  // sorted by name
std::vector<std::string> model_names();
// The row of that name, or an error that gives the nearest name and all known ones.
Result<const ModelRow*> find_model(std::string_view name);
// Builds a model of the table. REQUIRES global_batch > 0, else an error.
Result<Model> build_model(std::string_view name, int64_t global_batch);

}  // namespace soapbox
