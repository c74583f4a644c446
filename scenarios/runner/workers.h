// Many pieces of work on several threads, their results taken in order by one.
#pragma once

#include <cstddef>
#include <functional>

#include "sim/base/result.h"

namespace soapbox::runner {

struct OrderedWork {
  size_t count = 0;
  size_t threads = 1;
  // Called once for each index below `count`, ascending, on some thread.
  std::function<void(size_t)> work = {};
  // Called on the calling thread for each index, in order, after its work has ended: the only
  // writer. After the first error no new work is begun.
  std::function<Status(size_t)> finish = {};
  // Called on the calling thread several times a second while it waits.
  std::function<void()> wait = {};
};

// Returns after all begun work has ended, with the first error of `finish`.
Status run_in_order(const OrderedWork& job);

}  // namespace soapbox::runner
