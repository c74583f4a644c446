#include "results/migrate.h"

#include <array>

#include "sim/base/str.h"

namespace soapbox::results {
namespace {

Error refuse(const Database& database, std::string message) {
  return Error{ErrorCode::kDatabase, std::move(message), {database.path(), 0, 0}};
}

// The file's schema version, after checking that the file is ours. 0: it is empty.
// REQUIRES: inside a transaction; another process may be creating the schema.
Result<int64_t> identify(Database& database) {
  const Result<int64_t> application = database.integer("PRAGMA application_id");
  if (!application) return application.error();
  const Result<int64_t> version = database.integer("PRAGMA user_version");
  if (!version) return version.error();
  const Result<int64_t> objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return objects.error();
  if (*application == 0 && *version == 0 && *objects == 0) return 0;
  if (*application != kApplicationId) {
    return refuse(database, "this SQLite file is not a Soapbox results database");
  }
  if (*version < 1 || *objects == 0) return refuse(database, "damaged: it has no schema");
  if (*version > kSchemaVersion) {
    return refuse(database, str_cat("written by a newer soapbox: schema ", *version,
                                    ", this program knows up to ", kSchemaVersion));
  }
  return *version;
}

Result<int64_t> identify_once(Database& database) {
  const Result<Transaction> reading = Transaction::begin(database, Transaction::Kind::kRead);
  if (!reading) return reading.error();
  return identify(database);
}

}  // namespace

Status migrate(Database& database) {
  Result<int64_t> version = identify_once(database);
  if (!version) return version.error();
  if (*version == kSchemaVersion) return ok();

  Result<Transaction> transaction = Transaction::begin(database, Transaction::Kind::kWrite);
  if (!transaction) return transaction.error();
  version = identify(database);  // again: another process may have been quicker
  if (!version) return version.error();
  const std::array<const char*, kSchemaVersion> migrations = {kSchemaSql, kExecutionsSql,
                                                              kValidationsSql};
  for (int64_t step = *version; step < kSchemaVersion; ++step) {
    Status done = database.execute(migrations[static_cast<size_t>(step)]);
    if (!done) return done;
  }
  Status marked = database.execute(str_cat("PRAGMA application_id = ", kApplicationId,
                                           "; PRAGMA user_version = ", kSchemaVersion));
  if (!marked) return marked;
  return transaction->commit();
}

Status check_version(Database& database) {
  const Result<int64_t> version = identify_once(database);
  if (!version) return version.error();
  if (*version == 0) return refuse(database, "empty: no study is stored here");
  if (*version < kSchemaVersion) {
    return refuse(database, str_cat("written by an older soapbox: schema ", *version, ", now ",
                                    kSchemaVersion, "; any command that writes updates it"));
  }
  return ok();
}

}  // namespace soapbox::results
