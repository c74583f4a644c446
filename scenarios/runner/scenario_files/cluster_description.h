// A cluster as its file describes it, and the topology that this amounts to.
//
// A node of n GPUs has the vertices gpu0..gpu(n-1), cpu0.., nic0.. and its switches by their names,
// prefixed with "nodeK."; cables are duplex, their bandwidth is per direction. NICs are joined by a
// tree of switches: in each tier, groups of nodes share a switch (one for each rail), and one
// switch above all of them joins everything. A switch of the tree stands for a whole stage of a fat
// tree, whose parallel paths are taken as evenly loaded: its cable upward carries what its cables
// downward can, divided by the oversubscription.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/result.h"
#include "sim/cluster/topology.h"

namespace soapbox::runner {

struct CableDescription {
  std::string type;
  BytesPerSecond bandwidth;  // per direction, of all lanes
  Duration latency;
  bool copied_by_sender = false;
  // One of three ways to say what is joined; names or patterns within the node.
  std::string mesh;  // each two of these
  std::string from;  // these, spread evenly over
  std::string to;    //   those (as many of the ones as the others, or a multiple)
  std::vector<std::pair<std::string, std::string>> pairs;  // exactly these
  SourcePosition where;
};

struct NodeDescription {
  size_t count = 1;
  size_t count_max = 1;
  Hardware hardware;
  size_t gpus = 1;
  size_t cpus = 1;
  size_t nics = 0;
  std::vector<std::pair<std::string, size_t>> switches;  // name and how many
  std::vector<CableDescription> cables;
};

struct TierDescription {
  size_t nodes = 1;  // below one switch
  double oversubscription = 1;
  Duration latency;  // of the cable upward
};

struct FabricDescription {
  std::string type;
  BytesPerSecond bandwidth;            // of a NIC, per direction
  Duration latency;                    // of its cable
  size_t rails = 1;                    // NIC i is on rail i modulo rails
  std::vector<TierDescription> tiers;  // from the bottom; above them is one switch
};

// Changes to what the rest describes. Patterns over the full names ("node0.gpu*").
struct OverrideDescription {
  std::string devices;  // empty: cables
  double speed_factor = 1;
  std::string from;
  std::string to;
  double bandwidth_factor = 1;
  Duration added_latency;
  SourcePosition where;
};

struct ClusterDescription {
  std::string name;
  std::string summary;
  std::string source;
  std::vector<NodeDescription> nodes;  // in order; only the last may have count_max > count
  std::optional<FabricDescription> fabric;
  std::vector<OverrideDescription> overrides;

  size_t device_count() const;
  size_t device_count_max() const;
};

// As many nodes as hold `devices`, or all that the file counts. Fails where `devices` is out of
// range, a pattern names nothing, or cables cannot be spread evenly.
Result<Topology> build_topology(const ClusterDescription& description,
                                std::optional<size_t> devices);

}  // namespace soapbox::runner
