#include "results/store.h"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "results/migrate.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

constexpr uint64_t kMaxStored = std::numeric_limits<int64_t>::max();

int64_t stored(uint64_t count) {
  SOAPBOX_CHECK(count <= kMaxStored, "number does not fit an SQLite integer");
  return static_cast<int64_t>(count);
}

Error while_doing(std::string_view what, Error error) {
  error.message = str_cat(what, ": ", error.message);
  return error;
}

Error damaged(const Database& database, std::string_view what) {
  return Error{ErrorCode::kDatabase, str_cat("damaged: ", what), {database.path(), 0, 0}};
}

// Asks for write-ahead logging: readers and the writer do not wait for each other, and a commit is
// one append. Where the file system cannot (no shared memory), or while another process uses a file
// that has just been made, SQLite keeps its rollback journal: as safe, slower, and the next to open
// the file asks again.
Result<bool> log_ahead(Database& database) {
  Statement mode = database.query("PRAGMA journal_mode = WAL");
  const Result<bool> row = mode.step();
  if (!row && row.error().code == ErrorCode::kUnavailable) return false;
  if (!row) return row.error();
  return *row && mode.text(0) == "wal";
}

Status tune(Database& database) {
  const Result<bool> ahead = log_ahead(database);
  if (!ahead) return ahead.error();
  // With the log, NORMAL can lose the last runs when the power fails, and nothing else; with the
  // journal it could do harm.
  const char* synchronous = *ahead ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL";
  for (const char* pragma :
       {synchronous, "PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF"}) {
    Status done = database.run(pragma);
    if (!done) return done;
  }
  return ok();
}

void check_consistent(const RunRow& run) {
  SOAPBOX_CHECK(run.status != RunStatus::kOk || run.best, "a run that is ok has figures");
  SOAPBOX_CHECK(!run.best || run.best->iteration_time > Duration(), "iteration time is positive");
  for (size_t i = 1; i < run.improvements.size(); ++i) {
    const ImprovementRow& before = run.improvements[i - 1];
    const ImprovementRow& after = run.improvements[i];
    SOAPBOX_CHECK(before.evaluation < after.evaluation, "improvements are in order");
    SOAPBOX_CHECK(before.iteration_time > after.iteration_time, "an improvement is better");
  }
}

// Equal in everything that the key decides; times spent, hosts and plan texts may differ.
bool same_result(const RunRow& a, const RunRow& b) {
  if (a.status != b.status || a.best != b.best || a.evaluations != b.evaluations ||
      a.best_at_evaluation != b.best_at_evaluation ||
      a.improvements.size() != b.improvements.size()) {
    return false;
  }
  for (size_t i = 0; i < a.improvements.size(); ++i) {
    if (a.improvements[i].evaluation != b.improvements[i].evaluation) return false;
    if (a.improvements[i].iteration_time != b.improvements[i].iteration_time) return false;
  }
  return true;
}

std::optional<RunStatus> parse_status(std::string_view name) {
  for (const RunStatus status :
       {RunStatus::kOk, RunStatus::kInfeasible, RunStatus::kInterrupted, RunStatus::kFailed}) {
    if (status_name(status) == name) return status;
  }
  return std::nullopt;
}

std::optional<uint64_t> parse_hex(std::string_view text) {
  uint64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::string_view kSelectRun =
    "SELECT run.id, model, cluster, devices, batch, network, costs, name, settings, seed, budget,"
    " code, status, iteration_time_ps, samples_per_s, communication_bytes, trace_hash, evaluations,"
    " best_at, cpu_s, wall_s, started_at, command, version, host, provenance, note"
    " FROM run JOIN instance ON instance.id = run.instance JOIN method ON method.id = run.method"
    " WHERE identity = ?";

// The row that kSelectRun gives, without its children; nothing if a text is not one that we store.
std::optional<RunRow> read_run(const Statement& row) {
  RunRow run;
  run.key.instance = {row.text(1),    row.text(2), row.integer(3),
                      row.integer(4), row.text(5), row.text(6)};
  run.key.method = {row.text(7), row.text(8)};
  run.key.seed = static_cast<uint64_t>(row.integer(9));
  run.key.budget = static_cast<uint64_t>(row.integer(10));
  run.key.code = row.text(11);
  const std::optional<RunStatus> status = parse_status(row.text(12));
  if (!status) return std::nullopt;
  run.status = *status;
  if (!row.is_null(13)) {
    const std::optional<uint64_t> trace_hash = parse_hex(row.text(16));
    if (!trace_hash) return std::nullopt;
    run.best = {Duration(row.integer(13)), row.real(14), Bytes(row.integer(15)), *trace_hash};
  }
  run.evaluations = static_cast<uint64_t>(row.integer(17));
  run.best_at_evaluation = static_cast<uint64_t>(row.integer(18));
  run.cpu_s = row.real(19);
  run.wall_s = row.real(20);
  run.started_at = row.text(21);
  run.command = row.text(22);
  run.version = row.text(23);
  run.host = row.text(24);
  run.provenance = row.text(25);
  run.note = row.text(26);
  return run;
}

Cell to_cell(const Statement& row, int column) {
  switch (row.type(column)) {
    case Statement::Type::kNull:
      return {};
    case Statement::Type::kInteger:
      return row.integer(column);
    case Statement::Type::kReal:
      return row.real(column);
    case Statement::Type::kText:
      return row.text(column);
  }
  SOAPBOX_CHECK(false, "unknown column type");
}

}  // namespace

Result<Store> Store::open(const std::string& path, OpenMode mode, int busy_timeout_ms) {
  // A store is a file, and to SQLite some names are none: ":memory:", and the empty one.
  if (path.empty()) return Error{ErrorCode::kDatabase, "a database needs a file name", {}};
  const std::string file = path.front() == ':' ? "./" + path : path;
  Result<Database> database = Database::open(file, mode, busy_timeout_ms);
  if (!database) return while_doing("cannot open the database", database.error());
  Status ready = mode == OpenMode::kRead ? check_version(*database) : migrate(*database);
  if (ready && mode != OpenMode::kRead) ready = tune(*database);
  if (!ready) return while_doing("cannot open the database", ready.error());
  return Store(*std::move(database));
}

Result<std::optional<RunRow>> Store::find(std::string_view identity) {
  const Result<Transaction> reading = Transaction::begin(database_, Transaction::Kind::kRead);
  if (!reading) return while_doing("cannot read a run", reading.error());
  Result<std::optional<RunRow>> run = read_whole(identity);
  if (!run) return while_doing("cannot read a run", run.error());
  return run;
}

// In a transaction: the row and its children are of one state of the file.
Result<std::optional<RunRow>> Store::read_whole(std::string_view identity) {
  Statement row = database_.query(kSelectRun, identity);
  const Result<bool> found = row.step();
  if (!found) return found.error();
  if (!*found) return std::optional<RunRow>();
  std::optional<RunRow> run = read_run(row);
  if (!run) return damaged(database_, str_cat("run ", identity));
  const Status children = read_children(row.integer(0), *run);
  if (!children) return children.error();
  return run;
}

Status Store::read_children(int64_t id, RunRow& run) {
  Statement improvement = database_.query(
      "SELECT evaluation, iteration_time_ps, cpu_s FROM improvement WHERE run = ?"
      " ORDER BY evaluation",
      id);
  while (true) {
    const Result<bool> more = improvement.step();
    if (!more) return more.error();
    if (!*more) break;
    run.improvements.push_back({static_cast<uint64_t>(improvement.integer(0)),
                                Duration(improvement.integer(1)), improvement.real(2)});
  }
  Statement plan = database_.query("SELECT json FROM plan WHERE run = ?", id);
  const Result<bool> found = plan.step();
  if (!found) return found.error();
  if (*found) run.plan = plan.text(0);
  return ok();
}

Result<PutOutcome> Store::put(const RunRow& run) {
  check_consistent(run);
  for (const uint64_t number : {run.key.seed, run.key.budget}) {
    if (number > kMaxStored) return bad_input(str_cat(number, " is too large: at most 2^63 - 1"));
  }
  const std::string id = identity(run.key);
  const std::string what = str_cat("cannot store run ", id);
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return while_doing(what, transaction.error());
  const Result<std::optional<RunRow>> old = read_whole(id);
  if (!old) return while_doing(what, old.error());
  PutOutcome outcome = PutOutcome::kStored;
  if (old->has_value()) {
    const RunRow& there = **old;
    if (there.key != run.key) return damaged(database_, str_cat(id, " names another run"));
    if (is_final(there.status)) {
      const bool differs = is_final(run.status) && !same_result(there, run);
      return differs ? PutOutcome::kDiffers : PutOutcome::kKept;
    }
    const Status removed = database_.run("DELETE FROM run WHERE identity = ?", id);
    if (!removed) return while_doing(what, removed.error());
    outcome = PutOutcome::kReplaced;
  }
  Status done = insert_run(run, id);
  if (done) done = transaction->commit();
  if (!done) return while_doing(what, done.error());
  return outcome;
}

Result<int64_t> Store::instance_id(const InstanceRow& instance) {
  Statement row = database_.query(
      "SELECT id FROM instance WHERE model = ? AND cluster = ? AND devices = ? AND batch = ?"
      " AND network = ? AND costs = ?",
      instance.model, instance.cluster, instance.devices, instance.batch, instance.network,
      instance.costs);
  const Result<bool> found = row.step();
  if (!found) return found.error();
  if (*found) return row.integer(0);
  const Status inserted = database_.run(
      "INSERT INTO instance (model, cluster, devices, batch, network, costs)"
      " VALUES (?, ?, ?, ?, ?, ?)",
      instance.model, instance.cluster, instance.devices, instance.batch, instance.network,
      instance.costs);
  if (!inserted) return inserted.error();
  return database_.last_insert_id();
}

Result<int64_t> Store::method_id(const MethodRow& method) {
  Statement row = database_.query("SELECT id FROM method WHERE name = ? AND settings = ?",
                                  method.name, method.settings);
  const Result<bool> found = row.step();
  if (!found) return found.error();
  if (*found) return row.integer(0);
  const Status inserted = database_.run("INSERT INTO method (name, settings) VALUES (?, ?)",
                                        method.name, method.settings);
  if (!inserted) return inserted.error();
  return database_.last_insert_id();
}

Status Store::insert_run(const RunRow& run, const std::string& identity) {
  const Result<int64_t> instance = instance_id(run.key.instance);
  if (!instance) return instance.error();
  const Result<int64_t> method = method_id(run.key.method);
  if (!method) return method.error();
  std::optional<int64_t> iteration_time_ps;
  std::optional<double> samples_per_s;
  std::optional<int64_t> communication_bytes;
  std::optional<std::string> trace_hash;
  if (run.best) {
    iteration_time_ps = run.best->iteration_time.picoseconds();
    samples_per_s = run.best->samples_per_s;
    communication_bytes = run.best->communication.count();
    trace_hash = hex(run.best->trace_hash);
  }
  const Status inserted = database_.run(
      "INSERT INTO run (identity, instance, method, seed, budget, code, status, iteration_time_ps,"
      " samples_per_s, communication_bytes, trace_hash, evaluations, best_at, cpu_s, wall_s,"
      " started_at, command, version, host, provenance, note)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      identity, *instance, *method, stored(run.key.seed), stored(run.key.budget), run.key.code,
      status_name(run.status), iteration_time_ps, samples_per_s, communication_bytes, trace_hash,
      stored(run.evaluations), stored(run.best_at_evaluation), run.cpu_s, run.wall_s,
      run.started_at, run.command, run.version, run.host, run.provenance, run.note);
  if (!inserted) return inserted.error();
  return insert_children(database_.last_insert_id(), run);
}

Status Store::insert_children(int64_t id, const RunRow& run) {
  for (const ImprovementRow& improvement : run.improvements) {
    Status inserted = database_.run(
        "INSERT INTO improvement (run, evaluation, iteration_time_ps, cpu_s) VALUES (?, ?, ?, ?)",
        id, stored(improvement.evaluation), improvement.iteration_time.picoseconds(),
        improvement.cpu_s);
    if (!inserted) return inserted;
  }
  if (run.plan.empty()) return ok();
  return database_.run("INSERT INTO plan (run, json) VALUES (?, ?)", id, run.plan);
}

Status Store::put_execution(std::string_view identity, const ExecutionRow& execution) {
  SOAPBOX_CHECK(execution.repeats > 0 && execution.iteration_time > Duration(),
                "an execution ran at least once and took time");
  const std::string what = str_cat("cannot store an execution of run ", identity);
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return while_doing(what, transaction.error());
  Status done = insert_execution(identity, execution);
  if (done) done = transaction->commit();
  if (!done) return while_doing(what, done.error());
  return done;
}

Status Store::insert_execution(std::string_view identity, const ExecutionRow& execution) {
  Statement run = database_.query("SELECT id FROM run WHERE identity = ?", identity);
  const Result<bool> found = run.step();
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::kDatabase, "its prediction is not stored", {}};
  const Status inserted = database_.run(
      "INSERT INTO execution (run, backend, settings, repeats, iteration_time_ps, lateness_p99_s,"
      " started_at, command, version, host) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      run.integer(0), execution.backend, execution.settings, execution.repeats,
      execution.iteration_time.picoseconds(), execution.lateness_p99_s, execution.started_at,
      execution.command, execution.version, execution.host);
  if (!inserted) return inserted;
  const int64_t id = database_.last_insert_id();
  int64_t number = 0;
  for (const ExecutedTaskRow& task : execution.tasks) {
    Status stored = database_.run(
        "INSERT INTO executed_task (execution, task, kind, place, predicted_start_ps,"
        " predicted_end_ps, start_ps, end_ps) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        id, number++, task.kind, task.place, task.predicted_start.picoseconds(),
        task.predicted_end.picoseconds(), task.start.picoseconds(), task.end.picoseconds());
    if (!stored) return stored;
  }
  return ok();
}

Status Store::put_study(const StudyRow& study) {
  Status done = database_.run(
      "INSERT OR REPLACE INTO study (id, name, experiment, created_at, version)"
      " VALUES (1, ?, ?, ?, ?)",
      study.name, study.experiment, study.created_at, study.version);
  if (!done) return while_doing("cannot store the study", done.error());
  return done;
}

Result<std::optional<StudyRow>> Store::study() {
  Statement row = database_.query("SELECT name, experiment, created_at, version FROM study");
  const Result<bool> found = row.step();
  if (!found) return while_doing("cannot read the study", found.error());
  if (!*found) return std::optional<StudyRow>();
  return std::optional<StudyRow>({row.text(0), row.text(1), row.text(2), row.text(3)});
}

Status Store::put_references(std::span<const ReferenceRow> references) {
  constexpr std::string_view kWhat = "cannot store the reference figures";
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return while_doing(kWhat, transaction.error());
  for (const ReferenceRow& row : references) {
    const Status done = database_.run(
        "INSERT OR REPLACE INTO reference (figure, model, cluster, strategy, devices, metric,"
        " value, grade) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row.figure, row.model, row.cluster, row.strategy, row.devices, row.metric, row.value,
        row.grade);
    if (!done) return while_doing(kWhat, done.error());
  }
  const Status committed = transaction->commit();
  if (!committed) return while_doing(kWhat, committed.error());
  return ok();
}

Status Store::put_validations(std::span<const ValidationRow> rows) {
  constexpr std::string_view kWhat = "cannot store the validation";
  Result<Transaction> transaction = Transaction::begin(database_, Transaction::Kind::kWrite);
  if (!transaction) return while_doing(kWhat, transaction.error());
  for (const ValidationRow& row : rows) {
    const auto feasible = row.feasible ? std::optional<int64_t>(*row.feasible) : std::nullopt;
    const std::string assumptions =
        nlohmann::json(row.assumptions)
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const Status done = database_.run(
        "INSERT OR REPLACE INTO validation (dataset, line, code, run, run_group, split, trust,"
        " measured_step_time_s, measured_peak_memory_bytes, ran_out_of_memory,"
        " predicted_step_time_s, low_s, high_s, predicted_peak_memory_bytes, feasible, assumptions,"
        " reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row.dataset, row.line, row.code, row.run, row.group, row.split, row.trust,
        row.measured_step_time_s, row.measured_peak_memory_bytes, int64_t{row.ran_out_of_memory},
        row.predicted_step_time_s, row.low_s, row.high_s, row.predicted_peak_memory_bytes, feasible,
        assumptions, row.reason);
    if (!done) return while_doing(kWhat, done.error());
  }
  const Status committed = transaction->commit();
  if (!committed) return while_doing(kWhat, committed.error());
  return ok();
}

const std::vector<std::string>& Store::table_names() {
  static const std::vector<std::string> kNames = {"executed_tasks", "executions", "improvements",
                                                  "plannings",      "plans",      "references",
                                                  "runs",           "validations"};
  return kNames;
}

Result<Table> Store::table(std::string_view name) {
  bool known = false;
  for (const std::string& view : table_names()) known = known || view == name;
  if (!known) return Error{ErrorCode::kUsage, unknown_name("table", name, table_names()), {}};
  Statement row = database_.query(name == "plannings" ? std::string(kPlanningsSql)
                                                      : str_cat("SELECT * FROM \"", name, "\""));
  Result<bool> more = row.step();
  std::vector<Column> columns;
  if (more) {
    for (int i = 0; i < row.columns(); ++i) columns.push_back({row.column_name(i)});
  }
  Table table(std::move(columns));
  for (; more && *more; more = row.step()) {
    std::vector<Cell> cells;
    cells.reserve(table.columns().size());
    for (int i = 0; i < row.columns(); ++i) cells.push_back(to_cell(row, i));
    table.add_row(std::move(cells));
  }
  if (!more) return while_doing(str_cat("cannot read the ", name), more.error());
  return table;
}

}  // namespace soapbox::results
