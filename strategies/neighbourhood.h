// What a proposal looks at: the space, and which operators belong together.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"
#include "strategies/soap_space.h"

namespace soapbox::strategies {

class Neighbourhood {
 public:
  // The graph is borrowed.
  Neighbourhood(const OpGraph& graph, size_t device_count);

  const OpGraph& graph() const { return graph_; }
  const SoapSpace& space() const { return space_; }
  size_t device_count() const { return space_.device_count(); }
  std::span<const OpId> operators() const { return space_.operators(); }

  // The operators of the same layer, kind and shape, itself included, ascending: the unrolled steps
  // of a recurrent layer.
  std::span<const OpId> siblings(OpId op) const { return layers_[layer_of_[op]]; }
  // The operators of the same kind and shape in any layer, itself included, ascending: repeated
  // blocks.
  std::span<const OpId> alike(OpId op) const { return alike_[alike_of_[op]]; }
  // Producers and consumers without inputs, ascending; an operator joined by two edges is named
  // twice.
  std::span<const OpId> neighbours(OpId op) const { return neighbours_[op]; }
  // The groups of siblings: every operator is in exactly one.
  std::span<const std::vector<OpId>> layers() const { return layers_; }

 private:
  const OpGraph& graph_;
  SoapSpace space_;
  IdVector<OpId, size_t> layer_of_;
  IdVector<OpId, size_t> alike_of_;
  std::vector<std::vector<OpId>> layers_;
  std::vector<std::vector<OpId>> alike_;
  IdVector<OpId, std::vector<OpId>> neighbours_;
};

}  // namespace soapbox::strategies
