#include "scenarios/runner/galvatron_files.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <tuple>

#include "scenarios/runner/json_object.h"
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
  double positive(const std::string& key, std::string_view unit);
  void check_bandwidths();

  JsonObject json_;
  GalvatronProfile profile_;
};

double ProfileReader::positive(const std::string& key, std::string_view unit) {
  const double most = std::numeric_limits<double>::max();
  const double value = json_.number_or(key, 0, -most, most);
  if (!(value > 0) && json_.status()) {
    json_.fail(key, str_cat(key, " is ", value, " ", unit, "; a measured figure is above 0"));
  }
  return value;
}

bool ProfileReader::layer(const std::string& key) {
  GalvatronProfile::LayerTime time;
  Key rest(key);
  if (!key.starts_with("layertype_") && !key.starts_with("layernum[")) return false;
  if (!rest.until("_bsz", time.layer) || !rest.number(time.batch) || !rest.text("_seq") ||
      !rest.number(time.seq_len) || !rest.end()) {
    return false;
  }
  time.ms = positive(key, "ms");
  profile_.layers.push_back(time);
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
    } else if (!layer(key) && !bandwidth(key) && !message(key)) {
      json_.fail(key, str_cat("key '", shown(key),
                              "' is none of layertype_*, layernum[*], allreduce_size_*, pp_size_*, "
                              "all2all_size_*, overlap_coe"));
    }
    if (!json_.status()) return json_.status().error();
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
