#include "results/sqlite.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "sim/base/str.h"

namespace soapbox::results {
namespace {

ErrorCode kind_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {  // the primary code of an extended one
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kUnavailable;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_NOLFS:
    case SQLITE_NOMEM:
      return ErrorCode::kEnvironment;
    default:
      return ErrorCode::kDatabase;
  }
}

std::string system_text(int system_error) {
  return std::generic_category().message(system_error);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Reading a write-ahead-logged file needs a lock file beside it. Where none can be made and no
// writer has left one (an archive, another person's folder), nobody is writing either.
bool cannot_lock(const std::string& path) {
  return ::access(folder_of(path).c_str(), W_OK) != 0 && ::access(path.c_str(), R_OK) == 0 &&
         ::access((path + "-wal").c_str(), F_OK) != 0;
}

// The file as an address that tells SQLite not to look for locks and logs.
std::string immutable_uri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.';
    uri += plain ? std::string(1, c) : "%" + hex(static_cast<unsigned char>(c)).substr(14);
  }
  return uri + "?immutable=1";
}

// The cause in SQLite's words, and in the system's where a system call failed.
Error make_error(sqlite3* handle, int code, const std::string& path) {
  const bool is_last = code == sqlite3_extended_errcode(handle);
  std::string message = is_last ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  const int primary = code & 0xff;
  if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) {
    const int system_error = sqlite3_system_errno(handle);
    if (system_error != 0) message += str_cat(": ", system_text(system_error));
  }
  return Error{kind_of(code), str_cat(message, " (SQLite code ", code, ")"), {path, 0, 0}};
}

}  // namespace

Statement::Statement(Database& database, sqlite3_stmt* prepared)
    : database_(&database), prepared_(prepared) {}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      prepared_(std::exchange(other.prepared_, nullptr)),
      failure_(other.failure_) {}

Statement::~Statement() {
  if (prepared_ == nullptr) return;
  sqlite3_reset(prepared_);
  sqlite3_clear_bindings(prepared_);  // lets go of large texts
}

// SQLite counts parameters from 1.
void Statement::bind(int parameter, int64_t value) {
  const int code = sqlite3_bind_int64(prepared_, parameter + 1, value);
  if (failure_ == SQLITE_OK) failure_ = code;
}

void Statement::bind(int parameter, double value) {
  const int code = sqlite3_bind_double(prepared_, parameter + 1, value);
  if (failure_ == SQLITE_OK) failure_ = code;
}

void Statement::bind(int parameter, std::string_view value) {
  // A null pointer would bind NULL; an empty text is a text.
  const char* bytes = value.data() == nullptr ? "" : value.data();
  const int code = sqlite3_bind_text64(prepared_, parameter + 1, bytes, value.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8);
  if (failure_ == SQLITE_OK) failure_ = code;
}

void Statement::bind(int parameter, std::nullopt_t) {
  const int code = sqlite3_bind_null(prepared_, parameter + 1);
  if (failure_ == SQLITE_OK) failure_ = code;
}

Result<bool> Statement::step() {
  sqlite3* handle = database_->handle_.get();
  if (failure_ != SQLITE_OK) {
    return make_error(handle, failure_, database_->path_);
  }
  const int code = sqlite3_step(prepared_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return make_error(handle, code, database_->path_);
}

int Statement::columns() const {
  return sqlite3_column_count(prepared_);
}

std::string Statement::column_name(int column) const {
  return sqlite3_column_name(prepared_, column);
}

Statement::Type Statement::type(int column) const {
  switch (sqlite3_column_type(prepared_, column)) {
    case SQLITE_NULL:
      return Type::kNull;
    case SQLITE_INTEGER:
      return Type::kInteger;
    case SQLITE_FLOAT:
      return Type::kReal;
    default:
      return Type::kText;
  }
}

int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(prepared_, column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(prepared_, column);
}

std::string Statement::text(int column) const {
  const void* bytes =
      sqlite3_column_text(prepared_, column);  // before its length, which depends on it
  const auto length = static_cast<size_t>(sqlite3_column_bytes(prepared_, column));
  return length == 0 ? std::string() : std::string(static_cast<const char*>(bytes), length);
}

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close(handle);
}

void Database::Finalize::operator()(sqlite3_stmt* prepared) const {
  sqlite3_finalize(prepared);
}

Database::Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

Result<Database> Database::open(const std::string& path, OpenMode mode, int busy_timeout_ms) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  // A reader that may not write cannot remove the lock files that it makes, so it may, and
  // query_only keeps it from changing anything.
  const bool may_write = mode != OpenMode::kRead || ::access(path.c_str(), W_OK) == 0;
  flags |= may_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
  if (mode == OpenMode::kCreate) flags |= SQLITE_OPEN_CREATE;
  std::string name = path;
  if (mode == OpenMode::kRead && cannot_lock(path)) {
    name = immutable_uri(path);
    flags |= SQLITE_OPEN_URI;
  }
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  Database database(path, handle);  // even a failed open has a handle to close
  if (code != SQLITE_OK) {
    // SQLite retries without creating, so its reason would be that there is no such file.
    const std::string folder = folder_of(path);
    if (mode == OpenMode::kCreate && ::access(folder.c_str(), W_OK | X_OK) != 0) {
      return Error{ErrorCode::kEnvironment,
                   str_cat("folder ", folder, ": ", system_text(errno)),
                   {path, 0, 0}};
    }
    return make_error(handle, code, path);
  }
  sqlite3_busy_timeout(handle, busy_timeout_ms);
  if (mode == OpenMode::kRead) {
    const Status reading = database.execute("PRAGMA query_only = ON");
    if (!reading) return reading.error();
  }
  return database;
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return make_error(handle_.get(), code, path_);
  return ok();
}

Statement Database::prepare(std::string_view sql) {
  auto at = prepared_.find(sql);
  if (at == prepared_.end()) {
    sqlite3_stmt* prepared = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    if (code != SQLITE_OK) {
      Statement broken(*this, nullptr);
      broken.failure_ = code;
      return broken;
    }
    at = prepared_.emplace(std::string(sql), prepared).first;
  }
  SOAPBOX_CHECK(!sqlite3_stmt_busy(at->second.get()), "the same statement is already running");
  return Statement(*this, at->second.get());
}

Status Database::finish(Statement& statement) {
  while (true) {
    const Result<bool> row = statement.step();
    if (!row) return row.error();
    if (!*row) return ok();
  }
}

Result<int64_t> Database::integer(std::string_view sql) {
  Statement statement = query(sql);
  const Result<bool> row = statement.step();
  if (!row) return row.error();
  SOAPBOX_CHECK(*row, "the query gives no row");
  return statement.integer(0);
}

int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_.get());
}

Result<Transaction> Transaction::begin(Database& database, Kind kind) {
  const Status begun = database.run(kind == Kind::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
  if (!begun) return begun.error();
  return Transaction(database);
}

Transaction::~Transaction() {
  // After a full disk SQLite may have rolled back itself; then this fails, and nothing is lost.
  if (database_ != nullptr) static_cast<void>(database_->run("ROLLBACK").has_value());
}

Status Transaction::commit() {
  Status committed = database_->run("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

}  // namespace soapbox::results
