// What of the collectives needs no GPU: which calls a library gets, and what is said where there is
// none.
#include "calib/cuda/collectives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "calib/cuda/check.h"
#include "sim/collective/collective.h"

namespace soapbox::calib::cuda {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A library that writes down what it is told. Its functions are C's, so the notes are static.
struct Notes {
  static inline std::vector<std::string> calls;
  static inline int code = 0;  // that the next collective returns

  static int note(const std::string& what, Nccl::Communicator communicator) {
    calls.push_back(str_cat(static_cast<const char*>(communicator), ": ", what));
    return code;
  }
  static Nccl library() {
    Nccl nccl;
    nccl.error_text = [](int) { return "no such peer"; };
    nccl.group_start = [] {
      calls.emplace_back("start");
      return 0;
    };
    nccl.group_end = [] {
      calls.emplace_back("end");
      return 0;
    };
    nccl.all_reduce = [](const void*, void*, size_t count, int type, int reduction,
                         Nccl::Communicator rank, cudaStream_t) {
      return note(str_cat("all_reduce ", count, " ", type, " ", reduction), rank);
    };
    nccl.reduce_scatter = [](const void*, void*, size_t count, int, int, Nccl::Communicator rank,
                             cudaStream_t) {
      return note(str_cat("reduce_scatter ", count), rank);
    };
    nccl.all_gather = [](const void*, void*, size_t count, int, Nccl::Communicator rank,
                         cudaStream_t) { return note(str_cat("all_gather ", count), rank); };
    nccl.broadcast = [](const void*, void*, size_t count, int, int root, Nccl::Communicator rank,
                        cudaStream_t) {
      return note(str_cat("broadcast ", count, " from ", root), rank);
    };
    nccl.send = [](const void* data, size_t count, int, int peer, Nccl::Communicator rank,
                   cudaStream_t) {
      return note(str_cat("send ", count, " of ", offset(data), " to ", peer), rank);
    };
    nccl.receive = [](void* data, size_t count, int, int peer, Nccl::Communicator rank,
                      cudaStream_t) {
      return note(str_cat("receive ", count, " at ", offset(data), " from ", peer), rank);
    };
    return nccl;
  }
  // Buffers of the fake ranks are this one.
  static inline float buffer[16] = {};
  static std::ptrdiff_t offset(const void* data) {
    return static_cast<const float*>(data) - buffer;
  }
};

class FakeLibrary : public testing::Test {
 protected:
  FakeLibrary() {
    Notes::calls.clear();
    Notes::code = 0;
    for (auto& name : names_) ranks_.push_back({name, nullptr, Notes::buffer, Notes::buffer});
  }
  const std::vector<std::string>& calls_of(CollectiveOp op) {
    Notes::calls.clear();
    launch_collective(nccl_, ranks_, op, Bytes(32));
    return Notes::calls;
  }
  const Nccl nccl_ = Notes::library();
  char names_[2][2] = {"a", "b"};  // what stands for communicators
  std::vector<Rank> ranks_;
};

// 32 bytes are 8 elements, 4 of each of two ranks.
TEST_F(FakeLibrary, GetsEveryRanksCallsAsOneGroup) {
  EXPECT_THAT(calls_of(CollectiveOp::kAllReduce),
              ElementsAre("start", "a: all_reduce 8 7 0", "b: all_reduce 8 7 0", "end"));
  EXPECT_THAT(calls_of(CollectiveOp::kReduceScatter),
              ElementsAre("start", "a: reduce_scatter 4", "b: reduce_scatter 4", "end"));
  EXPECT_THAT(calls_of(CollectiveOp::kAllGather),
              ElementsAre("start", "a: all_gather 4", "b: all_gather 4", "end"));
  EXPECT_THAT(calls_of(CollectiveOp::kBroadcast),
              ElementsAre("start", "a: broadcast 8 from 0", "b: broadcast 8 from 0", "end"));
  EXPECT_THAT(
      calls_of(CollectiveOp::kAllToAll),
      ElementsAre("start", "a: send 4 of 0 to 0", "a: receive 4 at 0 from 0", "a: send 4 of 4 to 1",
                  "a: receive 4 at 4 from 1", "b: send 4 of 0 to 0", "b: receive 4 at 0 from 0",
                  "b: send 4 of 4 to 1", "b: receive 4 at 4 from 1", "end"));
  EXPECT_THAT(calls_of(CollectiveOp::kSendRecv),
              ElementsAre("start", "a: send 8 of 0 to 1", "a: receive 8 at 0 from 1",
                          "b: send 8 of 0 to 0", "b: receive 8 at 0 from 0", "end"));
}

TEST_F(FakeLibrary, AFailureIsInItsWordsAndEndsTheGroup) {
  Notes::code = 4;
  try {
    launch_collective(nccl_, ranks_, CollectiveOp::kAllGather, Bytes(32));
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.what(), "NCCL: no such peer");
  }
  EXPECT_THAT(Notes::calls, ElementsAre("start", "a: all_gather 4", "end"));
}

std::string failure_of(const char* library) {
  try {
    Nccl::open(library);
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "";
}

TEST(Nccl, ALibraryThatIsNotThereOrLacksAFunctionIsNamed) {
  EXPECT_THAT(failure_of("libnowhere.so.2"), HasSubstr("NCCL: libnowhere.so.2: "));
  EXPECT_THAT(failure_of("libm.so.6"), HasSubstr("ncclGetVersion"));
}

// The real one, where the toolkit brought it: all functions are there, and the types are as they
// are declared here.
TEST(Nccl, TheLibraryOfThisMachineHasEveryFunction) {
  const std::string why = failure_of("libnccl.so.2");
  if (!why.empty()) GTEST_SKIP() << why;
  const Nccl nccl = Nccl::open();
  int version = 0;
  nccl.check(nccl.version(&version));
  EXPECT_GE(version, 20700);
  EXPECT_STREQ(nccl.error_text(0), "no error");
  EXPECT_THROW(nccl.check(4), Failure);
}

}  // namespace
}  // namespace soapbox::calib::cuda
