#include "strategies/placement.h"

#include <algorithm>
#include <cmath>

namespace soapbox::strategies {
namespace {

// Fills groups from the front, none heavier than `limit` (a single heavier item stands alone).
std::vector<size_t> fill_groups(std::span<const Flops> work, double limit) {
  std::vector<size_t> group_of(work.size());
  size_t group = 0;
  double load = 0;
  for (size_t i = 0; i < work.size(); ++i) {
    const double item = work[i].count();
    if (load > 0 && load + item > limit) {
      ++group;
      load = 0;
    }
    load += item;
    group_of[i] = group;
  }
  return group_of;
}

}  // namespace

int32_t largest_divisor(int64_t size, size_t limit) {
  SOAPBOX_CHECK(size > 0 && limit > 0, "a divisor needs a positive size and limit");
  int64_t divisor = std::min(size, static_cast<int64_t>(limit));
  while (size % divisor != 0) --divisor;
  return static_cast<int32_t>(divisor);
}

std::optional<size_t> divisible_dim(const Operator& op, DimClass dim_class) {
  for (size_t d = 0; d < op.dims.size(); ++d) {
    if (op.dims[d].dim_class == dim_class && op.dims[d].divisible) return d;
  }
  return std::nullopt;
}

OpConfig whole_on(DeviceId device) {
  OpConfig config;
  config.devices = {device};
  return config;
}

OpConfig split_over(const Operator& op, std::optional<size_t> dim,
                    std::span<const DeviceId> devices) {
  SOAPBOX_CHECK(!devices.empty(), "an operator needs a device");
  if (!dim) return whole_on(devices[0]);
  OpConfig config;
  const int32_t degree = largest_divisor(op.dims[*dim].size, devices.size());
  config.degrees[*dim] = degree;
  config.devices.assign(devices.begin(), devices.begin() + degree);
  return config;
}

std::vector<DeviceId> all_devices(const Cluster& cluster) {
  std::vector<DeviceId> devices;
  for (const DeviceId device : cluster.devices().ids()) devices.push_back(device);
  return devices;
}

std::vector<std::vector<DeviceId>> devices_by_node(const Cluster& cluster) {
  std::vector<std::vector<DeviceId>> nodes(cluster.node_count());
  for (const DeviceId device : cluster.devices().ids()) {
    nodes[cluster.device(device).node.index()].push_back(device);
  }
  std::erase_if(nodes, [](const std::vector<DeviceId>& node) { return node.empty(); });
  return nodes;
}

Flops training_flops(const Operator& op) {
  return op.forward_flops() + op.backward_flops();
}

std::vector<size_t> balanced_groups(std::span<const Flops> work, size_t count) {
  SOAPBOX_CHECK(count > 0, "work needs at least one group");
  double lightest = 0;  // no partition can be better: the heaviest item
  double heaviest = 0;  // every partition is at least this good: all in one group
  for (const Flops item : work) {
    lightest = std::max(lightest, item.count());
    heaviest += item.count();
  }
  const auto groups_needed = [&](double limit) {
    return work.empty() ? 0 : fill_groups(work, limit).back() + 1;
  };
  if (groups_needed(lightest) <= count) return fill_groups(work, lightest);
  // Halving to the last bit of a double: the limit found is the exact weight of some run of items.
  for (;;) {
    const double middle = lightest + (heaviest - lightest) / 2;
    if (middle <= lightest || middle >= heaviest) break;
    (groups_needed(middle) <= count ? heaviest : lightest) = middle;
  }
  return fill_groups(work, heaviest);
}

}  // namespace soapbox::strategies
