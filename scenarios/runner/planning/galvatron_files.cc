#include "scenarios/runner/planning/galvatron_files.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <tuple>

#include "scenarios/runner/parallel_options.h"
#include "sim/base/json_object.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

// A larger message may be slower by so much before a bandwidth counts as falling.
constexpr double kJitter = 0.1;
constexpr int64_t kMost = int64_t{1} << 40;

// Reads keys by their pattern, piece by piece.
class Key {
 public:
  explicit Key(std::string_view text) : rest_(text) {}
  bool text(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  bool number(int64_t& value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || value < 0) return false;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return true;
  }
  // Everything up to `stop`, which is passed over.
  bool until(std::string_view stop, std::string& value) {
    const size_t at = rest_.find(stop);
    if (at == std::string_view::npos) return false;
    value = rest_.substr(0, at);
    rest_.remove_prefix(at + stop.size());
    return true;
  }
  // A whole number, or several in brackets: "512", "[512,512]".
  bool sizes(std::string& value) {
    const std::string_view before = rest_;
    int64_t size = 0;
    const bool list = text("[");
    do {
      if (!number(size)) return false;
    } while (list && text(","));
    if (list && !text("]")) return false;
    value = before.substr(0, before.size() - rest_.size());
    return true;
  }
  bool end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

class ProfileReader {
 public:
  explicit ProfileReader(JsonObject json) : json_(std::move(json)) {}
  Result<GalvatronProfile> read();

 private:
  bool layer(const std::string& key);
  bool bandwidth(const std::string& key);
  bool message(const std::string& key);
  bool memory(const std::string& key);
  void layer_memory(JsonObject& section, GalvatronProfile::LayerMemory found);
  void other_memory(JsonObject& section, GalvatronProfile::OtherMemory found);
  bool raw_memory(const std::string& key);
  GalvatronProfile::ByTensorDegree by_degree(JsonObject& section, std::string_view key,
                                             double* checkpoint);
  double positive(const std::string& key, std::string_view unit);
  static double not_negative(JsonObject& json, std::string_view key, std::string_view unit);
  void keep_error(const JsonObject& section) {
    if (const Status status = section.status(); !status && status_) status_ = status;
  }
  void check_bandwidths();

  JsonObject json_;
  GalvatronProfile profile_;
  Status status_ = ok();  // of sections
};

double ProfileReader::positive(const std::string& key, std::string_view unit) {
  const double most = std::numeric_limits<double>::max();
  const double value = json_.number_or(key, 0, -most, most);
  if (!(value > 0) && json_.status()) {
    json_.fail(key, str_cat(key, " is ", value, " ", unit, "; a measured figure is above 0"));
  }
  return value;
}

double ProfileReader::not_negative(JsonObject& json, std::string_view key, std::string_view unit) {
  const double most = std::numeric_limits<double>::max();
  const double value = json.number_or(key, 0, -most, most);
  if (value < 0) {
    json.fail(key, str_cat(key, " is ", value, " ", unit, "; a measured figure is not below 0"));
  }
  return value;
}

bool ProfileReader::layer(const std::string& key) {
  GalvatronProfile::LayerTime time;
  Key rest(key);
  if (!key.starts_with("layertype_") && !key.starts_with("layernum[")) return false;
  if (!rest.until("_bsz", time.layer)) {
    time.layer = key;
  } else if (!rest.number(time.batch) || (rest.text("_seq") && !rest.sizes(time.seq)) ||
             !rest.end()) {
    return false;
  }
  // A model may have nothing besides its layers.
  const bool other = time.layer.starts_with("layertype_other");
  if (other) time.layer = "layertype_other";  // older files number it
  time.ms = other ? not_negative(json_, key, "ms") : positive(key, "ms");
  profile_.layers.push_back(time);
  return true;
}

// MB by degree of tensor parallelism, or one number for tp = 1; "checkpoint" apart.
GalvatronProfile::ByTensorDegree ProfileReader::by_degree(JsonObject& section, std::string_view key,
                                                          double* checkpoint) {
  GalvatronProfile::ByTensorDegree values;
  Result<JsonObject> table = section.object(key);
  if (!table) {  // not an object
    values[1] = not_negative(section, key, "MB");
    return values;
  }
  for (const std::string& degree : table->unread_keys()) {
    const double mb = not_negative(*table, degree, "MB");
    Key text(degree);
    int64_t tp = 0;
    if (checkpoint != nullptr && degree == "checkpoint") {
      *checkpoint = mb;
    } else if (text.number(tp) && text.end() && tp >= 1 && tp <= kMostDegree) {
      values[static_cast<int32_t>(tp)] = mb;
    } else {
      table->fail(degree, str_cat("'", shown(degree), "' is no degree of tensor parallelism"));
    }
  }
  keep_error(*table);
  if (values.empty()) section.fail(key, str_cat(key, " has no figure"));
  return values;
}

void ProfileReader::layer_memory(JsonObject& section, GalvatronProfile::LayerMemory found) {
  found.parameter_mb = not_negative(section, "parameter_size", "MB");
  if (!section.has("parameter_size")) section.fail("", "a layer without parameter_size");
  found.activation_mb = by_degree(section, "tp_activation_per_bsz_dict", &found.checkpoint_mb);
  keep_error(section);
  profile_.memory.push_back(std::move(found));
}

void ProfileReader::other_memory(JsonObject& section, GalvatronProfile::OtherMemory found) {
  found.states_mb = by_degree(section, "model_states", nullptr);
  found.activation_mb = by_degree(section, "activation", nullptr);
  keep_error(section);
  profile_.other_memory.push_back(std::move(found));
}

// layertype_0_sp, other_memory_pp_off: the figures themselves, or by sequence length.
bool ProfileReader::memory(const std::string& key) {
  const bool layers = key.starts_with("layertype_");
  if (!layers && !key.starts_with("other_memory_pp_")) return false;
  Result<JsonObject> section = json_.object(key);
  if (!section) return false;
  const bool sequence_parallel = key.ends_with("_sp");
  const std::string name = key.substr(0, key.size() - (sequence_parallel ? 3 : 0));
  const auto read = [&](JsonObject& figures, const std::string& seq) {
    if (layers) {
      layer_memory(figures, {name, sequence_parallel, seq, 0, {}, 0});
    } else {
      other_memory(
          figures,
          {name.substr(std::string("other_memory_").size()), sequence_parallel, seq, {}, {}});
    }
  };
  if (section->has(layers ? "parameter_size" : "model_states")) {
    read(*section, "");
    return true;
  }
  for (const std::string& seq : section->unread_keys()) {
    Key text(seq);
    std::string sizes;
    Result<JsonObject> figures = section->object(seq);
    if (!figures || !text.sizes(sizes) || !text.end()) {
      section->fail(seq, str_cat("'", shown(seq), "' is no sequence length with figures"));
      break;
    }
    read(*figures, sizes);
  }
  keep_error(*section);
  return true;
}

// "1_2_4_vtp_sp": degrees and what was measured there, from which the other sections come.
bool ProfileReader::raw_memory(const std::string& key) {
  Key text(key);
  int64_t degree = 0;
  if (!text.number(degree) || !text.text("_") || !text.number(degree) || !text.text("_") ||
      !text.number(degree)) {
    return false;
  }
  json_.ask(key);
  return true;
}

bool ProfileReader::bandwidth(const std::string& key) {
  GalvatronProfile::Bandwidth found;
  Key ring(key);
  int64_t consecutive = 0;
  if (ring.text("allreduce_size_") && ring.number(found.ranks) && ring.text("_consec_") &&
      ring.number(consecutive) && ring.end() && consecutive <= 1) {
    found.op = "allreduce";
    found.consecutive = consecutive == 1;
  } else {
    Key pipeline(key);
    if (!pipeline.text("pp_size_") || !pipeline.number(found.ranks) || !pipeline.end())
      return false;
    found.op = "pp";
  }
  found.gb_per_s = positive(key, "GB/s");
  profile_.bandwidths.push_back(found);
  return true;
}

bool ProfileReader::message(const std::string& key) {
  GalvatronProfile::MessageTime time;
  Key rest(key);
  if (!rest.until("_size_", time.op) || (time.op != "allreduce" && time.op != "all2all")) {
    return false;
  }
  if (!rest.number(time.ranks) || !rest.text("_") || !rest.number(time.megabytes) ||
      !rest.text("MB_time") || !rest.end()) {
    return false;
  }
  time.ms = positive(key, "ms");
  profile_.messages.push_back(time);
  return true;
}

// Larger messages are never much slower per byte.
void ProfileReader::check_bandwidths() {
  auto& messages = profile_.messages;
  std::sort(messages.begin(), messages.end(), [](const auto& a, const auto& b) {
    return std::tie(a.op, a.ranks, a.megabytes) < std::tie(b.op, b.ranks, b.megabytes);
  });
  double best = 0;  // MB per ms, of smaller messages
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto& m = messages[i];
    if (i == 0 || messages[i - 1].op != m.op || messages[i - 1].ranks != m.ranks) best = 0;
    const double rate = static_cast<double>(m.megabytes) / m.ms;
    if (rate < best * (1 - kJitter)) {
      const std::string key = str_cat(m.op, "_size_", m.ranks, "_", m.megabytes, "MB_time");
      json_.fail(key,
                 str_cat(key, " is ", m.ms, " ms, ", rate, " GB/s, where smaller messages reach ",
                         best, "; bandwidth does not fall as messages grow"));
    }
    best = std::max(best, rate);
  }
}

Result<GalvatronProfile> ProfileReader::read() {
  for (const std::string& key : json_.unread_keys()) {
    if (key == "overlap_coe") {
      profile_.overlap = json_.number_or(key, 0, 1, 10);
    } else if (!memory(key) && !raw_memory(key) && !layer(key) && !bandwidth(key) &&
               !message(key)) {
      json_.fail(key, str_cat("key '", shown(key),
                              "' is none of layertype_*, layernum[*], allreduce_size_*, pp_size_*, "
                              "all2all_size_*, overlap_coe, other_memory_*, or degrees P_T_D"));
    }
    if (!json_.status()) return json_.status().error();
    if (!status_) return status_.error();
  }
  check_bandwidths();
  if (!json_.status()) return json_.status().error();
  return profile_;
}

// "1,1,2": what Galvatron writes for a list.
std::string list_text(const std::vector<int64_t>& values) {
  std::vector<std::string> parts;
  for (const int64_t value : values) parts.push_back(std::to_string(value));
  return join(parts, ",");
}

class PlanReader {
 public:
  PlanReader(JsonObject json, int32_t devices) : json_(std::move(json)), devices_(devices) {}
  Result<GalvatronPlanFile> read();

 private:
  // One value for each of `count` layers (0: however many); absent: all `otherwise`.
  std::vector<int64_t> list(std::string_view key, size_t count, int64_t most,
                            std::optional<int64_t> otherwise);
  strategies::galvatron::LayerChoice layer(size_t index, const GalvatronPlanFile& plan);
  std::string one_of(std::string_view key, std::string_view first, std::string_view second);

  JsonObject json_;
  int32_t devices_;
  std::vector<int64_t> tp_, consecutive_, sharded_, checkpoint_, ulysses_;
};

std::vector<int64_t> PlanReader::list(std::string_view key, size_t count, int64_t most,
                                      std::optional<int64_t> otherwise) {
  if (!json_.has(key) && otherwise) return std::vector<int64_t>(count, *otherwise);
  const std::string text = json_.text_or(key, "");
  std::vector<int64_t> values;
  Key rest(text);
  do {
    int64_t value = 0;
    if (!rest.number(value) || value > most) {
      json_.fail(key, str_cat(key, " '", shown(text), "' is not a list of numbers up to ", most));
      return std::vector<int64_t>(count, 0);
    }
    values.push_back(value);
  } while (rest.text(","));
  if (!rest.end() || (count > 0 && values.size() != count)) {
    json_.fail(
        key, str_cat(key, " has ", values.size(), " entries, where there are ", count, " layers"));
    values.resize(count);
  }
  return values;
}

std::string PlanReader::one_of(std::string_view key, std::string_view first,
                               std::string_view second) {
  std::string value = json_.text_or(key, std::string(first));
  if (value != first && value != second) {
    json_.fail(key, str_cat(key, " '", shown(value), "'; allowed: ", first, ", ", second));
  }
  return value;
}

strategies::galvatron::LayerChoice PlanReader::layer(size_t index, const GalvatronPlanFile& plan) {
  strategies::galvatron::LayerChoice choice;
  const int64_t ranks = tp_[index] * plan.pp;
  if (ranks < 1 || devices_ % ranks != 0) {
    json_.fail("tp_sizes_enc", str_cat("tp_sizes_enc has ", tp_[index], ": with pp_deg ", plan.pp,
                                       " it does not divide ", devices_, " devices"));
    return choice;
  }
  choice.pp = plan.pp;
  choice.tp = static_cast<int32_t>(tp_[index]);
  choice.dp = static_cast<int32_t>(devices_ / ranks);
  choice.tp_consecutive = choice.mixed() && consecutive_[index] == 1;
  choice.fsdp = choice.dp > 1 && sharded_[index] == 1;
  choice.checkpoint = checkpoint_[index] == 1;
  choice.ulysses = choice.tp > 1 && ulysses_[index] == 1;
  return choice;
}

Result<GalvatronPlanFile> PlanReader::read() {
  GalvatronPlanFile plan;
  plan.pp = static_cast<int32_t>(json_.integer({"pp_deg"}, {1, devices_}));
  tp_ = list("tp_sizes_enc", 0, devices_, {});
  const size_t count = tp_.size();
  consecutive_ = list("tp_consecutive_flags", count, 1, 1);
  sharded_ = list("dp_types_enc", count, 1, 0);
  checkpoint_ = list("checkpoint", count, 1, 0);
  ulysses_ = list("use_sp", count, 1, 0);
  plan.global_batch = json_.integer({"global_bsz"}, {1, kMost});
  plan.chunks = json_.integer_or({"chunks"}, 1, {1, kMost});
  plan.pipeline_type = one_of("pipeline_type", "gpipe", "pipedream_flush");
  plan.default_dp_type = one_of("default_dp_type", "ddp", "zero2");
  plan.vocab_tp = json_.integer_or({"vtp"}, 1, {1, devices_});
  plan.vocab_sp = json_.integer_or({"vsp"}, 0, {0, 1});
  plan.embed_sdp = json_.integer_or({"embed_sdp"}, 0, {0, 1});
  if (json_.has("pp_division")) {
    plan.stage_layers = list("pp_division", static_cast<size_t>(plan.pp), kMost, {});
  } else if (plan.pp > 0) {  // older files: even, the remainder in the last stage
    plan.stage_layers.assign(static_cast<size_t>(plan.pp), static_cast<int64_t>(count) / plan.pp);
    plan.stage_layers.back() += static_cast<int64_t>(count) % plan.pp;
  }
  if (!json_.status()) return json_.status().error();
  const int64_t total =
      std::accumulate(plan.stage_layers.begin(), plan.stage_layers.end(), int64_t{0});
  if (total != static_cast<int64_t>(count)) {
    json_.fail("pp_division", str_cat("pp_division counts ", total, " layers of ", count));
  }
  for (size_t i = 0; i < count; ++i) plan.layers.push_back(layer(i, plan));
  if (!json_.status()) return json_.status().error();
  return plan;
}

}  // namespace

Result<GalvatronProfile> parse_galvatron_profile(std::string_view text, const std::string& file) {
  Result<JsonObject> json = JsonObject::parse(text, file);
  if (!json) return json.error();
  return ProfileReader(*std::move(json)).read();
}

Result<GalvatronPlanFile> parse_galvatron_plan(std::string_view text, const std::string& file,
                                               int32_t devices) {
  Result<JsonObject> json = JsonObject::parse(text, file);
  if (!json) return json.error();
  return PlanReader(*std::move(json), devices).read();
}

std::string galvatron_plan_to_json(const GalvatronPlanFile& plan) {
  const auto flags = [&](auto flag) {
    std::vector<int64_t> values;
    for (const auto& layer : plan.layers) values.push_back(flag(layer));
    return list_text(values);
  };
  const nlohmann::ordered_json json = {
      {"pp_deg", plan.pp},
      {"tp_sizes_enc", flags([](const auto& l) { return int64_t{l.tp}; })},
      {"tp_consecutive_flags",
       flags([](const auto& l) { return int64_t{!l.mixed() || l.tp_consecutive}; })},
      {"dp_types_enc", flags([](const auto& l) { return int64_t{l.fsdp}; })},
      {"use_sp", flags([](const auto& l) { return int64_t{l.ulysses}; })},
      {"checkpoint", flags([](const auto& l) { return int64_t{l.checkpoint}; })},
      {"global_bsz", plan.global_batch},
      {"chunks", plan.chunks},
      {"pp_division", list_text(plan.stage_layers)},
      {"pipeline_type", plan.pipeline_type},
      {"default_dp_type", plan.default_dp_type},
      {"vtp", plan.vocab_tp},
      {"vsp", plan.vocab_sp},
      {"embed_sdp", plan.embed_sdp}};
  return json.dump(4) + "\n";
}

}  // namespace soapbox::runner
