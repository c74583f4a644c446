// Minimises a function of positive values without its derivatives: one value at a time is
// multiplied or divided by a step that shrinks from 1.3 to 1.01. Deterministic. Hooke, Jeeves,
// "Direct search solution of numerical and statistical problems", 1961. O(sweeps x values) calls.
#pragma once

#include <functional>
#include <vector>

namespace soapbox::calib {

void pattern_search(std::vector<double>& values,
                    const std::function<double(const std::vector<double>&)>& cost);

// To so many significant digits, as it is written down.
double rounded_to(double value, int digits);
// To three, and to 0 what is too small to matter.
double rounded(double value);

}  // namespace soapbox::calib
