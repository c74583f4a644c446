#include "scenarios/runner/ring_check.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "calib/runs/ring_run.h"
#include "scenarios/runner/record.h"
#include "sim/base/str.h"
#include "sim/collective/collective.h"

namespace soapbox::runner {
namespace {

// n devices, each with one link to the next.
Cluster ring_cluster(uint32_t ranks, const calib::LinkSegment& link) {
  Cluster::Parts parts;
  parts.name = "ring";
  parts.node_count = 1;
  Hardware hardware;
  hardware.name = "rank";
  hardware.fp32_peak = tflops_per_s(1);
  hardware.memory_bandwidth = gb_per_s(1);
  hardware.memory = gibibytes(1);
  hardware.sm_count = 1;
  const HardwareId kind = parts.hardware.push_back(hardware);
  std::vector<VertexId> vertices;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    vertices.push_back(
        parts.vertices.push_back({str_cat("rank", rank), VertexKind::kDevice, NodeId(0)}));
    Device device;
    device.vertex = vertices.back();
    device.node = NodeId(0);
    device.hardware = kind;
    parts.devices.push_back(device);
  }
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    parts.links.push_back({vertices[rank], vertices[(rank + 1) % ranks],
                           BytesPerSecond(1 / link.beta_s), from_seconds(link.alpha_s), "tcp"});
  }
  return *Cluster::make(std::move(parts));
}

// Powers of four around 1 MB, as whole blocks of floats.
std::vector<Bytes> ring_sizes(uint32_t ranks) {
  std::vector<Bytes> sizes;
  for (int64_t bytes = 64 << 10; bytes <= 4 << 20; bytes *= 4) {
    const int64_t block = 4 * int64_t{ranks};
    sizes.emplace_back((bytes + block - 1) / block * block);
  }
  return sizes;
}

Result<calib::LinkFit> calibrate_link(const RingCheckSpec& spec, const Interrupt& interrupt) {
  std::vector<Bytes> sizes;
  for (int64_t bytes = 1 << 10; bytes <= 1 << 20; bytes *= 2) sizes.emplace_back(bytes);
  const auto samples =
      calib::ping_pong(spec.rate, sizes, spec.repeats, [&] { return interrupt.requested(); });
  if (!samples) return samples.error();
  return calib::fit_link(*samples, 1);
}

std::vector<Duration> predict(const RingCheckSpec& spec, const calib::LinkSegment& link,
                              const std::vector<Bytes>& sizes) {
  const Cluster cluster = ring_cluster(spec.ranks, link);
  std::vector<DeviceId> devices;
  for (const DeviceId device : cluster.devices().ids()) devices.push_back(device);
  std::vector<Duration> times;
  for (const Bytes bytes : sizes) {
    CollectiveSpec collective;
    collective.algorithm = "ring";
    collective.bytes = bytes;
    times.push_back(simulate_collective(cluster, devices, collective)->time);
  }
  return times;
}

}  // namespace

Result<RingCheck> check_ring(const RingCheckSpec& spec, const Interrupt& interrupt,
                             const Console& console) {
  const Result<calib::LinkFit> link = calibrate_link(spec, interrupt);
  if (!link) return link.error();
  const calib::LinkSegment& line = link->segments.front();
  console.say(str_cat("ping-pong: ", std::llround(line.alpha_s * 1e9), " ns and ",
                      std::llround(1e-3 / line.beta_s), " KB/s, fitted within ",
                      percent(link->mape, 2)));
  const std::vector<Bytes> sizes = ring_sizes(spec.ranks);
  const std::vector<Duration> predicted = predict(spec, line, sizes);
  for (size_t i = 0; i < sizes.size(); ++i) {
    console.say(str_cat("predicted ", predicted[i].seconds() * 1e3, " ms for ", sizes[i].count(),
                        " bytes on ", spec.ranks, " ranks"));
  }
  RingCheck check{
      results::Table({{"ranks"}, {"bytes"}, {"predicted_s"}, {"measured_s"}, {"error", 4}}), {}, 0};
  double sum = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    calib::RingRunSpec run{.ranks = spec.ranks, .rate = spec.rate, .bytes = sizes[i]};
    run.repeats = spec.repeats;
    run.interrupted = [&] { return interrupt.requested(); };
    const Result<calib::RingRun> ring = calib::run_ring(run);
    if (!ring) return ring.error();
    const double measured_s = *std::min_element(ring->seconds.begin(), ring->seconds.end());
    const double error = predicted[i].seconds() / measured_s - 1;
    check.table.add_row({spec.ranks, sizes[i].count(), predicted[i].seconds(), measured_s, error});
    sum += std::fabs(error);
    check.worst_error = std::max(check.worst_error, std::fabs(error));
  }
  check.summary =
      str_cat("ring all-reduce: mean error ", percent(sum / static_cast<double>(sizes.size()), 2),
              ", worst ", percent(check.worst_error, 2), "\n");
  return check;
}

}  // namespace soapbox::runner
