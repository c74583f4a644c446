// What one simulated plan comes to, as the commands print it.
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/runner/execution.h"
#include "scenarios/runner/record.h"

namespace soapbox::runner {

// Whether the plan fits, else why not, and what its fullest device holds.
void add_memory(Record& record, const Report& report, const std::string& reason);
// What every simulation says of itself: bounds, events, hash, provenance.
void add_simulated_figures(Record& record, const Report& report);
// Problem, method and report.
Record simulation_record(const LoadedProblem& loaded, const std::string& method,
                         const Execution& execution);
// The same, and what the search cost.
Record search_record(const LoadedProblem& loaded, const MethodSpec& method, uint64_t seed,
                     const Execution& execution);

}  // namespace soapbox::runner
