#include "calib/sampling/loopback.h"

#include <sys/socket.h>

#include <utility>
#include <vector>

#include "calib/backend/host_kernels.h"
#include "calib/runs/paced_link.h"
#include "sim/base/check.h"

namespace soapbox::calib {
namespace {

class Loopback : public PreparedKernel {
 public:
  Loopback(Connection connection, size_t bytes)
      : connection_(std::move(connection)), from_(bytes, 1), to_(bytes, 2) {}

  // As much as the connection takes, then as much as it has, in turns.
  void run() override {
    size_t sent = 0;
    size_t received = 0;
    while (received < to_.size()) {
      const ssize_t out = ::send(connection_.sender.get(), from_.data() + sent, from_.size() - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
      if (out > 0) sent += static_cast<size_t>(out);
      const ssize_t in = ::recv(connection_.receiver.get(), to_.data() + received,
                                to_.size() - received, MSG_DONTWAIT);
      SOAPBOX_CHECK(in != 0, "both ends are ours");
      if (in > 0) received += static_cast<size_t>(in);
    }
  }
  void cool() override {
    flush(from_);
    flush(to_);
  }

 private:
  Connection connection_;
  std::vector<char> from_;
  std::vector<char> to_;
};

}  // namespace

Result<std::unique_ptr<PreparedKernel>> prepare_loopback(Bytes bytes) {
  Result<Connection> connection = connect_loopback();
  if (!connection) return connection.error();
  return std::unique_ptr<PreparedKernel>(
      std::make_unique<Loopback>(*std::move(connection), static_cast<size_t>(bytes.count())));
}

}  // namespace soapbox::calib
