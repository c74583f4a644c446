#include "scenarios/runner/planning/search_proof_file.h"

#include "scenarios/runner/planning/certificate_file.h"
#include "scenarios/runner/record.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/json_object.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

constexpr std::string_view kFormat = "soapbox miqp search certificate 1";

std::string cell_key(const strategies::uniap::CellProof& cell) {
  return strategies::uniap::cell_name(cell.stages, cell.microbatches);
}

// The cell that a key names, or false.
bool read_key(const std::string& key, strategies::uniap::CellProof& cell) {
  int stages = 0;
  long long microbatches = 0;
  if (std::sscanf(key.c_str(), "pp %9d, %18lld", &stages, &microbatches) != 2) return false;
  cell.stages = stages;
  cell.microbatches = microbatches;
  return cell_key(cell) == key;
}

}  // namespace

std::string search_proof_to_json(const SearchProof& proof) {
  std::string cells;
  for (const strategies::uniap::CellProof& cell : proof) {
    std::string text = cell.certificate ? certificate_to_json(*cell.certificate) : "null\n";
    text.pop_back();
    cells += str_cat(cells.empty() ? "" : ",", "\n\"", cell_key(cell), "\": ", text);
  }
  return str_cat("{\"format\": \"", kFormat, "\",\n\"cells\": {", cells, "}}\n");
}

Result<SearchProof> search_proof_from_json(std::string_view text, const std::string& file) {
  Result<JsonObject> json = JsonObject::parse(text, file);
  if (!json) return json.error();
  if (json->text_or("format", "") != kFormat) {
    json->fail("format", str_cat("format: expected '", kFormat, "'"));
  }
  Result<JsonObject> cells = json->object("cells");
  if (!cells) return cells.error();
  SearchProof proof;
  for (const std::string& key : cells->unread_keys()) {
    strategies::uniap::CellProof& cell = proof.emplace_back();
    if (!read_key(key, cell)) {
      return bad_input(str_cat("cells: '", shown(key), "' is not 'pp N, M micro-batches'"),
                       cells->where(key));
    }
    if (!cells->has(key)) continue;
    Result<JsonObject> object = cells->object(key);
    if (!object) return object.error();
    Result<miqp::Certificate> certificate = read_certificate(*std::move(object));
    if (!certificate) return certificate.error();
    cell.certificate = *std::move(certificate);
  }
  if (Status status = json->status(); !status) return status.error();
  const std::vector<std::string> unread = json->unread_keys();
  if (unread.empty()) return proof;
  return bad_input(str_cat("unknown key '", shown(unread[0]), "'"), json->where(unread[0]));
}

Result<SearchProof> load_search_proof(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return search_proof_from_json(*text, path);
}

Status read_proof_options(const Arguments& arguments, bool has_proofs, ProofOptions& options) {
  options.make = arguments.has("certificate");
  const std::optional<std::string> path = arguments.text("check");
  if (!options.make && !path) return ok();
  if (!has_proofs) {
    return usage_error("--certificate and --check are for --method miqp under shared costs");
  }
  if (!path) return ok();
  for (const char* const other : {"certificate", "db", "out", "galvatron-out", "oracle"}) {
    if (arguments.has(other)) {
      return usage_error(str_cat("--check searches nothing: --", other, " has no meaning with it"));
    }
  }
  Result<SearchProof> proof = load_search_proof(*path);
  if (!proof) return proof.error();
  options.check = *std::move(proof);
  return ok();
}

std::string render(const strategies::uniap::SearchProofReport& report, results::Format format) {
  Record record;
  record.add("holds", true);
  record.add("proven", report.proven);
  record.add("objective_s",
             report.objective_s ? results::Cell(*report.objective_s) : results::Cell());
  record.add("bound_s", report.bound_s);
  record.add("cells", static_cast<int64_t>(report.cells));
  record.add("leaves", static_cast<int64_t>(report.leaves));
  record.add("entries", static_cast<int64_t>(report.entries));
  record.add("table_cpu_s", report.table_cpu_s);
  record.add("check_cpu_s", report.check_cpu_s);
  return record.render(format);
}

}  // namespace soapbox::runner
