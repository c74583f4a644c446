#include "strategies/uniap/build_tables.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "sim/base/check.h"
#include "sim/base/str.h"

namespace soapbox::strategies::uniap {
namespace {

// One switch: its values by name, in the order of the enumeration.
template <class Enum>
Status choose(Enum& option, std::string_view name, std::string_view value,
              std::span<const std::string> values) {
  const auto found = std::find(values.begin(), values.end(), value);
  if (found == values.end())
    return bad_input(unknown_name(str_cat("value of ", name), value, values));
  option = static_cast<Enum>(found - values.begin());
  return ok();
}

Status read_factor(double& option, std::string_view name, std::string_view value) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() ||
      !(number >= 1 && number <= 10)) {
    return bad_input(str_cat(name, " '", shown(value), "' is not a factor from 1 to 10"));
  }
  option = number;
  return ok();
}

double backward_time(const TableOptions& options, const LayerSeconds& s) {
  return options.backward == Backward::kTwiceForward ? 2 * s.forward : s.backward;
}

// Collectives, gathers and the share of the gradients that nothing hides, for one micro-batch.
double traffic_time(const TableOptions& options, const LayerSeconds& s, int64_t microbatches) {
  const double backward = backward_time(options, s);
  const double exposed = overlapped(options, s.gradient, backward) - backward;
  const double once =
      options.gradient_sync == GradientSync::kOnce ? 1 / static_cast<double>(microbatches) : 1.0;
  const double times = s.gradient_each_time ? 1.0 : once;
  double gathers = s.gather_forward + s.gather_backward;
  if (options.gathers == Gathers::kPrefetched) {
    gathers = overlapped(options, s.gather_forward, s.forward) - s.forward +
              overlapped(options, s.gather_backward, backward) - backward;
  }
  return s.tensor_forward + s.tensor_backward + gathers + exposed * times + s.update * once;
}

void fill_layers(const LayerCosts& costs, const TableOptions& options, int64_t samples,
                 CostTables& tables) {
  for (size_t u = 0; u < tables.layers; ++u) {
    for (const Strategy& strategy : tables.strategies) {
      const bool allowed = costs.allowed(u, strategy, samples);
      tables.allowed.push_back(allowed ? 1 : 0);
      if (!allowed) {
        tables.compute_s.push_back(0);
        tables.communication_s.push_back(0);
        tables.memory.emplace_back();
        continue;
      }
      const LayerSeconds seconds = costs.seconds(u, strategy, samples, tables.stages);
      const double traffic = traffic_time(options, seconds, tables.microbatches);
      tables.communication_s.push_back(traffic);
      tables.compute_s.push_back(seconds.forward + backward_time(options, seconds) + traffic);
      LayerBytes& bytes =
          tables.memory.emplace_back(costs.bytes(u, strategy, samples, tables.stages));
      const double activation = bytes.activation.as_double() * options.activation_factor;
      bytes.activation = Bytes(static_cast<int64_t>(std::ceil(activation)));
    }
  }
}

void fill_edges(const LayerCosts& costs, const TableOptions& options, int64_t samples,
                CostTables& tables) {
  const bool apart = options.transfers == Transfers::kCommunicationStage;
  const size_t n = tables.strategies.size();
  for (const Edge& edge : tables.edges) {
    for (size_t k = 0; k < n; ++k) {
      for (size_t l = 0; l < n; ++l) {
        const bool both =
            tables.allowed[tables.at(edge.from, k)] && tables.allowed[tables.at(edge.to, l)];
        const Strategy& from = tables.strategies[k];
        const Strategy& to = tables.strategies[l];
        tables.reshard_s.push_back(both ? costs.reshard(edge, from, to, samples, tables.stages)
                                        : 0);
        const bool crosses = both && apart && tables.stages > 1;
        tables.reshard_cross_s.push_back(
            crosses ? costs.transfer(edge, from, to, samples, tables.stages) : 0);
      }
    }
  }
}

// Every stage but the last sends once and every stage but the first receives: the layers share
// what the mean stage spends.
void spread_transfers(const LayerCosts& costs, int64_t samples, CostTables& tables) {
  const double share = static_cast<double>(tables.stages - 1) / static_cast<double>(tables.layers);
  for (size_t u = 0; u < tables.layers; ++u) {
    const Edge edge = u + 1 < tables.layers ? Edge{u, u + 1} : Edge{u - 1, u};
    for (size_t k = 0; k < tables.strategies.size(); ++k) {
      if (!tables.allowed[tables.at(u, k)]) continue;
      const Strategy& same = tables.strategies[k];
      tables.compute_s[tables.at(u, k)] +=
          share * costs.transfer(edge, same, same, samples, tables.stages);
    }
  }
}

}  // namespace

double overlapped(const TableOptions& options, double traffic_s, double compute_s) {
  if (options.overlap == Overlap::kNone) return traffic_s + compute_s;
  const double traffic = traffic_s * options.traffic_slowdown;
  const double compute = compute_s * options.compute_slowdown;
  // What ends first ran slowed down all along; the other goes on at its own speed.
  if (traffic > compute) return compute + (traffic_s - compute / options.traffic_slowdown);
  return traffic + (compute_s - traffic / options.compute_slowdown);
}

Status set_option(TableOptions& options, std::string_view name, std::string_view value) {
  using Values = std::array<std::string, 2>;
  if (name == "gradient_sync") {
    return choose(options.gradient_sync, name, value, Values{"once", "inside"});
  }
  if (name == "transfers") {
    return choose(options.transfers, name, value, Values{"communication_stage", "compute_stage"});
  }
  if (name == "backward") {
    return choose(options.backward, name, value, Values{"profiled", "twice_forward"});
  }
  if (name == "memory") return choose(options.memory, name, value, Values{"gpipe", "1f1b"});
  if (name == "overlap") return choose(options.overlap, name, value, Values{"none", "slowed"});
  if (name == "gathers")
    return choose(options.gathers, name, value, Values{"prefetched", "exposed"});
  if (name == "compute_slowdown") return read_factor(options.compute_slowdown, name, value);
  if (name == "traffic_slowdown") return read_factor(options.traffic_slowdown, name, value);
  if (name == "activation_factor") return read_factor(options.activation_factor, name, value);
  const std::vector<std::string> names = {
      "gradient_sync", "transfers",        "backward",         "memory",           "overlap",
      "gathers",       "compute_slowdown", "traffic_slowdown", "activation_factor"};
  return bad_input(unknown_name("switch", name, names));
}

CostTables build_tables(const LayerCosts& costs, const TableOptions& options, int32_t stages,
                        int64_t microbatches, int64_t global_batch) {
  SOAPBOX_CHECK(stages >= 1 && costs.device_count() % stages == 0, "stages: not a divisor");
  SOAPBOX_CHECK(microbatches >= 1 && global_batch % microbatches == 0, "micro-batches: no divisor");
  CostTables tables;
  tables.stages = stages;
  tables.microbatches = microbatches;
  tables.strategies = stage_strategies(costs.device_count() / stages);
  tables.layers = costs.layer_count();
  tables.edges = costs.edges();
  const int64_t samples = global_batch / microbatches;
  fill_layers(costs, options, samples, tables);
  fill_edges(costs, options, samples, tables);
  if (options.transfers == Transfers::kComputeStage && stages > 1) {
    spread_transfers(costs, samples, tables);
  }
  for (int32_t i = 0; i < stages; ++i) {
    tables.limit.push_back(costs.memory_limit(samples, stages));
    // Without a pipeline every micro-batch goes back before the next one comes.
    const bool all = options.memory == PipelineMemory::kGPipe && stages > 1;
    tables.in_flight.push_back(all ? microbatches : std::min<int64_t>(stages - i, microbatches));
  }
  return tables;
}

}  // namespace soapbox::strategies::uniap
