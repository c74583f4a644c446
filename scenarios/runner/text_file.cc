#include "scenarios/runner/text_file.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "sim/base/str.h"

namespace soapbox::runner {

Result<std::string> read_text_file(const std::string& path) {
  constexpr std::uintmax_t kMaxBytes = 1'000'000'000;
  const SourcePosition where{path, 0, 0};
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) return bad_input("there is no such file", where);
  if (std::filesystem::is_directory(status)) return bad_input("is a folder, not a file", where);
  if (!std::filesystem::is_regular_file(status)) return bad_input("is not a regular file", where);
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > kMaxBytes) {
    return bad_input(str_cat("is of ", size, " bytes; allowed: up to ", kMaxBytes), where);
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && size > 0) text << file.rdbuf();
  if (!file || !text) return Error{ErrorCode::kEnvironment, "cannot be read", where};
  return std::move(text).str();
}

}  // namespace soapbox::runner
