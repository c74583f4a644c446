#include "scenarios/runner/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "results/test_files.h"

namespace soapbox::runner {
namespace {

class OutputFile : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.file(name); }
  size_t file_count() const {
    const std::filesystem::directory_iterator files(folder_.path());
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  results::ScratchDirectory folder_;
};

TEST_F(OutputFile, WrittenBytesAreReadBackAndReplaceTheOldOnes) {
  const std::string bytes("a\0b\nc", 5);
  ASSERT_TRUE(write_file(path("x"), "something longer than the next"));
  ASSERT_TRUE(write_file(path("x"), bytes));
  EXPECT_EQ(results::read_bytes(path("x")), bytes);
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(OutputFile, AFullDiskIsAnErrorAndLeavesTheOldFile) {
  ASSERT_TRUE(write_file(path("x"), "old"));
  rlimit usual = {};
  getrlimit(RLIMIT_FSIZE, &usual);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1024, usual.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const Status status = write_file(path("x"), std::string(4096, 'n'));
  setrlimit(RLIMIT_FSIZE, &usual);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(status.error().message, testing::HasSubstr(path("x")));
  EXPECT_EQ(results::read_bytes(path("x")), "old");
  EXPECT_EQ(file_count(), 1u) << "the temporary file is left behind";
}

TEST_F(OutputFile, ADeviceIsWrittenInPlaceAndItsErrorsAreSeen) {
  const Status status = write_file("/dev/full", "x");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("No space left"));
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
  EXPECT_TRUE(write_file("/dev/null", "x"));
}

TEST_F(OutputFile, ASymbolicLinkStaysOne) {
  ASSERT_TRUE(write_file(path("target"), "old"));
  std::filesystem::create_symlink(path("target"), path("link"));
  ASSERT_TRUE(write_file(path("link"), "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(results::read_bytes(path("target")), "new");
}

TEST_F(OutputFile, ANewFileHasTheUsualMode) {
  const mode_t mask = umask(022);
  ASSERT_TRUE(write_file(path("x"), "x"));
  umask(mask);
  struct stat info = {};
  ASSERT_EQ(stat(path("x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST_F(OutputFile, AMissingFolderIsNamed) {
  const Status status = write_file(path("no/such/x"), "x");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace soapbox::runner
