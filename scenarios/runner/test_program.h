// Runs the real program, as a user would, in a folder of its own.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "results/test_files.h"

namespace soapbox::runner {

struct Ran {
  int exit_code = -1;  // 128 + signal where one ended it
  std::string output;
  std::string messages;
};

class ProgramFolder {
 public:
  std::string path(const std::string& name) const { return folder_.file(name); }
  // Writes a file and returns its path.
  std::string file(const std::string& name, const std::string& text) const;
  // The program with these arguments, started in the folder.
  Ran run(const std::vector<std::string>& words) const;
  // The same where no file may grow beyond `bytes`: a disk that is full.
  Ran run_with_file_limit(const std::vector<std::string>& words, size_t bytes) const;
  // The same with its result going to `file` ("/dev/full").
  Ran run_into(const std::vector<std::string>& words, const std::string& file) const;
  // The same, interrupted by Ctrl-C soon after it is ready to hear it.
  Ran run_and_interrupt(const std::vector<std::string>& words) const;
  // The same, interrupted by Ctrl-C as soon as `marker` appears in its messages.
  Ran run_and_interrupt(const std::vector<std::string>& words, const std::string& marker) const;
  std::vector<std::string> names() const;  // of the files in the folder, sorted

 private:
  pid_t start(const std::vector<std::string>& words, const std::string& output,
              std::optional<size_t> file_limit) const;
  Ran finish(pid_t child) const;
  Ran interrupt_when(pid_t child, const std::function<bool()>& ready) const;
  results::ScratchDirectory folder_;
  results::ScratchDirectory streams_;
};

}  // namespace soapbox::runner
