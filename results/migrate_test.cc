#include "results/migrate.h"

#include <gtest/gtest.h>

#include "results/store.h"
#include "results/test_files.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

// Opens with kWrite and expects a refusal that leaves every byte of the file as it was.
Error refused(const std::string& path) {
  const std::string before = read_bytes(path);
  const Result<Store> writer = Store::open(path, OpenMode::kCreate, 0);
  const Result<Store> reader = Store::open(path, OpenMode::kRead, 0);
  EXPECT_FALSE(writer);
  EXPECT_FALSE(reader);
  EXPECT_EQ(read_bytes(path), before);
  if (writer || reader) return Error();
  EXPECT_EQ(writer.error().to_string(), reader.error().to_string());
  EXPECT_EQ(writer.error().where.file, path);
  return writer.error();
}

void make_store(const std::string& path) {
  ASSERT_TRUE(Store::open(path));
}

TEST(Migrate, ANewFileGetsTheSchemaTheIdAndTheVersion) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("new.db");
  make_store(path);
  Result<Database> database = Database::open(path, OpenMode::kRead, 0);
  EXPECT_EQ(*database->integer("PRAGMA application_id"), 0x536f6170);
  EXPECT_EQ(*database->integer("PRAGMA user_version"), kSchemaVersion);
  EXPECT_EQ(*database->integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table'"), 10);
  // Every table is STRICT: a text cannot enter a number's column.
  EXPECT_EQ(*database->integer("SELECT count(*) FROM pragma_table_list"
                               " WHERE schema = 'main' AND type = 'table' AND strict"),
            10);
  Statement mode = database->query("PRAGMA journal_mode");
  ASSERT_TRUE(*mode.step());
  EXPECT_EQ(mode.text(0), "wal");
}

TEST(Migrate, AFileOfTheFirstSchemaGetsTheTablesOfTheOthers) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("old.db");
  {
    Result<Database> database = Database::open(path, OpenMode::kCreate, 0);
    ASSERT_TRUE(database->execute(kSchemaSql));
    ASSERT_TRUE(database->execute(str_cat("PRAGMA application_id = ", kApplicationId,
                                          "; PRAGMA user_version = 1;",
                                          "INSERT INTO study VALUES (1, 'old', '', '', '')")));
  }
  const Result<Store> reader = Store::open(path, OpenMode::kRead);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().message,
            str_cat("cannot open the database: written by an older soapbox: schema 1, now ",
                    kSchemaVersion, "; any command that writes updates it"));
  Result<Store> store = Store::open(path);
  ASSERT_TRUE(store);
  EXPECT_EQ((*store->study())->name, "old");
  EXPECT_EQ(store->table("executions")->rows().size(), 0u);
  EXPECT_EQ(store->table("validations")->rows().size(), 0u);
}

TEST(Migrate, OpeningAgainChangesNothing) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("same.db");
  make_store(path);
  const std::string before = read_bytes(path);
  make_store(path);
  EXPECT_EQ(read_bytes(path), before);
}

TEST(Migrate, AnEmptyFileBecomesADatabaseButCannotBeReadAsOne) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("empty.db");
  write_bytes(path, "");
  const Result<Store> reader = Store::open(path, OpenMode::kRead);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().message, "cannot open the database: empty: no study is stored here");
  make_store(path);
  EXPECT_TRUE(Store::open(path, OpenMode::kRead));
}

TEST(Migrate, ANewerDatabaseIsRefusedUntouched) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("newer.db");
  make_store(path);
  Result<Database> database = Database::open(path, OpenMode::kWrite, 0);
  ASSERT_TRUE(database->execute("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)"));
  const Error error = refused(path);
  EXPECT_EQ(error.code, ErrorCode::kDatabase);
  EXPECT_EQ(error.message,
            str_cat("cannot open the database: written by a newer soapbox: schema 99,"
                    " this program knows up to ",
                    kSchemaVersion));
}

TEST(Migrate, AnotherProgramsDatabaseIsRefusedUntouched) {
  const ScratchDirectory scratch;
  for (const char* sql : {"CREATE TABLE theirs (x)", "PRAGMA application_id = 77",
                          "PRAGMA user_version = 1; CREATE TABLE theirs (x)"}) {
    const std::string path = scratch.file(str_cat(hash_bytes(sql), ".db"));
    {
      Result<Database> database = Database::open(path, OpenMode::kCreate, 0);
      ASSERT_TRUE(database->execute(sql));
    }
    const Error error = refused(path);
    EXPECT_EQ(error.code, ErrorCode::kDatabase) << sql;
    EXPECT_EQ(error.message,
              "cannot open the database: this SQLite file is not a Soapbox results database");
  }
}

TEST(Migrate, OurIdWithoutASchemaIsDamage) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("bare.db");
  {
    Result<Database> database = Database::open(path, OpenMode::kCreate, 0);
    ASSERT_TRUE(database->execute(str_cat("PRAGMA application_id = ", kApplicationId)));
  }
  EXPECT_EQ(refused(path).message, "cannot open the database: damaged: it has no schema");
}

TEST(Migrate, GarbageIsRefusedUntouched) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("garbage.db");
  write_bytes(path, "model,cluster\n" + std::string(5000, 'x'));
  const Error error = refused(path);
  EXPECT_EQ(error.code, ErrorCode::kDatabase);
  EXPECT_EQ(error.message, "cannot open the database: file is not a database (SQLite code 26)");
}

TEST(Migrate, ATruncatedDatabaseIsRefusedUntouched) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("cut.db");
  make_store(path);
  const std::string whole = read_bytes(path);
  ASSERT_GT(whole.size(), 8192U);
  // Inside the header, at a page boundary, inside a page; not the last one, which is an empty
  // table's and ends in zeros, as SQLite reads it when it is cut.
  for (const size_t size : {size_t{50}, size_t{4096}, whole.size() - 4096, whole.size() - 4196}) {
    write_bytes(path, whole.substr(0, size));
    EXPECT_EQ(refused(path).code, ErrorCode::kDatabase) << size << " of " << whole.size();
  }
}

TEST(Migrate, ADirectoryIsNotADatabase) {
  const ScratchDirectory scratch;
  const Result<Store> store = Store::open(scratch.path().string());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::kEnvironment);
}

TEST(Migrate, ManyProcessesMayCreateTheSameFileAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const ScratchDirectory scratch;
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
      children.push_back(start_process([&] {
        const Result<Store> store = Store::open(scratch.file("race.db"));
        if (!store) std::fprintf(stderr, "%s\n", store.error().to_string().c_str());
        return store ? 0 : 1;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
    EXPECT_TRUE(Store::open(scratch.file("race.db"), OpenMode::kRead));
  }
}

}  // namespace
}  // namespace soapbox::results
