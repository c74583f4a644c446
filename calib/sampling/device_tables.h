// What samples give beside a roofline: a GPU's tables of kernels in the format of
// scenarios/profiles/kernel_samples, from which kernel profiles are fitted; how links behave, and
// overlap.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calib/sampling/device_profile.h"

namespace soapbox::calib {

// "profiles/kernel_samples/ID_tensor_linear.csv" and so on. Every fifth row is a test row.
std::vector<NamedText> kernel_texts(const std::string& id,
                                    const std::vector<const Sample*>& samples);

// Alpha and beta of each kind of copy that was measured, those to other GPUs by how they are
// joined; of a GPU also the floor of a kernel, and by how much a product and a copy slow each
// other.
std::string link_toml(const SampleFile& file, const std::vector<const Sample*>& samples);

// Of the largest copies, by the fit of all; nothing where fewer than two sizes were measured.
std::optional<BytesPerSecond> copy_bandwidth(const SampleFile& file, StreamWork::Kind kind,
                                             int64_t peer = 0);

}  // namespace soapbox::calib
