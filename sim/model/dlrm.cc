// What all of them compute, for a sample of dense features x and of row numbers for each table t:
//
//   b = bottom MLP(x);  e_t = sum of the sample's rows of table t;  z = interaction(b, e_1, ...)
//   click probability = sigmoid(top MLP(z))
//
// The interaction is the concatenation of all vectors, or b beside the dot products of every two of
// them, or three low-rank cross layers (DCN v2; Wang et al., arXiv 2008.13535, equation 2)
//   x_(l+1) = x_0 * (W_l (V_l x_l) + b_l) + x_l.
// A table's gradient has the rows that the batch looks up, no two samples the same one.
#include "sim/model/dlrm.h"

#include <span>
#include <string>
#include <vector>

#include "sim/base/str.h"
#include "sim/model/builder.h"

namespace soapbox {

namespace {

struct Table {
  int64_t rows = 0;
  int64_t lookups = 1;  // rows of a sample
};

OpId mlp(ModelBuilder& net, const std::string& name, OpId input, std::span<const int64_t> widths) {
  for (size_t i = 0; i < widths.size(); ++i) {
    input = net.dense(str_cat(name, i + 1), input, widths[i]);
  }
  return input;
}

// The bottom MLP's output and what every table gives.
std::vector<OpId> vectors(ModelBuilder& net, int64_t dense_features,
                          std::span<const int64_t> bottom, std::span<const Table> tables) {
  const OpId dense = net.features("dense_features", dense_features);
  std::vector<OpId> all = {mlp(net, "bottom", dense, bottom)};
  for (size_t i = 0; i < tables.size(); ++i) {
    const OpId ids = net.tokens(str_cat("ids", i + 1), tables[i].lookups);
    all.push_back(net.embedding_bag(str_cat("table", i + 1), ids, tables[i].rows, bottom.back()));
  }
  return all;
}

// One class: the loss is that of its probability.
Result<Model> predict(ModelBuilder& net, OpId interacted, std::span<const int64_t> top) {
  net.softmax("loss", mlp(net, "top", interacted, top));
  return net.build();
}

constexpr int64_t kBottom[] = {512, 256, 128};
constexpr int64_t kTop[] = {1024, 1024, 512, 256, 1};
constexpr int64_t kCriteoFeatures = 13;

}  // namespace

// MLPerf Training 0.7 to 2.1: Criteo Terabyte, row numbers below 40,000,000, one row of a table per
// sample (facebookresearch/dlrm, bench/run_and_time.sh and its inference counterpart's table
// sizes).
Result<Model> build_dlrm(int64_t batch) {
  constexpr Table kTables[] = {
      {39884406}, {39043},    {17289},    {7420},     {20263},  {3},     {7120}, {1543}, {63},
      {38532951}, {2953546},  {403346},   {10},       {2208},   {11938}, {155},  {4},    {976},
      {14},       {39979771}, {25641295}, {39664984}, {585935}, {12972}, {108},  {36}};
  ModelBuilder net("dlrm", batch);
  const std::vector<OpId> all = vectors(net, kCriteoFeatures, kBottom, kTables);
  const OpId products = net.interaction("interaction", net.concat("vectors", all, 1),
                                        static_cast<int64_t>(all.size()));
  const OpId parts[] = {all[0], net.pairs("pairs", products)};
  return predict(net, net.concat("interacted", parts, 1), kTop);
}

// MLPerf Training since 3.0: several rows of a table per sample, three cross layers of rank 512
// (mlcommons/training, recommendation_v2/torchrec_dlrm/README.md). V has no bias.
Result<Model> build_dlrm_dcnv2(int64_t batch) {
  constexpr Table kTables[] = {
      {40000000, 3}, {39060, 2},     {17295, 1},      {7424, 2},      {20265, 6},   {3, 1},
      {7122, 1},     {1543, 1},      {63, 1},         {40000000, 7},  {3067956, 3}, {405282, 8},
      {10, 1},       {2209, 6},      {11938, 9},      {155, 5},       {4, 1},       {976, 1},
      {14, 1},       {40000000, 12}, {40000000, 100}, {40000000, 27}, {590152, 10}, {12973, 3},
      {108, 1},      {36, 1}};
  constexpr int64_t kRank = 512;
  ModelBuilder net("dlrm_dcnv2", batch);
  const OpId first = net.concat("vectors", vectors(net, kCriteoFeatures, kBottom, kTables), 1);
  OpId x = first;
  for (int layer = 1; layer <= 3; ++layer) {
    const OpId low = net.dense(str_cat("cross", layer, "_v"), x, kRank, PerChannel::kNothing);
    const OpId high = net.dense(str_cat("cross", layer, "_w"), low, net.size(first, 1));
    x = net.multiply_add(str_cat("cross", layer), first, high, x);
  }
  return predict(net, x, kTop);
}

// FlexFlow's benchmark on random data (examples/DLRM/run_random.sh): eight tables of a million
// rows, vectors of 64 side by side.
Result<Model> build_dlrm_random(int64_t batch) {
  constexpr int64_t kWidths[] = {512, 512, 64};
  constexpr int64_t kTopWidths[] = {1024, 1024, 1024, 1};
  const std::vector<Table> tables(8, {1'000'000});
  ModelBuilder net("dlrm_random", batch);
  const std::vector<OpId> all = vectors(net, 64, kWidths, tables);
  return predict(net, net.concat("interacted", all, 1), kTopWidths);
}

}  // namespace soapbox
