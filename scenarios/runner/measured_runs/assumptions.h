// Assumptions: what was taken for granted where the source of a run is silent, in words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/str.h"

namespace soapbox::runner {

class Assumptions {
 public:
  // "micro_batch=1: not stated"
  template <class Value>
  void add(std::string_view field, const Value& value, std::string_view why) {
    list_.push_back(str_cat(field, "=", value, ": ", why));
  }
  const std::vector<std::string>& list() const { return list_; }

 private:
  std::vector<std::string> list_;
};

}  // namespace soapbox::runner
