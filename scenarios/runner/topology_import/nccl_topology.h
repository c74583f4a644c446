// The topology that NCCL writes to NCCL_TOPO_DUMP_FILE: a <system> of <cpu>s (NUMA nodes), below
// them the PCI tree with its bridges, <gpu>s with their <nvlink>s, and <nic>s with their <net>s.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/runner/topology_import/imported_node.h"

namespace soapbox::runner {

// GPUs are numbered by their attribute dev, NICs in the order of the file. A bridge with several
// things below it is a PCIe switch; one with a single thing is a part of its cable.
// Errors say line and column: XML that is not well-formed or not NCCL's, attributes that are
// missing or no numbers, NVLinks to nowhere, one-sided or more than the GPU has.
Result<ImportedNode> node_from_nccl_xml(std::string_view text, const std::string& file,
                                        const LinkFigures& figures);

}  // namespace soapbox::runner
