#include "sim/simulate/weight_slices.h"

#include <algorithm>
#include <array>
#include <map>

namespace soapbox {

namespace {

// The rectangle of a weight that one task needs.
std::vector<Range> weight_rectangle(const Weight& weight, const WeightUse& use,
                                    const std::array<Range, kMaxDims>& piece) {
  std::vector<Range> rectangle(weight.shape.size());
  for (size_t axis = 0; axis < rectangle.size(); ++axis) {
    rectangle[axis] = use.axes[axis].apply(piece, weight.shape[axis]);
  }
  return rectangle;
}

struct Demand {
  BackwardTask task;
  DeviceId device;
  std::vector<Range> rectangle;
};

std::vector<Demand> demands_on(const OpGraph& graph, WeightId weight, const Plan& plan) {
  std::vector<Demand> demands;
  for (const OpId id : graph.users(weight)) {
    const Operator& op = graph.op(id);
    const OpConfig& config = plan.ops[id];
    for (const WeightUse& use : op.weights) {
      if (use.weight != weight) continue;
      for (size_t task = 0; task < config.task_count(); ++task) {
        demands.push_back(
            {{id, static_cast<uint32_t>(task)},
             config.devices[task],
             weight_rectangle(graph.weight(weight), use, piece_of(op, config, task))});
      }
    }
  }
  return demands;
}

// Cut points of one axis: every boundary of a demanded rectangle, ascending.
std::vector<int64_t> cuts_of(const std::vector<Demand>& demands, size_t axis) {
  std::vector<int64_t> cuts;
  for (const Demand& demand : demands) {
    cuts.push_back(demand.rectangle[axis].lo);
    cuts.push_back(demand.rectangle[axis].hi);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

// Calls visit(cell) for every cell of the cut grid inside a rectangle; cells are numbered
// row-major.
template <class Visit>
void for_cells(const std::vector<std::vector<int64_t>>& cuts, const std::vector<Range>& rectangle,
               size_t axis, size_t cell, Visit& visit) {
  if (axis == cuts.size()) {
    visit(cell);
    return;
  }
  const auto& cut = cuts[axis];
  const auto first = std::lower_bound(cut.begin(), cut.end(), rectangle[axis].lo) - cut.begin();
  const auto last = std::lower_bound(cut.begin(), cut.end(), rectangle[axis].hi) - cut.begin();
  for (auto i = first; i < last; ++i) {
    for_cells(cuts, rectangle, axis + 1, cell * (cut.size() - 1) + static_cast<size_t>(i), visit);
  }
}

int64_t cell_volume(const std::vector<std::vector<int64_t>>& cuts, size_t cell) {
  int64_t volume = 1;
  for (size_t axis = cuts.size(); axis-- > 0;) {
    const size_t intervals = cuts[axis].size() - 1;
    const size_t i = cell % intervals;
    cell /= intervals;
    volume *= cuts[axis][i + 1] - cuts[axis][i];
  }
  return volume;
}

// The slice held by one set of devices, made of the cells in `cells`.
WeightSlice make_slice(const std::vector<DeviceId>& devices, const std::vector<size_t>& cells,
                       const std::vector<std::vector<size_t>>& cell_demands,
                       const std::vector<Demand>& demands, int64_t volume, int64_t element_bytes) {
  WeightSlice slice;
  slice.bytes = Bytes(volume * element_bytes);
  for (const DeviceId device : devices) slice.replicas.push_back({device, {}});
  for (const size_t cell : cells) {
    for (const size_t index : cell_demands[cell]) {
      const auto at = std::lower_bound(devices.begin(), devices.end(), demands[index].device);
      slice.replicas[static_cast<size_t>(at - devices.begin())].contributors.push_back(
          demands[index].task);
    }
  }
  for (WeightReplica& replica : slice.replicas) {
    auto& tasks = replica.contributors;
    std::sort(tasks.begin(), tasks.end());
    tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
  }
  return slice;
}

}  // namespace

std::vector<WeightSlice> weight_slices(const OpGraph& graph, WeightId weight, const Plan& plan) {
  const std::vector<Demand> demands = demands_on(graph, weight, plan);
  const Weight& tensor = graph.weight(weight);
  std::vector<std::vector<int64_t>> cuts;
  size_t cell_count = 1;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    cuts.push_back(cuts_of(demands, axis));
    cell_count *= cuts.back().size() - 1;
  }
  std::vector<std::vector<size_t>> cell_demands(cell_count);
  for (size_t i = 0; i < demands.size(); ++i) {
    const auto visit = [&](size_t cell) { cell_demands[cell].push_back(i); };
    for_cells(cuts, demands[i].rectangle, 0, 0, visit);
  }
  std::map<std::vector<DeviceId>, std::vector<size_t>> cells_by_devices;
  for (size_t cell = 0; cell < cell_count; ++cell) {
    std::vector<DeviceId> devices;
    for (const size_t i : cell_demands[cell]) devices.push_back(demands[i].device);
    std::sort(devices.begin(), devices.end());
    devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
    if (!devices.empty()) cells_by_devices[devices].push_back(cell);
  }
  std::vector<WeightSlice> slices;
  for (const auto& [devices, cells] : cells_by_devices) {
    int64_t volume = 0;
    for (const size_t cell : cells) volume += cell_volume(cuts, cell);
    slices.push_back(
        make_slice(devices, cells, cell_demands, demands, volume, size_bytes(tensor.type)));
  }
  return slices;
}

}  // namespace soapbox
