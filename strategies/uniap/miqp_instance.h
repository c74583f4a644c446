// The tables of UniAP as one instance of its program, in integers.
#pragma once

#include "sim/base/result.h"
#include "strategies/miqp/instance.h"
#include "strategies/uniap/cost_tables.h"

namespace soapbox::strategies::uniap {

// Layer u of the instance is layer u of the tables, and so on. Errors where the numbers are out of
// the instance's range.
Result<miqp::Instance> to_instance(const CostTables& tables);

}  // namespace soapbox::strategies::uniap
