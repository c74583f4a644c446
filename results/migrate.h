// The versions of the schema, and how a database file becomes one of the present version.
//
// PRAGMA application_id says that a file is a Soapbox results database, PRAGMA user_version which
// schema it has. Migration n leads from version n - 1 to n; an empty file is version 0, so a new
// file and an old one take the same way. All of it is one transaction.
#pragma once

#include "results/sqlite.h"
#include "sim/base/result.h"

namespace soapbox::results {

inline constexpr int64_t kApplicationId = 0x536f6170;  // "Soap"
inline constexpr int64_t kSchemaVersion = 3;

// schema.sql, executions.sql and validations.sql, placed in the program when it is built.
extern const char* const kSchemaSql;
extern const char* const kExecutionsSql;
extern const char* const kValidationsSql;
extern const char* const kPlanningsSql;  // a query

// Errors: kDatabase for a file of another program, a newer schema, damage; kUnavailable when
// another process holds the file; kEnvironment when it cannot be written. A refused file is not
// changed.
Status migrate(Database& database);
// The same for a file that is only read: it must have the present version already.
Status check_version(Database& database);

}  // namespace soapbox::results
