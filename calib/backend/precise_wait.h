// Waiting until a moment of the system's steady clock.
//
// A sleeping thread is woken late, by some 10 to 100 us; a spinning one takes a core. So a wait
// sleeps until shortly before its moment and spins over the rest: right to a microsecond on an idle
// machine, and a busy one is late only by what its scheduler adds.
#pragma once

#include <atomic>
#include <cstdint>

namespace soapbox::calib {

// CLOCK_MONOTONIC, nanoseconds.
int64_t steady_now_ns();

// Lets the calling thread's timers fire when they are due instead of 50 us later. Once per thread.
void use_precise_timers();

// Asks that the calling thread run before ordinary programs, so that their load does not enter what
// is measured: SCHED_FIFO at its lowest priority. False where the system does not allow it. For
// threads that mostly wait; one that computes keeps everything else from its core.
bool ask_for_realtime();

// Returns at `deadline_ns`, or soon after `stop` has become true.
void wait_until(int64_t deadline_ns, const std::atomic<bool>& stop);

}  // namespace soapbox::calib
