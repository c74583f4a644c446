// From raw samples to the files of a scenario folder: hardware, profile, fit, measured table,
// cluster. A pure function: the same samples give the same bytes.
//
// Hardware figures are what was reached: the best rate of a linear layer is the peak, the best rate
// of a pass over memory the bandwidth; one core is one device with one multiprocessor. The roofline
// (sim/cost/roofline.h) is fitted to cold medians, a fifth of the points held out; every piece that
// was measured also stands in the measured table, which the simulator asks first. The 90 % interval
// of each family is that of the held-out points, by split conformal prediction on log(measured /
// predicted): the ceil(0.9 (n + 1))-th smallest distance. Where too few are held out for that rank,
// the largest distance stands, and the text says so.
#pragma once

#include <string>
#include <vector>

#include "calib/sampling/sample_file.h"
#include "sim/cluster/hardware.h"
#include "sim/cost/roofline.h"

namespace soapbox::calib {

struct FamilyFit {
  std::string family;  // "stream", or a kind of product
  size_t fitted = 0;
  size_t held_out = 0;
  double fitted_mape = 0;
  double held_out_mape = 0;
  // Measured is within predicted / factor .. predicted x factor; 1 where nothing was held out.
  double interval_factor = 1;
  bool interval_is_rough = true;  // too few held-out points for a 90 % interval
  double least_flops = 0;         // the measured range; bytes for "stream"
  double most_flops = 0;
};

struct NamedText {
  std::string path;  // relative to the folder
  std::string text;
};

struct DeviceProfile {
  std::vector<FamilyFit> families;
  std::vector<NamedText> files;
  std::string cluster;  // its name: "cpu_2"
};

// How a GPU's kernels are launched decides what each costs. In a graph: cold, plus what replaying
// adds to or saves of a hot run. In a stream: cold, plus what passes between two launched kernels;
// where the host waits for each, between two of these. A core's are cold medians.
//
// Of a GPU that stands in the hardware catalogue, `known` has the datasheet's figures, which the
// fit is then relative to, and hardware.csv is not made. Fails where the samples lack a family that
// the figures rest on.
Result<DeviceProfile> make_device_profile(const SampleFile& samples,
                                          const Hardware* known = nullptr,
                                          LaunchMode mode = LaunchMode::kGraph);

}  // namespace soapbox::calib
