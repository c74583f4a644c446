// Exhaustive search: every plan of the SOAP space, in odometer order.
//
// An operator with degree vectors of p_1, p_2, ... tasks has sum_k D^p_k configurations on D
// devices, a model the product of its operators' counts: feasible for a few operators on two or
// three devices, where it is the oracle for the other searchers. The odometer changes one operator
// most of the time, and two or more when one wraps around.

#include "strategies/search_run.h"
#include "strategies/searchers.h"
#include "strategies/soap_space.h"

namespace soapbox::strategies {
namespace {

OpConfig first_config(const Degrees& degrees) {
  OpConfig config;
  config.degrees = degrees;
  config.devices.assign(product(degrees), DeviceId(0));
  return config;
}

// The configurations of one operator as a digit of the odometer: devices count up fastest, then the
// degrees move on.
struct Digit {
  size_t degrees = 0;
  OpConfig config;
};

// The next configuration; false where the digit has wrapped around to its first.
bool advance(const SoapSpace& space, OpId op, Digit& digit) {
  for (size_t t = digit.config.devices.size(); t-- > 0;) {
    DeviceId& device = digit.config.devices[t];
    if (device.index() + 1 < space.device_count()) {
      device = DeviceId::from_index(device.index() + 1);
      return true;
    }
    device = DeviceId(0);
  }
  const std::span<const Degrees> choices = space.degrees(op);
  digit.degrees = (digit.degrees + 1) % choices.size();
  digit.config = first_config(choices[digit.degrees]);
  return digit.degrees != 0;
}

}  // namespace

Result<SearchOutcome> exhaustive_search(const SearchRequest& request) {
  const Status accepted = check_request("exhaustive", request, {});
  if (!accepted) return accepted.error();
  const OpGraph& graph = request.problem.model.graph;
  const SoapSpace space(graph, request.problem.cluster.device_count());
  IdVector<OpId, Digit> digits;
  Plan plan;
  plan.sync = request.settings.sync;
  for (const OpId op : graph.ops().ids()) {
    digits.push_back({0, first_config(space.degrees(op)[0])});
    plan.ops.push_back(digits[op].config);
  }
  SearchRun run(request);
  run.reset(plan);
  std::vector<ConfigChange> changes;
  while (!run.finished()) {
    changes.clear();
    bool wrapped = true;
    for (size_t i = space.operators().size(); wrapped && i-- > 0;) {
      const OpId op = space.operators()[i];
      wrapped = !advance(space, op, digits[op]);
      changes.push_back({op, digits[op].config});
    }
    if (wrapped) return run.outcome("every plan of the space");
    run.move(changes);
  }
  return run.outcome("budget");
}

}  // namespace soapbox::strategies
