// How the GPUs of a node are joined, by what its system and its driver say: the PCI tree, NUMA
// nodes and NICs from /sys, NVLinks from the driver's management library.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "calib/backend/nvml.h"
#include "sim/base/result.h"

namespace soapbox::calib {

// Where the facts come from: this machine's, or for tests those of another.
struct NodeSources {
  std::string root;  // what stands before "/sys" and "/proc"
  std::function<std::vector<NvlinkEnd>(const std::string& gpu)> nvlinks;
};

struct NodeTopology {
  // As NCCL writes what it finds, which `soapbox import nccl` reads.
  std::string nccl_xml;
  // Of the first GPU to each, in the words of `nvidia-smi topo -m`: X, NV#, PIX, PXB, PHB, NODE,
  // SYS. NV# where an NVSwitch joins them: the number of the GPU's links to it.
  std::vector<std::string> relations;
};

// `gpus`: their addresses on the PCI bus (pci_address()), in the order of their numbers. NVLinks to
// others are left out, and NICs that are down. kUnavailable where the system does not show a GPU.
Result<NodeTopology> read_node_topology(const std::vector<std::string>& gpus,
                                        const NodeSources& sources);

}  // namespace soapbox::calib
