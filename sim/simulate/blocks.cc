#include "sim/simulate/blocks.h"

#include <algorithm>
#include <map>

namespace soapbox {

namespace {

Duration scaled(Duration duration, double speed_factor) {
  if (speed_factor == 1.0) return duration;
  return Duration(std::llround(static_cast<double>(duration.picoseconds()) / speed_factor));
}

Extents extents_of(const Operator& op, const OpConfig& config) {
  Extents extents;
  extents.fill(1);
  for (size_t d = 0; d < op.dims.size(); ++d) extents[d] = op.dims[d].size / config.degrees[d];
  return extents;
}

// The producer pieces that meet `read`, a rectangle in the producer's output, in ascending order.
// A split reduction dimension leaves partial sums: every one of them is read.
class GridWalk {
 public:
  GridWalk(const Operator& producer, const OpConfig& config, const std::vector<Range>& read)
      : producer_(producer), config_(config), read_(read) {}

  // visit(piece, volume): the piece's number and the elements of the intersection.
  template <class Visit>
  void run(Visit&& visit) const {
    for (const Range& range : read_) {
      if (range.extent() == 0) return;
    }
    walk(0, 0, 1, visit);
  }

 private:
  template <class Visit>
  void walk(size_t d, size_t piece, int64_t volume, Visit& visit) const {
    if (d == producer_.dims.size()) {
      visit(static_cast<uint32_t>(piece), volume);
      return;
    }
    const int64_t degree = config_.degrees[d];
    const int64_t extent = producer_.dims[d].size / degree;
    const bool output = d < producer_.output_rank;
    const int64_t first = output ? read_[d].lo / extent : 0;
    const int64_t last = output ? (read_[d].hi - 1) / extent : degree - 1;
    for (int64_t i = first; i <= last; ++i) {
      int64_t width = 1;
      if (output) {
        width = std::min(read_[d].hi, (i + 1) * extent) - std::max(read_[d].lo, i * extent);
      }
      walk(d + 1, piece * static_cast<size_t>(degree) + static_cast<size_t>(i), volume * width,
           visit);
    }
  }

  const Operator& producer_;
  const OpConfig& config_;
  const std::vector<Range>& read_;
};

int64_t output_volume(const Operator& op, const OpConfig& config) {
  int64_t volume = 1;
  for (size_t d = 0; d < op.output_rank; ++d) volume *= op.dims[d].size / config.degrees[d];
  return volume;
}

}  // namespace

bool has_backward(const Operator& op) {
  return op.kind != OpKind::kInput && (!op.weights.empty() || op.needs_input_gradient);
}

OpBlock make_op_block(const Operator& op, const OpConfig& config, const Cluster& cluster,
                      const Costs& costs) {
  OpBlock block;
  if (op.kind == OpKind::kInput) return block;
  const Extents extents = extents_of(op, config);
  const bool backward = has_backward(op);
  HardwareId priced;  // pieces are equal: one price per kind of device
  OpCost cost;
  block.forward.reserve(config.devices.size());
  if (backward) block.backward.reserve(config.devices.size());
  for (const DeviceId id : config.devices) {
    const Device& device = cluster.device(id);
    if (device.hardware != priced) {
      priced = device.hardware;
      cost = costs.op_cost(op, extents, priced);
    }
    block.forward.push_back(scaled(cost.forward, device.speed_factor));
    if (backward) block.backward.push_back(scaled(cost.backward(), device.speed_factor));
  }
  return block;
}

EdgeBlock make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer_config,
                          const OpConfig& consumer_config, const Cluster& cluster,
                          const Costs& costs) {
  EdgeBlock block;
  const Operator& producer = graph.op(graph.edge(edge).producer);
  const Operator& consumer = graph.op(graph.edge(edge).consumer);
  const Input& input = consumer.inputs[graph.edge(edge).input];
  if (producer.kind == OpKind::kInput) return block;  // samples are loaded where they are needed
  const int64_t element_bytes = size_bytes(producer.type);
  std::vector<int64_t> received(producer_config.task_count(), 0);  // gradient elements per piece
  std::vector<Range> read(producer.output_rank);
  for (size_t q = 0; q < consumer_config.task_count(); ++q) {
    const auto piece = piece_of(consumer, consumer_config, q);
    for (size_t axis = 0; axis < producer.output_rank; ++axis) {
      read[axis] = input.axes[axis].apply(piece, producer.dims[axis].size);
    }
    GridWalk(producer, producer_config, read).run([&](uint32_t p, int64_t volume) {
      received[p] += volume;
      const bool local = producer_config.devices[p] == consumer_config.devices[q];
      block.pairs.push_back({p, static_cast<uint32_t>(q), Bytes(volume * element_bytes), local});
    });
  }
  if (!has_backward(producer)) return block;
  const int64_t own = output_volume(producer, producer_config);
  for (uint32_t p = 0; p < received.size(); ++p) {
    if (received[p] <= own) continue;
    const Device& device = cluster.device(producer_config.devices[p]);
    const Bytes overlap((received[p] - own) * element_bytes);
    block.sums.push_back({p, scaled(costs.sum(overlap, 2, device.hardware), device.speed_factor)});
  }
  return block;
}

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
  WeightReplica::Contributor task;
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

WeightBlock make_weight_block(const OpGraph& graph, WeightId weight, const Plan& plan) {
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
  WeightBlock block;
  for (const auto& [devices, cells] : cells_by_devices) {
    int64_t volume = 0;
    for (const size_t cell : cells) volume += cell_volume(cuts, cell);
    block.slices.push_back(
        make_slice(devices, cells, cell_demands, demands, volume, size_bytes(tensor.type)));
  }
  return block;
}

}  // namespace soapbox
