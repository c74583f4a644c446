// Problems for the tests and benchmarks of this folder: clusters of P100 nodes, models of the
// table, and a tiny model whose whole SOAP space can be enumerated. Costs are the datasheet's.
#pragma once

#include <memory>
#include <string_view>

#include "sim/cluster/cluster.h"
#include "sim/cost/cost.h"
#include "sim/model/graph.h"
#include "sim/model/models.h"
#include "sim/simulate/simulate.h"

namespace soapbox::strategies {

// Nodes of four P100: NVLink between all four, one 100 Gb/s port per node, one switch between
// nodes. As many nodes as the devices need. REQUIRES: device_count > 0.
Cluster p100_nodes(size_t device_count);

// Two linear layers side by side, their sum, a softmax. On two devices the operators have 10, 10,
// 10 and 6 configurations: 6,000 plans.
Model tiny_model();

// Owns what a Problem borrows.
struct TestProblem {
  TestProblem(Model model, Cluster cluster);
  Problem problem() const { return {model, cluster, costs, {}}; }

  Model model;
  Cluster cluster;
  Costs costs;
};

// A model of the table at its own batch per device. REQUIRES: the name is known.
std::unique_ptr<TestProblem> test_problem(std::string_view model, size_t device_count);
std::unique_ptr<TestProblem> tiny_problem();

}  // namespace soapbox::strategies
