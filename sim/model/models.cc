#include "sim/model/models.h"

#include <algorithm>
#include <array>
#include <functional>

#include "sim/base/find_row.h"
#include "sim/base/str.h"
#include "sim/model/cnn.h"
#include "sim/model/dlrm.h"
#include "sim/model/rnn.h"

namespace soapbox {

namespace {

constexpr Unrolled kFused = {.steps = 40, .fused = 8};
constexpr Unrolled kStepwise = {.steps = 40, .fused = 1};

constexpr std::array kModels = std::to_array<ModelRow>({
    {"alexnet", "AlexNet, 224 x 224 (arXiv 1404.5997; 7 x 7 x 256 into fc6, as OptCNN)", 256,
     build_alexnet},
    {"dlrm", "DLRM, Criteo Terabyte, one row per table and sample (MLPerf Training 0.7 to 2.1)",
     8192, build_dlrm},
    {"dlrm_dcnv2", "DLRM with DCN v2, 214 rows per sample (MLPerf Training since 3.0)", 8192,
     build_dlrm_dcnv2},
    {"dlrm_random", "DLRM, 8 tables of a million rows, random data (FlexFlow's benchmark)", 256,
     build_dlrm_random},
    {"inception_v3", "Inception-v3, 299 x 299, no auxiliary head (arXiv 1512.00567)", 64,
     build_inception_v3},
    {"lenet", "LeNet-5, 32 x 32 (LeCun et al. 1998), for optimality studies", 64, build_lenet},
    {"nmt", "2+2 LSTM x 1024, attention, vocabulary 32,000, 40 steps by 8 (FlexFlow, table 4)", 64,
     [](int64_t batch) { return build_nmt("nmt", batch, kFused); }},
    {"nmt_steps", "nmt with one operator per step", 64,
     [](int64_t batch) { return build_nmt("nmt_steps", batch, kStepwise); }},
    {"resnet101", "ResNet-101, 224 x 224, with shortcuts (arXiv 1512.03385)", 64, build_resnet101},
    {"rnnlm", "2 LSTM x 2048, vocabulary 10,000 (PTB), 40 steps by 8 (FlexFlow, table 4)", 64,
     [](int64_t batch) { return build_rnnlm("rnnlm", batch, kFused); }},
    {"rnnlm2", "rnnlm limited to 2 steps, for optimality studies (FlexFlow, section 8.3)", 64,
     [](int64_t batch) { return build_rnnlm("rnnlm2", batch, {.steps = 2, .fused = 1}); }},
    {"rnnlm_steps", "rnnlm with one operator per step", 64,
     [](int64_t batch) { return build_rnnlm("rnnlm_steps", batch, kStepwise); }},
    {"rnntc", "4 LSTM x 1024, Movie Reviews (vocabulary 18,765 assumed, Kim 2014), 40 steps by 8",
     64, [](int64_t batch) { return build_rnntc("rnntc", batch, kFused); }},
    {"rnntc_steps", "rnntc with one operator per step", 64,
     [](int64_t batch) { return build_rnntc("rnntc_steps", batch, kStepwise); }},
    {"vgg16", "VGG-16, 224 x 224 (arXiv 1409.1556)", 64, build_vgg16},
});

// Strictly ascending: no two rows have one name.
static_assert(std::ranges::is_sorted(kModels, std::ranges::less_equal{}, &ModelRow::name));

}  // namespace

std::span<const ModelRow> model_table() {
  return kModels;
}

std::vector<std::string> model_names() {
  return row_names(kModels);
}

Result<const ModelRow*> find_model(std::string_view name) {
  return find_row(kModels, "model", name);
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
