#include "results/rows.h"

#include "sim/base/str.h"

namespace soapbox::results {
namespace {

// "name 5:value\n": the length makes the text of different fields different, whatever they contain.
std::string field(std::string_view name, std::string_view value) {
  return str_cat(name, " ", value.size(), ":", value, "\n");
}

}  // namespace

std::string identity(const RunKey& key) {
  const InstanceRow& instance = key.instance;
  const std::string text =
      str_cat("soapbox run identity 1\n", field("model", instance.model),
              field("cluster", instance.cluster), field("devices", to_text(instance.devices)),
              field("batch", to_text(instance.batch)), field("network", instance.network),
              field("costs", instance.costs), field("method", key.method.name),
              field("settings", key.method.settings), field("seed", to_text(key.seed)),
              field("budget", to_text(key.budget)), field("code", key.code));
  return hex(hash_bytes(text)) + hex(hash_bytes(text, hash_bytes("the second half")));
}

std::string_view status_name(RunStatus status) {
  switch (status) {
    case RunStatus::kOk:
      return "ok";
    case RunStatus::kInfeasible:
      return "infeasible";
    case RunStatus::kInterrupted:
      return "interrupted";
    case RunStatus::kFailed:
      return "failed";
  }
  SOAPBOX_CHECK(false, "unknown run status");
}

}  // namespace soapbox::results
