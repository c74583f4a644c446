#include "sim/parallel/layer_cost.h"

#include <algorithm>
#include <cmath>

namespace soapbox {
namespace {

// Of `copies` that go to ranks on `nodes` nodes at random, how many nodes get any.
double nodes_reached(int64_t nodes, int32_t copies) {
  const auto n = static_cast<double>(nodes);
  return n * (1 - std::pow(1 - 1 / n, copies));
}

// Adds up the steps of a pass.
class Pricer {
 public:
  Pricer(const LayerStrategy& strategy, const ParallelPlan& plan, const LayerPricing& pricing)
      : plan_(plan), pricing_(pricing), layout_(strategy, pricing.devices_per_node) {}

  // The steps for which `keep` holds; how many they are.
  template <typename Keep>
  size_t append(const std::vector<Step>& steps, Keep keep, PassCost& pass, LayerCost& cost) {
    std::vector<Price> prices(steps.size());
    for (size_t i = 0; i < steps.size(); ++i) prices[i] = price(steps[i]);
    Duration compute;
    size_t count = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      if (!keep(steps[i])) continue;
      ++count;
      note(prices[i], cost);
      const auto* exchange = std::get_if<Exchange>(&steps[i].what);
      if (exchange == nullptr) {
        compute += prices[i].time;
        continue;
      }
      const Duration exposed = exposed_time(steps, prices, i, keep);
      if (exposed == Duration()) continue;
      pass.segments.push_back({compute, exposed, exchange->group});
      compute = Duration();
    }
    if (compute > Duration()) pass.segments.push_back({compute, Duration(), RankGroup::kTensor});
    return count;
  }

 private:
  struct Price {
    Duration time;
    double low = 0;  // as shares of the time
    double high = 0;
    Provenance provenance = Provenance::kMeasured;
  };

  Price price(const Step& step) const {
    if (const auto* kernel = std::get_if<Kernel>(&step.what)) {
      const KernelTime known = pricing_.kernels.time(*kernel);
      return {scaled(known.time, pricing_.factors.of(*kernel)), known.low, known.high,
              known.provenance};
    }
    const auto& exchange = std::get<Exchange>(step.what);
    const GroupShape shape = layout_.shape(exchange.group);
    double bytes = exchange.bytes;
    if (plan_.dispatch_once_per_node && shape.nodes > 1) {
      bytes *= nodes_reached(shape.nodes, exchange.copies) / exchange.copies;
    }
    const CollectiveTime known =
        pricing_.groups.time(exchange.op, Bytes(static_cast<int64_t>(bytes)), shape);
    return {scaled(known.time, pricing_.factors.exchange), 1 - known.relative_low,
            known.relative_high - 1, known.provenance};
  }

  static void note(const Price& price, LayerCost& cost) {
    const double seconds = price.time.seconds();
    cost.total_s += seconds;
    cost.low_s += seconds * price.low;
    cost.high_s += seconds * price.high;
    cost.worst = std::max(cost.worst, price.provenance);
  }

  // What an exchange costs beyond the kernels that run meanwhile. Cut into as many parts as there
  // are ranks, at least the first part is waited for.
  template <typename Keep>
  Duration exposed_time(const std::vector<Step>& steps, const std::vector<Price>& prices, size_t at,
                        Keep keep) const {
    const auto& exchange = std::get<Exchange>(steps[at].what);
    Duration hidden;
    for (size_t i = at + 1;
         i < steps.size() && i <= at + static_cast<size_t>(exchange.hidden_behind); ++i) {
      if (keep(steps[i])) hidden += prices[i].time;
    }
    Duration exposed = std::max(Duration(), prices[at].time - hidden);
    if (!plan_.overlap_tensor || !exchange.beside_product || exchange.hidden_behind > 0) {
      return exposed;
    }
    Duration product;
    const auto consider = [&](size_t i) {
      const auto* kernel = i < steps.size() ? std::get_if<Kernel>(&steps[i].what) : nullptr;
      if (kernel != nullptr && kernel->kind == KernelKind::kGemm) {
        product = std::max(product, prices[i].time);
      }
    };
    consider(at + 1);
    if (at > 0) consider(at - 1);
    const int64_t parts = layout_.shape(exchange.group).ranks_per_node;
    const Duration first = Duration(prices[at].time.picoseconds() / std::max<int64_t>(1, parts));
    return std::max(first, exposed - product);
  }

  const ParallelPlan& plan_;
  const LayerPricing& pricing_;
  RankLayout layout_;
};

Duration collective(const LayerPricing& pricing, CollectiveOp op, double bytes,
                    const GroupShape& shape) {
  return exchange_time(pricing.groups, pricing.factors, op, bytes, shape);
}

// A host that issues `steps` more slowly than the device runs them sets the pace of the pass.
void wait_for_host(const RunFactors& factors, size_t steps, PassCost& pass) {
  const Duration issued = scaled(factors.issue, static_cast<double>(steps));
  const Duration run = pass.total();
  if (issued > run) pass.segments.push_back({issued - run, Duration(), RankGroup::kTensor});
}

// Gathering and reducing what the replicas share.
DataCost price_data(const LayerWork& work, const LayerStrategy& strategy, const ParallelPlan& plan,
                    const LayerPricing& pricing) {
  const RankLayout layout(strategy, pricing.devices_per_node);
  const auto parameter = static_cast<double>(size_bytes(plan.precision.parameters));
  const auto gradient = static_cast<double>(size_bytes(plan.precision.gradients));
  const auto dense = static_cast<double>(work.dense_parameters);
  const auto experts = static_cast<double>(work.expert_parameters);
  DataCost cost;
  const bool sharded = strategy.zero_stage >= 1;
  const auto reduce = [&](double count, const GroupShape& group) {
    return collective(pricing, sharded ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
                      count * gradient, group);
  };
  if (layout.replicas() > 1 && dense > 0) {
    cost.reduce += reduce(dense, sharded ? layout.shard_group() : layout.replica_group());
    if (sharded && layout.shard_count() < layout.replicas()) {
      cost.reduce +=
          collective(pricing, CollectiveOp::kAllReduce, dense * gradient / layout.shard_count(),
                     layout.shard_replica_group());
    }
    if (sharded) {
      const double pieces = strategy.zero_stage == 3 ? plan.gathers_per_layer : 1;
      cost.gather += scaled(collective(pricing, CollectiveOp::kAllGather,
                                       dense * parameter / pieces, layout.shard_group()),
                            pieces);
    }
  }
  if (layout.expert_replicas() > 1 && experts > 0) {
    cost.reduce += reduce(experts, layout.expert_replica_group());
    if (sharded) {
      cost.gather += collective(pricing, CollectiveOp::kAllGather, experts * parameter,
                                layout.expert_replica_group());
    }
  }
  return cost;
}

}  // namespace

Duration PassCost::compute() const {
  Duration sum;
  for (const Segment& segment : segments) sum += segment.compute;
  return sum;
}

Duration PassCost::total() const {
  Duration sum = compute();
  for (const Segment& segment : segments) sum += segment.exchange;
  return sum;
}

Duration exchange_time(const GroupCosts& groups, const RunFactors& factors, CollectiveOp op,
                       double bytes, const GroupShape& shape) {
  return scaled(groups.time(op, Bytes(static_cast<int64_t>(bytes)), shape).time, factors.exchange);
}

LayerCost price_layer(const LayerWork& work, const LayerStrategy& strategy,
                      const ParallelPlan& plan, const LayerPricing& pricing) {
  LayerCost cost;
  Pricer pricer(strategy, plan, pricing);
  const auto all = [](const Step&) { return true; };
  const auto inputs = [](const Step& step) { return !step.weight_gradient; };
  const auto weights = [](const Step& step) { return step.weight_gradient; };
  const size_t forward = pricer.append(work.forward, all, cost.forward, cost);
  size_t backward = pricer.append(work.recompute, all, cost.backward, cost);
  if (pricing.split_backward) {
    backward += pricer.append(work.backward, inputs, cost.backward, cost);
    const size_t apart = pricer.append(work.backward, weights, cost.weight, cost);
    wait_for_host(pricing.factors, apart, cost.weight);
  } else {
    backward += pricer.append(work.backward, all, cost.backward, cost);
  }
  wait_for_host(pricing.factors, forward, cost.forward);
  wait_for_host(pricing.factors, backward, cost.backward);
  cost.data = price_data(work, strategy, plan, pricing);
  return cost;
}

}  // namespace soapbox
