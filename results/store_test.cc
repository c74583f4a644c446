#include "results/store.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "results/test_files.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

RunRow example_run(uint64_t seed, size_t improvements = 3) {
  RunRow run;
  run.key = {{"nmt", "p100_4x4", 16, 1024, "fifo", "costs 1"},
             {"mcmc", "{\"beta\":50}"},
             seed,
             1000,
             "code 1"};
  run.status = RunStatus::kOk;
  run.best = {milliseconds(261), 3923.4, Bytes(35'000'000'000), 0x0123456789abcdef};
  run.evaluations = 1000;
  run.best_at_evaluation = improvements;
  run.cpu_s = 0.1;
  run.wall_s = 0.2;
  run.started_at = "2026-01-02T03:04:05Z";
  run.command = "soapbox race \"a b\".toml";
  run.version = "0.1.0";
  run.host = "2 cores";
  run.provenance = "calibrated roofline";
  run.note = "budget";
  for (size_t i = 0; i < improvements; ++i) {
    run.improvements.push_back(
        {i + 1, milliseconds(261) + nanoseconds(static_cast<int64_t>(improvements - i)),
         0.001 * static_cast<double>(i)});
  }
  run.plan = "{\"ops\":[]}";
  return run;
}

Store open_store(const std::string& path, int busy_timeout_ms = kBusyTimeoutMs) {
  Result<Store> store = Store::open(path, OpenMode::kCreate, busy_timeout_ms);
  return *std::move(store);
}

int64_t count(const std::string& path, const std::string& what) {
  Result<Database> database = Database::open(path, OpenMode::kRead, kBusyTimeoutMs);
  return *database->integer("SELECT count(*) FROM " + what);
}

// Runs whose improvements or plan are not all there.
int64_t partial_runs(const std::string& path, size_t improvements) {
  return count(path,
               str_cat("run WHERE (SELECT count(*) FROM improvement WHERE run = run.id) <> ",
                       improvements, " OR NOT EXISTS (SELECT 1 FROM plan WHERE run = run.id)"));
}

TEST(Store, ARunReadsBackExactly) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  const RunRow run = example_run(7);
  EXPECT_EQ(*store.put(run), PutOutcome::kStored);
  EXPECT_EQ(**store.find(identity(run.key)), run);
  // From the file too, after the writer has gone.
  Store other = open_store(scratch.file("a.db"));
  EXPECT_EQ(**other.find(identity(run.key)), run);
  EXPECT_FALSE(other.find(identity(example_run(8).key))->has_value());
}

TEST(Store, AnEmptyNameIsNoFile) {
  EXPECT_EQ(Store::open("").error().code, ErrorCode::kDatabase);
}

TEST(Store, ARunWithoutAPlanKeepsItsAbsences) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  RunRow run = example_run(7, 0);
  run.status = RunStatus::kInfeasible;
  run.best.reset();
  run.plan.clear();
  run.note = "device 3: 17 GiB needed, 16 GiB there";
  EXPECT_EQ(*store.put(run), PutOutcome::kStored);
  EXPECT_EQ(**store.find(identity(run.key)), run);
  EXPECT_EQ(count(scratch.file("a.db"), "plan"), 0);
}

TEST(Store, StoringAgainWritesNothing) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  RunRow run = example_run(7);
  ASSERT_TRUE(store.put(run));
  run.cpu_s = 99;  // another run of the same thing takes another time
  run.host = "elsewhere";
  EXPECT_EQ(*store.put(run), PutOutcome::kKept);
  EXPECT_EQ((*store.find(identity(run.key)))->host, "2 cores");
  EXPECT_EQ(count(scratch.file("a.db"), "run"), 1);
  EXPECT_EQ(count(scratch.file("a.db"), "improvement"), 3);
}

TEST(Store, ASecondResultForTheSameKeyIsToldApartAndNotStored) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  const RunRow run = example_run(7);
  ASSERT_TRUE(store.put(run));
  RunRow slower = run;
  slower.best->iteration_time += picoseconds(1);
  EXPECT_EQ(*store.put(slower), PutOutcome::kDiffers);
  RunRow other_trace = run;
  other_trace.best->trace_hash ^= 1;
  EXPECT_EQ(*store.put(other_trace), PutOutcome::kDiffers);
  RunRow other_path = run;
  other_path.improvements[0].iteration_time += picoseconds(1);
  EXPECT_EQ(*store.put(other_path), PutOutcome::kDiffers);
  EXPECT_EQ(**store.find(identity(run.key)), run);
}

TEST(Store, ARunThatDidNotEndIsReplacedAndNeverReplacesOneThatDid) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  RunRow interrupted = example_run(7, 2);
  interrupted.status = RunStatus::kInterrupted;
  interrupted.evaluations = 500;
  EXPECT_EQ(*store.put(interrupted), PutOutcome::kStored);
  const RunRow whole = example_run(7, 3);
  EXPECT_EQ(*store.put(whole), PutOutcome::kReplaced);
  EXPECT_EQ(*store.put(interrupted), PutOutcome::kKept);
  EXPECT_EQ(**store.find(identity(whole.key)), whole);
  EXPECT_EQ(partial_runs(scratch.file("a.db"), 3), 0);
  EXPECT_EQ(count(scratch.file("a.db"), "improvement"), 3);  // none of the old run is left
}

TEST(Store, InstancesAndMethodsAreStoredOnce) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  for (uint64_t seed = 0; seed < 5; ++seed) ASSERT_TRUE(store.put(example_run(seed)));
  EXPECT_EQ(count(scratch.file("a.db"), "run"), 5);
  EXPECT_EQ(count(scratch.file("a.db"), "instance"), 1);
  EXPECT_EQ(count(scratch.file("a.db"), "method"), 1);
}

TEST(Store, ReadingChangesNothingAndLeavesNoFilesBeside) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  ASSERT_TRUE(open_store(path).put(example_run(1)));
  const std::string before = read_bytes(path);
  {
    Result<Store> reader = Store::open(path, OpenMode::kRead);
    EXPECT_EQ(reader->table("runs")->rows().size(), 1U);
    EXPECT_EQ(reader->put(example_run(2)).error().code, ErrorCode::kEnvironment);
  }
  EXPECT_EQ(read_bytes(path), before);
  std::filesystem::directory_iterator files(scratch.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST(Store, ASeedThatSqliteCannotHoldIsRefused) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  ASSERT_TRUE(store.put(example_run((uint64_t{1} << 63) - 1)));
  const Result<PutOutcome> refused = store.put(example_run(uint64_t{1} << 63));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadInput);
  EXPECT_EQ(refused.error().message, "9223372036854775808 is too large: at most 2^63 - 1");
}

TEST(Store, TheStudyIsOneRowThatCanBeReplaced) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  EXPECT_FALSE(store.study()->has_value());
  const StudyRow study = {"quickstart", "[race]\n", "2026-01-02T03:04:05Z", "0.1.0"};
  ASSERT_TRUE(store.put_study({"old", "", "", ""}));
  ASSERT_TRUE(store.put_study(study));
  EXPECT_EQ(**store.study(), study);
  EXPECT_EQ(count(scratch.file("a.db"), "study"), 1);
}

TEST(Store, TablesAreTheSameForAnyOrderOfStoring) {
  const ScratchDirectory scratch;
  Store forward = open_store(scratch.file("f.db"));
  Store backward = open_store(scratch.file("b.db"));
  std::vector<RunRow> runs;
  for (uint64_t seed : {1, 2, 10}) runs.push_back(example_run(seed));
  runs.push_back(example_run(1));
  runs.back().key.instance.model = "alexnet";
  for (const RunRow& run : runs) ASSERT_TRUE(forward.put(run));
  std::reverse(runs.begin(), runs.end());
  for (const RunRow& run : runs) ASSERT_TRUE(backward.put(run));
  for (const std::string& name : Store::table_names()) {
    EXPECT_EQ(render(*forward.table(name), Format::kCsv),
              render(*backward.table(name), Format::kCsv));
  }
  const Table table = *forward.table("runs");
  ASSERT_EQ(table.rows().size(), 4U);
  EXPECT_EQ(table.rows()[0][1], Cell("alexnet"));
  // Seeds sort as numbers: 1, 2, 10.
  EXPECT_EQ(table.columns()[9].name, "seed");
  EXPECT_EQ(table.rows()[3][9], Cell(10));
}

TEST(Store, AnExecutionStandsBesideThePredictionThatWasStoredBefore) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  Store store = open_store(path);
  const RunRow run = example_run(1);
  const std::string id = identity(run.key);
  ExecutionRow execution;
  execution.backend = "paced";
  execution.repeats = 9;
  execution.iteration_time = milliseconds(250);
  execution.tasks = {{"forward", "node0.gpu0", SimTime(0), SimTime(5), SimTime(1), SimTime(7)},
                     {"barrier", "", SimTime(5), SimTime(5), SimTime(7), SimTime(7)}};
  const Status early = store.put_execution(id, execution);
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::kDatabase);
  EXPECT_EQ(count(path, "execution"), 0);

  ASSERT_TRUE(store.put(run));
  ASSERT_TRUE(store.put_execution(id, execution));
  ASSERT_TRUE(store.put_execution(id, execution));  // real runs differ, so both are kept
  const Table tasks = *store.table("executed_tasks");
  ASSERT_EQ(tasks.rows().size(), 4U);
  EXPECT_EQ(tasks.rows()[0], (std::vector<Cell>{1, 0, "forward", "node0.gpu0", 0, 5, 1, 7}));
  const Table executions = *store.table("executions");
  ASSERT_EQ(executions.rows().size(), 2U);
  // 261 ms were predicted of 250 ms.
  EXPECT_EQ(executions.columns()[18].name, "error");
  EXPECT_NEAR(std::get<double>(executions.rows()[0][18].value()), 261.0 / 250 - 1, 1e-12);
}

TEST(Store, TablesJoinWhatARunIsWithWhatItGave) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  ASSERT_TRUE(store.put(example_run(7, 1)));
  ASSERT_TRUE(store.put_references(std::vector<ReferenceRow>{
      {"fig6_throughput", "nmt", "p100_4x4", "mcmc", 16, "samples_per_s_per_device", 2.5, "D"}}));
  const std::string id = identity(example_run(7).key);
  EXPECT_EQ(
      render(*store.table("runs"), Format::kJsonl),
      "{\"identity\":\"" + id +
          "\",\"model\":\"nmt\",\"cluster\":\"p100_4x4\",\"devices\":16,\"batch\":1024,"
          "\"network\":\"fifo\",\"costs\":\"costs 1\",\"method\":\"mcmc\","
          "\"settings\":\"{\\\"beta\\\":50}\",\"seed\":7,\"budget\":1000,\"code\":\"code 1\","
          "\"status\":\"ok\",\"iteration_time_ps\":261000000000,\"samples_per_s\":3923.4,"
          "\"samples_per_s_per_device\":245.2125,\"communication_bytes\":35000000000,"
          "\"trace_hash\":\"0123456789abcdef\",\"evaluations\":1000,\"best_at\":1,"
          "\"cpu_s\":0.1,\"wall_s\":0.2,\"started_at\":\"2026-01-02T03:04:05Z\","
          "\"command\":\"soapbox race \\\"a b\\\".toml\",\"version\":\"0.1.0\","
          "\"host\":\"2 cores\",\"provenance\":\"calibrated roofline\",\"note\":\"budget\"}\n");
  EXPECT_EQ(render(*store.table("improvements"), Format::kCsv),
            "identity,model,cluster,devices,method,seed,evaluation,iteration_time_ps,cpu_s\n" + id +
                ",nmt,p100_4x4,16,mcmc,7,1,261000001000,0\n");
  EXPECT_EQ(render(*store.table("plans"), Format::kCsv),
            "identity,model,cluster,devices,method,seed,plan\n" + id +
                ",nmt,p100_4x4,16,mcmc,7,\"{\"\"ops\"\":[]}\"\n");
  EXPECT_EQ(render(*store.table("references"), Format::kCsv),
            "figure,model,cluster,strategy,devices,metric,value,grade\n"
            "fig6_throughput,nmt,p100_4x4,mcmc,16,samples_per_s_per_device,2.5,D\n");
  EXPECT_EQ(store.table("run").error().message,
            "unknown table 'run'; did you mean 'runs'? known: executed_tasks, executions, "
            "improvements, plannings, plans, "
            "references, runs, validations");
}

TEST(StoreDeath, AnInconsistentRowIsABug) {
  const ScratchDirectory scratch;
  Store store = open_store(scratch.file("a.db"));
  RunRow run = example_run(7);
  run.best.reset();
  EXPECT_DEATH(store.put(run).has_value(), "a run that is ok has figures");
  run = example_run(7);
  std::swap(run.improvements[0], run.improvements[1]);
  EXPECT_DEATH(store.put(run).has_value(), "improvements are in order");
}

// --- What can go wrong around it ---------------------------------------------------------------

TEST(StoreFaults, KilledInTheMiddleOfARunLeavesNoneOfIt) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  ASSERT_TRUE(open_store(path).put(example_run(1)));
  const pid_t child = start_process([&] {
    Result<Database> database = Database::open(path, OpenMode::kWrite, kBusyTimeoutMs);
    // A cache of ten pages: the rows reach the disk long before the commit that never comes.
    if (!database->execute("PRAGMA cache_size = 10")) return 1;
    const Result<Transaction> transaction =
        Transaction::begin(*database, Transaction::Kind::kWrite);
    if (!transaction) return 2;
    for (int64_t i = 0; i < 2000; ++i) {
      const Status done = database->run("INSERT INTO method (name, settings) VALUES (?, ?)",
                                        std::string(500, 'x'), to_text(i));
      if (!done) return 3;
    }
    std::raise(SIGKILL);
    return 4;
  });
  ASSERT_EQ(wait_for(child), -SIGKILL);
  EXPECT_GT(std::filesystem::file_size(path + "-wal"), 500'000U);  // it was half written
  Store store = open_store(path);
  EXPECT_EQ(count(path, "method"), 1);
  EXPECT_EQ(**store.find(identity(example_run(1).key)), example_run(1));
  EXPECT_EQ(*store.put(example_run(2)), PutOutcome::kStored);
}

TEST(StoreFaults, KilledAtAnyMomentLeavesWholeRunsOnly) {
  constexpr size_t kImprovements = 2000;
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  open_store(path);
  for (int round = 0; round < 6; ++round) {
    const int64_t before = count(path, "run");
    const pid_t child = start_process([&]() -> int {
      Store store = open_store(path);
      for (uint64_t seed = 0;; ++seed) {
        if (!store.put(example_run(1000 * static_cast<uint64_t>(round) + seed, kImprovements))) {
          return 1;
        }
      }
    });
    while (count(path, "run") < before + 3) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
    ::kill(child, SIGKILL);
    ASSERT_EQ(wait_for(child), -SIGKILL);
    ASSERT_EQ(partial_runs(path, kImprovements), 0) << "round " << round;
    ASSERT_GE(count(path, "run"), before + 3);
  }
  Store store = open_store(path);
  EXPECT_EQ(*store.put(example_run(0, kImprovements)), PutOutcome::kKept);  // resumed
}

TEST(StoreFaults, AFullDiskIsAnEnvironmentErrorAndLeavesNoPartOfTheRun) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  ASSERT_TRUE(open_store(path).put(example_run(1, 10)));
  const pid_t child = start_process([&] {
    std::signal(SIGXFSZ, SIG_IGN);  // so that a write fails instead
    const rlimit limit = {300'000, 300'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    Store store = open_store(path);
    if (!store.put(example_run(2, 10))) return 2;  // there is room for a small one
    const Result<PutOutcome> full = store.put(example_run(3, 100'000));
    if (full) return 3;
    if (full.error().code != ErrorCode::kEnvironment) return 4;
    if (full.error().message.find("File too large") == std::string::npos) return 7;
    if (store.find(identity(example_run(3).key))->has_value()) return 5;
    return store.find(identity(example_run(2).key))->has_value() ? 0 : 6;
  });
  ASSERT_EQ(wait_for(child), 0);
  EXPECT_EQ(partial_runs(path, 10), 0);
  EXPECT_EQ(count(path, "run"), 2);
  EXPECT_EQ(*open_store(path).put(example_run(3, 10)), PutOutcome::kStored);
}

TEST(StoreFaults, AFullFileSystemIsAnEnvironmentErrorAndLeavesWholeRuns) {
  const ScratchDirectory scratch;
  constexpr int kMayNotMount = 77;
  const pid_t child = start_process([&] {
    // An own mount namespace: the small file system goes away with this process.
    const int flags = ::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS;
    if (::unshare(flags) != 0) return kMayNotMount;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kMayNotMount;
    if (::mount("tmpfs", scratch.path().c_str(), "tmpfs", 0, "size=512k") != 0) return kMayNotMount;
    Store store = open_store(scratch.file("a.db"));
    uint64_t stored = 0;
    for (;; ++stored) {
      const Result<PutOutcome> put = store.put(example_run(stored, 200));
      if (put) continue;
      if (put.error().code != ErrorCode::kEnvironment) return 1;
      if (put.error().message.find("database or disk is full") == std::string::npos) return 2;
      break;
    }
    if (stored == 0) return 3;
    if (count(scratch.file("a.db"), "run") != static_cast<int64_t>(stored)) return 4;
    return partial_runs(scratch.file("a.db"), 200) == 0 ? 0 : 5;
  });
  const int status = wait_for(child);
  if (status == kMayNotMount) GTEST_SKIP() << "this system lets nobody mount";
  EXPECT_EQ(status, 0);
}

TEST(StoreFaults, AFolderWithoutWritePermissionIsAnEnvironmentError) {
  const ScratchDirectory scratch;
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0555));
  const pid_t child = start_process([&] {
    // The superuser may write anywhere, so become nobody.
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;
    const Result<Store> store = Store::open(scratch.file("a.db"));
    if (store) return 2;
    if (store.error().message.find("Permission denied") == std::string::npos) return 3;
    return store.error().code == ErrorCode::kEnvironment ? 0 : 4;
  });
  EXPECT_EQ(wait_for(child), 0);
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
}

TEST(StoreFaults, ADatabaseWithoutWritePermissionCanBeReadButNotWritten) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("50% of ä?.db");
  ASSERT_TRUE(open_store(path).put(example_run(1)));
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0555));
  const pid_t child = start_process([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;
    Result<Store> reader = Store::open(path, OpenMode::kRead);
    if (!reader) return 2;
    if (reader->table("runs")->rows().size() != 1) return 3;
    Result<Store> writer = Store::open(path, OpenMode::kWrite);
    if (!writer) return writer.error().code == ErrorCode::kEnvironment ? 0 : 4;
    const Result<PutOutcome> put = writer->put(example_run(2));
    return !put && put.error().code == ErrorCode::kEnvironment ? 0 : 5;
  });
  EXPECT_EQ(wait_for(child), 0);
  std::filesystem::permissions(scratch.path(), std::filesystem::perms(0755));
}

TEST(StoreFaults, ALockedDatabaseIsUnavailableAndThenFree) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  Store store = open_store(path, 20);
  Result<Database> holder = Database::open(path, OpenMode::kWrite, 0);
  {
    const Result<Transaction> held = Transaction::begin(*holder, Transaction::Kind::kWrite);
    ASSERT_TRUE(held);
    const Result<PutOutcome> refused = store.put(example_run(1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(refused.error().message, str_cat("cannot store run ", identity(example_run(1).key),
                                               ": database is locked (SQLite code 5)"));
    EXPECT_FALSE(store.find(identity(example_run(1).key))->has_value());  // readers do not wait
  }
  EXPECT_EQ(*store.put(example_run(1)), PutOutcome::kStored);
}

TEST(StoreFaults, ProcessesShareAFileWithoutLosingOrRepeatingARun) {
  constexpr uint64_t kProcesses = 4;
  constexpr uint64_t kRuns = 40;
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  std::vector<pid_t> children;
  for (uint64_t process = 0; process < kProcesses; ++process) {
    children.push_back(start_process([&] {
      Store store = open_store(path);
      for (uint64_t i = 0; i < kRuns; ++i) {
        const uint64_t seed = process * kRuns / 2 + i;  // half of them are a neighbour's too
        const Result<PutOutcome> put = store.put(example_run(seed, 50));
        if (!put || *put == PutOutcome::kDiffers) return 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  EXPECT_EQ(count(path, "run"), (kProcesses + 1) * kRuns / 2);
  EXPECT_EQ(partial_runs(path, 50), 0);
}

TEST(StoreFaults, ThreadsWithTheirOwnStoresShareAFile) {
  const ScratchDirectory scratch;
  const std::string path = scratch.file("a.db");
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&, thread] {
      Store store = open_store(path);
      for (uint64_t i = 0; i < 50; ++i) EXPECT_TRUE(store.put(example_run(2 * i + thread)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count(path, "run"), 100);
}

}  // namespace
}  // namespace soapbox::results
