// Result<T>: a value, or an Error that says what is wrong with the input and where.
//
// Member names follow std::expected, so that it can replace this class one day. There is no TRY
// macro: `if (!x) return x.error();` keeps control flow visible. Only main() prints errors.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "sim/base/check.h"

namespace soapbox {

// The kinds that a caller treats differently; the program maps each to one documented exit code.
enum class ErrorCode {
  kUsage,        // the command line
  kBadInput,     // a file or a value in it
  kInfeasible,   // the plan cannot run: out of memory, deadlock, nothing fits
  kDatabase,     // results store
  kUnavailable,  // try again: locked, missing device
  kEnvironment,  // disk full, cannot open or write
  kInterrupted,  // Ctrl-C
};

struct SourcePosition {
  std::string file;
  int line = 0;    // 1-based; 0: the whole file
  int column = 0;  // 1-based; 0: the whole line
};

struct Error {
  ErrorCode code = ErrorCode::kBadInput;
  std::string message;
  SourcePosition where;

  // "file:line:column: message", with as much of the position as is known.
  std::string to_string() const {
    std::string text = where.file;
    if (where.line > 0) text += ":" + std::to_string(where.line);
    if (where.line > 0 && where.column > 0) text += ":" + std::to_string(where.column);
    if (!text.empty()) text += ": ";
    return text + message;
  }
};

inline Error bad_input(std::string message, SourcePosition where = {}) {
  return Error{ErrorCode::kBadInput, std::move(message), std::move(where)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    SOAPBOX_CHECK(has_value(), error_text());
    return std::get<0>(state_);
  }
  const T& value() const& {
    SOAPBOX_CHECK(has_value(), error_text());
    return std::get<0>(state_);
  }
  T&& value() && {
    SOAPBOX_CHECK(has_value(), error_text());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  const char* error_text() const { return has_value() ? "" : std::get<1>(state_).message.c_str(); }
  std::variant<T, Error> state_;
};

// Success without a value.
struct Done {};
using Status = Result<Done>;
inline Status ok() {
  return Done{};
}

}  // namespace soapbox
