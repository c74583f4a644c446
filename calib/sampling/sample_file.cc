#include "calib/sampling/sample_file.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/str.h"
#include "sim/collective/collective.h"
#include "sim/model/float_types.h"

namespace soapbox::calib {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "soapbox samples 1";
constexpr int64_t kMostRanks = 1024;
constexpr size_t kPhaseNames = 3;
constexpr size_t kOpKinds = static_cast<size_t>(OpKind::kInteraction) + 1;

// By StreamWork::Kind.
constexpr std::array<std::string_view, 15> kStreamNames = {
    "update",
    "sum",
    "copy",
    "launch",
    "to_device",
    "from_device",
    "to_device_paged",
    "from_device_paged",
    "both_ways",
    "product",
    "product_and_copy",
    "copy_and_product",
    "loopback",
    "to_peer",
    "both_ways_peer",
};

std::string_view name_of(StreamWork::Kind kind) {
  return kStreamNames[static_cast<size_t>(kind)];
}

std::vector<int64_t> to_ns(const std::vector<double>& seconds) {
  std::vector<int64_t> ns;
  for (const double s : seconds) ns.push_back(std::llround(s * 1e9));
  return ns;
}

Json to_json(const Piece& piece) {
  Json json = {{"kind", to_string(piece.kind)},
               {"phase", to_string(piece.phase)},
               {"extents", piece.extents},
               {"inputs", piece.inputs}};
  if (piece.weighted) json["weighted"] = true;
  if (piece.type != DataType::kFp32) json["type"] = to_string(piece.type);
  if (has_window(piece.kind)) {
    json["window"] = {piece.kernel_h, piece.kernel_w, piece.stride};
  }
  return json;
}

Json to_json(const Stream& stream) {
  Json json = {{"kind", name_of(stream.kind)}, {"bytes", stream.bytes}, {"inputs", stream.inputs}};
  if (stream.peer > 0) json["peer"] = stream.peer;
  return json;
}

Json to_json(const Collective& collective) {
  return {{"kind", collective_row(collective.op).op_name},
          {"ranks", collective.ranks},
          {"bytes", collective.bytes}};
}

// What a line must be, as an exception with a message: caught in parse_samples.
void require(bool holds, std::string_view what) {
  if (!holds) throw std::runtime_error(std::string(what));
}

DataType read_type(const Json& json) {
  const std::string name = json.value("type", to_string(DataType::kFp32));
  const std::optional<DataType> type = find_float_type(name);
  require(type.has_value(), str_cat("unknown type '", shown(name), "'"));
  return *type;
}

Measurable read_point(const Json& json) {
  const std::string kind = json.at("kind");
  for (size_t i = 0; i < kStreamNames.size(); ++i) {
    if (kind != kStreamNames[i]) continue;
    const Stream read{static_cast<StreamWork::Kind>(i), json.at("bytes"), json.at("inputs"),
                      json.value("peer", int64_t{0})};
    require(read.bytes > 0 && read.inputs > 0, "bytes and inputs must be positive");
    return read;
  }
  if (const Result<CollectiveOp> op = find_collective(kind)) {
    const Collective read{*op, json.at("ranks"), json.at("bytes")};
    require(read.ranks > 1 && read.ranks <= kMostRanks, "2 to 1024 ranks");
    require(read.bytes > 0 && Bytes(read.bytes) <= kMostCollectiveBytes, "bytes of a collective");
    return read;
  }
  Piece piece;
  bool known = false;
  for (size_t i = 0; i < kOpKinds && !known; ++i) {
    piece.kind = static_cast<OpKind>(i);
    known = kind == to_string(piece.kind);
  }
  require(known, str_cat("unknown kind '", shown(kind), "'"));
  const std::string phase = json.at("phase");
  known = false;
  for (size_t i = 0; i < kPhaseNames && !known; ++i) {
    piece.phase = static_cast<Phase>(i);
    known = phase == to_string(piece.phase);
  }
  require(known, str_cat("unknown phase '", shown(phase), "'"));
  piece.extents = json.at("extents").get<std::vector<int64_t>>();
  require(piece.extents.size() >= 2 && piece.extents.size() <= kMaxDims, "2 to 6 extents");
  for (const int64_t extent : piece.extents) require(extent > 0, "extents must be positive");
  piece.inputs = json.at("inputs");
  piece.weighted = json.value("weighted", false);
  piece.type = read_type(json);
  if (has_window(piece.kind)) {
    require(piece.extents.size() >= 4, "an image has 4 extents");
    const auto window = json.at("window").get<std::array<int64_t, 3>>();
    require(window[0] > 0 && window[1] > 0 && window[2] > 0, "a window is positive");
    piece.kernel_h = window[0];
    piece.kernel_w = window[1];
    piece.stride = window[2];
  }
  return piece;
}

std::vector<double> read_times(const Json& json) {
  std::vector<double> seconds;
  for (const int64_t ns : json.get<std::vector<int64_t>>()) {
    require(ns > 0, "times must be positive");
    seconds.push_back(static_cast<double>(ns) * 1e-9);
  }
  require(!seconds.empty(), "a point has samples");
  return seconds;
}

Sample read_sample(const Json& json) {
  Sample sample;
  sample.point.probe = json.at("probe");
  sample.point.what = read_point(json);
  sample.anchor = json.value("anchor", false);
  sample.at_s = json.at("at_s");
  sample.measured.disturbed = json.at("disturbed");
  sample.measured.cold_s = read_times(json.at("cold_ns"));
  const bool has_hot = !std::holds_alternative<Collective>(sample.point.what);
  if (has_hot) sample.measured.hot_s = read_times(json.at("hot_ns"));
  sample.measured.replay_s = static_cast<double>(json.value("replay_ns", int64_t{0})) * 1e-9;
  sample.measured.launch_s = static_cast<double>(json.value("launch_ns", int64_t{0})) * 1e-9;
  sample.measured.clock_mhz = json.value("clock_mhz", 0.0);
  return sample;
}

SampleHeader read_header(const Json& json) {
  require(json.value("format", "") == kFormat,
          str_cat("the first line must be a header of format '", kFormat, "'"));
  SampleHeader header;
  header.processor.id = json.at("processor_id");
  header.processor.name = json.at("processor");
  header.processor.cores = json.at("cores");
  header.processor.clock_mhz = json.at("clock_mhz");
  header.processor.second_cache_bytes = json.at("second_cache_bytes");
  header.processor.memory_bytes = json.at("memory_bytes");
  header.processor.system = json.at("system");
  header.library = json.at("library");
  header.version = json.at("version");
  header.started_at = json.at("started_at");
  header.seed = json.at("seed");
  header.quick = json.at("quick");
  header.dispatch_s = json.at("dispatch_ns").get<double>() * 1e-9;
  header.sm_count = json.value("sm_count", int64_t{0});
  header.launched_dispatch_s = json.value("launched_dispatch_ns", 0.0) * 1e-9;
  header.waited_dispatch_s = json.value("waited_dispatch_ns", 0.0) * 1e-9;
  header.topology = json.value("topology", "");
  header.relations = json.value("relations", std::vector<std::string>());
  require(header.processor.cores > 0 && header.processor.memory_bytes > 0, "no processor");
  return header;
}

}  // namespace

std::string to_line(const SampleHeader& header) {
  Json json = {{"format", kFormat},
               {"processor_id", header.processor.id},
               {"processor", header.processor.name},
               {"cores", header.processor.cores},
               {"clock_mhz", header.processor.clock_mhz},
               {"second_cache_bytes", header.processor.second_cache_bytes},
               {"memory_bytes", header.processor.memory_bytes},
               {"system", header.processor.system},
               {"library", header.library},
               {"version", header.version},
               {"started_at", header.started_at},
               {"seed", header.seed},
               {"quick", header.quick},
               {"dispatch_ns", std::llround(header.dispatch_s * 1e9)}};
  if (header.sm_count > 0) {
    json["sm_count"] = header.sm_count;
    json["launched_dispatch_ns"] = std::llround(header.launched_dispatch_s * 1e9);
    if (header.waited_dispatch_s > 0) {
      json["waited_dispatch_ns"] = std::llround(header.waited_dispatch_s * 1e9);
    }
  }
  if (!header.topology.empty()) json["topology"] = header.topology;
  if (!header.relations.empty()) json["relations"] = header.relations;
  return str_cat(json.dump(), "\n");
}

std::string to_line(const Sample& sample) {
  Json json = {{"probe", sample.point.probe}};
  if (sample.anchor) json["anchor"] = true;
  json.update(std::visit([](const auto& what) { return to_json(what); }, sample.point.what));
  json["at_s"] = std::round(sample.at_s * 100) / 100;
  json["disturbed"] = std::round(sample.measured.disturbed * 100) / 100;
  json["cold_ns"] = to_ns(sample.measured.cold_s);
  if (!sample.measured.hot_s.empty()) json["hot_ns"] = to_ns(sample.measured.hot_s);
  if (sample.measured.replay_s > 0) {
    json["replay_ns"] = std::llround(sample.measured.replay_s * 1e9);
    json["launch_ns"] = std::llround(sample.measured.launch_s * 1e9);
  }
  if (sample.measured.clock_mhz > 0) json["clock_mhz"] = sample.measured.clock_mhz;
  return str_cat(json.dump(), "\n");
}

Result<SampleFile> parse_samples(std::string_view text, const std::string& file) {
  SampleFile out;
  int line = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++line;
    try {
      const Json json = Json::parse(row);
      if (line == 1) {
        out.header = read_header(json);
        continue;
      }
      Sample sample = read_sample(json);
      (sample.anchor ? out.anchors : out.samples).push_back(std::move(sample));
    } catch (const std::exception& error) {  // nlohmann's, and ours
      std::string message = error.what();
      if (message.starts_with("[json")) message = message.substr(message.find("] ") + 2);
      return bad_input(message, {file, line, 0});
    }
  }
  if (line == 0) return bad_input("no samples: the file is empty", {file, 0, 0});
  if (out.samples.empty()) return bad_input("no samples: only a header", {file, 0, 0});
  return out;
}

}  // namespace soapbox::calib
