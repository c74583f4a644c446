// Where the scenarios are, and which file a name on the command line means.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/result.h"

namespace soapbox::runner {

// One folder of the scenarios: scenarios/clusters/NAME.toml.
struct ScenarioKind {
  std::string_view noun;  // "cluster", for messages
  std::string_view folder;
  std::string_view extension;
};
inline constexpr ScenarioKind kClusterFiles{"cluster", "clusters", ".toml"};
inline constexpr ScenarioKind kModelFiles{"model", "models", ".toml"};
inline constexpr ScenarioKind kProfileFiles{"profile", "profiles", ".toml"};
inline constexpr ScenarioKind kCollectiveProfileFiles{"collective profile", "profiles/collectives",
                                                      ".toml"};
inline constexpr ScenarioKind kKernelProfileFiles{"kernel profile", "profiles/kernel_profiles",
                                                  ".toml"};
inline constexpr ScenarioKind kRunTables{"table of runs", "validation", ".csv"};
inline constexpr ScenarioKind kExperimentFiles{"experiment", "experiments", ".toml"};

class ScenarioFolder {
 public:
  // REQUIRES: `root` holds the folders; find() is how the program gets one.
  explicit ScenarioFolder(std::string root) : root_(std::move(root)) {}

  struct Places {
    std::optional<std::string> environment;  // SOAPBOX_SCENARIOS
    std::string executable;                  // the program's file
  };
  // The environment, else beside the build folder the program lies in
  // (build/PRESET/soapbox), else as installed (PREFIX/bin, PREFIX/share/soapbox/scenarios). A place
  // that was named and has no scenarios is an error: the next one is not tried.
  static Result<ScenarioFolder> find(const Places& places);

  const std::string& root() const { return root_; }
  std::string hardware_catalogue() const;
  std::string run_factors() const;  // run_factors_file.h
  // In alphabetical order; empty where there is no such folder.
  std::vector<std::string> names(const ScenarioKind& kind) const;
  // A text with a slash or the extension is a path, anything else the name of a file of this kind.
  Result<std::string> path(const ScenarioKind& kind, const std::string& name_or_path) const;

 private:
  std::string root_;
};

// The running program's file, links resolved; empty where the system does not tell.
std::string executable_path();

}  // namespace soapbox::runner
