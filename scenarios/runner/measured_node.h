// What a calibration found of a GPU's node, as files of a scenario folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calib/backend/kernel_module.h"
#include "calib/sampling/device_profile.h"
#include "calib/sampling/sample_file.h"
#include "scenarios/runner/scenario_files/hardware_file.h"
#include "scenarios/runner/scenario_files/scenario_files.h"
#include "sim/base/result.h"

namespace soapbox::runner {

// Under which id the catalogue has a GPU: its first word is one of the driver's name for it,
// multiprocessors, memory within an eighth and PCIe or not agree. Nothing where none does, or two.
std::optional<std::string> catalogue_id(const HardwareCatalogue& catalogue,
                                        const calib::DeviceDescription& gpu);

// "clusters/gpu_node.toml": all its GPUs, joined as the samples' header says, with the bandwidths
// that copies reached on the links they crossed, and the catalogue's on others; and what
// calib::collective_texts() gives of its collectives. Fails where the GPU is not in the catalogue,
// or the topology is none. REQUIRES: the header has one.
Result<std::vector<calib::NamedText>> measured_node_texts(const ScenarioFolder& scenarios,
                                                          const calib::SampleFile& file);

}  // namespace soapbox::runner
