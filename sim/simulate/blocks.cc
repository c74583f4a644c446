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

// Which pieces of a producer a consumer's pieces meet, and in how many elements.
//
// What is read along one dimension of the producer depends on at most one dimension of the consumer
// (AxisMap), so the intersections are found once per dimension and pair of indices there, and a
// pair of pieces only multiplies them. A split reduction dimension of the producer leaves partial
// sums: every one of them is read.
class Meetings {
 public:
  struct Meeting {
    uint32_t piece;
    int64_t volume;
  };

  Meetings(const Operator& producer, const OpConfig& producer_config, const Operator& consumer,
           const OpConfig& consumer_config, const Input& input)
      : consumer_config_(consumer_config), dims_(producer.dims.size()) {
    for (size_t d = 0; d < dims_.size(); ++d) {
      const int64_t degree = producer_config.degrees[d];
      Along& along = dims_[d];
      along.degree = static_cast<uint32_t>(degree);
      if (d >= producer.output_rank) {
        for (uint32_t i = 0; i < along.degree; ++i) along.met.push_back({i, 1});
        along.end_row();
        continue;
      }
      const AxisMap& axis = input.axes[d];
      const bool follows = axis.kind != AxisMap::Kind::kWhole && axis.kind != AxisMap::Kind::kFixed;
      along.consumer_dim = follows ? axis.dim : kNoDim;
      const int64_t rows = follows ? consumer_config.degrees[axis.dim] : 1;
      const int64_t extent = producer.dims[d].size / degree;
      std::array<Range, kMaxDims> piece{};
      for (int64_t row = 0; row < rows; ++row) {
        if (follows) {
          const int64_t width = consumer.dims[axis.dim].size / rows;
          piece[axis.dim] = {row * width, (row + 1) * width};
        }
        const Range read = axis.apply(piece, producer.dims[d].size);
        for (int64_t i = read.lo / extent; read.lo < read.hi && i * extent < read.hi; ++i) {
          along.met.push_back({static_cast<uint32_t>(i), std::min(read.hi, (i + 1) * extent) -
                                                             std::max(read.lo, i * extent)});
        }
        along.end_row();
      }
    }
  }

  // Those of one consumer piece, in ascending order. Valid until the next call.
  const std::vector<Meeting>& of_consumer(size_t piece) {
    std::array<size_t, kMaxDims> at{};
    for (size_t d = kMaxDims; d-- > 0;) {
      const auto degree = static_cast<size_t>(consumer_config_.degrees[d]);
      at[d] = piece % degree;
      piece /= degree;
    }
    met_.assign(1, {0, 1});
    for (const Along& along : dims_) {
      const std::span<const Meeting> row =
          along.row(along.consumer_dim == kNoDim ? 0 : at[along.consumer_dim]);
      if (row.size() == 1) {
        for (Meeting& meeting : met_) {
          meeting.piece = meeting.piece * along.degree + row[0].piece;
          meeting.volume *= row[0].volume;
        }
        continue;
      }
      next_.clear();
      for (const Meeting& meeting : met_) {
        for (const Meeting& here : row) {
          next_.push_back(
              {meeting.piece * along.degree + here.piece, meeting.volume * here.volume});
        }
      }
      std::swap(met_, next_);
    }
    return met_;
  }

 private:
  static constexpr size_t kNoDim = SIZE_MAX;
  struct Along {
    uint32_t degree = 1;
    size_t consumer_dim = kNoDim;
    std::vector<Meeting> met;  // in rows by the consumer piece's index along consumer_dim
    std::vector<size_t> begin = {0};

    void end_row() { begin.push_back(met.size()); }
    std::span<const Meeting> row(size_t i) const {
      return {met.data() + begin[i], met.data() + begin[i + 1]};
    }
  };
  const OpConfig& consumer_config_;
  std::vector<Along> dims_;
  std::vector<Meeting> met_;
  std::vector<Meeting> next_;
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

EdgeBlock make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer,
                          const OpConfig& consumer, const Cluster& cluster, const Costs& costs) {
  EdgeBlock block;
  make_edge_block(graph, edge, producer, consumer, cluster, costs, block);
  return block;
}

void make_edge_block(const OpGraph& graph, EdgeId edge, const OpConfig& producer_config,
                     const OpConfig& consumer_config, const Cluster& cluster, const Costs& costs,
                     EdgeBlock& block) {
  block.pairs.clear();
  block.sums.clear();
  const Operator& producer = graph.op(graph.edge(edge).producer);
  const Operator& consumer = graph.op(graph.edge(edge).consumer);
  const Input& input = consumer.inputs[graph.edge(edge).input];
  if (producer.kind == OpKind::kInput) return;  // samples are loaded where they are needed
  const int64_t element_bytes = size_bytes(producer.type);
  std::vector<int64_t> received(producer_config.task_count(), 0);  // gradient elements per piece
  Meetings meetings(producer, producer_config, consumer, consumer_config, input);
  for (uint32_t q = 0; q < consumer_config.task_count(); ++q) {
    const auto& met = meetings.of_consumer(q);
    if (q == 0) block.pairs.reserve(met.size() * consumer_config.task_count());
    for (const auto& [p, volume] : met) {
      received[p] += volume;
      const bool local = producer_config.devices[p] == consumer_config.devices[q];
      block.pairs.push_back({p, q, Bytes(volume * element_bytes), local});
    }
  }
  if (!has_backward(producer)) return;
  const int64_t own = output_volume(producer, producer_config);
  for (uint32_t p = 0; p < received.size(); ++p) {
    if (received[p] <= own) continue;
    const Device& device = cluster.device(producer_config.devices[p]);
    const Bytes overlap((received[p] - own) * element_bytes);
    block.sums.push_back({p, slowed(costs.sum(overlap, 2, device.hardware), device)});
  }
}

bool equal_sizes(const std::vector<Dim>& a, const std::vector<Dim>& b) {
  return std::ranges::equal(a, b, {}, &Dim::size, &Dim::size);
}

namespace {

// All that make_edge_block() and its callers read of an edge beside the configurations.
bool equal_shapes(const OpGraph& graph, const Edge& a, const Edge& b) {
  const Operator& from_a = graph.op(a.producer);
  const Operator& from_b = graph.op(b.producer);
  const Operator& to_a = graph.op(a.consumer);
  const Operator& to_b = graph.op(b.consumer);
  return from_a.kind == from_b.kind && from_a.type == from_b.type &&
         from_a.output_rank == from_b.output_rank && equal_sizes(from_a.dims, from_b.dims) &&
         equal_sizes(to_a.dims, to_b.dims) && has_backward(from_a) == has_backward(from_b) &&
         has_backward(to_a) == has_backward(to_b) &&
         to_a.inputs[a.input].axes == to_b.inputs[b.input].axes;
}

}  // namespace

IdVector<EdgeId, uint32_t> edge_shapes(const OpGraph& graph) {
  IdVector<EdgeId, uint32_t> shapes;
  std::vector<EdgeId> first;  // edge of each shape
  for (const EdgeId edge : graph.edges().ids()) {
    uint32_t shape = 0;
    while (shape < first.size() && !equal_shapes(graph, graph.edge(edge), graph.edge(first[shape])))
      ++shape;
    if (shape == first.size()) first.push_back(edge);
    shapes.push_back(shape);
  }
  return shapes;
}

}  // namespace soapbox
