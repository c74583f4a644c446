// Store: one study's SQLite file; all that writes to it and all that reads it back.
//
// A run is stored in one transaction with its improvements and its plan, so there is never a part
// of one, whatever is killed when. Storing the same run again changes nothing, so a sweep can be
// stopped and started anywhere. Several processes may use one file; one waits for the other up to
// `busy_timeout_ms`. A Store belongs to one thread at a time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "results/rows.h"
#include "results/sqlite.h"
#include "results/table.h"
#include "results/validation.h"
#include "sim/base/result.h"

namespace soapbox::results {

inline constexpr int kBusyTimeoutMs = 10'000;

enum class PutOutcome : uint8_t {
  kStored,    // new
  kReplaced,  // took the place of an interrupted or failed run
  kKept,      // a final run of the same key is there, with the same result; nothing was written
  kDiffers,   // a final run of the same key is there with another result: the program is not
              // deterministic. Nothing was written.
};

class Store {
 public:
  // kCreate makes the file where there is none; kWrite and kCreate bring an older schema up to
  // date. Errors as in migrate.h.
  static Result<Store> open(const std::string& path, OpenMode mode = OpenMode::kCreate,
                            int busy_timeout_ms = kBusyTimeoutMs);

  // The whole run of this identity (rows.h), if it is there.
  Result<std::optional<RunRow>> find(std::string_view identity);
  // REQUIRES: a consistent row: figures present if the status is kOk; improvements with rising
  // evaluations and falling times; counts below 2^63.
  Result<PutOutcome> put(const RunRow& run);

  // A real run of the plan whose prediction is the run of that identity, with all its tasks, in one
  // transaction. Real runs differ, so each call adds a row. Fails if there is no such run.
  Status put_execution(std::string_view identity, const ExecutionRow& execution);

  // What the file is about; writing replaces it.
  Status put_study(const StudyRow& study);
  Result<std::optional<StudyRow>> study();

  // Published figures to compare with, in one transaction; a figure that is there is replaced.
  Status put_references(std::span<const ReferenceRow> references);

  // Published runs beside their predictions, in one transaction; a row that is there is replaced.
  Status put_validations(std::span<const ValidationRow> rows);

  // Everything that is stored, for export: the names are those of table_names(); sorted by what the
  // rows are, so that two studies of the same content give the same order.
  Result<Table> table(std::string_view name);
  static const std::vector<std::string>& table_names();

 private:
  explicit Store(Database database) : database_(std::move(database)) {}
  Result<int64_t> instance_id(const InstanceRow& instance);
  Result<int64_t> method_id(const MethodRow& method);
  Status insert_run(const RunRow& run, const std::string& identity);
  Status insert_children(int64_t id, const RunRow& run);
  Result<std::optional<RunRow>> read_whole(std::string_view identity);
  Status insert_execution(std::string_view identity, const ExecutionRow& execution);
  Status read_children(int64_t id, RunRow& run);
  Database database_;
};

}  // namespace soapbox::results
