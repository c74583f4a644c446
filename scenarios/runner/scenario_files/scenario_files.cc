#include "scenarios/runner/scenario_files/scenario_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "sim/base/str.h"

namespace soapbox::runner {

namespace {

namespace fs = std::filesystem;

bool holds_scenarios(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "hardware" / "hardware.csv", ignored) &&
         fs::is_directory(folder / "clusters", ignored);
}

}  // namespace

Result<ScenarioFolder> ScenarioFolder::find(const Places& places) {
  if (places.environment) {
    if (holds_scenarios(*places.environment)) return ScenarioFolder(*places.environment);
    return bad_input(str_cat("SOAPBOX_SCENARIOS names '", shown(*places.environment),
                             "', which has no clusters/ and hardware/hardware.csv"));
  }
  const fs::path beside = fs::path(places.executable).parent_path();
  for (const fs::path& folder :
       {beside / ".." / ".." / "scenarios", beside / ".." / "share" / "soapbox" / "scenarios"}) {
    if (holds_scenarios(folder)) return ScenarioFolder(folder.lexically_normal().string());
  }
  return Error{ErrorCode::kEnvironment,
               str_cat("cannot find the scenarios near '", places.executable,
                       "'; say where they are with SOAPBOX_SCENARIOS=DIR"),
               {}};
}

std::string ScenarioFolder::run_factors() const {
  return root_ + "/profiles/run_factors.csv";
}

std::string ScenarioFolder::hardware_catalogue() const {
  return (fs::path(root_) / "hardware" / "hardware.csv").string();
}

std::vector<std::string> ScenarioFolder::names(const ScenarioKind& kind) const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(root_) / kind.folder, ignored)) {
    const fs::path file = entry.path();
    if (file.extension() == kind.extension) names.push_back(file.stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> ScenarioFolder::path(const ScenarioKind& kind,
                                         const std::string& name_or_path) const {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(kind.extension)) {
    return name_or_path;
  }
  const std::vector<std::string> known = names(kind);
  if (std::find(known.begin(), known.end(), name_or_path) == known.end()) {
    return bad_input(unknown_name(kind.noun, name_or_path, known));
  }
  return (fs::path(root_) / kind.folder / (name_or_path + std::string(kind.extension))).string();
}

std::string executable_path() {
  std::error_code failed;
  const fs::path path = fs::read_symlink("/proc/self/exe", failed);
  return failed ? "" : path.string();
}

}  // namespace soapbox::runner
