// Work in a process of its own, for libraries that cannot be asked to stop: it can always be
// killed.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace soapbox::miqp {

struct ChildResult {
  std::optional<std::string> output;  // nothing: it was stopped, or died
  double cpu_s = 0;
};

// Runs `work` in a copy of this process and gives what it returned. Killed within a twentieth of a
// second after `stop` says so, when its CPU time exceeds `cpu_limit_s`, and with this process.
// `work` is on its own: it sees this thread alone, and nothing that it changes comes back.
ChildResult run_in_child(const std::function<std::string()>& work,
                         const std::function<bool()>& stop, double cpu_limit_s);

}  // namespace soapbox::miqp
