#include "scenarios/runner/scenario_files/cluster_description.h"

#include <algorithm>
#include <utility>

#include "scenarios/runner/scenario_files/name_pattern.h"
#include "sim/base/str.h"

namespace soapbox::runner {

size_t ClusterDescription::device_count() const {
  size_t count = 0;
  for (const NodeDescription& node : nodes) count += node.count * node.gpus;
  return count;
}

size_t ClusterDescription::device_count_max() const {
  size_t count = 0;
  for (const NodeDescription& node : nodes) count += node.count_max * node.gpus;
  return count;
}

namespace {

class TopologyBuilder {
 public:
  TopologyBuilder(const ClusterDescription& description, std::vector<size_t> node_counts)
      : description_(description), node_counts_(std::move(node_counts)) {
    parts_.name = description.name;
    for (const size_t count : node_counts_) parts_.node_count += count;
  }

  Status build() {
    if (description_.fabric) add_fabric(*description_.fabric);
    for (size_t block = 0; block < node_counts_.size(); ++block) {
      if (node_counts_[block] == 0) continue;
      const NodeDescription& node = description_.nodes[block];
      const HardwareId hardware = hardware_id(node.hardware);
      for (size_t i = 0; i < node_counts_[block]; ++i) {
        if (Status status = add_node(node, hardware); !status) return status;
      }
    }
    return ok();
  }

  // Where the file's own number of nodes is built, an override that changes nothing is a mistake;
  // with fewer nodes its node may just not be there.
  Status apply(const OverrideDescription& change, bool all_nodes) {
    const bool changed = change.devices.empty() ? change_cables(change) : change_devices(change);
    if (changed || !all_nodes) return ok();
    return bad_input(change.devices.empty()
                         ? str_cat("no cable joins '", change.from, "' and '", change.to, "'")
                         : str_cat("no device is named '", change.devices, "'"),
                     change.where);
  }

  Topology take() { return std::move(parts_); }

 private:
  HardwareId hardware_id(const Hardware& hardware) {
    for (const HardwareId id : parts_.hardware.ids()) {
      if (parts_.hardware[id].name == hardware.name) return id;
    }
    return parts_.hardware.push_back(hardware);
  }

  void add_cable(VertexId a, VertexId b, BytesPerSecond bandwidth, Duration latency,
                 const std::string& type, bool copied_by_sender = false) {
    parts_.links.push_back({a, b, bandwidth, latency, type, copied_by_sender});
    parts_.links.push_back({b, a, bandwidth, latency, type, copied_by_sender});
  }

  // The tree of switches, top first. Leaves are kept for the nodes' NICs.
  void add_fabric(const FabricDescription& fabric) {
    const VertexId top = parts_.vertices.push_back({"fabric", VertexKind::kSwitch, NodeId()});
    std::vector<VertexId> above = {top};
    size_t above_nodes = 0;  // below one switch of the tier above; 0: all
    std::vector<double> capacity = downward_capacities(fabric);
    for (size_t t = fabric.tiers.size(); t-- > 0;) {
      const TierDescription& tier = fabric.tiers[t];
      const size_t rails = t == 0 ? fabric.rails : 1;
      const size_t groups = (parts_.node_count + tier.nodes - 1) / tier.nodes;
      std::vector<VertexId> switches;
      for (size_t group = 0; group < groups; ++group) {
        const size_t parent = above_nodes == 0 ? 0 : group * tier.nodes / above_nodes;
        for (size_t rail = 0; rail < rails; ++rail) {
          const std::string name =
              str_cat("tier", t, ".switch", group, rails > 1 ? str_cat(".rail", rail) : "");
          switches.push_back(parts_.vertices.push_back({name, VertexKind::kSwitch, NodeId()}));
          add_cable(switches.back(), above[parent],
                    BytesPerSecond(capacity[t] / tier.oversubscription), tier.latency, fabric.type);
        }
      }
      above = std::move(switches);
      above_nodes = tier.nodes;
    }
    leaves_ = std::move(above);
    leaf_nodes_ = above_nodes;
  }

  // What the cables from below bring to a switch of each tier when its group is full. NICs per node
  // are those of the first kind of node.
  std::vector<double> downward_capacities(const FabricDescription& fabric) const {
    std::vector<double> capacity;
    double below = fabric.bandwidth.rate() * static_cast<double>(description_.nodes[0].nics) /
                   static_cast<double>(fabric.rails);
    double below_nodes = 1;
    for (size_t t = 0; t < fabric.tiers.size(); ++t) {
      const double switches = static_cast<double>(fabric.tiers[t].nodes) / below_nodes *
                              (t == 1 ? static_cast<double>(fabric.rails) : 1);
      capacity.push_back(below * switches);
      below = capacity.back() / fabric.tiers[t].oversubscription;
      below_nodes = static_cast<double>(fabric.tiers[t].nodes);
    }
    return capacity;
  }

  Status add_node(const NodeDescription& node, HardwareId hardware) {
    const NodeId id = NodeId::from_index(next_node_++);
    const std::string prefix = str_cat("node", id.value(), ".");
    node_begin_ = parts_.vertices.size();
    prefix_size_ = prefix.size();
    const auto add = [&](std::string_view name, size_t count, VertexKind kind) {
      for (size_t i = 0; i < count; ++i) {
        const VertexId vertex = parts_.vertices.push_back({str_cat(prefix, name, i), kind, id});
        if (kind == VertexKind::kDevice) parts_.devices.push_back({vertex, id, hardware, 1.0});
      }
    };
    add("gpu", node.gpus, VertexKind::kDevice);
    add("cpu", node.cpus, VertexKind::kHost);
    for (const auto& [name, count] : node.switches) add(name, count, VertexKind::kSwitch);
    const VertexId first_nic = VertexId::from_index(parts_.vertices.size());
    add("nic", node.nics, VertexKind::kNic);
    for (const CableDescription& cable : node.cables) {
      if (Status status = add_cables(cable); !status) return status;
    }
    if (!description_.fabric) return ok();
    const FabricDescription& fabric = *description_.fabric;
    for (size_t nic = 0; nic < node.nics; ++nic) {
      const size_t group = leaf_nodes_ == 0 ? 0 : id.index() / leaf_nodes_;
      const size_t rails = fabric.tiers.empty() ? 1 : fabric.rails;
      add_cable(VertexId::from_index(first_nic.index() + nic), leaves_[group * rails + nic % rails],
                fabric.bandwidth, fabric.latency, fabric.type);
    }
    return ok();
  }

  Result<std::vector<VertexId>> find(const std::string& pattern, const CableDescription& cable) {
    std::vector<VertexId> found;
    for (size_t i = node_begin_; i < parts_.vertices.size(); ++i) {
      const VertexId id = VertexId::from_index(i);
      const std::string_view local =
          std::string_view(parts_.vertices[id].name).substr(prefix_size_);
      if (matches_pattern(pattern, local)) found.push_back(id);
    }
    if (found.empty()) {
      return bad_input(str_cat("no part of the node is named '", pattern, "'"), cable.where);
    }
    return found;
  }

  Status add_cables(const CableDescription& cable) {
    std::vector<std::pair<VertexId, VertexId>> ends;
    if (!cable.mesh.empty()) {
      const Result<std::vector<VertexId>> all = find(cable.mesh, cable);
      if (!all) return all.error();
      for (size_t i = 0; i < all->size(); ++i) {
        for (size_t j = i + 1; j < all->size(); ++j) ends.emplace_back((*all)[i], (*all)[j]);
      }
      if (ends.empty()) return bad_input("a mesh of one part has no cables", cable.where);
    } else if (!cable.from.empty()) {
      if (Status status = spread(cable, ends); !status) return status;
    }
    for (const auto& [a, b] : cable.pairs) {
      const Result<std::vector<VertexId>> first = find(a, cable);
      if (!first) return first.error();
      const Result<std::vector<VertexId>> second = find(b, cable);
      if (!second) return second.error();
      ends.emplace_back(first->front(), second->front());
    }
    for (const auto& [a, b] : ends) {
      add_cable(a, b, cable.bandwidth, cable.latency, cable.type, cable.copied_by_sender);
    }
    return ok();
  }

  Status spread(const CableDescription& cable, std::vector<std::pair<VertexId, VertexId>>& ends) {
    const Result<std::vector<VertexId>> from = find(cable.from, cable);
    if (!from) return from.error();
    const Result<std::vector<VertexId>> to = find(cable.to, cable);
    if (!to) return to.error();
    const size_t most = std::max(from->size(), to->size());
    if (most % from->size() != 0 || most % to->size() != 0) {
      return bad_input(str_cat("'", cable.from, "' are ", from->size(), " and '", cable.to,
                               "' are ", to->size(), "; one must be a multiple of the other"),
                       cable.where);
    }
    for (size_t i = 0; i < most; ++i) {
      ends.emplace_back((*from)[i * from->size() / most], (*to)[i * to->size() / most]);
    }
    return ok();
  }

  bool change_devices(const OverrideDescription& change) {
    bool changed = false;
    for (Device& device : parts_.devices) {
      if (!matches_pattern(change.devices, parts_.vertices[device.vertex].name)) continue;
      device.speed_factor *= change.speed_factor;
      changed = true;
    }
    return changed;
  }

  bool change_cables(const OverrideDescription& change) {
    bool changed = false;
    for (Link& link : parts_.links) {
      const std::string& a = parts_.vertices[link.from].name;
      const std::string& b = parts_.vertices[link.to].name;
      const bool forward = matches_pattern(change.from, a) && matches_pattern(change.to, b);
      const bool backward = matches_pattern(change.from, b) && matches_pattern(change.to, a);
      if (!forward && !backward) continue;
      link.bandwidth = BytesPerSecond(link.bandwidth.rate() * change.bandwidth_factor);
      link.latency += change.added_latency;
      changed = true;
    }
    return changed;
  }

  const ClusterDescription& description_;
  std::vector<size_t> node_counts_;  // per block of description_.nodes
  Topology parts_;
  std::vector<VertexId> leaves_;  // by group, then rail
  size_t leaf_nodes_ = 0;         // below one leaf; 0: all
  size_t next_node_ = 0;
  size_t node_begin_ = 0;   // first vertex of the node being added
  size_t prefix_size_ = 0;  // of "node12."
};

}  // namespace

Result<Topology> build_topology(const ClusterDescription& description,
                                std::optional<size_t> devices) {
  const size_t most = description.device_count_max();
  if (devices && (*devices == 0 || *devices > most)) {
    return bad_input(str_cat("cluster '", description.name, "' has no ", *devices,
                             " devices; allowed: 1 to ", most));
  }
  std::vector<size_t> node_counts;
  size_t left = devices.value_or(description.device_count());
  for (const NodeDescription& node : description.nodes) {
    const size_t needed = (left + node.gpus - 1) / node.gpus;
    node_counts.push_back(std::min(needed, devices ? node.count_max : node.count));
    left -= std::min(left, node_counts.back() * node.gpus);
  }
  TopologyBuilder builder(description, std::move(node_counts));
  if (Status status = builder.build(); !status) return status.error();
  const bool all_nodes = !devices || *devices >= description.device_count();
  for (const OverrideDescription& change : description.overrides) {
    if (Status status = builder.apply(change, all_nodes); !status) return status.error();
  }
  return builder.take();
}

}  // namespace soapbox::runner
