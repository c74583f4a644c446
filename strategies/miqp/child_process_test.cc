#include "strategies/miqp/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

namespace soapbox::miqp {
namespace {

bool never() {
  return false;
}
[[noreturn]] void spin() {
  for (;;) getpid();
}

// More than a pipe holds.
TEST(ChildProcess, GivesBackWhatTheWorkReturns) {
  const std::string text(1 << 20, 'x');
  const pid_t parent = getpid();
  const ChildResult result =
      run_in_child([&] { return getpid() == parent ? std::string() : text; }, never, 60);
  EXPECT_EQ(result.output, text);
  EXPECT_GT(result.cpu_s, 0);
}

TEST(ChildProcess, EndsWhenItIsStoppedOrDiesOrTakesTooLong) {
  const auto endless = []() -> std::string { spin(); };
  int asked = 0;
  EXPECT_FALSE(run_in_child(
                   endless, [&] { return ++asked > 2; }, 60)
                   .output);
  EXPECT_FALSE(run_in_child([]() -> std::string { std::abort(); }, never, 60).output);
  const ChildResult late = run_in_child(endless, never, 0.2);
  EXPECT_FALSE(late.output);
  EXPECT_LT(late.cpu_s, 10);  // limits are whole seconds
}

// Ctrl-C reaches all processes of a terminal; it is the parent that decides.
TEST(ChildProcess, LeavesCtrlCToItsParent) {
  const ChildResult result = run_in_child(
      [] {
        raise(SIGINT);
        return std::string("alive");
      },
      never, 60);
  EXPECT_EQ(result.output, "alive");
}

}  // namespace
}  // namespace soapbox::miqp
