// The hybrid of recommendation models (Naumov et al., arXiv 1906.00091, section 3.1): embedding
// tables, which fit on no single device, are spread over the devices; all else is data parallel.
// What a table gives travels from its device to those of all samples: together an all-to-all.
//
// A table weighs as much as its share of all rows that a batch reads plus its share of all bytes
// stored. One that weighs more than a device's part is cut by columns. Heaviest first, every piece
// goes to the lightest device so far (Graham 1969: at most 4/3 - 1/(3 devices) of the best).

#include <algorithm>
#include <functional>

#include "strategies/placement.h"
#include "strategies/recipes.h"

namespace soapbox::strategies {
namespace {

struct Table {
  OpId op;
  double weight = 0;  // of all its pieces
  int32_t pieces = 1;
};

bool is_table(const Operator& op) {
  return op.kind == OpKind::kEmbeddingBag;
}

// Heaviest piece first; equal ones in the model's order.
std::vector<Table> weighed_tables(const OpGraph& graph, size_t devices) {
  double all_reads = 0;
  double all_bytes = 0;
  const auto stored = [&](const Operator& op) {
    return graph.weight(op.weights[0].weight).size().as_double();
  };
  for (const Operator& op : graph.ops()) {
    if (!is_table(op)) continue;
    all_reads += op.iteration_points();
    all_bytes += stored(op);
  }
  std::vector<Table> tables;
  for (const OpId id : graph.ops().ids()) {
    const Operator& op = graph.op(id);
    if (!is_table(op)) continue;
    Table table{id, op.iteration_points() / all_reads + stored(op) / all_bytes};
    const auto columns = static_cast<int32_t>(op.dims[1].size);
    const double most = 2.0 / static_cast<double>(devices);
    while (table.weight > most * table.pieces && table.pieces < columns) {
      ++table.pieces;
      while (columns % table.pieces != 0) ++table.pieces;
    }
    tables.push_back(table);
  }
  std::ranges::stable_sort(tables, std::ranges::greater(),
                           [](const Table& table) { return table.weight / table.pieces; });
  return tables;
}

}  // namespace

Result<Plan> table_parallel(const Model& model, const Cluster& cluster) {
  Result<Plan> plan = data_parallel(model, cluster);
  if (!plan) return plan;
  const std::vector<DeviceId> devices = all_devices(cluster);
  std::vector<double> load(devices.size(), 0);
  for (const Table& table : weighed_tables(model.graph, devices.size())) {
    OpConfig config;
    config.degrees[1] = table.pieces;
    for (int32_t piece = 0; piece < table.pieces; ++piece) {
      const auto lightest = std::ranges::min_element(load);
      *lightest += table.weight / table.pieces;
      config.devices.push_back(devices[static_cast<size_t>(lightest - load.begin())]);
    }
    plan->ops[table.op] = std::move(config);
  }
  return plan;
}

}  // namespace soapbox::strategies
