// A folder of Galvatron's profiles as one profile of a model on a cluster.
//
//   computation_profiling_*, memory_profiling_* one of each: of the model
//   allreduce_bandwidth_NN, p2p_bandwidth_NN   of the cluster, NN = 2nodes_8gpus_per_node.json
//   sp_time_NN, overlap_coefficient.json       if there
#pragma once

#include <string>

#include "sim/base/result.h"
#include "sim/model/transformer.h"
#include "strategies/galvatron/galvatron2.h"

namespace soapbox::runner {

struct GalvatronCluster {
  int64_t nodes = 1;
  int64_t devices_per_node = 1;
};

// Layer type I of the profile is the I-th run of equal blocks of the model. Refused: models with
// other layers between the blocks, another number of types, sequence lengths that are not profiled.
Result<strategies::galvatron::Galvatron2Profile> read_galvatron_folder(
    const std::string& folder, const Transformer& model, const GalvatronCluster& cluster);

}  // namespace soapbox::runner
