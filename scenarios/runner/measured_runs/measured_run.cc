#include "scenarios/runner/measured_runs/measured_run.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "scenarios/runner/measured_runs/run_wording.h"
#include "scenarios/runner/scenario_files/text_file.h"
#include "sim/base/csv.h"
#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

template <class Field>
struct Column {
  std::string_view name;
  Field MeasuredRun::*field;
};
constexpr std::array kTexts = {
    Column<std::string>{"id", &MeasuredRun::id},
    Column<std::string>{"source", &MeasuredRun::source},
    Column<std::string>{"group", &MeasuredRun::group},
    Column<std::string>{"model", &MeasuredRun::model},
    Column<std::string>{"gpu", &MeasuredRun::gpu},
    Column<std::string>{"intra_node_link", &MeasuredRun::intra_node_link},
    Column<std::string>{"inter_node_link", &MeasuredRun::inter_node_link},
    Column<std::string>{"vpp", &MeasuredRun::vpp},
    Column<std::string>{"zero_stage", &MeasuredRun::zero_stage},
    Column<std::string>{"sequence_parallel", &MeasuredRun::sequence_parallel},
    Column<std::string>{"precision", &MeasuredRun::precision},
    Column<std::string>{"recompute", &MeasuredRun::recompute},
    Column<std::string>{"flash_attention", &MeasuredRun::flash_attention},
    Column<std::string>{"metric", &MeasuredRun::metric},
    Column<std::string>{"value", &MeasuredRun::value},
    Column<std::string>{"trust", &MeasuredRun::trust},
    Column<std::string>{"notes", &MeasuredRun::notes},
};
constexpr std::array kCounts = {
    Column<std::optional<int64_t>>{"layers", &MeasuredRun::layers},
    Column<std::optional<int64_t>>{"hidden", &MeasuredRun::hidden},
    Column<std::optional<int64_t>>{"heads", &MeasuredRun::heads},
    Column<std::optional<int64_t>>{"kv_heads", &MeasuredRun::kv_heads},
    Column<std::optional<int64_t>>{"ffn_hidden", &MeasuredRun::ffn_hidden},
    Column<std::optional<int64_t>>{"vocab", &MeasuredRun::vocab},
    Column<std::optional<int64_t>>{"seq_len", &MeasuredRun::seq_len},
    Column<std::optional<int64_t>>{"num_gpus", &MeasuredRun::num_gpus},
    Column<std::optional<int64_t>>{"gpus_per_node", &MeasuredRun::gpus_per_node},
    Column<std::optional<int64_t>>{"tp", &MeasuredRun::tp},
    Column<std::optional<int64_t>>{"pp", &MeasuredRun::pp},
    Column<std::optional<int64_t>>{"dp", &MeasuredRun::dp},
    Column<std::optional<int64_t>>{"cp", &MeasuredRun::cp},
    Column<std::optional<int64_t>>{"ep", &MeasuredRun::ep},
    Column<std::optional<int64_t>>{"micro_batch", &MeasuredRun::micro_batch},
    Column<std::optional<int64_t>>{"global_batch", &MeasuredRun::global_batch},
    Column<std::optional<int64_t>>{"grad_accum", &MeasuredRun::grad_accum},
};
constexpr std::array kNumbers = {
    Column<std::optional<double>>{"params_b", &MeasuredRun::params_b},
    Column<std::optional<double>>{"gpu_mem_gb", &MeasuredRun::gpu_mem_gb},
    Column<std::optional<double>>{"peak_mem_gb", &MeasuredRun::peak_mem_gb},
    Column<std::optional<double>>{"derived_step_time_s", &MeasuredRun::derived_step_time_s},
};
constexpr std::array<std::string_view, 4> kRequired = {"id", "model", "gpu", "num_gpus"};
// The largest count that a plan or a model can mean; more is a slip of the pen.
constexpr int64_t kMostCount = 1'000'000'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// "Num GPUs" is num_gpus.
std::string column_name(std::string_view written) {
  std::string name = lower_case(trimmed(written));
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

// How tables write that a number is not known.
bool says_nothing(std::string_view text) {
  constexpr std::array<std::string_view, 9> kNothing = {"",    "-",   "n/a",     "N/A",       "NA",
                                                        "nan", "NaN", "unknown", "not stated"};
  return std::find(kNothing.begin(), kNothing.end(), text) != kNothing.end();
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

// Reads the rows of one table, whose columns stand where `find` says.
class Reader {
 public:
  explicit Reader(const CsvTable& csv) : csv_(csv) {
    for (size_t i = 0; i < csv.columns().size(); ++i) {
      columns_.emplace(column_name(csv.columns()[i]), i);
    }
  }

  bool has(std::string_view column) const { return columns_.contains(column); }

  MeasuredRun read(size_t row) const {
    MeasuredRun run;
    for (const auto& column : kTexts) {
      if (const auto at = find(column.name)) run.*column.field = trimmed(csv_.text(row, *at));
    }
    for (const auto& column : kCounts) {
      const std::optional<double> value = number(run, row, column.name, true);
      if (value) run.*column.field = static_cast<int64_t>(*value);
    }
    for (const auto& column : kNumbers) run.*column.field = number(run, row, column.name, false);
    for (const std::string_view name : kRequired) {
      const size_t at = *find(name);
      if (!run.bad_cell && says_nothing(trimmed(csv_.text(row, at)))) {
        run.bad_cell = csv_.error(row, at, "must not be empty");
      }
    }
    if (run.id.empty()) run.id = str_cat("line ", csv_.where(row, 0).line);
    if (run.group.empty()) run.group = run.id.substr(0, run.id.find('-'));
    return run;
  }

 private:
  std::optional<size_t> find(std::string_view name) const {
    const auto at = columns_.find(name);
    return at == columns_.end() ? std::nullopt : std::optional(at->second);
  }

  std::optional<double> number(MeasuredRun& run, size_t row, std::string_view name,
                               bool whole) const {
    const std::optional<size_t> at = find(name);
    if (!at) return std::nullopt;
    const std::string_view text = trimmed(csv_.text(row, *at));
    if (says_nothing(text)) return std::nullopt;
    const std::optional<double> value = to_number(text);
    if (value && *value > 0 &&
        (!whole || (*value == std::floor(*value) && *value <= double{kMostCount}))) {
      return value;
    }
    if (!run.bad_cell) {
      run.bad_cell = csv_.error(row, *at,
                                whole ? "must be a positive whole number, or empty if not stated"
                                      : "must be a positive number, or empty if not stated");
    }
    return std::nullopt;
  }

  const CsvTable& csv_;
  std::map<std::string, size_t, std::less<>> columns_;
};

std::vector<std::string> known_columns() {
  std::vector<std::string> names;
  for (const auto& column : kTexts) names.emplace_back(column.name);
  for (const auto& column : kCounts) names.emplace_back(column.name);
  for (const auto& column : kNumbers) names.emplace_back(column.name);
  return names;
}

// Refuses a header that is not one of run tables; says which columns are ignored or absent.
Status check_columns(const CsvTable& csv, std::vector<std::string>& messages) {
  const std::vector<std::string> known = known_columns();
  std::vector<std::string> given;
  for (const std::string& written : csv.columns()) given.push_back(column_name(written));
  std::vector<std::string> missing;
  for (const std::string& name : known) {
    if (std::find(given.begin(), given.end(), name) == given.end()) missing.push_back(name);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    const auto at = given.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(given.begin(), at, *at) != at) {
      return bad_input(str_cat("column '", *at, "' is there twice"), csv.header_where(i));
    }
    if (std::find(known.begin(), known.end(), *at) != known.end()) continue;
    const std::string& name = csv.columns()[i];
    const std::string nearest = nearest_name(name, missing);
    if (!nearest.empty()) {
      return bad_input(str_cat("unknown column '", shown(name), "'; did you mean '", nearest, "'?"),
                       csv.header_where(i));
    }
    messages.push_back(str_cat("column '", shown(name), "' is ignored"));
  }
  for (const std::string_view name : kRequired) {
    if (std::find(missing.begin(), missing.end(), name) == missing.end()) continue;
    return bad_input(str_cat("column '", name, "' is missing"), csv.header_where(0));
  }
  if (!missing.empty()) {
    messages.push_back(
        str_cat("taken as empty, as the table has no such columns: ", join(missing, ", ")));
  }
  return ok();
}

}  // namespace

bool MeasuredRun::ran_out_of_memory() const {
  return metric == "oom" || value == "OOM" || value == "oom";
}

bool MeasuredRun::has_unclear_time() const {
  return !value.empty() && !ran_out_of_memory() && !step_time_s();
}

std::optional<double> MeasuredRun::step_time_s() const {
  if (derived_step_time_s) return derived_step_time_s;
  const std::optional<double> figure = to_number(value);
  if (!figure || *figure <= 0) return std::nullopt;
  if (metric == "step_time_s") return figure;
  if (metric == "samples_per_s" && global_batch) return double(*global_batch) / *figure;
  if (metric == "tokens_per_s_per_gpu" && global_batch && seq_len && num_gpus) {
    return double(*global_batch) * double(*seq_len) / (*figure * double(*num_gpus));
  }
  return std::nullopt;
}

Result<MeasuredRuns> parse_measured_runs(std::string_view text, const std::string& file) {
  const Result<CsvTable> csv = CsvTable::parse(text, file);
  if (!csv) return csv.error();
  MeasuredRuns table;
  const Status columns = check_columns(*csv, table.messages);
  if (!columns) return columns.error();
  const Reader reader(*csv);
  std::map<std::string, size_t> first_of;
  for (size_t row = 0; row < csv->row_count(); ++row) {
    MeasuredRun run = reader.read(row);
    const auto [first, is_new] = first_of.try_emplace(run.id, row);
    if (!is_new) {
      run.bad_cell = bad_input(str_cat("the id '", shown(run.id), "' is that of line ",
                                       csv->where(first->second, 0).line, " too"),
                               csv->where(row, 0));
    }
    table.runs.push_back(std::move(run));
  }
  return table;
}

Result<MeasuredRuns> read_measured_runs(const std::string& path) {
  const Result<std::string> text = read_text_file(path);
  if (!text) return text.error();
  return parse_measured_runs(*text, path);
}

}  // namespace soapbox::runner
