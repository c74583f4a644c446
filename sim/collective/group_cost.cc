#include "sim/collective/group_cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace soapbox {

namespace {

constexpr size_t kOpCount = 6;
// A curve beyond the sizes that it was fitted to.
constexpr double kExtrapolationWidening = 2;

// Bandwidths that differ by less are those of the same links.
constexpr double kSameLinks = 0.1;
// NCCL's constant for what a tree makes of NVLink.
constexpr double kTreeEfficiency = 0.92;

// Peers that a rank of an exchange sends to at a time: NCCL's kernels take 8 sends and 8 receives
// as one piece of work.
constexpr double kPeersAtOnce = 8;

double ceil_log2(int64_t count) {
  return static_cast<double>(std::bit_width(static_cast<uint64_t>(count - 1)));
}

// What the busiest node of two binary trees sends, in messages of all_reduce: in the tree in which
// it is a leaf half of them up, in the other one half up (but the root) and half to each child.
double double_tree_load(int64_t nodes) {
  switch (nodes) {
    case 1:
      return 0;
    case 2:
      return 1;
    case 3:
      return 1.5;
    default:
      return 2;
  }
}

}  // namespace

// The constants of NCCL's own model (src/graph/tuning.cc, hardware_links.csv): LL, LL128, Simple.
// LL halves the bandwidth, LL128 sends 120 bytes of data in 128.
CollectiveProfile public_constants(bool nvlink) {
  CollectiveProfile profile;
  profile.source = "datasheet figures and NCCL's public constants";
  profile.provenance = Provenance::kDatasheet;
  profile.protocols = {
      {6.6e-6, nvlink ? 0.6e-6 : 1.0e-6, 2.7e-6, 0.5, 0.5},
      {14.0e-6, nvlink ? 1.9e-6 : 2.5e-6, 4.0e-6, 0.92, 0.92},
      {8.4e-6, nvlink ? 3.4e-6 : 5.7e-6, 14.0e-6, 0.92, 0.97},
  };
  return profile;
}

// What an algorithm asks of the network: see the table in group_cost.h.
struct GroupCosts::Demand {
  const char* algorithm = "none";
  double near_load = 0;
  double far_load = 0;
  double near_steps = 0;
  double far_steps = 0;
  double near_bandwidth = 1;
  int64_t far_distance = 1;  // between the nodes of a message
  double launch = 0;         // beyond the protocol's
};

struct GroupCosts::Best {
  const char* algorithm = "none";
  double seconds = std::numeric_limits<double>::infinity();
};

GroupCosts::GroupCosts(Fabric fabric, CollectiveProfile profile)
    : fabric_(std::move(fabric)), profile_(std::move(profile)) {
  const auto devices = static_cast<size_t>(fabric_.devices_per_node);
  curves_.assign(kOpCount * (devices + 1), -1);
  const auto nearer = [](int64_t ranks, const CollectiveCurve& a, const CollectiveCurve& b) {
    const auto distance = [ranks](const CollectiveCurve& curve) {
      return curve.ranks >= ranks ? curve.ranks - ranks : INT64_MAX / 2 - curve.ranks;
    };
    return distance(a) < distance(b);
  };
  for (size_t i = 0; i < profile_.curves.size(); ++i) {
    const CollectiveCurve& curve = profile_.curves[i];
    if (curve.ranks > fabric_.devices_per_node || !measured_on_such_links(curve)) continue;
    for (size_t m = 2; m <= devices; ++m) {
      int32_t& chosen = curves_[m * kOpCount + static_cast<size_t>(curve.op)];
      if (chosen < 0 ||
          nearer(static_cast<int64_t>(m), curve, profile_.curves[static_cast<size_t>(chosen)])) {
        chosen = static_cast<int32_t>(i);
      }
    }
  }
}

// A curve of other wiring, or of whole links where one is degraded here, says nothing.
bool GroupCosts::measured_on_such_links(const CollectiveCurve& curve) const {
  const double here = curve.op == CollectiveOp::kSendRecv
                          ? fabric_.near_pair
                          : fabric_.near_ring[static_cast<size_t>(curve.ranks)];
  return std::fabs(here / curve.link_bandwidth - 1) <= kSameLinks;
}

GroupCosts GroupCosts::make(Fabric fabric, CollectiveProfile profile) {
  return {std::move(fabric), std::move(profile)};
}

GroupCosts GroupCosts::make(const Cluster& cluster, const CollectiveProfile* profile) {
  Fabric fabric = survey_fabric(cluster);
  CollectiveProfile figures =
      profile != nullptr ? *profile : public_constants(fabric.near_type.starts_with("nvlink"));
  return {std::move(fabric), std::move(figures)};
}

double GroupCosts::far_latency(int64_t distance) const {
  const size_t last = fabric_.far_latency.size() - 1;
  return fabric_.far_latency[std::min(static_cast<size_t>(distance), last)];
}

// The NICs of the group's ranks, at most its share of the node's, less what is lost farther up.
double GroupCosts::far_bandwidth(const GroupShape& shape, int64_t distance) const {
  const double own = fabric_.far_bandwidth[static_cast<size_t>(shape.ranks_per_node)];
  const double share = fabric_.far_bandwidth.back() / static_cast<double>(shape.groups_per_node);
  const auto exponent = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(distance)) - 1);
  return std::min(own, share) * fabric_.far_share[std::min(exponent, fabric_.far_share.size() - 1)];
}

GroupCosts::Demand GroupCosts::ring(const GroupShape& shape, double passes, double load) const {
  const auto nodes = static_cast<double>(shape.nodes);
  const double ranks = nodes * static_cast<double>(shape.ranks_per_node);
  const double steps = passes * (ranks - 1);
  const double far_share = shape.nodes > 1 ? nodes / ranks : 0;
  return {.algorithm = "ring",
          .near_load = shape.ranks_per_node > 1 ? load : 0,
          .far_load = shape.nodes > 1 ? load : 0,
          .near_steps = steps * (1 - far_share),
          .far_steps = steps * far_share,
          .near_bandwidth = fabric_.near_ring[static_cast<size_t>(shape.ranks_per_node)],
          .far_distance = shape.node_stride};
}

GroupCosts::Demand GroupCosts::double_tree(const GroupShape& shape) const {
  const int64_t m = shape.ranks_per_node;
  return {.algorithm = "double_binary_tree",
          .near_load = m > 1 ? 2 / kTreeEfficiency : 0,
          .far_load = double_tree_load(shape.nodes),
          .near_steps = 2 * static_cast<double>(m - 1),
          .far_steps = 2 * ceil_log2(shape.nodes),
          .near_bandwidth = fabric_.near_ring[static_cast<size_t>(m)],
          .far_distance = shape.node_stride};
}

GroupCosts::Demand GroupCosts::switch_tree(const GroupShape& shape) const {
  const auto m = static_cast<double>(shape.ranks_per_node);
  return {.algorithm = shape.nodes > 1 ? "switch_tree" : "switch",
          .near_load = (m + 1) / m,
          .far_load = double_tree_load(shape.nodes),
          .near_steps = 2,
          .far_steps = 2 * ceil_log2(shape.nodes),
          .near_bandwidth = fabric_.near_ring[static_cast<size_t>(shape.ranks_per_node)] *
                            profile_.switch_reduction_efficiency,
          .far_distance = shape.node_stride,
          .launch = profile_.switch_reduction_launch};
}

GroupCosts::Demand GroupCosts::exchange(const GroupShape& shape) const {
  const auto m = static_cast<double>(shape.ranks_per_node);
  const double ranks = m * static_cast<double>(shape.nodes);
  return {.algorithm = "direct",
          .near_load = (m - 1) / ranks,
          .far_load = m * (ranks - m) / ranks,
          .near_steps = std::ceil((m - 1) / kPeersAtOnce),
          .far_steps = std::ceil((ranks - m) / kPeersAtOnce),
          .near_bandwidth = fabric_.near_exchange[static_cast<size_t>(shape.ranks_per_node)],
          .far_distance = std::max<int64_t>(1, shape.nodes / 2) * shape.node_stride};
}

GroupCosts::Demand GroupCosts::send(const GroupShape& shape) const {
  const bool near = shape.nodes == 1;
  return {.algorithm = "direct",
          .near_load = near ? 1.0 : 0.0,
          .far_load = near ? 0.0 : 1.0,
          .near_steps = near ? 1.0 : 0.0,
          .far_steps = near ? 0.0 : 1.0,
          .near_bandwidth = fabric_.near_pair,
          .far_distance = shape.node_stride};
}

void GroupCosts::take_faster(const Demand& demand, const GroupShape& shape, double bytes,
                             Best& best) const {
  double near_seconds = 0;
  double far_seconds = 0;
  double latency = demand.launch + demand.near_steps * fabric_.near_latency;
  if (demand.near_load > 0) near_seconds = bytes * demand.near_load / demand.near_bandwidth;
  if (demand.far_load > 0) {
    far_seconds = bytes * demand.far_load / far_bandwidth(shape, demand.far_distance);
    latency += demand.far_steps * far_latency(demand.far_distance);
  }
  for (const Protocol& protocol : profile_.protocols) {
    const double seconds =
        protocol.launch + demand.near_steps * protocol.near_step +
        demand.far_steps * protocol.far_step + latency +
        std::max(near_seconds / protocol.near_efficiency, far_seconds / protocol.far_efficiency);
    if (seconds < best.seconds) best = {demand.algorithm, seconds};
  }
}

GroupCosts::Best GroupCosts::model_time(CollectiveOp op, double bytes,
                                        const GroupShape& shape) const {
  const double ranks = static_cast<double>(shape.ranks_per_node) * static_cast<double>(shape.nodes);
  const double pass = (ranks - 1) / ranks;
  const auto demand = [&]() -> Demand {
    switch (op) {
      case CollectiveOp::kAllReduce:
        return ring(shape, 2, 2 * pass);
      case CollectiveOp::kReduceScatter:
      case CollectiveOp::kAllGather:
        return ring(shape, 1, pass);
      case CollectiveOp::kBroadcast:
        return ring(shape, 1, 1);
      case CollectiveOp::kAllToAll:
        return exchange(shape);
      case CollectiveOp::kSendRecv:
        return send(shape);
    }
    return {};
  };
  Best best;
  take_faster(demand(), shape, bytes, best);
  if (op != CollectiveOp::kAllReduce) return best;
  if (shape.nodes > 1) take_faster(double_tree(shape), shape, bytes, best);
  if (profile_.switch_reduction_ranks > 1 &&
      shape.ranks_per_node >= profile_.switch_reduction_ranks) {
    take_faster(switch_tree(shape), shape, bytes, best);
  }
  return best;
}

// A curve of other ranks of a node says by how much the model errs: the ratio carries over.
CollectiveTime GroupCosts::curve_time(const CollectiveCurve& curve, Bytes bytes,
                                      const GroupShape& shape) const {
  const double size = bytes.as_double();
  const bool inside = bytes >= curve.first && bytes <= curve.times.segments().back().last;
  double seconds = curve.times.seconds(size);
  double error = curve.error * (inside ? 1 : kExtrapolationWidening);
  const bool exact = curve.ranks == shape.ranks_per_node;
  if (!exact) {
    seconds *= model_time(curve.op, size, shape).seconds /
               model_time(curve.op, size, {.ranks_per_node = curve.ranks}).seconds;
    error = std::max(error, profile_.near_error);
  }
  return {
      .time = from_seconds(seconds),
      .relative_low = 1 / (1 + error),
      .relative_high = 1 + error,
      .provenance = exact && inside ? Provenance::kInterpolated : Provenance::kCalibratedRoofline,
      .algorithm = "measured"};
}

CollectiveTime GroupCosts::time(CollectiveOp op, Bytes bytes, const GroupShape& shape) const {
  const int64_t m = shape.ranks_per_node;
  SOAPBOX_DCHECK(m >= 1 && m <= fabric_.devices_per_node, "ranks that a node has no devices for");
  SOAPBOX_DCHECK(shape.nodes >= 1 && (shape.nodes == 1 || fabric_.node_count > 1),
                 "nodes that there are not");
  SOAPBOX_DCHECK(shape.groups_per_node >= 1 && shape.node_stride >= 1, "impossible group");
  if (m * shape.nodes <= 1 || bytes <= Bytes()) return {};
  if (shape.nodes == 1) {
    const int32_t index = curves_[static_cast<size_t>(m) * kOpCount + static_cast<size_t>(op)];
    if (index >= 0) return curve_time(profile_.curves[static_cast<size_t>(index)], bytes, shape);
  }
  const Best best = model_time(op, bytes.as_double(), shape);
  const bool calibrated = profile_.provenance != Provenance::kDatasheet;
  const double error = shape.nodes == 1 ? profile_.near_error : profile_.far_error;
  return {.time = from_seconds(best.seconds),
          .relative_low = calibrated ? 1 / (1 + error) : kUncalibratedLow,
          .relative_high = calibrated ? 1 + error : kUncalibratedHigh,
          .provenance = profile_.provenance,
          .algorithm = best.algorithm};
}

}  // namespace soapbox
