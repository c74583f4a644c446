// A thin C++ face of SQLite: a connection, statements with typed parameters and columns,
// transactions. Nothing here knows what is stored. Every failure is a Result whose message is
// SQLite's own text and code, and whose position is the file:
//   kUnavailable  another process holds the lock: try again
//   kEnvironment  disk full, I/O error, no permission, cannot open
//   kDatabase     not a database, damaged, or a broken constraint
// A connection belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sim/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace soapbox::results {

class Database;

// One execution of a prepared statement. The prepared form stays with the connection; the execution
// ends (and its locks go) with this object. Parameters and columns count from 0. A parameter that
// cannot be bound is reported by the next step.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  void bind(int parameter, int64_t value);
  void bind(int parameter, double value);
  void bind(int parameter, std::string_view value);
  void bind(int parameter, std::nullopt_t);
  template <class T>
  void bind(int parameter, const std::optional<T>& value) {
    if (value) {
      bind(parameter, *value);
    } else {
      bind(parameter, std::nullopt);
    }
  }

  // True: a row is ready. False: done.
  Result<bool> step();

  // Of the row that is ready.
  enum class Type : uint8_t { kNull, kInteger, kReal, kText };
  int columns() const;
  std::string column_name(int column) const;
  Type type(int column) const;
  bool is_null(int column) const { return type(column) == Type::kNull; }
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;

 private:
  friend class Database;
  Statement(Database& database, sqlite3_stmt* prepared);
  Database* database_;
  sqlite3_stmt* prepared_;  // null: moved from, or the SQL is wrong
  int failure_ = 0;         // SQLite's code of the first failed bind or of prepare
};

enum class OpenMode : uint8_t {
  kRead,
  kWrite,
  kCreate
};  // kCreate: write, made if it is not there

class Database {
 public:
  // `busy_timeout_ms` is how long a statement waits for another process's lock.
  static Result<Database> open(const std::string& path, OpenMode mode, int busy_timeout_ms);
  Database(Database&&) = default;
  Database& operator=(Database&&) = delete;

  // Runs SQL of one or several statements, for its effect.
  Status execute(const std::string& sql);
  // The statement, ready to step, with its parameters bound in order. It is prepared once in the
  // life of the connection. REQUIRES: no other execution of the same SQL is alive.
  template <class... Values>
  Statement query(std::string_view sql, const Values&... values) {
    Statement statement = prepare(sql);
    int parameter = 0;
    (statement.bind(parameter++, values), ...);
    return statement;
  }
  // query(), stepped to its end.
  template <class... Values>
  Status run(std::string_view sql, const Values&... values) {
    Statement statement = query(sql, values...);
    return finish(statement);
  }
  // The single integer of a query that gives one.
  Result<int64_t> integer(std::string_view sql);

  int64_t last_insert_id() const;
  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* prepared) const;
  };
  Database(std::string path, sqlite3* handle);
  Statement prepare(std::string_view sql);
  static Status finish(Statement& statement);

  std::string path_;
  // Declared before the statements, so that they are finalised first.
  std::unique_ptr<sqlite3, Close> handle_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> prepared_;
};

// Everything between begin and commit happens at once or not at all. Rolls back unless committed.
// REQUIRES: the database outlives it and does not move.
class Transaction {
 public:
  enum class Kind : uint8_t {
    kRead,   // all reads see one state of the file
    kWrite,  // takes the write lock at once: that is what makes the busy timeout work, as a
             // transaction that turns from reading to writing fails without waiting
  };
  static Result<Transaction> begin(Database& database, Kind kind);
  Transaction(Transaction&& other) noexcept : database_(other.database_) {
    other.database_ = nullptr;
  }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // null: ended
};

}  // namespace soapbox::results
