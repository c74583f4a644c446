#include "scenarios/runner/planning/certificate_file.h"

#include <charconv>

#include "sim/base/str.h"

namespace soapbox::runner {

const std::string_view kCertificateKeys =
    "CERTIFICATE.json is one JSON object. Times are whole numbers in units of the instance (the\n"
    "finest power of ten that keeps its sums exact); 1152921504606846976 (2^60) stands for none.\n"
    "  format      \"soapbox miqp certificate 1\"\n"
    "  instance    hash of the instance\n"
    "  method      chain, or labels: nothing is stored, partial plans are enumerated\n"
    "  objective   of the plan, null without one\n"
    "  bound       no plan costs less; null: there is no plan at all\n"
    "  stage, strategy   [layer]: the plan\n"
    "  hub         the layer whose edges skip others, null without one\n"
    "  proofs      of method chain: one object \"path\", or one for each strategy of the hub:\n"
    "    shift         multipliers are divided by 2^shift\n"
    "    multipliers   of the memory rows, for each kind of stage by limit and microbatches held\n"
    "    intervals     stage, kind, first, last: positions in topological order whose least time\n"
    "                  is bounded by both end strategies; kind 1 holds the hub, 2 follows it\n"
    "    entries       stage, kind, first, last, first strategy, last strategy (-1: any), value,\n"
    "                  multiplier, most: no path within memory takes less than `value`, for plans\n"
    "                  whose bottleneck is at most `most`\n"
    "    leaves        low, high, bound: plans with a bottleneck from low to high cost `bound`\n"
    "  digest      hash of all of the above\n";

namespace {

using miqp::kUnlimited;

constexpr std::string_view kFormat = "soapbox miqp certificate 1";
constexpr JsonObject::Range kAny = {-1, int64_t{1} << 61};

uint64_t read_hex(JsonObject& json, std::string_view key) {
  const std::string text = json.text_or(key, "");
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 16) {
    json.fail(key, str_cat(key, ": '", shown(text), "'; expected 16 hexadecimal digits"));
  }
  return number;
}

std::string claim(int64_t units) {
  return units >= kUnlimited ? "null" : std::to_string(units);
}

template <class T>
std::string list(const std::vector<T>& numbers) {
  std::vector<std::string> parts;
  for (const T number : numbers) parts.push_back(std::to_string(number));
  return str_cat("[", join(parts, ", "), "]");
}

// Rows of numbers in one array, a row on each line.
class Rows {
 public:
  void add(const std::vector<int64_t>& row) {
    text_ += text_.empty() ? "\n        " : ",\n        ";
    for (size_t i = 0; i < row.size(); ++i) text_ += str_cat(i > 0 ? ", " : "", row[i]);
  }
  std::string text() const { return str_cat("[", text_, "]"); }

 private:
  std::string text_;
};

std::string proof_text(const miqp::ChainProof& proof) {
  std::string multipliers;
  for (size_t g = 0; g < proof.multipliers.size(); ++g) {
    multipliers += str_cat(g > 0 ? ", " : "", "\"", g, "\": ", list(proof.multipliers[g]));
  }
  Rows intervals;
  for (const miqp::ProofInterval& at : proof.intervals) {
    intervals.add({at.stage, static_cast<int64_t>(at.kind), at.first, at.last});
  }
  Rows entries;
  for (const miqp::ProofEntry& entry : proof.entries) {
    const miqp::ProofInterval& at = entry.interval;
    entries.add({at.stage, static_cast<int64_t>(at.kind), at.first, at.last, entry.first_strategy,
                 entry.last_strategy, entry.value, entry.multiplier, entry.most});
  }
  Rows leaves;
  for (const miqp::ProofLeaf& leaf : proof.leaves) leaves.add({leaf.low, leaf.high, leaf.bound});
  return str_cat("{\n      \"shift\": ", proof.shift, ",\n      \"multipliers\": {", multipliers,
                 "},\n      \"intervals\": ", intervals.text(),
                 ",\n      \"entries\": ", entries.text(), ",\n      \"leaves\": ", leaves.text(),
                 "}");
}

class CertificateReader {
 public:
  explicit CertificateReader(JsonObject json) : json_(std::move(json)) {}

  Result<miqp::Certificate> read() {
    if (json_.text_or("format", "") != kFormat) {
      json_.fail("format", str_cat("format: expected '", kFormat, "'"));
    }
    certificate_.instance = read_hex(json_, "instance");
    read_method();
    certificate_.objective = json_.integer_or({"objective"}, kUnlimited, {0, kUnlimited});
    certificate_.bound = json_.integer_or({"bound"}, kUnlimited, {0, kUnlimited});
    certificate_.stage = small_numbers("stage");
    certificate_.strategy = small_numbers("strategy");
    if (const int64_t hub = json_.integer_or({"hub"}, -1, {0, 1 << 20}); hub >= 0) {
      certificate_.hub = static_cast<uint32_t>(hub);
    }
    if (Status status = read_proofs(); !status) return status.error();
    const uint64_t digest = read_hex(json_, "digest");
    if (Status status = json_.strict_status(); !status) return status.error();
    if (digest != miqp::certificate_hash(certificate_)) {
      return bad_input("digest: the certificate was changed after it was written",
                       json_.where("digest"));
    }
    return std::move(certificate_);
  }

 private:
  void read_method() {
    const std::string method = json_.text_or("method", "");
    std::vector<std::string> names;
    for (const miqp::ProofMethod known : {miqp::ProofMethod::kChain, miqp::ProofMethod::kLabels}) {
      if (method == to_string(known)) {
        certificate_.method = known;
        return;
      }
      names.emplace_back(to_string(known));
    }
    json_.fail("method", unknown_name("method", method, names));
  }

  std::vector<uint32_t> small_numbers(std::string_view key) {
    std::vector<uint32_t> numbers;
    if (!json_.has(key)) return numbers;
    for (const int64_t number : json_.integers(key, {0, 1 << 20})) {
      numbers.push_back(static_cast<uint32_t>(number));
    }
    return numbers;
  }

  Status read_proofs() {
    Result<JsonObject> proofs = json_.object("proofs");
    if (!proofs) return proofs.error();
    for (const std::string& name : proofs->unread_keys()) {
      int64_t strategy = -1;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), strategy);
      const bool is_number = error == std::errc() && end == name.data() + name.size();
      if (name != "path" && (!is_number || strategy < 0)) {
        return bad_input(str_cat("proofs: '", shown(name), "' is neither path nor a strategy"),
                         proofs->where(name));
      }
      Result<JsonObject> json = proofs->object(name);
      if (!json) return json.error();
      miqp::ChainProof proof;
      proof.hub_strategy = strategy;
      if (Status status = read_proof(*json, proof); !status) return status;
      certificate_.proofs.push_back(std::move(proof));
    }
    return proofs->strict_status();
  }

  // An array of rows of `width` numbers.
  std::vector<int64_t> rows(JsonObject& json, std::string_view key, size_t width) const {
    std::vector<int64_t> numbers = json.integers(key, kAny);
    if (numbers.size() % width == 0) return numbers;
    json.fail(key, str_cat(key, " has ", numbers.size(), " numbers; expected are rows of ", width));
    return {};
  }

  Result<miqp::ProofInterval> interval(const JsonObject& json, std::string_view key,
                                       const int64_t* row) const {
    for (size_t i = 0; i < 4; ++i) {
      if (row[i] < 0 || row[i] > (i == 1 ? 2 : 1 << 20)) {
        return bad_input(str_cat(key, ": '", row[i], "' is no stage, kind or position"),
                         json.where(key));
      }
    }
    return miqp::ProofInterval{static_cast<uint32_t>(row[0]), static_cast<miqp::ProofKind>(row[1]),
                               static_cast<uint32_t>(row[2]), static_cast<uint32_t>(row[3])};
  }

  Status read_proof(JsonObject& json, miqp::ChainProof& proof) const {
    proof.shift = json.integer({"shift"}, {0, 62});
    Result<JsonObject> multipliers = json.object("multipliers");
    if (!multipliers) return multipliers.error();
    for (const std::string& group : multipliers->unread_keys()) {
      proof.multipliers.push_back(multipliers->integers(group, kAny));
    }
    if (Status status = multipliers->strict_status(); !status) return status;
    const std::vector<int64_t> intervals = rows(json, "intervals", 4);
    for (size_t i = 0; i < intervals.size(); i += 4) {
      const auto at = interval(json, "intervals", &intervals[i]);
      if (!at) return at.error();
      proof.intervals.push_back(*at);
    }
    const std::vector<int64_t> entries = rows(json, "entries", 9);
    for (size_t i = 0; i < entries.size(); i += 9) {
      const auto at = interval(json, "entries", &entries[i]);
      if (!at) return at.error();
      proof.entries.push_back(
          {*at, entries[i + 4], entries[i + 5], entries[i + 6], entries[i + 7], entries[i + 8]});
    }
    const std::vector<int64_t> leaves = rows(json, "leaves", 3);
    for (size_t i = 0; i < leaves.size(); i += 3) {
      proof.leaves.push_back({leaves[i], leaves[i + 1], leaves[i + 2]});
    }
    return json.strict_status();
  }

  JsonObject json_;
  miqp::Certificate certificate_;
};

}  // namespace

std::string certificate_to_json(const miqp::Certificate& certificate) {
  std::string proofs;
  for (const miqp::ChainProof& proof : certificate.proofs) {
    const std::string name = proof.hub_strategy < 0 ? "path" : std::to_string(proof.hub_strategy);
    proofs += str_cat(proofs.empty() ? "" : ",", "\n    \"", name, "\": ", proof_text(proof));
  }
  return str_cat("{\n  \"format\": \"", kFormat, "\",\n  \"instance\": \"",
                 hex(certificate.instance), "\",\n  \"method\": \"", to_string(certificate.method),
                 "\",\n  \"objective\": ", claim(certificate.objective),
                 ",\n  \"bound\": ", claim(certificate.bound),
                 ",\n  \"stage\": ", list(certificate.stage),
                 ",\n  \"strategy\": ", list(certificate.strategy),
                 ",\n  \"hub\": ", certificate.hub ? std::to_string(*certificate.hub) : "null",
                 ",\n  \"proofs\": {", proofs, "},\n  \"digest\": \"",
                 hex(miqp::certificate_hash(certificate)), "\"\n}\n");
}

Result<miqp::Certificate> certificate_from_json(std::string_view text, const std::string& file) {
  Result<JsonObject> json = JsonObject::parse(text, file);
  if (!json) return json.error();
  return read_certificate(*std::move(json));
}

Result<miqp::Certificate> read_certificate(JsonObject json) {
  return CertificateReader(std::move(json)).read();
}

}  // namespace soapbox::runner
