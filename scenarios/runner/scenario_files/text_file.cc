#include "scenarios/runner/scenario_files/text_file.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "sim/base/str.h"

namespace soapbox::runner {

Result<std::string> read_text_file(const std::string& path) {
  constexpr size_t kMaxBytes = 1'000'000'000;
  const SourcePosition where{path, 0, 0};
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return bad_input("there is no such file", where);
  if (std::filesystem::is_directory(status)) return bad_input("is a folder, not a file", where);
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 1 << 16> block;
  while (file.read(block.data(), block.size()) || file.gcount() > 0) {
    text.append(block.data(), static_cast<size_t>(file.gcount()));
    if (text.size() > kMaxBytes) {
      return bad_input(str_cat("is longer than ", kMaxBytes, " bytes, the most allowed"), where);
    }
  }
  if (!file.eof()) return Error{ErrorCode::kEnvironment, "cannot be read", where};
  return text;
}

}  // namespace soapbox::runner
