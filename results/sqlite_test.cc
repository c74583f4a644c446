#include "results/sqlite.h"

#include <gtest/gtest.h>

#include <limits>

#include "results/test_files.h"

namespace soapbox::results {
namespace {

Database memory() {
  Result<Database> database = Database::open(":memory:", OpenMode::kCreate, 0);
  return *std::move(database);
}

TEST(Sqlite, EveryTypeReadsBackAsItWasBound) {
  Database database = memory();
  ASSERT_TRUE(database.execute("CREATE TABLE t (i INTEGER, r REAL, s TEXT, n INTEGER) STRICT"));
  const std::string text("a\0b'\xc3\xbc", 6);  // a zero byte, a quote, UTF-8
  const int64_t low = std::numeric_limits<int64_t>::min();
  ASSERT_TRUE(
      database.run("INSERT INTO t VALUES (?, ?, ?, ?)", low, 0.1, text, std::optional<int64_t>()));
  ASSERT_TRUE(database.run("INSERT INTO t VALUES (?, ?, ?, ?)", std::nullopt, std::nullopt,
                           std::string_view(), std::optional<int64_t>(5)));
  Statement row = database.query("SELECT i, r, s, n FROM t ORDER BY rowid");
  ASSERT_TRUE(*row.step());
  EXPECT_EQ(row.columns(), 4);
  EXPECT_EQ(row.column_name(2), "s");
  EXPECT_EQ(row.integer(0), low);
  EXPECT_EQ(row.real(1), 0.1);
  EXPECT_EQ(row.text(2), text);
  EXPECT_TRUE(row.is_null(3));
  ASSERT_TRUE(*row.step());
  EXPECT_TRUE(row.is_null(0));
  EXPECT_TRUE(row.is_null(1));
  EXPECT_EQ(row.type(2), Statement::Type::kText);  // an empty text is not NULL
  EXPECT_EQ(row.text(2), "");
  EXPECT_EQ(row.integer(3), 5);
  EXPECT_FALSE(*row.step());
}

TEST(Sqlite, ErrorsCarryTheFileAndSqlitesWords) {
  Database database = memory();
  const Status syntax = database.run("SELEC 1");
  ASSERT_FALSE(syntax);
  EXPECT_EQ(syntax.error().code, ErrorCode::kDatabase);
  EXPECT_EQ(syntax.error().to_string(), ":memory:: near \"SELEC\": syntax error (SQLite code 1)");
  const Status parameters = database.run("SELECT ?", 1.0, 2.0);
  ASSERT_FALSE(parameters);
  EXPECT_EQ(parameters.error().code, ErrorCode::kDatabase);
}

TEST(Sqlite, ABrokenConstraintIsADatabaseError) {
  Database database = memory();
  ASSERT_TRUE(database.execute("CREATE TABLE t (i INTEGER UNIQUE CHECK (i > 0)) STRICT"));
  ASSERT_TRUE(database.run("INSERT INTO t VALUES (?)", int64_t{1}));
  const Status twice = database.run("INSERT INTO t VALUES (?)", int64_t{1});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::kDatabase);
  EXPECT_NE(twice.error().message.find("UNIQUE constraint failed: t.i"), std::string::npos);
  EXPECT_FALSE(database.run("INSERT INTO t VALUES (?)", int64_t{-1}));
  EXPECT_FALSE(database.run("INSERT INTO t VALUES (?)", std::string_view("text")));
  EXPECT_EQ(*database.integer("SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, ATransactionThatIsNotCommittedLeavesNothing) {
  Database database = memory();
  ASSERT_TRUE(database.execute("CREATE TABLE t (i INTEGER) STRICT"));
  {
    const Result<Transaction> transaction = Transaction::begin(database, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database.run("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(*database.integer("SELECT count(*) FROM t"), 0);
  Result<Transaction> transaction = Transaction::begin(database, Transaction::Kind::kWrite);
  ASSERT_TRUE(database.run("INSERT INTO t VALUES (2)"));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(*database.integer("SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, AFullDatabaseIsAnEnvironmentErrorAndKeepsWhatWasCommitted) {
  const ScratchDirectory scratch;
  Result<Database> database = Database::open(scratch.file("full.db"), OpenMode::kCreate, 0);
  ASSERT_TRUE(
      database->execute("PRAGMA journal_mode = WAL; PRAGMA max_page_count = 8;"
                        "CREATE TABLE t (s TEXT) STRICT; INSERT INTO t VALUES ('first')"));
  {
    const Result<Transaction> transaction =
        Transaction::begin(*database, Transaction::Kind::kWrite);
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database->run("INSERT INTO t VALUES ('second')"));
    const Status full = database->run("INSERT INTO t VALUES (?)", std::string(100'000, 'x'));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, ErrorCode::kEnvironment);
    EXPECT_NE(full.error().message.find("database or disk is full"), std::string::npos);
  }
  EXPECT_EQ(*database->integer("SELECT count(*) FROM t"), 1);
}

TEST(Sqlite, AnotherWritersLockIsUnavailableAfterTheTimeout) {
  const ScratchDirectory scratch;
  Result<Database> holder = Database::open(scratch.file("a.db"), OpenMode::kCreate, 0);
  ASSERT_TRUE(holder->execute("PRAGMA journal_mode = WAL; CREATE TABLE t (i INTEGER) STRICT"));
  Result<Database> waiter = Database::open(scratch.file("a.db"), OpenMode::kWrite, 20);
  Result<Transaction> held = Transaction::begin(*holder, Transaction::Kind::kWrite);
  ASSERT_TRUE(held);
  const Result<Transaction> refused = Transaction::begin(*waiter, Transaction::Kind::kWrite);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(refused.error().message.find("database is locked"), std::string::npos);
  ASSERT_TRUE(held->commit());
  EXPECT_TRUE(Transaction::begin(*waiter, Transaction::Kind::kWrite));
}

TEST(Sqlite, AMissingFileOrFolderIsAnEnvironmentErrorWithTheSystemsReason) {
  const ScratchDirectory scratch;
  const Result<Database> missing = Database::open(scratch.file("no.db"), OpenMode::kRead, 0);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kEnvironment);
  EXPECT_NE(missing.error().message.find("No such file or directory"), std::string::npos)
      << missing.error().message;
  EXPECT_EQ(missing.error().where.file, scratch.file("no.db"));
  const Result<Database> nowhere = Database::open(scratch.file("no/a.db"), OpenMode::kCreate, 0);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().message,
            "folder " + scratch.file("no") + ": No such file or directory");
  EXPECT_FALSE(std::filesystem::exists(scratch.file("no.db")));
}

TEST(SqliteDeath, TheSameStatementCannotRunTwiceAtOnce) {
  Database database = memory();
  Statement first = database.query("SELECT 1 UNION SELECT 2");
  ASSERT_TRUE(*first.step());
  EXPECT_DEATH(database.query("SELECT 1 UNION SELECT 2"), "already running");
}

}  // namespace
}  // namespace soapbox::results
