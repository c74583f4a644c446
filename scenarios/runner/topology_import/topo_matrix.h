// The text of `nvidia-smi topo -m`: which GPUs and NICs share NVLinks, PCIe switches and sockets.
//
//   X     itself
//   NV#   joined by # NVLinks, or by an NVSwitch where a GPU would need more than it has
//   PIX   below one PCIe switch
//   PXB   below several PCIe switches, without a host bridge
//   PHB   below one host bridge
//   NODE  in one NUMA node
//   SYS   in different ones
//
// Where GPUs are joined by NVLink the matrix hides their PCIe relation: it follows from the NICs
// that they share, and their socket from the affinity columns.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/runner/topology_import/imported_node.h"

namespace soapbox::runner {

// Errors say line and column: rows that are missing, doubled or too short, unknown relations, a
// matrix that is not symmetric or contradicts itself, more NVLinks than the GPU has.
Result<ImportedNode> node_from_topo_matrix(std::string_view text, const std::string& file,
                                           const LinkFigures& figures);

}  // namespace soapbox::runner
