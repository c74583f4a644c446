// The fixed recipes: one function, one file each. The table is in recipes.cc.
#pragma once

#include "sim/base/result.h"
#include "sim/cluster/cluster.h"
#include "sim/model/graph.h"
#include "sim/plan/plan.h"

namespace soapbox::strategies {

Result<Plan> data_parallel(const Model& model, const Cluster& cluster);
Result<Plan> expert(const Model& model, const Cluster& cluster);
Result<Plan> model_parallel(const Model& model, const Cluster& cluster);
Result<Plan> one_weird_trick(const Model& model, const Cluster& cluster);
Result<Plan> table_parallel(const Model& model, const Cluster& cluster);

}  // namespace soapbox::strategies
