#include "scenarios/runner/workers.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace soapbox::runner {
namespace {

class Board {
 public:
  explicit Board(size_t count) : ended_(count, false) {}

  // The next index to work on; `count` when there is none.
  size_t take() {
    const std::lock_guard lock(mutex_);
    return stopped_ ? ended_.size() : std::min(next_++, ended_.size());
  }
  void end(size_t index) {
    {
      const std::lock_guard lock(mutex_);
      ended_[index] = true;
    }
    changed_.notify_one();
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void wait_for(size_t index, const std::function<void()>& meanwhile) {
    std::unique_lock lock(mutex_);
    while (!ended_[index]) {
      if (changed_.wait_for(lock, std::chrono::milliseconds(200)) == std::cv_status::no_timeout) {
        continue;
      }
      lock.unlock();
      meanwhile();
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> ended_;
  size_t next_ = 0;
  bool stopped_ = false;
};

}  // namespace

Status run_in_order(const OrderedWork& job) {
  Board board(job.count);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(job.threads, job.count); ++i) {
    threads.emplace_back([&board, &job] {
      for (size_t index = board.take(); index < job.count; index = board.take()) {
        job.work(index);
        board.end(index);
      }
    });
  }
  Status status = ok();
  for (size_t index = 0; index < job.count && status; ++index) {
    board.wait_for(index, job.wait);
    status = job.finish(index);
  }
  board.stop();
  for (std::thread& thread : threads) thread.join();
  return status;
}

}  // namespace soapbox::runner
