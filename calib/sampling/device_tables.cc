#include "calib/sampling/device_tables.h"

#include <array>
#include <map>
#include <optional>

#include "calib/fits/link_fit.h"
#include "sim/base/str.h"

namespace soapbox::calib {
namespace {

constexpr size_t kFold = 5;

std::string time_us(const Sample& sample) {
  return to_digits(median(sample.measured.cold_s) * 1e6, 6);
}

std::string_view split_of(size_t row) {
  return row % kFold == kFold - 1 ? "test" : "train";
}

std::string_view role_of(Phase phase) {
  if (phase == Phase::kForward) return "forward";
  return phase == Phase::kBackwardInput ? "input_gradient" : "weight_gradient";
}

// The file that a product goes into; empty: none.
std::string_view family_of(DataType type) {
  switch (type) {
    case DataType::kFp32:
      return "fp32_linear";
    case DataType::kBf16:
      return "tensor_linear";
    case DataType::kFp8:
      return "fp8_linear";
    default:
      return "";
  }
}

class Table {
 public:
  explicit Table(std::string_view header) : text_(str_cat(header, "\n")) {}
  void add(const std::string& row) { text_ += str_cat(split_of(rows_++), ",", row, "\n"); }
  bool empty() const { return rows_ == 0; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t rows_ = 0;
};

// Rows and channels large enough that caches hold none of it.
bool is_large(const Work& work) {
  constexpr double kLeastBytes = 32 << 20;
  return work.stream_bytes >= kLeastBytes;
}

std::optional<double> median_of(const std::vector<const Sample*>& samples, StreamWork::Kind kind) {
  for (const Sample* sample : samples) {
    const auto* stream = std::get_if<Stream>(&sample->point.what);
    if (stream != nullptr && stream->kind == kind) return median(sample->measured.cold_s);
  }
  return std::nullopt;
}

std::vector<TimedTransfer> transfers_of(const std::vector<const Sample*>& samples,
                                        StreamWork::Kind kind, int64_t peer = 0) {
  std::vector<TimedTransfer> transfers;
  for (const Sample* sample : samples) {
    const auto* stream = std::get_if<Stream>(&sample->point.what);
    if (stream == nullptr || stream->kind != kind || stream->peer != peer) continue;
    transfers.push_back({stream->bytes, median(sample->measured.cold_s)});
  }
  return transfers;
}

std::string link_text(std::string_view name, const std::vector<TimedTransfer>& transfers) {
  if (transfers.size() < 2) return "";
  const LinkFit fit = fit_link(transfers);
  std::string text = str_cat(
      "\n[", name, "]  # ", transfers.size(), " sizes, error ", to_digits(100 * fit.mape, 2),
      " % mean, ", to_digits(100 * fit.worst, 2), " % worst, ",
      to_digits(100 * fit.left_out_mape, 2), " % where left out\nsegments = [\n");
  for (const LinkSegment& segment : fit.segments) {
    text += str_cat("  {most_bytes = ", segment.most_bytes, ", alpha = \"",
                    to_digits(segment.alpha_s * 1e6, 4), " us\", bandwidth = \"",
                    to_digits(segment.beta_s > 0 ? 1e-9 / segment.beta_s : 0, 4), " GB/s\"},\n");
  }
  return text + "]\n";
}

}  // namespace

std::vector<NamedText> kernel_texts(const std::string& id,
                                    const std::vector<const Sample*>& samples) {
  constexpr std::string_view kProduct = "split,role,batch,m,n,k,accumulate,time_us";
  std::map<std::string_view, Table> products;
  Table passes("split,family,op,bytes,time_us");
  for (const Sample* sample : samples) {
    const auto* piece = std::get_if<Piece>(&sample->point.what);
    if (piece == nullptr || sample->point.probe.starts_with("model ")) continue;
    const Work work = work_of(*piece);
    if (piece->kind == OpKind::kLinear && !family_of(piece->type).empty()) {
      const Gemm& own = work.product;  // a gradient's is not its forward product
      products.try_emplace(family_of(piece->type), kProduct)
          .first->second.add(str_cat(role_of(piece->phase), ",1,", own.m, ",", own.n, ",", own.k,
                                     ",0,", time_us(*sample)));
    }
    const bool half = piece->type == DataType::kBf16 || piece->kind == OpKind::kElementwise;
    if (work.product.m > 0 || !is_large(work) || !half) continue;
    const std::string row = str_cat(to_string(piece->kind), piece->weighted ? "_norm" : "", ",",
                                    to_digits(work.stream_bytes, 12), ",", time_us(*sample));
    if (piece->kind == OpKind::kSoftmax) passes.add(str_cat("softmax,", row));
    if (piece->kind == OpKind::kElementwise) passes.add(str_cat("pass,", row));
  }
  std::vector<NamedText> texts;
  const std::string prefix = str_cat("profiles/kernel_samples/", id, "_");
  for (const auto& [family, table] : products) {
    texts.push_back({str_cat(prefix, family, ".csv"), table.text()});
  }
  if (!passes.empty()) texts.push_back({str_cat(prefix, "passes.csv"), passes.text()});
  return texts;
}

std::optional<BytesPerSecond> copy_bandwidth(const SampleFile& file, StreamWork::Kind kind,
                                             int64_t peer) {
  std::vector<const Sample*> samples;
  for (const Sample& sample : file.samples) samples.push_back(&sample);
  const std::vector<TimedTransfer> transfers = transfers_of(samples, kind, peer);
  if (transfers.size() < 2) return std::nullopt;
  const double beta_s = fit_link(transfers).segments.back().beta_s;
  if (!(beta_s > 0)) return std::nullopt;
  return BytesPerSecond(1 / beta_s);
}

std::string link_toml(const SampleFile& file, const std::vector<const Sample*>& samples) {
  using Kind = StreamWork::Kind;
  const bool gpu = file.header.sm_count > 0;
  std::string text = str_cat(
      "# Generated by soapbox calibrate from raw samples; do not edit.\n"
      "# The time of a copy of n bytes: alpha + n / bandwidth of the first segment that n is not\n"
      "# above (the last one goes on); both_ways: as many bytes in each direction at once.\n"
      "measured_on = \"",
      file.header.processor.id, "\"\nsource = \"", file.header.library,
      gpu ? ", CUPTI, " : ", thread CPU time, ", file.header.started_at, "\"\nbetween_kernels = \"",
      to_digits(file.header.dispatch_s * 1e6, 3), " us\"\n");
  if (const auto empty = median_of(samples, Kind::kLaunch)) {
    text += str_cat("empty_kernel = \"", to_digits(*empty * 1e6, 3), " us\"\n");
  }
  const auto alone = median_of(samples, Kind::kProduct);
  const auto beside = median_of(samples, Kind::kProductBesideCopy);
  if (alone && beside) {
    text += str_cat("compute_slowdown = ", to_digits(*beside / *alone, 4),
                    "  # of a bf16 product of 4096^3 beside a copy to the device\n");
  }
  const auto busy = transfers_of(samples, Kind::kCopyBesideProduct);
  for (const TimedTransfer& idle : transfers_of(samples, Kind::kToDevice)) {
    if (busy.empty() || idle.bytes != busy.front().bytes) continue;
    text += str_cat("communication_slowdown = ", to_digits(busy.front().seconds / idle.seconds, 4),
                    "  # of that copy beside such products\n");
  }
  constexpr std::array<std::pair<std::string_view, Kind>, 7> kLinks = {{
      {"to_device", Kind::kToDevice},
      {"from_device", Kind::kFromDevice},
      {"to_device_pageable", Kind::kToDevicePageable},
      {"from_device_pageable", Kind::kFromDevicePageable},
      {"both_ways", Kind::kBothWays},
      {"memory_copy", Kind::kCopy},
      {"loopback_tcp", Kind::kLoopback},
  }};
  for (const auto& [name, kind] : kLinks) text += link_text(name, transfers_of(samples, kind));
  for (size_t peer = 1; peer < file.header.relations.size(); ++peer) {
    const auto number = static_cast<int64_t>(peer);
    const std::string name = str_cat("peer_", file.header.relations[peer]);
    text += link_text(name, transfers_of(samples, Kind::kToPeer, number));
    text += link_text(name + "_both_ways", transfers_of(samples, Kind::kBothWaysPeer, number));
  }
  return text;
}

}  // namespace soapbox::calib
