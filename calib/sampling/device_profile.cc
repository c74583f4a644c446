#include "calib/sampling/device_profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "calib/fits/link_fit.h"
#include "calib/fits/pattern_search.h"
#include "calib/fits/roofline_fit.h"
#include "calib/sampling/device_tables.h"
#include "sim/base/str.h"
#include "sim/cost/nearby_pieces.h"

namespace soapbox::calib {
namespace {

struct Row {
  ProbePoint point;
  Work work;
  double seconds = 0;
  bool held_out = false;
};

double stream_rate(const Row& row) {
  return row.work.stream_bytes / row.seconds;
}

// Sorted by what they are, so that the order of measuring does not matter.
std::vector<const Sample*> in_order(const SampleFile& file) {
  std::vector<const Sample*> samples;
  for (const Sample& sample : file.samples) samples.push_back(&sample);
  std::sort(samples.begin(), samples.end(), [](const Sample* a, const Sample* b) {
    return std::tie(a->point.what, a->at_s) < std::tie(b->point.what, b->at_s);
  });
  return samples;
}

// What a sample costs its device in a row of kernels, seconds. What launching costs the host is a
// clock of its own (two_clocks.h).
class Price {
 public:
  Price(const SampleHeader& header, LaunchMode mode) : header_(header), mode_(mode) {}
  double operator()(const Sample& sample) const {
    const Measurement& measured = sample.measured;
    const double cold = median(measured.cold_s);
    if (header_.sm_count == 0) return cold;
    if (mode_ == LaunchMode::kStream) return cold + header_.launched_dispatch_s;
    if (mode_ == LaunchMode::kWait) return cold + waited_dispatch_s();
    if (measured.replay_s == 0) return cold + header_.dispatch_s;
    return std::max(cold / 2, cold + measured.replay_s - median(measured.hot_s));
  }

 private:
  double waited_dispatch_s() const {  // older samples lack it: no less than without waiting
    return std::max(header_.waited_dispatch_s, header_.launched_dispatch_s);
  }
  const SampleHeader& header_;
  LaunchMode mode_;
};

// The roofline is of fp32; other types stand in the measured table alone.
bool is_fitted(const ProbePoint& point) {
  if (const auto* piece = std::get_if<Piece>(&point.what)) return piece->type == DataType::kFp32;
  const auto* stream = std::get_if<Stream>(&point.what);
  return stream != nullptr && stream->is_pass();
}

// Every fifth point of a kind is held out.
struct Rows {
  std::vector<Row> streams;
  std::array<std::vector<Row>, kProductKinds> products;
};

Rows rows_of(const std::vector<const Sample*>& samples, const Price& price) {
  constexpr size_t kFold = 5;
  Rows rows;
  for (const Sample* sample : samples) {
    if (!is_fitted(sample->point)) continue;
    const Work work = work_of(sample->point);
    const bool is_product = work.product.m > 0;
    auto& target = is_product ? rows.products[static_cast<size_t>(work.kind)] : rows.streams;
    const bool held_out = target.size() % kFold == kFold - 1;
    target.push_back({sample->point, work, price(*sample), held_out});
  }
  return rows;
}

double predicted(const Roofline& roofline, const Work& work) {
  return roofline.launch_time(work).seconds() + roofline.run_seconds(work, DataType::kFp32);
}

// Symmetric in ratios and free of logarithms, so the same with every C library.
double misfit(const Roofline& roofline, const std::vector<Row>& rows) {
  double sum = 0;
  for (const Row& row : rows) {
    if (row.held_out) continue;
    const double ratio = predicted(roofline, row.work) / row.seconds;
    sum += std::max(ratio, 1 / ratio) - 1;
  }
  return sum;
}

// A GPU's fitted points also say by how much the roofline misses others that are like them.
NearbyPieces nearby_of(const Roofline& roofline, const std::vector<Row>& rows, bool gpu) {
  std::vector<MeasuredPiece> pieces;
  for (const Row& row : rows) {
    const auto* piece = std::get_if<Piece>(&row.point.what);
    if (gpu && piece != nullptr && !row.held_out) {
      pieces.push_back({*piece, from_seconds(row.seconds)});
    }
  }
  return NearbyPieces(pieces, roofline);
}

double factor_of(const NearbyPieces& nearby, const Row& row) {
  const auto* piece = std::get_if<Piece>(&row.point.what);
  if (piece == nullptr) return 1;
  return nearby.factor(operator_of(*piece), piece->phase, row.work);
}

FamilyFit report_on(std::string family, const Roofline& roofline, const std::vector<Row>& rows,
                    bool gpu) {
  const NearbyPieces nearby = nearby_of(roofline, rows, gpu);
  FamilyFit fit;
  fit.family = std::move(family);
  fit.least_flops = std::numeric_limits<double>::infinity();
  std::vector<double> factors;
  for (const Row& row : rows) {
    const double alone = predicted(roofline, row.work) / row.seconds;
    const double ratio = row.held_out ? alone * factor_of(nearby, row) : alone;
    const double size = row.work.product.m > 0
                            ? row.work.product.flops() * static_cast<double>(row.work.products)
                            : row.work.stream_bytes;
    fit.least_flops = std::min(fit.least_flops, size);
    fit.most_flops = std::max(fit.most_flops, size);
    if (row.held_out) {
      factors.push_back(std::max(ratio, 1 / ratio));
      fit.held_out_mape += std::fabs(ratio - 1);
    } else {
      ++fit.fitted;
      fit.fitted_mape += std::fabs(ratio - 1);
    }
  }
  fit.held_out = factors.size();
  fit.fitted_mape /= static_cast<double>(std::max<size_t>(1, fit.fitted));
  fit.held_out_mape /= static_cast<double>(std::max<size_t>(1, fit.held_out));
  if (factors.empty()) return fit;
  std::sort(factors.begin(), factors.end());
  const auto rank = static_cast<size_t>(std::ceil(0.9 * static_cast<double>(factors.size() + 1)));
  fit.interval_is_rough = rank > factors.size();
  fit.interval_factor = factors[std::min(rank, factors.size()) - 1];
  return fit;
}

// Launch and bandwidth, from passes over memory of all sizes.
void fit_streams(const std::vector<Row>& rows, const Hardware& hardware, RooflineShape& shape) {
  std::vector<double> values = {1e-6, 0.5};  // launch, efficiency
  const auto apply = [&](const std::vector<double>& v) {
    shape.launch = from_seconds(v[0]);
    shape.memory_efficiency = std::min(1.0, v[1]);
    return Roofline(shape, hardware);
  };
  pattern_search(values, [&](const std::vector<double>& v) { return misfit(apply(v), rows); });
  values[0] = rounded(values[0] * 1e6) * 1e-6;
  values[1] = rounded(values[1]);
  apply(values);
}

// Where the search for one kind of product begins. Libraries for cores block registers by some rows
// and whole vectors: one tile, whichever fits best.
std::vector<ProductShape> starts_of(size_t kind, bool gpu) {
  if (gpu) return {gpu_product_starts()[kind]};
  std::vector<ProductShape> starts;
  for (const auto& [m, n] : {std::pair(1, 16), {4, 16}, {6, 64}, {16, 16}}) {
    starts.push_back({{{m, n, 0.5, 0.1}}, 1, 8, 0, 1});
  }
  return starts;
}

void fit_product(size_t kind, const std::vector<Row>& rows, const Hardware& hardware, bool gpu,
                 RooflineShape& shape) {
  ProductShape best;
  double least = std::numeric_limits<double>::infinity();
  for (const ProductShape& start : starts_of(kind, gpu)) {
    std::vector<double> values;
    for (const Tile& tile : start.tiles) {
      values.push_back(tile.efficiency);
      values.push_back(tile.passes);
    }
    values.insert(values.end(), {start.latency, start.ramp, start.long_k_penalty});
    const auto apply = [&](const std::vector<double>& v) {
      ProductShape& product = shape.products[kind];
      product = start;
      for (size_t tile = 0; tile < start.tiles.size(); ++tile) {
        product.tiles[tile].efficiency = std::max(v[2 * tile], 1e-3);
        product.tiles[tile].passes = v[2 * tile + 1];
      }
      const size_t rest = 2 * start.tiles.size();
      product.latency = v[rest];
      product.ramp = v[rest + 1];
      product.long_k_penalty = v[rest + 2];
      return Roofline(shape, hardware);
    };
    pattern_search(values, [&](const std::vector<double>& v) { return misfit(apply(v), rows); });
    for (double& value : values) value = rounded(value);
    const double found = misfit(apply(values), rows);
    if (found >= least) continue;
    least = found;
    best = shape.products[kind];
  }
  shape.products[kind] = best;
}

std::string fit_toml(const SampleFile& file, const RooflineShape& shape,
                     const std::vector<FamilyFit>& families) {
  std::string text =
      "# Generated by soapbox calibrate from raw samples; do not edit.\n"
      "# Mean absolute percentage errors of fitted and held-out points, the factor within which\n"
      "# 90 % of what was not fitted lies (~: too few points for that, so the largest), and the\n"
      "# measured range. Beyond it a time is an extrapolation.\n";
  for (const FamilyFit& family : families) {
    char line[200];
    std::snprintf(line, sizeof line,
                  "#   %-8s %4zu / %3zu points  %5.1f %% / %5.1f %%  x %s%.2f  %.2g .. %.2g %s\n",
                  family.family.c_str(), family.fitted, family.held_out, 100 * family.fitted_mape,
                  100 * family.held_out_mape, family.interval_is_rough ? "~" : "",
                  family.interval_factor, family.least_flops, family.most_flops,
                  family.family == "stream" ? "bytes" : "FLOPs");
    text += line;
  }
  return str_cat(text, "measured_on = \"", file.header.processor.id, "\"\nsource = \"",
                 file.header.library,
                 file.header.sm_count > 0 ? ", CUPTI, " : ", thread CPU time, ",
                 file.header.started_at, "\"\n", shape_toml(shape));
}

// A cost model finds a piece by kind, phase, extents and window: elementwise operators of one shape
// and different inputs cannot be told apart there, so those of a model stand for all.
std::string measured_csv(const std::string& id, const std::vector<const Sample*>& samples,
                         const std::function<double(const Sample&)>& price) {
  std::map<std::string, const Sample*> rows;
  for (const Sample* sample : samples) {
    const auto* piece = std::get_if<Piece>(&sample->point.what);
    if (piece == nullptr) continue;
    const bool of_a_model = sample->point.probe.starts_with("model ");
    if (piece->kind == OpKind::kElementwise && !of_a_model) continue;
    if (!(price(*sample) > 0)) continue;
    std::string extents;
    for (const int64_t extent : piece->extents) {
      extents += str_cat(extents.empty() ? "" : "x", extent);
    }
    const bool window = has_window(piece->kind);
    rows.try_emplace(
        str_cat(id, ",", to_string(piece->kind), ",", to_string(piece->type), ",",
                to_string(piece->phase), ",", extents, ",",
                window ? str_cat(piece->kernel_h, "x", piece->kernel_w, "s", piece->stride) : "-"),
        sample);
  }
  std::string text = "hardware,kind,type,phase,extents,window,time_us\n";
  for (const auto& [key, sample] : rows) {
    text += str_cat(key, ",", to_digits(price(*sample) * 1e6, 6), "\n");
  }
  return text;
}

std::string hardware_csv(const SampleFile& file, const Hardware& hardware) {
  const Processor& processor = file.header.processor;
  const bool gpu = file.header.sm_count > 0;
  return str_cat(
      "id,vendor,arch,compute_capability,form_factor,year,sm_or_cu,boost_mhz,mem_gb,mem_type,"
      "mem_bw_gbs,l2_mb,llc_mb,fp64_tflops,fp32_tflops,tf32_tflops,fp16_tflops,bf16_tflops,"
      "fp8_tflops,fp4_tflops,int8_tops,scaleup,scaleup_links,scaleup_uni_gbs,pcie_gen,pcie_lanes,"
      "pcie_uni_gbs,power_w,achieved_gemm_tflops,achieved_gemm_what,achieved_fp32_gemm_tflops,"
      "achieved_mem_gbs,achieved_mem_what,confidence,source,notes\n",
      hardware.name, ",,,,", gpu ? "gpu" : "core", ",,", hardware.sm_count, ",,",
      to_digits(static_cast<double>(processor.memory_bytes) / static_cast<double>(processor.cores) /
                    (1024.0 * 1024 * 1024),
                4),
      ",,", to_digits(hardware.memory_bandwidth.rate() / 1e9, 4), ",",
      to_digits(static_cast<double>(processor.second_cache_bytes) / (1024.0 * 1024), 4), ",,,",
      to_digits(hardware.fp32_peak.rate() / 1e12, 4),
      ",,,,,,,none,,,,,,,,,,,,B,soapbox calibrate,\"One ", gpu ? "" : "core of ", processor.name,
      ". Peak and bandwidth are the best that ", file.header.library,
      " reached; memory is its share.\"\n");
}

std::string cluster_toml(const SampleFile& file, const std::string& id, const LinkSegment& copy) {
  const size_t cores = file.header.processor.cores;
  if (file.header.sm_count > 0) {
    return str_cat("summary = \"one ", file.header.processor.name,
                   "\"\nsource = \"soapbox calibrate, ", file.header.started_at,
                   "\"\n\n[[node]]\ncount = 1\ngpus = 1\ngpu = \"", id, "\"\n");
  }
  std::string text = str_cat("summary = \"the ", cores, " cores of ", file.header.processor.name,
                             "\"\nsource = \"soapbox calibrate, ", file.header.started_at,
                             "\"\n\n[[node]]\ncount = 1\ngpus = ", cores, "\ngpu = \"", id, "\"\n");
  if (cores < 2) return text;
  return text + str_cat("\n[[node.link]]\nmesh = \"gpu*\"\ntype = \"memory\"\nbandwidth = \"",
                        to_digits(1e-9 / copy.beta_s, 4), " GB/s\"\nlatency = \"",
                        to_digits((copy.alpha_s + file.header.dispatch_s) * 1e6, 4),
                        " us\"\ncopied_by_sender = true\nsource = \"copies of 4 KiB to 4 MiB out "
                        "of cold caches, and what the executor spends between two tasks\"\n");
}

std::string profile_toml(const SampleFile& file, const std::string& id,
                         const RooflineShape& shape) {
  const bool gpu = file.header.sm_count > 0;  // whose prices hold what passes between kernels
  const double launch_us = shape.launch.seconds() * 1e6 + (gpu ? 0 : file.header.dispatch_s * 1e6);
  return str_cat("# Generated by soapbox calibrate from raw samples; do not edit.\nhardware = \"",
                 id, "\"\nsource = \"kernels of ", file.header.library,
                 file.header.sm_count > 0 ? " measured on one " : " measured on one core of ",
                 file.header.processor.name, ", cold caches\"\nfit = \"fits/", id,
                 ".toml\"\nmeasured = \"measured/", id, ".csv\"\n", gpu ? "nearby = \"on\"\n" : "",
                 "\n# Of a kernel that does nothing, and what the executor spends between two "
                 "tasks.\nlaunch = \"",
                 to_digits(launch_us, 3), " us\"\n");
}

// The line through copies, which a link between two cores is made of.
std::optional<LinkSegment> copy_line(const std::vector<const Sample*>& samples) {
  std::vector<TimedTransfer> copies;
  for (const Sample* sample : samples) {
    const auto* stream = std::get_if<Stream>(&sample->point.what);
    if (stream == nullptr || stream->kind != StreamWork::Kind::kCopy) continue;
    if (stream->bytes > 4 << 20) continue;
    copies.push_back({stream->bytes, median(sample->measured.cold_s)});
  }
  if (copies.size() < 2) return std::nullopt;
  const LinkSegment line = fit_link(copies, 1).segments.front();
  if (!(line.beta_s > 0)) return std::nullopt;
  return line;
}

Hardware hardware_of(const SampleFile& file, const Rows& rows, const Hardware* known) {
  if (known != nullptr) return *known;
  Hardware hardware;
  hardware.name = file.header.processor.id;
  hardware.sm_count = static_cast<int>(std::max<int64_t>(1, file.header.sm_count));
  for (const Row& row : rows.streams) {
    hardware.memory_bandwidth =
        std::max(hardware.memory_bandwidth, BytesPerSecond(stream_rate(row)));
  }
  for (const Row& row : rows.products[static_cast<size_t>(ProductKind::kLinear)]) {
    hardware.fp32_peak =
        std::max(hardware.fp32_peak, FlopsPerSecond(row.work.product.flops() / row.seconds));
  }
  return hardware;
}

std::vector<NamedText> files_of(const SampleFile& file, const std::vector<const Sample*>& samples,
                                const RooflineShape& shape, const DeviceProfile& profile,
                                const Hardware& hardware, const Price& price, bool is_known) {
  const std::string& id = hardware.name;
  const bool gpu = file.header.sm_count > 0;
  std::vector<NamedText> files = {
      {str_cat("profiles/", id, ".toml"), profile_toml(file, id, shape)},
      {str_cat("profiles/fits/", id, ".toml"), fit_toml(file, shape, profile.families)},
      {str_cat("profiles/measured/", id, ".csv"), measured_csv(id, samples, price)},
      {str_cat("clusters/", profile.cluster, ".toml"), cluster_toml(file, id, *copy_line(samples))},
  };
  if (!is_known) {
    files.insert(files.begin(), {"hardware/hardware.csv", hardware_csv(file, hardware)});
  }
  if (gpu) {
    for (NamedText& text : kernel_texts(id, samples)) files.push_back(std::move(text));
    const auto launch = [](const Sample& sample) { return sample.measured.launch_s; };
    files.push_back({str_cat("profiles/launches/", id, ".csv"), measured_csv(id, samples, launch)});
  }
  files.push_back({str_cat("profiles/links/", id, ".toml"), link_toml(file, samples)});
  return files;
}

}  // namespace

Result<DeviceProfile> make_device_profile(const SampleFile& file, const Hardware* known,
                                          LaunchMode mode) {
  constexpr size_t kLeastRows = 8;
  const std::vector<const Sample*> samples = in_order(file);
  const Price price(file.header, mode);
  const Rows rows = rows_of(samples, price);
  const auto& linear = rows.products[static_cast<size_t>(ProductKind::kLinear)];
  if (rows.streams.size() < kLeastRows || linear.size() < kLeastRows || !copy_line(samples)) {
    return bad_input(
        "too few samples for a profile: it needs the probes 'linear' and 'memory'; give the "
        "calibration more time");
  }
  const Hardware hardware = hardware_of(file, rows, known);
  const bool gpu = file.header.sm_count > 0;
  RooflineShape shape = datasheet_shape();
  fit_streams(rows.streams, hardware, shape);
  for (size_t kind = 0; kind < kProductKinds; ++kind) {
    const auto& own = rows.products[kind];
    fit_product(kind, own.size() >= kLeastRows ? own : linear, hardware, gpu, shape);
  }
  DeviceProfile profile;
  const Roofline roofline(shape, hardware);
  profile.families.push_back(report_on("stream", roofline, rows.streams, gpu));
  for (size_t kind = 0; kind < kProductKinds; ++kind) {
    if (rows.products[kind].empty()) continue;
    profile.families.push_back(
        report_on(to_string(static_cast<ProductKind>(kind)), roofline, rows.products[kind], gpu));
  }
  profile.cluster = gpu ? "gpu_1" : str_cat("cpu_", file.header.processor.cores);
  profile.files = files_of(file, samples, shape, profile, hardware, price, known != nullptr);
  return profile;
}

}  // namespace soapbox::calib
