// A host and a device as two clocks: the host launches one kernel after the other and does not wait
// for them; the device runs them in that order, each as soon as it was launched.
//
//   launched_i = launched_(i-1) + host_i
//   start_i    = max(end_(i-1), launched_i, ends of what i needs)
//   end_i      = start_i + device_i
//
// Short kernels in a row wait for the host, long ones let it get ahead, and the queue between them
// evens both out: the step costs neither the sum of the larger times nor the larger of the sums.
// In the task graph the host is one more resource, and launching a task a task on it. O(T log T).
// What passes from a launch to the start of an idle device is left out: it is paid once a step.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "calib/runs/task_kernels.h"
#include "sim/cost/measured_table.h"
#include "sim/engine/engine.h"
#include "sim/simulate/lower.h"

namespace soapbox::calib {

// What the host spends on launching pieces: as measured, or else the median of its kind and phase.
class LaunchTimes {
 public:
  // A table (sim/cost/measured_table.h) whose times are the host's, not empty.
  explicit LaunchTimes(MeasuredTable table);
  // A pass over memory is one kernel, as an elementwise operator is.
  Duration of(const TaskPart& part) const;

 private:
  MeasuredTable table_;
  std::map<std::pair<OpKind, Phase>, Duration> medians_;
  Duration median_;  // of all
};

// The order in which `one_clock` starts tasks, of equal ones the smaller end and id first: that in
// which a host launches them.
std::vector<TaskId> launch_order(const Timeline& one_clock);

// The timeline of the tasks. host[task]: what launching it takes; zero: it needs none, and waits
// for no other launched one. REQUIRES: `order` holds every task once, after those it needs.
Timeline run_two_clocks(const TaskGraph& graph, const std::vector<TaskId>& order,
                        const IdVector<TaskId, Duration>& host);

}  // namespace soapbox::calib
