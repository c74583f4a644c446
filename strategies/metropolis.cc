#include "strategies/metropolis.h"

#include <algorithm>
#include <cmath>

namespace soapbox::strategies {

// u = m 2^e with m in [sqrt(1/2), sqrt(2)), and ln(m) = 2 artanh(s) with s = (m - 1) / (m + 1): a
// power series in s^2 < 0.03.
double minus_log(double u) {
  SOAPBOX_DCHECK(u > 0 && u <= 1, "the logarithm of a probability");
  constexpr double kLn2 = 0.693147180559945309417;
  constexpr double kSqrtHalf = 0.707106781186547524401;
  int exponent = 0;
  double m = std::frexp(u, &exponent);  // exact
  if (m < kSqrtHalf) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1);
  double series = 0;
  for (int k = 21; k >= 1; k -= 2) series = 1.0 / k + s * s * series;
  return -(exponent * kLn2 + 2 * s * series);
}

Duration metropolis_limit(Duration current, double beta, Rng& rng) {
  const double u = 1 - rng.uniform();
  const double increase = minus_log(u) / beta;
  // A limit of 2^61 ps, 26 days, is no limit.
  const double slack = std::min(increase * static_cast<double>(current.picoseconds()), 0x1p61);
  return current + Duration(static_cast<int64_t>(slack));
}

}  // namespace soapbox::strategies
