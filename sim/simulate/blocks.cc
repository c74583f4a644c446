#include "sim/simulate/blocks.h"

#include <algorithm>
#include <cmath>

namespace soapbox {

namespace {

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

PiecePairs::PiecePairs(std::span<const PiecePair> pairs, size_t producer_pieces)
    : rows_(producer_pieces + 2, 0), pairs_(pairs.size()) {
  for (const PiecePair& pair : pairs) ++rows_[pair.producer_piece + 2];
  for (size_t i = 3; i < rows_.size(); ++i) rows_[i] += rows_[i - 1];
  // rows_[p + 1] is where the next pair of p goes; in the end that is where p's row ends.
  for (const PiecePair& pair : pairs) pairs_[rows_[pair.producer_piece + 1]++] = pair;
}

Duration slowed(Duration duration, const Device& device) {
  if (device.speed_factor == 1.0) return duration;
  return Duration(std::llround(static_cast<double>(duration.picoseconds()) / device.speed_factor));
}

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
    block.forward.push_back(slowed(cost.forward, device));
    if (backward) block.backward.push_back(slowed(cost.backward(), device));
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
    block.sums.push_back({p, slowed(costs.sum(overlap, 2, device.hardware), device)});
  }
  return block;
}

}  // namespace soapbox
