// What of the tracing needs no GPU: CUPTI's host side, records, and how they are divided.
#include "calib/cuda/trace.h"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "calib/cuda/check.h"
#include "calib/cuda/device.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {
namespace {

using testing::HasSubstr;

bool has_gpu() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

// The layouts that records are read by; CUPTI only lets them grow, with a new name each time.
TEST(Trace, RecordsHaveTheSizesThatThisBuildReads) {
  EXPECT_EQ(sizeof(KernelRecord), 216U);
  EXPECT_EQ(offsetof(KernelRecord, start), 16U);
  EXPECT_EQ(offsetof(KernelRecord, name), 104U);
  EXPECT_EQ(sizeof(CopyRecord), 96U);
  EXPECT_EQ(sizeof(PeerCopyRecord), 96U);
  EXPECT_EQ(sizeof(SetRecord), 88U);
  uint32_t version = 0;
  ASSERT_EQ(cuptiGetVersion(&version), CUPTI_SUCCESS);
  EXPECT_GE(version, static_cast<uint32_t>(CUPTI_API_VERSION));
}

TEST(Trace, TheHostSideWorksWithoutAGpu) {
  uint64_t before = 0;
  uint64_t after = 0;
  ASSERT_EQ(cuptiGetTimestamp(&before), CUPTI_SUCCESS);
  ASSERT_EQ(cuptiGetTimestamp(&after), CUPTI_SUCCESS);
  EXPECT_LE(before, after);
  const char* text = nullptr;
  ASSERT_EQ(cuptiGetResultString(CUPTI_ERROR_NOT_INITIALIZED, &text), CUPTI_SUCCESS);
  EXPECT_STREQ(text, "CUPTI_ERROR_NOT_INITIALIZED");
}

TEST(Trace, ErrorsSayWhoseTheyAreInItsWords) {
  try {
    check(CUPTI_ERROR_INSUFFICIENT_PRIVILEGES);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.what(), "CUPTI: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES (35)");
  }
  EXPECT_THROW(check(cudaErrorMemoryAllocation), Failure);
  EXPECT_THROW(check(CUBLAS_STATUS_NOT_SUPPORTED), Failure);
  EXPECT_THROW(check(CUDNN_STATUS_NOT_INITIALIZED), Failure);
  check(cudaSuccess);
}

TEST(Trace, WithoutAGpuThereIsNothingToTrace) {
  if (has_gpu()) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_THROW(Trace(), Failure);
  EXPECT_THROW(Trace(), Failure) << "a failed one must not count as living";
  try {
    const Gpu gpu;
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("CUDA: "));
  }
}

// A buffer as CUPTI fills it: records one after the other.
class RecordBuffer {
 public:
  void add_kernel(const char* name, uint64_t start, uint64_t end) {
    KernelRecord record{};
    record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
    record.name = name;
    record.start = start;
    record.end = end;
    append(&record, sizeof record);
  }
  template <class Record>
  void add(CUpti_ActivityKind kind, uint64_t start, uint64_t end) {
    Record record{};
    record.kind = kind;
    record.start = start;
    record.end = end;
    append(&record, sizeof record);
  }
  size_t read(std::vector<Activity>& out) { return read_records(bytes_, used_, out); }

 private:
  void append(const void* record, size_t size) {
    std::memcpy(bytes_ + used_, record, size);
    used_ += size;
  }
  alignas(8) uint8_t bytes_[4096] = {};
  size_t used_ = 0;
};

TEST(Trace, BuffersAreReadRecordByRecord) {
  RecordBuffer buffer;
  buffer.add_kernel(kFlushName, 10, 20);
  buffer.add_kernel(kMarkName, 30, 31);
  buffer.add_kernel("sgemm", 40, 90);
  buffer.add<CopyRecord>(CUPTI_ACTIVITY_KIND_MEMCPY, 95, 99);
  buffer.add<PeerCopyRecord>(CUPTI_ACTIVITY_KIND_MEMCPY2, 100, 107);
  buffer.add_kernel("lost", 0, 0);  // CUPTI had no room for its times
  std::vector<Activity> read;
  EXPECT_EQ(buffer.read(read), 1U);
  ASSERT_EQ(read.size(), 5U);
  EXPECT_EQ(read[0].kind, Activity::Kind::kFlush);
  EXPECT_EQ(read[1].kind, Activity::Kind::kMark);
  EXPECT_EQ(read[2].kind, Activity::Kind::kKernel);
  EXPECT_EQ(read[2].end_ns - read[2].start_ns, 50);
  EXPECT_EQ(read[3].kind, Activity::Kind::kCopy);
  EXPECT_EQ(read[4].kind, Activity::Kind::kCopy);
  EXPECT_EQ(read[4].end_ns - read[4].start_ns, 7);
}

std::vector<Activity> two_runs() {
  using enum Activity::Kind;
  return {{kKernel, 0, 5},   {kFlush, 6, 9},  {kMark, 10, 11},   {kKernel, 12, 20},
          {kCopy, 15, 30},   {kMark, 31, 32}, {kKernel, 33, 40}, {kFlush, 41, 50},
          {kKernel, 51, 52}, {kMark, 60, 61}, {kSet, 62, 63}};
}

TEST(Trace, ARunIsWhatFollowsAMark) {
  const auto runs = split_at_marks(two_runs(), Launches::Counts::kAll);
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].start_ns, 12);
  EXPECT_EQ(runs[0].end_ns, 30);  // of the copy, which ends last
  EXPECT_EQ(runs[0].count, 2U);
  EXPECT_EQ(runs[1].end_ns, 40);  // what follows the flush is nobody's
  EXPECT_EQ(runs[1].count, 1U);
  EXPECT_EQ(runs[2].count, 1U);
  const auto copies = split_at_marks(two_runs(), Launches::Counts::kCopies);
  EXPECT_EQ(copies[0].start_ns, 15);
  EXPECT_EQ(copies[1].count, 0U);
  EXPECT_EQ(split_at_marks(two_runs(), Launches::Counts::kKernels)[0].end_ns, 20);
}

// 100 to 400 ns traced, 600 ns untraced: twice as long, from the first start.
TEST(Trace, ARunIsStretchedToItsUntracedLength) {
  const DeviceRun run = stretched({{100, 200, 1}, {0, 0, 0}, {300, 400, 2}}, 600);
  EXPECT_EQ(run.start_ns, (std::vector<int64_t>{0, 200, 400}));
  EXPECT_EQ(run.end_ns, (std::vector<int64_t>{200, 200, 600}));
  EXPECT_EQ(run.makespan_ns, 600);
  EXPECT_EQ(stretched({{0, 0, 0}}, 5).end_ns, std::vector<int64_t>{0});
}

TEST(Trace, TasksAreDividedByHowManyActivitiesEachHas) {
  const auto tasks = split_by_counts(two_runs(), {1, 0, 2, 1, 2});
  ASSERT_EQ(tasks.size(), 5U);
  EXPECT_EQ(tasks[1].count, 0U);
  EXPECT_EQ(tasks[2].start_ns, 12);
  EXPECT_EQ(tasks[2].end_ns, 30);
  EXPECT_EQ(tasks[4].end_ns, 63);
  EXPECT_THROW(split_by_counts(two_runs(), {1, 2, 1}), Failure);
  EXPECT_THROW(split_by_counts(two_runs(), {1, 2, 1, 3}), Failure);
}

}  // namespace
}  // namespace soapbox::calib::cuda
