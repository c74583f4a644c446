// One leaf of Galvatron's decision tree: how the devices of a pipeline stage share a layer.
//
// Source: Miao et al., "Galvatron: Efficient Transformer Training over Multiple GPUs Using
// Automatic Parallelism", PVLDB 16(3), 2022. All degrees are powers of two and pp x tp x dp is the
// number of devices; with both tp and dp above 1 the ranks of one of the two are neighbours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::strategies::galvatron {

struct LayerChoice {
  int32_t pp = 1;
  int32_t tp = 1;
  int32_t dp = 1;
  // The ranks of a tensor group are neighbours, those of a data group strided; else the other way
  // round. Only where tp > 1 and dp > 1.
  bool tp_consecutive = false;
  bool fsdp = false;        // only where dp > 1
  bool checkpoint = false;  // activations are computed again
  bool ulysses = false;     // the tp ranks split the sequence instead of the matrices

  bool mixed() const { return tp > 1 && dp > 1; }
  friend bool operator==(const LayerChoice&, const LayerChoice&) = default;
};

// Galvatron's own notation, "pp-tp-dp": '*' after tp or dp where the ranks of that group are
// neighbours, 'f' after dp for fully sharded, "-c" for checkpointing; e.g. "1-2*-4f-c".
std::string to_string(const LayerChoice& choice);
// The inverse. The error names the offending text.
Result<LayerChoice> parse_layer_choice(std::string_view text);

// All leaves for `devices` (a power of two) in Galvatron's order: 22 for 8, 37 for 16, twice as
// many with checkpointing.
std::vector<LayerChoice> decision_tree(int32_t devices, bool with_checkpoint = false);

}  // namespace soapbox::strategies::galvatron
