#include "calib/fits/pattern_search.h"

#include <cstdlib>

#include "sim/base/str.h"

namespace soapbox::calib {

void pattern_search(std::vector<double>& values,
                    const std::function<double(const std::vector<double>&)>& cost) {
  constexpr int kMostSweeps = 25;
  double best = cost(values);
  for (const double step : {1.3, 1.1, 1.04, 1.01}) {
    bool improved = true;
    for (int sweep = 0; improved && sweep < kMostSweeps; ++sweep) {
      improved = false;
      for (double& value : values) {
        const double old = value;
        for (const double next : {old * step, old / step}) {
          value = next;
          const double found = cost(values);
          if (found < best) {
            best = found;
            improved = true;
            break;
          }
          value = old;
        }
      }
    }
  }
}

double rounded_to(double value, int digits) {
  return std::strtod(to_digits(value, digits).c_str(), nullptr);
}

double rounded(double value) {
  return value < 1e-3 ? 0 : rounded_to(value, 3);
}

}  // namespace soapbox::calib
