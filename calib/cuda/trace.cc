#include "calib/cuda/trace.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "calib/cuda/check.h"
#include "calib/cuda/kernels.h"

namespace soapbox::calib::cuda {
namespace {

constexpr size_t kBufferBytes = 4 << 20;
constexpr size_t kAlignment = 8;

constexpr CUpti_ActivityKind kKinds[] = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                                         CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMCPY2,
                                         CUPTI_ACTIVITY_KIND_MEMSET};

std::atomic<Trace*> current = nullptr;

Activity::Kind kernel_kind(const char* name) {
  if (name == nullptr) return Activity::Kind::kKernel;
  if (std::strcmp(name, kMarkName) == 0) return Activity::Kind::kMark;
  if (std::strcmp(name, kFlushName) == 0) return Activity::Kind::kFlush;
  return Activity::Kind::kKernel;
}

template <class Record>
Activity activity(Activity::Kind kind, const CUpti_Activity* record) {
  const auto* own = reinterpret_cast<const Record*>(record);
  return {kind, static_cast<int64_t>(own->start), static_cast<int64_t>(own->end)};
}

}  // namespace

size_t read_records(uint8_t* buffer, size_t bytes, std::vector<Activity>& out) {
  size_t without_times = 0;
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, bytes, &record) == CUPTI_SUCCESS) {
    Activity read;
    switch (record->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        read = activity<KernelRecord>(
            kernel_kind(reinterpret_cast<const KernelRecord*>(record)->name), record);
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY:
        read = activity<CopyRecord>(Activity::Kind::kCopy, record);
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY2:
        read = activity<PeerCopyRecord>(Activity::Kind::kCopy, record);
        break;
      case CUPTI_ACTIVITY_KIND_MEMSET:
        read = activity<SetRecord>(Activity::Kind::kSet, record);
        break;
      default:
        continue;
    }
    if (read.start_ns == 0 || read.end_ns < read.start_ns) {
      ++without_times;
    } else {
      out.push_back(read);
    }
  }
  return without_times;
}

void Trace::request(uint8_t** buffer, size_t* bytes, size_t* most_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, kBufferBytes));
  *bytes = *buffer == nullptr ? 0 : kBufferBytes;
  *most_records = 0;  // as many as fit
}

void Trace::complete(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid_bytes) {
  if (Trace* const trace = current.load()) {
    const std::lock_guard lock(trace->mutex_);
    trace->without_times_ += read_records(buffer, valid_bytes, trace->activities_);
  }
  std::free(buffer);
}

Trace::Trace() {
  Trace* none = nullptr;
  if (!current.compare_exchange_strong(none, this)) {
    throw Failure("CUPTI: this process is traced already");
  }
  try {
    check(cuptiActivityRegisterCallbacks(&Trace::request, &Trace::complete));
    resume();
  } catch (...) {
    current.store(nullptr);
    throw;
  }
}

Trace::~Trace() {
  for (const CUpti_ActivityKind kind : kKinds) cuptiActivityDisable(kind);
  cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  current.store(nullptr);
}

void Trace::pause() {
  for (const CUpti_ActivityKind kind : kKinds) check(cuptiActivityDisable(kind));
}

void Trace::resume() {
  for (const CUpti_ActivityKind kind : kKinds) check(cuptiActivityEnable(kind));
}

Paused::~Paused() {
  try {
    trace_.resume();
  } catch (const Failure&) {  // the next take() finds nothing, and says so
  }
}

std::vector<Activity> Trace::take() {
  check(cuptiActivityFlushAll(0));
  size_t dropped = 0;
  check(cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped));
  const std::lock_guard lock(mutex_);
  const size_t lost = dropped + without_times_;
  std::vector<Activity> taken;
  taken.swap(activities_);
  without_times_ = 0;
  if (lost > 0) throw Failure(str_cat("CUPTI: ", lost, " records were lost or have no times"));
  std::sort(taken.begin(), taken.end(),
            [](const Activity& a, const Activity& b) { return a.start_ns < b.start_ns; });
  return taken;
}

}  // namespace soapbox::calib::cuda
