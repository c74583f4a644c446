// A Transformer stack as an operator graph, for strategies that decide operator by operator (SOAP).
//
// A block is norm, projection to queries, keys and values, attention, projection, residual sum;
// norm, one or two matrices up, one down, residual sum; cross attention in between where there is
// one. Queries, keys and values of one group of heads stand together, so that a split by groups
// splits the attention, too; activations are folded into the matrices before them.
//
// Parameters are the stack's. So are the FLOPs of all matrix products; norms, sums and the softmax
// of the loss, which the stack does not count, come on top.
#pragma once

#include "sim/base/result.h"
#include "sim/model/graph.h"
#include "sim/model/transformer.h"

namespace soapbox {

// `batch`: samples per iteration, over all devices. Error: mixtures of experts, whose tokens choose
// their way at run time, and latent attention.
Result<Model> operator_graph(const Transformer& stack, int64_t batch);

}  // namespace soapbox
