// From the collectives that a session measured to their profile (scenarios/profiles/collectives).
// Sizes that are powers of two are fitted, those between them held out.
#pragma once

#include <string>
#include <vector>

#include "calib/fits/collective_samples.h"
#include "calib/sampling/device_profile.h"
#include "sim/collective/collective_profile.h"

namespace soapbox::calib {

// One system, named by the GPU. `fabric`: of the node that was measured.
CollectiveSamples collective_samples(const SampleFile& file, const Fabric& fabric);

// "profiles/collectives/ID.toml", and its rows in the format of the shipped samples; none where
// nothing was measured. `network`: whose figures between nodes are taken over.
std::vector<NamedText> collective_texts(const SampleFile& file, const Fabric& fabric,
                                        const CollectiveProfile& network);

}  // namespace soapbox::calib
