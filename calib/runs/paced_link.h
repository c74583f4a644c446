// A link of a given bandwidth made of a real TCP connection over the loopback interface.
//
// Bytes leave in slices, and a slice not before a wire of that bandwidth would have carried all of
// it: slice k of size s leaves at start + (k + 1) s / rate. So n bytes arrive n / rate after the
// start, plus what the transport takes, which is the link's latency and what a ping-pong measures.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <utility>

#include "sim/base/result.h"
#include "sim/base/units.h"

namespace soapbox::calib {

// A socket, closed at the end of its life.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

// The two ends of a TCP connection over 127.0.0.1, without Nagle's delay and non-blocking. What the
// first sends the second receives.
struct Connection {
  Socket sender;
  Socket receiver;
};
Result<Connection> connect_loopback();

// One direction of work of one thread: what it sends, paced from `start_ns` on, and what it
// receives meanwhile. Either may be empty. Ends when all is sent and received, or `stop` is true.
struct Exchange {
  int send_to = -1;
  std::span<const std::byte> send = {};
  BytesPerSecond rate;
  int receive_from = -1;
  std::span<std::byte> receive = {};
};
Status exchange(const Exchange& job, int64_t start_ns, const std::atomic<bool>& stop);

// Both ends in the hands of one thread.
class PacedLink {
 public:
  static Result<PacedLink> open(BytesPerSecond rate);

  BytesPerSecond rate() const { return rate_; }
  // Sends that many bytes from `start_ns` on and receives them.
  Status carry(Bytes bytes, int64_t start_ns, const std::atomic<bool>& stop) const;

 private:
  PacedLink(Connection connection, BytesPerSecond rate)
      : connection_(std::move(connection)), rate_(rate) {}
  Connection connection_;
  BytesPerSecond rate_;
};

}  // namespace soapbox::calib
