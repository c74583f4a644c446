// Programmer errors: SOAPBOX_CHECK aborts with file:line in every build, SOAPBOX_DCHECK only where
// NDEBUG is not defined (hot loops). Bad input is never a check: it is a Result (result.h).
#pragma once

#include <cstdio>
#include <cstdlib>

namespace soapbox {

[[noreturn]] inline void check_failed(const char* file, int line, const char* condition,
                                      const char* message) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", file, line, condition, message);
  std::abort();
}

}  // namespace soapbox

#define SOAPBOX_CHECK(condition, message)                               \
  do {                                                                  \
    if (!(condition)) [[unlikely]] {                                    \
      ::soapbox::check_failed(__FILE__, __LINE__, #condition, message); \
    }                                                                   \
  } while (false)

#ifdef NDEBUG
#define SOAPBOX_DCHECK(condition, message) \
  do {                                     \
  } while (false)
#else
#define SOAPBOX_DCHECK(condition, message) SOAPBOX_CHECK(condition, message)
#endif
