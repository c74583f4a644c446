#include "calib/runs/ring_run.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "calib/backend/precise_wait.h"
#include "calib/runs/paced_link.h"

namespace soapbox::calib {
namespace {

Error interrupted_error() {
  return Error{ErrorCode::kInterrupted, "interrupted", {}};
}

// What a thread does before it plays a rank.
void become_player() {
  use_precise_timers();
  ask_for_realtime();
}

double seconds_since(int64_t start_ns) {
  return static_cast<double>(steady_now_ns() - start_ns) * 1e-9;
}

// The first error of several threads; the others stop.
class SharedFailure {
 public:
  const std::atomic<bool>& stop() const { return stop_; }
  void report(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = error;
    stop_.store(true);
  }
  std::optional<Error> error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
  std::atomic<bool> stop_ = false;
};

Exchange sending(const Socket& to, std::span<const std::byte> bytes, BytesPerSecond rate) {
  Exchange job;
  job.send_to = to.get();
  job.send = bytes;
  job.rate = rate;
  return job;
}

Exchange receiving(const Socket& from, std::span<std::byte> bytes) {
  Exchange job;
  job.receive_from = from.get();
  job.receive = bytes;
  job.rate = BytesPerSecond(1);  // of nothing
  return job;
}

// Each side on its own thread, as ranks are.
class Players {
 public:
  Players(Connection there, Connection back, BytesPerSecond rate)
      : there_(std::move(there)), back_(std::move(back)), rate_(rate) {}

  // The shortest of `repeats` round trips, halved.
  double one_way_s(Bytes bytes, int repeats, SharedFailure& failure) {
    std::vector<std::byte> ours(static_cast<size_t>(bytes.count()));
    std::vector<std::byte> theirs(ours.size());
    double shortest = std::numeric_limits<double>::infinity();
    std::thread here([&] { shortest = shortest_round_trip(ours, repeats, failure); });
    std::thread other([&] { return_all(theirs, repeats, failure); });
    here.join();
    other.join();
    return shortest / 2;
  }

 private:
  double shortest_round_trip(std::span<std::byte> buffer, int repeats,
                             SharedFailure& failure) const {
    become_player();
    double shortest = std::numeric_limits<double>::infinity();
    for (int repeat = 0; repeat < repeats && !failure.stop(); ++repeat) {
      const int64_t start = steady_now_ns();
      Status done = exchange(sending(there_.sender, buffer, rate_), start, failure.stop());
      if (done) done = exchange(receiving(back_.receiver, buffer), start, failure.stop());
      if (!done) failure.report(done.error());
      shortest = std::min(shortest, seconds_since(start));
    }
    return shortest;
  }
  void return_all(std::span<std::byte> buffer, int repeats, SharedFailure& failure) const {
    become_player();
    for (int repeat = 0; repeat < repeats && !failure.stop(); ++repeat) {
      Status done = exchange(receiving(there_.receiver, buffer), 0, failure.stop());
      const int64_t start = steady_now_ns();
      if (done) done = exchange(sending(back_.sender, buffer, rate_), start, failure.stop());
      if (!done) failure.report(done.error());
    }
  }
  Connection there_;
  Connection back_;
  BytesPerSecond rate_;
};

// One rank of a ring: its buffer, its link to the next rank and its end of the link before it.
class Rank {
 public:
  Rank(uint32_t index, const RingRunSpec& spec, const Socket& next, const Socket& previous)
      : index_(index),
        spec_(spec),
        next_(next),
        previous_(previous),
        block_(static_cast<size_t>(spec.bytes.count()) / sizeof(float) / spec.ranks),
        values_(block_ * spec.ranks),
        incoming_(block_) {}

  void fill() {
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = value_of(index_, i);
  }
  // Reduce-scatter, then all-gather: rank r sends block r - step, then block r + 1 - step.
  Status reduce(const std::atomic<bool>& stop) {
    const uint32_t n = spec_.ranks;
    for (uint32_t step = 0; step + 1 < n; ++step) {
      Status done = pass(index_ + n - step, incoming_, stop);
      if (!done) return done;
      const std::span<float> mine = block(index_ + 2 * n - step - 1);
      for (size_t i = 0; i < block_; ++i) mine[i] += incoming_[i];
    }
    for (uint32_t step = 0; step + 1 < n; ++step) {
      Status done = pass(index_ + n + 1 - step, block(index_ + n - step), stop);
      if (!done) return done;
    }
    return ok();
  }
  void check_sums() const {
    for (size_t i = 0; i < values_.size(); ++i) {
      float sum = 0;  // whole numbers below 2^24: exact in any order
      for (uint32_t rank = 0; rank < spec_.ranks; ++rank) sum += value_of(rank, i);
      SOAPBOX_CHECK(values_[i] == sum, "an all-reduce gives every rank the sum");
    }
  }

 private:
  static float value_of(uint32_t rank, size_t i) {
    return static_cast<float>((i * 7 + rank * 13) % 1024);
  }
  std::span<float> block(uint32_t index) {
    return std::span(values_).subspan(index % spec_.ranks * block_, block_);
  }
  Status pass(uint32_t sent, std::span<float> into, const std::atomic<bool>& stop) {
    Exchange job = sending(next_, std::as_bytes(block(sent)), spec_.rate);
    job.receive_from = previous_.get();
    job.receive = std::as_writable_bytes(into);
    return exchange(job, steady_now_ns(), stop);
  }

  uint32_t index_;
  const RingRunSpec& spec_;
  const Socket& next_;
  const Socket& previous_;
  size_t block_;  // floats
  std::vector<float> values_;
  std::vector<float> incoming_;
};

}  // namespace

Result<std::vector<TimedTransfer>> ping_pong(BytesPerSecond rate, std::span<const Bytes> sizes,
                                             int repeats,
                                             const std::function<bool()>& interrupted) {
  Result<Connection> there = connect_loopback();
  if (!there) return there.error();
  Result<Connection> back = connect_loopback();
  if (!back) return back.error();
  Players players(*std::move(there), *std::move(back), rate);
  SharedFailure failure;
  std::vector<TimedTransfer> samples;
  for (const Bytes bytes : sizes) {
    if (interrupted()) return interrupted_error();
    samples.push_back({bytes.count(), players.one_way_s(bytes, repeats, failure)});
    if (const std::optional<Error> error = failure.error()) return *error;
  }
  return samples;
}

Result<RingRun> run_ring(const RingRunSpec& spec) {
  SOAPBOX_CHECK(spec.ranks >= 2 && spec.repeats >= 1, "a ring has ranks and runs");
  SOAPBOX_CHECK(spec.bytes.count() > 0 && spec.bytes.count() % (4 * spec.ranks) == 0,
                "blocks of whole floats");
  std::vector<Connection> links;  // from rank i to rank i + 1
  for (uint32_t rank = 0; rank < spec.ranks; ++rank) {
    Result<Connection> link = connect_loopback();
    if (!link) return link.error();
    links.push_back(*std::move(link));
  }
  SharedFailure failure;
  RingRun run;
  std::barrier together(static_cast<std::ptrdiff_t>(spec.ranks));
  std::vector<int64_t> ends_ns(spec.ranks);
  std::atomic<int64_t> start_ns = 0;
  const auto work = [&](uint32_t index) {
    become_player();
    Rank rank(index, spec, links[index].sender,
              links[(index + spec.ranks - 1) % spec.ranks].receiver);
    for (int repeat = 0; repeat < spec.repeats; ++repeat) {
      rank.fill();
      if (index == 0 && spec.interrupted()) failure.report(interrupted_error());
      together.arrive_and_wait();  // after a failure all pass through, at once
      if (index == 0) start_ns = steady_now_ns();
      const Status done = rank.reduce(failure.stop());
      ends_ns[index] = steady_now_ns();
      if (!done) failure.report(done.error());
      if (!failure.stop()) rank.check_sums();
      together.arrive_and_wait();
      if (index != 0) continue;
      const int64_t last = *std::max_element(ends_ns.begin(), ends_ns.end());
      run.seconds.push_back(static_cast<double>(last - start_ns) * 1e-9);
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t rank = 0; rank < spec.ranks; ++rank) threads.emplace_back(work, rank);
  for (std::thread& thread : threads) thread.join();
  if (const std::optional<Error> error = failure.error()) return *error;
  return run;
}

}  // namespace soapbox::calib
