#include "calib/runs/paced_link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "calib/backend/precise_wait.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr double kSliceSeconds = 5e-4;
constexpr size_t kLeastSlice = 1 << 10;
constexpr size_t kMostSlice = 1 << 16;
constexpr int64_t kLook = 100'000'000;  // ns between two looks at `stop`

Error system_error(std::string_view what) {
  return Error{ErrorCode::kEnvironment,
               str_cat("loopback TCP: cannot ", what, ": ", std::strerror(errno)),
               {}};
}

Status set_up(const Socket& socket) {
  const int on = 1;
  if (setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) {
    return system_error("configure a socket");
  }
  return ok();
}

size_t slice_bytes(BytesPerSecond rate) {
  const double bytes = rate.rate() * kSliceSeconds;
  return static_cast<size_t>(std::clamp(bytes, double{kLeastSlice}, double{kMostSlice}));
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// How far one exchange has come.
class Progress {
 public:
  Progress(const Exchange& job, int64_t start_ns)
      : job_(job), start_ns_(start_ns), slice_(slice_bytes(job.rate)) {}

  bool is_done() const { return sent_ == job_.send.size() && received_ == job_.receive.size(); }
  // When the next slice may leave; never if all is sent.
  int64_t next_departure_ns() const {
    if (sent_ == job_.send.size()) return INT64_MAX;
    const double bytes = static_cast<double>(slice_end());
    return start_ns_ + static_cast<int64_t>(bytes / job_.rate.rate() * 1e9);
  }
  Status send(int64_t now) {
    while (next_departure_ns() <= now) {
      const size_t end = slice_end();
      const ssize_t count =
          ::send(job_.send_to, job_.send.data() + sent_, end - sent_, MSG_NOSIGNAL);
      if (count < 0) return would_block() ? ok() : system_error("send");
      sent_ += static_cast<size_t>(count);
    }
    return ok();
  }
  Status receive() {
    while (received_ < job_.receive.size()) {
      const ssize_t count = ::recv(job_.receive_from, job_.receive.data() + received_,
                                   job_.receive.size() - received_, 0);
      if (count < 0) return would_block() ? ok() : system_error("receive");
      if (count == 0) {
        return Error{ErrorCode::kEnvironment, "loopback TCP: the other end has closed", {}};
      }
      received_ += static_cast<size_t>(count);
    }
    return ok();
  }
  // Until a slice may leave or something arrives.
  void wait(int64_t now) const {
    const int64_t longest = std::clamp<int64_t>(next_departure_ns() - now, 0, kLook);
    const timespec timeout = {0, static_cast<long>(longest)};
    pollfd incoming = {job_.receive_from, POLLIN, 0};
    const bool receives = received_ < job_.receive.size();
    ppoll(&incoming, receives ? 1 : 0, &timeout, nullptr);
  }

 private:
  size_t slice_end() const { return std::min(job_.send.size(), (sent_ / slice_ + 1) * slice_); }
  const Exchange& job_;
  int64_t start_ns_;
  size_t slice_;
  size_t sent_ = 0;
  size_t received_ = 0;
};

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<Connection> connect_loopback() {
  const Socket listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return system_error("make a socket");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), where, length) != 0 || listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), where, &length) != 0) {
    return system_error("listen");
  }
  Connection connection;
  connection.sender = Socket(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection.sender.valid()) return system_error("make a socket");
  if (connect(connection.sender.get(), where, length) != 0) return system_error("connect");
  connection.receiver = Socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection.receiver.valid()) return system_error("accept");
  for (const Socket* end : {&connection.sender, &connection.receiver}) {
    const Status done = set_up(*end);
    if (!done) return done.error();
  }
  return connection;
}

Status exchange(const Exchange& job, int64_t start_ns, const std::atomic<bool>& stop) {
  Progress progress(job, start_ns);
  while (!stop.load(std::memory_order_relaxed)) {
    Status moved = progress.send(steady_now_ns());
    if (moved) moved = progress.receive();
    if (!moved || progress.is_done()) return moved;
    progress.wait(steady_now_ns());
  }
  return ok();
}

Result<PacedLink> PacedLink::open(BytesPerSecond rate) {
  SOAPBOX_CHECK(rate.rate() > 0, "a link carries something");
  Result<Connection> connection = connect_loopback();
  if (!connection) return connection.error();
  return PacedLink(*std::move(connection), rate);
}

Status PacedLink::carry(Bytes bytes, int64_t start_ns, const std::atomic<bool>& stop) const {
  // A few slices at a time: what is under way must fit the socket's buffers.
  const size_t most = 16 * slice_bytes(rate_);
  const std::vector<std::byte> out(std::min(most, static_cast<size_t>(bytes.count())));
  std::vector<std::byte> in(out.size());
  int64_t carried = 0;
  while (carried < bytes.count() && !stop.load(std::memory_order_relaxed)) {
    const size_t part = std::min(out.size(), static_cast<size_t>(bytes.count() - carried));
    Exchange job;
    job.send_to = connection_.sender.get();
    job.send = std::span(out).first(part);
    job.rate = rate_;
    job.receive_from = connection_.receiver.get();
    job.receive = std::span(in).first(part);
    const double before_s = static_cast<double>(carried) / rate_.rate();
    const Status done = exchange(job, start_ns + static_cast<int64_t>(before_s * 1e9), stop);
    if (!done) return done;
    carried += static_cast<int64_t>(part);
  }
  return ok();
}

}  // namespace soapbox::calib
