#include "sim/simulate/weight_slices.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "sim/simulate/blocks.h"

namespace soapbox {

namespace {

constexpr size_t kNoSlice = SIZE_MAX;

using Rectangle = std::array<Range, kMaxDims>;

// The rectangle of a weight that one task needs, by axis.
Rectangle weight_rectangle(const Weight& weight, const WeightUse& use,
                           const std::array<Range, kMaxDims>& piece) {
  Rectangle rectangle{};
  for (size_t axis = 0; axis < weight.shape.size(); ++axis) {
    rectangle[axis] = use.axes[axis].apply(piece, weight.shape[axis]);
  }
  return rectangle;
}

// Operators that use a weight in the same way and are configured alike, as the steps of an unrolled
// layer often are: piece by piece they need the same of it.
struct UserGroup {
  const WeightUse* use;
  std::vector<OpId> users;
};

struct Demand {
  uint32_t group;
  uint32_t piece;  // of every user of the group
  DeviceId device;
  Rectangle rectangle;
};

std::vector<UserGroup> group_users(const OpGraph& graph, WeightId weight, const Plan& plan) {
  std::vector<UserGroup> groups;
  for (const OpId id : graph.users(weight)) {
    const Operator& op = graph.op(id);
    for (const WeightUse& use : op.weights) {
      if (use.weight != weight) continue;
      const auto alike = [&](const UserGroup& group) {
        const OpId other = group.users.front();
        return group.use->axes == use.axes && plan.ops[other] == plan.ops[id] &&
               equal_sizes(graph.op(other).dims, op.dims);
      };
      const auto group = std::ranges::find_if(groups, alike);
      if (group == groups.end()) {
        groups.push_back({&use, {id}});
      } else {
        group->users.push_back(id);
      }
    }
  }
  return groups;
}

std::vector<Demand> demands_of(const std::vector<UserGroup>& groups, const OpGraph& graph,
                               WeightId weight, const Plan& plan) {
  std::vector<Demand> demands;
  for (uint32_t group = 0; group < groups.size(); ++group) {
    const OpId id = groups[group].users.front();
    const OpConfig& config = plan.ops[id];
    for (uint32_t piece = 0; piece < config.task_count(); ++piece) {
      demands.push_back({group, piece, config.devices[piece],
                         weight_rectangle(graph.weight(weight), *groups[group].use,
                                          piece_of(graph.op(id), config, piece))});
    }
  }
  return demands;
}

// Cut points of one axis: every boundary of a demanded rectangle, ascending.
std::vector<int64_t> cuts_of(const std::vector<Demand>& demands, size_t axis) {
  std::vector<int64_t> cuts;
  for (const Demand& demand : demands) {
    const Range& range = demand.rectangle[axis];
    const size_t n = cuts.size();  // many tasks in a row need the same
    if (n > 0 && cuts[n - 2] == range.lo && cuts[n - 1] == range.hi) continue;
    cuts.push_back(range.lo);
    cuts.push_back(range.hi);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  return cuts;
}

// Calls visit(cell) for every cell of the cut grid inside a rectangle; cells are numbered
// row-major.
template <class Visit>
void for_cells(const std::vector<std::vector<int64_t>>& cuts, const Rectangle& rectangle,
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

// Of a part of the weight with so many elements: all of them, or the share of rows that have one.
Bytes gradient_bytes(const Weight& weight, int64_t elements) {
  if (weight.gradient_rows > 0) {
    elements = (elements * weight.gradient_rows + weight.shape[0] - 1) / weight.shape[0];
  }
  return Bytes(elements * size_bytes(weight.type));
}

// A set of devices for each cell, a bit per device.
class HolderSets {
 public:
  HolderSets(size_t cells, size_t devices)
      : words_((devices + 63) / 64), bits_(cells * words_, 0) {}

  void add(size_t cell, DeviceId device) {
    bits_[cell * words_ + device.index() / 64] |= uint64_t{1} << (device.index() % 64);
  }
  std::vector<DeviceId> devices(size_t cell) const {
    std::vector<DeviceId> list;
    for (size_t w = 0; w < words_; ++w) {
      for (uint64_t left = word(cell, w); left != 0; left &= left - 1) {
        list.push_back(DeviceId::from_index(w * 64 + static_cast<size_t>(std::countr_zero(left))));
      }
    }
    return list;
  }
  // How many of the cell's devices come before this one.
  size_t rank(size_t cell, DeviceId device) const {
    const size_t last = device.index() / 64;
    size_t count = 0;
    for (size_t w = 0; w < last; ++w) count += static_cast<size_t>(std::popcount(word(cell, w)));
    const uint64_t below = (uint64_t{1} << (device.index() % 64)) - 1;
    return count + static_cast<size_t>(std::popcount(word(cell, last) & below));
  }
  // Orders cells as the ascending lists of their devices are ordered.
  std::strong_ordering compare(size_t a, size_t b) const {
    for (size_t w = 0; w < words_; ++w) {
      const uint64_t differing = word(a, w) ^ word(b, w);
      if (differing == 0) continue;
      // The first device that only one has. The other continues with a later one, or has ended.
      const uint64_t first = differing & (~differing + 1);
      const bool in_a = (word(a, w) & first) != 0;
      const size_t other = in_a ? b : a;
      bool continues = (word(other, w) & ~(first | (first - 1))) != 0;
      for (size_t later = w + 1; later < words_; ++later) continues |= word(other, later) != 0;
      return in_a == continues ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    return std::strong_ordering::equal;
  }

 private:
  uint64_t word(size_t cell, size_t w) const { return bits_[cell * words_ + w]; }
  size_t words_;
  std::vector<uint64_t> bits_;
};

}  // namespace

std::vector<WeightSlice> weight_slices(const OpGraph& graph, WeightId weight, const Plan& plan) {
  const std::vector<UserGroup> groups = group_users(graph, weight, plan);
  const std::vector<Demand> demands = demands_of(groups, graph, weight, plan);
  const Weight& tensor = graph.weight(weight);
  SOAPBOX_CHECK(tensor.shape.size() <= kMaxDims, "too many axes");
  std::vector<std::vector<int64_t>> cuts;
  size_t cell_count = 1;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    cuts.push_back(cuts_of(demands, axis));
    cell_count *= cuts.back().size() - 1;
  }
  size_t device_count = 0;
  for (const Demand& demand : demands) {
    device_count = std::max(device_count, demand.device.index() + 1);
  }
  HolderSets holders(cell_count, device_count);
  std::vector<size_t> cells;  // that anyone holds
  for (const Demand& demand : demands) {
    const auto visit = [&](size_t cell) { holders.add(cell, demand.device); };
    for_cells(cuts, demand.rectangle, 0, 0, visit);
  }
  for (size_t cell = 0; cell < cell_count; ++cell) cells.push_back(cell);
  std::sort(cells.begin(), cells.end(), [&](size_t a, size_t b) {
    const auto order = holders.compare(a, b);
    return order != 0 ? order < 0 : a < b;
  });

  // Cells with the same holders are neighbours now, and make one slice.
  std::vector<WeightSlice> slices;
  std::vector<size_t> slice_of(cell_count, kNoSlice);
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t cell = cells[i];
    if (i == 0 || holders.compare(cells[i - 1], cell) != 0) {
      const std::vector<DeviceId> devices = holders.devices(cell);
      if (devices.empty()) continue;
      slices.emplace_back();
      for (const DeviceId device : devices) slices.back().replicas.push_back({device, {}});
    }
    if (slices.empty()) continue;  // still among those that nobody holds: they come first
    slice_of[cell] = slices.size() - 1;
    const int64_t elements = cell_volume(cuts, cell);
    slices.back().parameters += Bytes(elements * size_bytes(tensor.type));
    slices.back().bytes += gradient_bytes(tensor, elements);
  }
  std::vector<size_t> seen(slices.size(), kNoSlice);  // the last demand that met the slice
  for (size_t i = 0; i < demands.size(); ++i) {
    const auto visit = [&](size_t cell) {
      const size_t slice = slice_of[cell];
      if (std::exchange(seen[slice], i) == i) return;
      auto& tasks = slices[slice].replicas[holders.rank(cell, demands[i].device)].contributors;
      if (tasks.empty()) tasks.reserve(graph.users(weight).size());
      for (const OpId user : groups[demands[i].group].users) {
        tasks.push_back({user, demands[i].piece});
      }
    };
    for_cells(cuts, demands[i].rectangle, 0, 0, visit);
  }
  for (WeightSlice& slice : slices) {
    for (WeightReplica& replica : slice.replicas) {
      // Out of order where groups alternate or a device has several pieces; an operator that uses
      // the weight twice is there twice.
      auto& tasks = replica.contributors;
      if (!std::is_sorted(tasks.begin(), tasks.end())) std::sort(tasks.begin(), tasks.end());
      tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
    }
  }
  return slices;
}

}  // namespace soapbox
