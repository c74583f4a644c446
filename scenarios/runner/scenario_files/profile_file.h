// Reads what is known about devices: scenarios/profiles/HARDWARE.toml, the fit and the measured
// table that it names. The README of that folder describes the files.
#pragma once

#include <map>
#include <string>

#include "sim/base/result.h"
#include "sim/cost/profile.h"

namespace soapbox::runner {

// One profile. Everything unknown, missing, without a unit or not positive is an error with its
// place; so are a fit without tiles and a second anchor of one model.
Result<Profile> read_profile(const std::string& path);

// Every FILE.toml of a directory, by hardware. Two profiles of one hardware are an error.
Result<std::map<std::string, Profile>> read_profiles(const std::string& directory);

}  // namespace soapbox::runner
