#include "strategies/miqp/instance.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>

#include "sim/base/str.h"

namespace soapbox::miqp {
namespace {

Error wrong(std::string message) {
  return bad_input(std::move(message));
}

Status check_count(std::string_view name, size_t have, size_t want) {
  if (have == want) return ok();
  return wrong(str_cat(name, " has ", have, " entries, expected ", want));
}

// Finite entries are in [0, most]; `sum` grows by the largest of each block.
Status check_table(std::string_view name, const std::vector<int64_t>& table, size_t block,
                   int64_t most, int64_t& sum) {
  for (size_t first = 0; first < table.size(); first += block) {
    int64_t largest = 0;
    for (size_t i = first; i < first + block; ++i) {
      if (table[i] == kNotAllowed) continue;
      if (table[i] < 0 || table[i] > most) {
        return wrong(str_cat(name, "[", first / block, "] holds ", table[i], "; allowed are 0 to ",
                             most, " units"));
      }
      largest = std::max(largest, table[i]);
    }
    sum += largest;
    if (sum > most) {
      return wrong(str_cat(name, ": the largest entries add up to more than ", most, " units"));
    }
  }
  return ok();
}

Status check_shape(const Instance& in) {
  if (in.layers < 1 || in.layers > 100000) {
    return wrong(str_cat("layers is ", in.layers, "; allowed are 1 to 100000"));
  }
  if (in.strategies < 1 || in.strategies > 1024) {
    return wrong(str_cat("strategies is ", in.strategies, "; allowed are 1 to 1024"));
  }
  if (in.stages < 1 || in.stages > 10000) {
    return wrong(str_cat("stages is ", in.stages, "; allowed are 1 to 10000"));
  }
  if (in.microbatches < 1 || in.microbatches > 1000000) {
    return wrong(str_cat("microbatches is ", in.microbatches, "; allowed are 1 to 1000000"));
  }
  const size_t nodes = in.layers * in.strategies;
  const size_t pairs = in.edges.size() * in.strategies * in.strategies;
  for (const Status& status : {check_count("compute", in.compute.size(), nodes),
                               check_count("memory", in.memory.size(), nodes),
                               check_count("memory_limit", in.memory_limit.size(), in.stages),
                               check_count("reshard", in.reshard.size(), pairs),
                               check_count("reshard_cross", in.reshard_cross.size(), pairs)}) {
    if (!status) return status;
  }
  if (!in.memory_per_microbatch.empty()) {
    return check_count("memory_per_microbatch", in.memory_per_microbatch.size(), nodes);
  }
  if (in.memory_model == MemoryModel::kOneForward) {
    return wrong(
        "memory_model 1f1b needs memory_per_microbatch, from which it "
        "counts activations");
  }
  return ok();
}

Status check_edges(const Instance& in) {
  for (size_t e = 0; e < in.edges.size(); ++e) {
    const Edge edge = in.edges[e];
    if (edge.from >= in.layers || edge.to >= in.layers) {
      return wrong(str_cat("edges[", e, "] is [", edge.from, ", ", edge.to, "]; layers are 0 to ",
                           in.layers - 1));
    }
  }
  if (topological_order(in).empty()) {
    for (size_t e = 0; e < in.edges.size(); ++e) {
      if (in.edges[e].from == in.edges[e].to) {
        return wrong(str_cat("edges[", e, "] is a loop at layer ", in.edges[e].from,
                             "; the layers must form an acyclic graph"));
      }
    }
    return wrong("edges: the layers form a cycle; the graph must be acyclic");
  }
  return ok();
}

// The smallest exponent e (finest unit) with total / 10^e below `most`. Zero
// totals take e = 0.
int exponent_for(double total, double most) {
  if (total <= 0) return 0;
  int exponent = -18;
  while (total > most * std::pow(10.0, exponent)) ++exponent;
  return exponent;
}

double scaled(double value, int exponent) {
  return exponent < 0 ? value * std::pow(10.0, -exponent) : value / std::pow(10.0, exponent);
}

// Sum over blocks of the largest entry, NaN skipped.
double sum_of_largest(const std::vector<double>& table, size_t block) {
  double sum = 0;
  for (size_t first = 0; first + block <= table.size(); first += block) {
    double largest = 0;
    for (size_t i = first; i < first + block; ++i) {
      if (table[i] > largest) largest = table[i];
    }
    sum += largest;
  }
  return sum;
}

enum class Rounding { kNearest, kUp, kDown };

int64_t to_units(double value, int exponent, Rounding rounding) {
  if (std::isnan(value)) return kNotAllowed;
  const double units = scaled(value, exponent);
  const double nearest = std::round(units);
  // A decimal number is off by its own rounding only: not a reason to round up.
  if (rounding == Rounding::kNearest || std::abs(units - nearest) <= std::abs(units) * 1e-15) {
    return static_cast<int64_t>(nearest);
  }
  return static_cast<int64_t>(rounding == Rounding::kUp ? std::ceil(units) : std::floor(units));
}

std::vector<int64_t> to_units(const std::vector<double>& table, int exponent, Rounding rounding) {
  std::vector<int64_t> units;
  units.reserve(table.size());
  for (const double value : table) units.push_back(to_units(value, exponent, rounding));
  return units;
}

Status check_numbers(std::string_view name, const std::vector<double>& table, bool may_be_null) {
  for (size_t i = 0; i < table.size(); ++i) {
    const double value = table[i];
    if (std::isnan(value) && may_be_null) continue;
    if (!(value >= 0) || value > 1e30) {
      return wrong(str_cat(name, ", entry ", i, ", is ", value, "; allowed are 0 to 1e30"));
    }
  }
  return ok();
}

uint64_t hash_numbers(const std::vector<int64_t>& numbers, uint64_t seed) {
  for (const int64_t number : numbers) {
    char bytes[8];
    for (int i = 0; i < 8; ++i) {
      bytes[i] = static_cast<char>(static_cast<uint64_t>(number) >> (8 * i));
    }
    seed = hash_bytes({bytes, 8}, seed);
  }
  return seed;
}

double from_units(int64_t units, int exponent) {
  const double value = static_cast<double>(units);
  return exponent < 0 ? value / std::pow(10.0, -exponent) : value * std::pow(10.0, exponent);
}

}  // namespace

int64_t Instance::in_flight(size_t stage) const {
  if (memory_model == MemoryModel::kGpipe) return microbatches;
  return std::min(static_cast<int64_t>(stages - stage), microbatches);
}

int64_t Instance::memory_at(size_t stage, size_t layer, size_t strategy) const {
  const size_t at = layer * strategies + strategy;
  const int64_t each = memory_per_microbatch.empty() ? 0 : memory_per_microbatch[at];
  return memory[at] + in_flight(stage) * each;
}

Status validate(const Instance& instance) {
  if (Status status = check_shape(instance); !status) return status;
  if (Status status = check_edges(instance); !status) return status;
  const size_t pairs = instance.strategies * instance.strategies;
  const int64_t most_time = std::min(kMostTime, kMostObjective / instance.microbatches);
  int64_t time = 0;
  int64_t memory = 0;
  const int64_t most_activations = kMostMemory / instance.microbatches;
  int64_t activations = 0;
  for (const Status& status :
       {check_table("compute", instance.compute, instance.strategies, most_time, time),
        check_table("reshard", instance.reshard, pairs, most_time, time),
        check_table("reshard_cross", instance.reshard_cross, pairs, most_time, time),
        check_table("memory", instance.memory, instance.strategies, kMostMemory, memory),
        check_table("memory_per_microbatch", instance.memory_per_microbatch, instance.strategies,
                    most_activations, activations)}) {
    if (!status) return status;
  }
  for (size_t i = 0; i < instance.stages; ++i) {
    if (instance.memory_limit[i] < 0 || instance.memory_limit[i] > kMostMemory) {
      return wrong(str_cat("memory_limit[", i, "] is ", instance.memory_limit[i],
                           "; allowed are 0 to ", kMostMemory, " units"));
    }
  }
  for (size_t i = 0; i < instance.memory_per_microbatch.size(); ++i) {
    if (instance.memory_per_microbatch[i] == kNotAllowed && instance.memory[i] != kNotAllowed) {
      return wrong(str_cat("memory_per_microbatch, entry ", i,
                           ", is missing; forbid a strategy in compute or memory"));
    }
  }
  return ok();
}

std::vector<uint32_t> topological_order(const Instance& instance) {
  std::vector<size_t> waiting(instance.layers, 0);
  std::vector<std::vector<uint32_t>> next(instance.layers);
  for (const Edge edge : instance.edges) {
    ++waiting[edge.to];
    next[edge.from].push_back(edge.to);
  }
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
  for (uint32_t u = 0; u < instance.layers; ++u) {
    if (waiting[u] == 0) ready.push(u);
  }
  std::vector<uint32_t> order;
  while (!ready.empty()) {
    const uint32_t u = ready.top();
    ready.pop();
    order.push_back(u);
    for (const uint32_t v : next[u]) {
      if (--waiting[v] == 0) ready.push(v);
    }
  }
  if (order.size() < instance.layers) order.clear();
  return order;
}

uint64_t instance_hash(const Instance& in) {
  std::vector<int64_t> head = {static_cast<int64_t>(in.layers),
                               static_cast<int64_t>(in.strategies),
                               static_cast<int64_t>(in.stages),
                               in.microbatches,
                               static_cast<int64_t>(in.memory_model),
                               static_cast<int64_t>(in.long_edges),
                               in.empty_stages ? 1 : 0,
                               in.time_exponent,
                               in.memory_exponent};
  for (const Edge edge : in.edges) {
    head.push_back(edge.from);
    head.push_back(edge.to);
  }
  uint64_t hash = hash_numbers(head, kHashSeed);
  for (const std::vector<int64_t>* table : {&in.compute, &in.memory, &in.memory_per_microbatch,
                                            &in.memory_limit, &in.reshard, &in.reshard_cross}) {
    hash = hash_numbers({static_cast<int64_t>(table->size())}, hash);
    hash = hash_numbers(*table, hash);
  }
  return hash;
}

std::string_view to_string(MemoryModel model) {
  return model == MemoryModel::kGpipe ? "gpipe" : "1f1b";
}

std::string_view to_string(LongEdges edges) {
  return edges == LongEdges::kFree ? "free" : "per_hop";
}

Result<Instance> quantise(const RealInstance& real) {
  for (const Status& status :
       {check_numbers("compute", real.compute, true), check_numbers("memory", real.memory, true),
        check_numbers("memory_per_microbatch", real.memory_per_microbatch, false),
        check_numbers("memory_limit", real.memory_limit, false),
        check_numbers("reshard", real.reshard, true),
        check_numbers("reshard_cross", real.reshard_cross, true)}) {
    if (!status) return status.error();
  }
  Instance in;
  in.layers = real.layers;
  in.strategies = real.strategies;
  in.stages = real.stages;
  in.microbatches = real.microbatches;
  in.edges = real.edges;
  in.memory_model = real.memory_model;
  in.long_edges = real.long_edges;
  in.empty_stages = real.empty_stages;
  const size_t block = std::max<size_t>(real.strategies, 1);
  const auto c = static_cast<double>(std::max<int64_t>(real.microbatches, 1));
  const double time = sum_of_largest(real.compute, block) +
                      sum_of_largest(real.reshard, block * block) +
                      sum_of_largest(real.reshard_cross, block * block);
  const double most_time =
      std::min(static_cast<double>(kMostTime), static_cast<double>(kMostObjective) / c) / 2;
  in.time_exponent = exponent_for(time, most_time);
  // What is above every limit may as well be twice their sum: sentinels like
  // 1e30 cost no digits. Where all limits are 0, twice that would fit.
  const double limit =
      sum_of_largest(real.memory_limit, std::max<size_t>(real.memory_limit.size(), 1));
  const auto clipped = [limit](std::vector<double> table) {
    for (double& value : table) {
      if (limit > 0 && value > 2 * limit) value = 2 * limit;
    }
    return table;
  };
  const std::vector<double> states = clipped(real.memory);
  const std::vector<double> activations = clipped(real.memory_per_microbatch);
  const double memory =
      std::max({sum_of_largest(states, block), c * sum_of_largest(activations, block), limit});
  // Sums of two such tables stay exact in a double.
  in.memory_exponent = exponent_for(memory, 0x1.0p49);
  in.compute = to_units(real.compute, in.time_exponent, Rounding::kNearest);
  in.reshard = to_units(real.reshard, in.time_exponent, Rounding::kNearest);
  in.reshard_cross = to_units(real.reshard_cross, in.time_exponent, Rounding::kNearest);
  in.memory = to_units(states, in.memory_exponent, Rounding::kUp);
  in.memory_per_microbatch = to_units(activations, in.memory_exponent, Rounding::kUp);
  in.memory_limit = to_units(real.memory_limit, in.memory_exponent, Rounding::kDown);
  if (Status status = validate(in); !status) return status.error();
  return in;
}

double real_time(const Instance& instance, int64_t time) {
  return from_units(time, instance.time_exponent);
}

double real_memory(const Instance& instance, int64_t memory) {
  return from_units(memory, instance.memory_exponent);
}

}  // namespace soapbox::miqp
