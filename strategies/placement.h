// The pieces that recipes are made of: one operator split or placed, work cut into balanced groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox::strategies {

// The largest divisor of `size` that is at most `limit`. REQUIRES: both positive.
int32_t largest_divisor(int64_t size, size_t limit);

// The first divisible dimension of that class, if there is one.
std::optional<size_t> divisible_dim(const Operator& op, DimClass dim_class);

// The whole operator as one task.
OpConfig whole_on(DeviceId device);

// Equal pieces along `dim`, as many as divide its size and have a device; piece k on devices[k].
// Without a dimension: the whole operator on devices[0]. REQUIRES: devices is not empty.
OpConfig split_over(const Operator& op, std::optional<size_t> dim,
                    std::span<const DeviceId> devices);

// All devices of the cluster in order, and those of each node.
std::vector<DeviceId> all_devices(const Cluster& cluster);
std::vector<std::vector<DeviceId>> devices_by_node(const Cluster& cluster);

// Forward and backward work of a whole operator.
Flops training_flops(const Operator& op);

// Cuts items, in their order, into at most `count` contiguous groups so that the heaviest group is
// as light as possible; returns the group of each item, ascending. Groups are filled from the
// front, so trailing ones may be lighter or unused. Linear in the items. REQUIRES: count > 0.
std::vector<size_t> balanced_groups(std::span<const Flops> work, size_t count);

}  // namespace soapbox::strategies
