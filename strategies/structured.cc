// Structured proposals: a *move* draws a new configuration for one operator, a *scope* says which
// other operators follow it.
//
// Uniform configurations scatter tasks over devices, and their transfers drown every gain: from a
// good plan almost all uniform proposals are refused. Good plans have structure, and the moves draw
// from it:
//   redraw    new degrees; tasks on an evenly strided range of devices
//   relayout  the same degrees on another range of devices
//   reshape   another split into as many tasks on the same devices
//   copy      the configuration of a producer or consumer, carried over
//   gather    the whole operator on one device
//   nudge     one task moved to another device, or two tasks swapped
//   uniform   as FlexFlow's: keeps the whole space reachable
//   keep      nothing new: only the scope acts, and spreads the operator's present configuration
// Scopes: the operator alone; its layer (all unrolled steps); all operators alike (repeated
// blocks); a random walk over the graph. Followers get the configuration carried over by adapt().
// One proposal in four is staggered: each follower moves on by as many devices as there are tasks,
// so that parallel branches and consecutive layers get devices of their own.
//
// A layout puts task t of p on device base + t * stride, with strides that divide D / p and bases
// that tile the devices: stride 1 keeps neighbouring pieces in a node, stride D / p spreads them
// over nodes. In a transposed layout the first dimension varies fastest instead of the last.

#include <algorithm>
#include <numeric>

#include "strategies/placement.h"
#include "strategies/proposals.h"

namespace soapbox::strategies {
namespace {

enum class Move { kRedraw, kRelayout, kReshape, kCopy, kGather, kNudge, kUniform, kKeep };
enum class Scope { kAlone, kLayer, kAlike, kWalk };

template <class Choice>
struct Weighted {
  Choice choice;
  uint32_t weight;
};

// Found by the experiment in README.md.
constexpr Weighted<Move> kMoves[] = {{Move::kRedraw, 16}, {Move::kRelayout, 8}, {Move::kReshape, 4},
                                     {Move::kCopy, 4},    {Move::kGather, 1},   {Move::kNudge, 1},
                                     {Move::kUniform, 1}, {Move::kKeep, 2}};
constexpr Weighted<Scope> kScopes[] = {
    {Scope::kAlone, 4}, {Scope::kLayer, 4}, {Scope::kAlike, 1}, {Scope::kWalk, 3}};
constexpr uint32_t kStaggerOneIn = 4;

template <class Choice, size_t kCount>
Choice draw(const Weighted<Choice> (&table)[kCount], Rng& rng) {
  uint32_t total = 0;
  for (const Weighted<Choice>& row : table) total += row.weight;
  uint32_t left = rng.below(total);
  size_t i = 0;
  for (; left >= table[i].weight; ++i) left -= table[i].weight;
  return table[i].choice;
}

uint32_t below(size_t bound, Rng& rng) {
  return rng.below(static_cast<uint32_t>(bound));
}

template <class Item>
const Item& pick(std::span<const Item> items, Rng& rng) {
  return items[below(items.size(), rng)];
}

// Where each task goes when the first dimension varies fastest in device order.
std::vector<size_t> transposed(const Degrees& degrees) {
  std::vector<size_t> order(product(degrees));
  for (size_t task = 0; task < order.size(); ++task) {
    size_t rest = task;
    std::array<size_t, kMaxDims> at{};
    for (size_t d = kMaxDims; d-- > 0;) {
      at[d] = rest % static_cast<size_t>(degrees[d]);
      rest /= static_cast<size_t>(degrees[d]);
    }
    size_t place = 0;
    for (size_t d = kMaxDims; d-- > 0;) place = place * static_cast<size_t>(degrees[d]) + at[d];
    order[task] = place;
  }
  return order;
}

std::vector<DeviceId> draw_layout(const Degrees& degrees, size_t device_count, Rng& rng) {
  const size_t tasks = product(degrees);
  const size_t reach = device_count / tasks;
  size_t stride = 1 + below(reach, rng);
  while (reach % stride != 0) stride = 1 + below(reach, rng);
  const size_t tile = below(device_count / (tasks * stride), rng);
  const size_t base = tile * tasks * stride + below(stride, rng);
  std::vector<size_t> place(tasks);
  std::iota(place.begin(), place.end(), size_t{0});
  if (rng.below(4) == 0) place = transposed(degrees);
  std::vector<DeviceId> devices;
  devices.reserve(tasks);
  for (const size_t p : place) devices.push_back(DeviceId::from_index(base + p * stride));
  return devices;
}

// The choices with exactly that many tasks; `choices` are sorted by it.
std::span<const Degrees> with_tasks(std::span<const Degrees> choices, size_t tasks) {
  const auto fewer = [](const Degrees& degrees, size_t count) { return product(degrees) < count; };
  const auto begin = std::lower_bound(choices.begin(), choices.end(), tasks, fewer);
  return {begin, std::lower_bound(begin, choices.end(), tasks + 1, fewer)};
}

void rotate(OpConfig& config, size_t shift, size_t device_count) {
  for (DeviceId& device : config.devices) {
    device = DeviceId::from_index((device.index() + shift) % device_count);
  }
}

// Half of the draws use as many devices as the operator can, the rest any degrees.
OpConfig redraw(const SoapSpace& space, OpId op, Rng& rng) {
  std::span<const Degrees> choices = space.degrees(op);
  if (rng.below(2) == 0) choices = with_tasks(choices, product(choices.back()));
  OpConfig config;
  config.degrees = pick(choices, rng);
  config.devices = draw_layout(config.degrees, space.device_count(), rng);
  return config;
}

void nudge(const SoapSpace& space, OpConfig& config, Rng& rng) {
  DeviceId& device = config.devices[below(config.devices.size(), rng)];
  if (rng.below(2) == 0) {
    device = space.draw_device(rng);
  } else {
    std::swap(device, config.devices[below(config.devices.size(), rng)]);
  }
}

OpConfig draw_config(const Neighbourhood& around, const Plan& current, OpId op, Move move,
                     Rng& rng) {
  const SoapSpace& space = around.space();
  OpConfig config = current.ops[op];
  switch (move) {
    case Move::kRedraw:
      return redraw(space, op, rng);
    case Move::kRelayout:
      config.devices = draw_layout(config.degrees, space.device_count(), rng);
      return config;
    case Move::kReshape:
      config.degrees = pick(with_tasks(space.degrees(op), config.task_count()), rng);
      return config;
    case Move::kCopy: {
      const std::span<const OpId> neighbours = around.neighbours(op);
      if (neighbours.empty()) return config;
      const OpId from = pick(neighbours, rng);
      return adapt(current.ops[from], around.graph().op(from), around.graph().op(op));
    }
    case Move::kGather:
      return whole_on(space.draw_device(rng));
    case Move::kNudge:
      nudge(space, config, rng);
      return config;
    case Move::kUniform:
      return space.draw(op, rng);
    case Move::kKeep:
      return config;
  }
  return config;
}

// A random walk from `op`, on average four steps long; each operator once, ascending.
std::vector<OpId> draw_walk(const Neighbourhood& around, OpId op, Rng& rng) {
  std::vector<OpId> walk = {op};
  OpId at = op;
  do {
    const std::span<const OpId> neighbours = around.neighbours(at);
    if (neighbours.empty()) break;
    at = pick(neighbours, rng);
    walk.push_back(at);
  } while (rng.below(4) != 0);
  std::sort(walk.begin(), walk.end());
  walk.erase(std::unique(walk.begin(), walk.end()), walk.end());
  return walk;
}

std::vector<OpId> draw_scope(const Neighbourhood& around, OpId op, Scope scope, Rng& rng) {
  std::span<const OpId> members;
  switch (scope) {
    case Scope::kAlone:
      return {op};
    case Scope::kLayer:
      members = around.siblings(op);
      break;
    case Scope::kAlike:
      members = around.alike(op);
      break;
    case Scope::kWalk:
      return draw_walk(around, op, rng);
  }
  return {members.begin(), members.end()};
}

// The dimension of `op` that corresponds to `dim` of another operator, or kMaxDims.
size_t matching_dim(const Dim& dim, const Operator& op) {
  size_t match = kMaxDims;
  for (size_t d = 0; d < op.dims.size(); ++d) {
    if (!op.dims[d].divisible || op.dims[d].dim_class == DimClass::kReduction) continue;
    if (op.dims[d].name == dim.name) return d;
    const bool both_parameter =
        op.dims[d].dim_class == DimClass::kParameter && dim.dim_class == DimClass::kParameter;
    if (both_parameter && match == kMaxDims) match = d;
  }
  return match;
}

}  // namespace

OpConfig adapt(const OpConfig& config, const Operator& from, const Operator& to) {
  std::array<size_t, kMaxDims> match;  // per dimension of `from`: that of `to`
  match.fill(kMaxDims);
  std::array<bool, kMaxDims> taken{};
  OpConfig adapted;
  for (size_t d = 0; d < from.dims.size(); ++d) {
    if (config.degrees[d] == 1) continue;
    const size_t m = matching_dim(from.dims[d], to);
    if (m == kMaxDims || taken[m]) continue;
    match[d] = m;
    taken[m] = true;
    adapted.degrees[m] =
        static_cast<int32_t>(std::gcd(int64_t{config.degrees[d]}, to.dims[m].size));
  }
  const size_t tasks = product(adapted.degrees);
  for (size_t task = 0; task < tasks; ++task) {
    size_t rest = task;
    std::array<size_t, kMaxDims> at{};
    for (size_t d = kMaxDims; d-- > 0;) {
      at[d] = rest % static_cast<size_t>(adapted.degrees[d]);
      rest /= static_cast<size_t>(adapted.degrees[d]);
    }
    size_t source = 0;  // the piece of `from` where this one begins
    for (size_t d = 0; d < from.dims.size(); ++d) {
      const auto degree = static_cast<size_t>(config.degrees[d]);
      const size_t m = match[d];
      const size_t index =
          m == kMaxDims ? 0 : at[m] * degree / static_cast<size_t>(adapted.degrees[m]);
      source = source * degree + index;
    }
    adapted.devices.push_back(config.devices[source]);
  }
  return adapted;
}

void propose_structured(const Neighbourhood& around, const Plan& current, Rng& rng,
                        std::vector<ConfigChange>& changes) {
  const OpGraph& graph = around.graph();
  changes.clear();
  while (changes.empty()) {
    const OpId op = pick(around.operators(), rng);
    const OpConfig config = draw_config(around, current, op, draw(kMoves, rng), rng);
    const std::vector<OpId> scope = draw_scope(around, op, draw(kScopes, rng), rng);
    const size_t shift = rng.below(kStaggerOneIn) == 0 ? config.task_count() : 0;
    for (size_t i = 0; i < scope.size(); ++i) {
      const OpId follower = scope[i];
      OpConfig adapted = follower == op ? config : adapt(config, graph.op(op), graph.op(follower));
      rotate(adapted, i * shift, around.device_count());
      if (adapted != current.ops[follower]) changes.push_back({follower, std::move(adapted)});
    }
  }
}

Plan structured_plan(const Neighbourhood& around, Rng& rng) {
  Plan plan;
  plan.ops.resize(around.graph().ops().size());
  for (const std::vector<OpId>& layer : around.layers()) {
    const OpConfig config = redraw(around.space(), layer.front(), rng);
    for (const OpId op : layer) plan.ops[op] = config;
  }
  return plan;
}

}  // namespace soapbox::strategies
