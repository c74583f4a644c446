#include "scenarios/runner/interrupt.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace soapbox::runner {
namespace {

TEST(InterruptDeath, OneRequestMayComeTwiceAtOnce) {
  EXPECT_EXIT(
      {
        const Interrupt interrupt;
        if (interrupt.requested()) std::exit(1);
        raise(SIGINT);
        raise(SIGINT);
        std::exit(interrupt.requested() ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InterruptDeath, ALaterOneKills) {
  EXPECT_EXIT(
      {
        const Interrupt interrupt;
        raise(SIGTERM);
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        raise(SIGTERM);
        std::exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace soapbox::runner
