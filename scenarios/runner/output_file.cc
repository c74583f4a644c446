#include "scenarios/runner/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

Error environment(std::string_view what, std::string_view path, int code) {
  return Error{ErrorCode::kEnvironment,
               str_cat("cannot ", what, " '", path, "': ", std::generic_category().message(code)),
               {}};
}

// An open file that removes itself unless it was committed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& path) : path_(path + ".XXXXXX") {
    descriptor_ = mkostemp(path_.data(), O_CLOEXEC);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  int descriptor() const { return descriptor_; }
  int close() { return ::close(std::exchange(descriptor_, -1)); }
  int rename_to(const std::string& path) {
    const int status = ::rename(path_.c_str(), path.c_str());
    if (status == 0) path_.clear();
    return status;
  }

 private:
  std::string path_;
  int descriptor_ = -1;
};

Status write_in_place(const std::string& path, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return environment("open", path, errno);
  Status written = write_descriptor(descriptor, bytes, path);
  if (::close(descriptor) != 0 && written) return environment("write", path, errno);
  return written;
}

// The mode an ordinary new file would get; the temporary one is private.
mode_t usual_mode() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

Status write_descriptor(int descriptor, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return environment("write", name, errno);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return ok();
}

Status write_file(const std::string& path, std::string_view bytes) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::is_directory(status)) return environment("write", path, EISDIR);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    return write_in_place(path, bytes);
  }
  std::string target = path;  // a symbolic link stays one: its target is replaced
  if (std::filesystem::exists(status)) {
    const std::filesystem::path real = std::filesystem::canonical(path, ignored);
    if (!real.empty()) target = real.string();
  }
  TemporaryFile temporary(target);
  if (temporary.descriptor() < 0) return environment("create", path, errno);
  const Status written = write_descriptor(temporary.descriptor(), bytes, path);
  if (!written) return written.error();
  if (::fchmod(temporary.descriptor(), usual_mode()) != 0 || ::fsync(temporary.descriptor()) != 0 ||
      temporary.close() != 0 || temporary.rename_to(target) != 0) {
    return environment("write", path, errno);
  }
  return ok();
}

}  // namespace soapbox::runner
