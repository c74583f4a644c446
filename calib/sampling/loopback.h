// Bytes over a loopback TCP connection, both ends in the hands of one thread, so that its CPU time
// is that of the whole way: what a link between two processes of one machine costs them.
#pragma once

#include <memory>

#include "calib/backend/kernel_module.h"
#include "sim/base/result.h"

namespace soapbox::calib {

// A run sends that many bytes and receives them all. Fails where the system has no sockets left.
Result<std::unique_ptr<PreparedKernel>> prepare_loopback(Bytes bytes);

}  // namespace soapbox::calib
