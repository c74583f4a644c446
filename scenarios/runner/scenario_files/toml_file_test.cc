#include "scenarios/runner/scenario_files/toml_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "sim/base/str.h"

namespace soapbox::runner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TomlTable parse(std::string_view text) {
  Result<TomlTable> file = parse_toml(text, "f.toml");
  EXPECT_TRUE(file.has_value()) << (file ? "" : file.error().to_string());
  return *file;
}

TEST(TomlFile, ReadsEveryKindOfValue) {
  const TomlTable file = parse(R"(
name = "p100"
count = 4
share = 0.5
whole = 2
on = true
ids = [1, 2, 3]
words = ["a", "b"]
factors = [1, 0.5]
[link]
bandwidth = "12.5 GB/s"
latency = "5 us"
size = "1 MiB"
[[node]]
count = 1
[[node]]
count = 2
)");
  EXPECT_EQ(file.string("name"), "p100");
  EXPECT_EQ(file.integer("count", {1, 10}), 4);
  EXPECT_EQ(file.number("share", {0, 1}), 0.5);
  EXPECT_EQ(file.number("whole", {0, 5}), 2.0);
  EXPECT_TRUE(file.boolean_or("on", false));
  EXPECT_THAT(file.integers("ids", {}), ElementsAre(1, 2, 3));
  EXPECT_THAT(file.strings("words"), ElementsAre("a", "b"));
  EXPECT_THAT(file.numbers("factors", {}), ElementsAre(1.0, 0.5));
  const TomlTable link = file.table("link");
  EXPECT_EQ(link.bandwidth("bandwidth"), gb_per_s(12.5));
  EXPECT_EQ(link.duration("latency"), microseconds(5));
  EXPECT_EQ(link.bytes("size"), Bytes(1048576));
  std::vector<int64_t> counts;
  for (const TomlTable& node : file.tables("node")) counts.push_back(node.integer("count", {}));
  EXPECT_THAT(counts, ElementsAre(1, 2));
  EXPECT_TRUE(file.finish().has_value());
}

TEST(TomlFile, AbsentKeysTakeTheirOtherwise) {
  const TomlTable file = parse("");
  EXPECT_EQ(file.string_or("a", "x"), "x");
  EXPECT_EQ(file.integer_or("b", 7, {}), 7);
  EXPECT_EQ(file.number_or("c", 0.5, {}), 0.5);
  EXPECT_EQ(file.duration_or("d", microseconds(2)), microseconds(2));
  EXPECT_FALSE(file.table_if("f").has_value());
  EXPECT_TRUE(file.tables("g").empty());
  EXPECT_TRUE(file.strings("h").empty());
  EXPECT_TRUE(file.finish().has_value());
}

// The keys that these tests' files may have.
std::string error_of(std::string_view text) {
  Result<TomlTable> parsed = parse_toml(text, "f.toml");
  if (!parsed) return parsed.error().to_string();
  const TomlTable& file = *parsed;
  file.string_or("name", "none");
  file.integer_or("count", 1, {1, 100});
  file.number_or("share", 0, {0, 1});
  file.boolean_or("on", true);
  file.integers("ids", {0, 9});
  file.choice("kind", std::vector<std::string>{"rails", "switch"});
  if (const auto link = file.table_if("link")) {
    link->bandwidth("bandwidth");
    link->duration_or("latency", Duration());
    if (link->has("size")) link->bytes("size");
  }
  for (const TomlTable& node : file.tables("node")) node.integer("gpus", {1, 16});
  const Status status = file.finish();
  return status ? "" : status.error().to_string();
}

TEST(TomlFile, UnknownKeyIsRefusedWithItsNearestName) {
  EXPECT_EQ(error_of("kind = \"rails\"\n[link]\n  bandwith = \"1 GB/s\"\n"),
            "f.toml:3:3: unknown key 'bandwith' in [link]; did you mean 'bandwidth'? known: "
            "bandwidth, latency, size");
  EXPECT_THAT(error_of("kind = \"rails\"\n[[node]]\ngpus = 4\nzz = 1\n"),
              StartsWith("f.toml:4:1: unknown key 'zz' in [[node]]"));
  EXPECT_THAT(error_of("kind = \"rails\"\n[linc]\nx = 1\n"),
              StartsWith("f.toml:2:2: unknown key 'linc' in the file; did you mean 'link'?"));
  EXPECT_THAT(error_of("kind = \"rails\"\na.b = 1\n"), HasSubstr("unknown key 'a'"));
}

TEST(TomlFile, OfSeveralUnknownKeysTheFirstInTheFileIsShown) {
  EXPECT_THAT(error_of("kind = \"rails\"\nzulu = 1\nalpha = 2\n"), HasSubstr("'zulu'"));
}

TEST(TomlFile, MissingKeySaysWhatItShouldBe) {
  EXPECT_EQ(error_of(""), "f.toml:1: missing key 'kind' in the file: one of rails, switch");
  EXPECT_EQ(error_of("kind = \"rails\"\n[link]\nlatency = \"1 us\"\n"),
            "f.toml:2:1: missing key 'bandwidth' in [link]: a bandwidth with its unit, as in "
            "\"12.5 GB/s\"");
}

TEST(TomlFile, MisspeltKeyIsShownBeforeTheKeyItLeavesMissing) {
  EXPECT_THAT(error_of("knid = \"rails\"\n"), HasSubstr("unknown key 'knid' in the file"));
}

struct BadValue {
  const char* line;
  const char* error;
};

TEST(TomlFile, WrongValuesAreRefusedWithPositionValueAndWhatIsAllowed) {
  const BadValue cases[] = {
      {"count = 0", "f.toml:2:9: 'count' is 0; it must be an integer from 1 to 100"},
      {"count = -3", "f.toml:2:9: 'count' is -3; it must be an integer from 1 to 100"},
      {"count = 2.5", "f.toml:2:9: 'count' is a number, 2.5; it must be an integer from 1 to 100"},
      {"count = \"4\"", "'count' is a string, \"4\"; it must be an integer"},
      {"count = 99999999999999999999", "'count' is 99999999999999999999; it must be"},
      {"share = nan", "f.toml:2:9: 'share' is nan; it must be a number from 0 to 1"},
      {"share = inf", "'share' is inf; it must be a number from 0 to 1"},
      {"share = 1.5", "'share' is 1.5"},
      {"share = true", "'share' is a boolean, true; it must be a number"},
      {"on = 1", "'on' is an integer, 1; it must be true or false"},
      {"name = 5", "'name' is an integer, 5; it must be a string"},
      {"name = \"\"", "'name' is empty"},
      {"name = 1979-05-27", "'name' is a date, 1979-05-27; it must be a string"},
      {"ids = 3", "'ids' is an integer, 3; it must be a list of integers"},
      {"ids = [1, 20]", "f.toml:2:11: 'ids' is 20; it must be an integer from 0 to 9"},
      {"ids = [1, \"x\"]", "'ids' is a string, \"x\"; it must be an integer"},
      {"link = 3", "'link' is an integer, 3; it must be a table"},
      {"link = {bandwidth = 12.5}",
       "f.toml:2:21: 'bandwidth' is a number, 12.5; it must be a bandwidth with its unit"},
      {"link = {bandwidth = \"12.5\"}", "'bandwidth': '12.5' has no unit"},
      {"link = {bandwidth = \"-1 GB/s\"}", "'bandwidth': '-1 GB/s' is negative"},
      {"link = {bandwidth = \"0 GB/s\"}", "'bandwidth' is zero"},
      {"link = {bandwidth = \"nan GB/s\"}", "'nan GB/s' is no bandwidth"},
      {"link = {bandwidth = \"1 GB/s\", latency = \"5 GB\"}", "'latency': '5 GB': unknown unit"},
      {"node = 3", "'node' is an integer, 3; it must be a list of tables, written [[node]]"},
      {"node = [1]", "'node' is an integer, 1; it must be a table"},
      {"[node]\ngpus = 1", "f.toml:2:1: 'node' is a table"},
      {"[[node]]\ngpus = 17", "f.toml:3:8: 'gpus' is 17; it must be an integer from 1 to 16"},
  };
  for (const BadValue& bad : cases) {
    EXPECT_THAT(error_of(str_cat("kind = \"rails\"\n", bad.line, "\n")), HasSubstr(bad.error))
        << bad.line;
  }
  EXPECT_EQ(error_of("kind = \"rail\"\n"),
            "f.toml:1:8: unknown kind 'rail'; did you mean 'rails'? known: rails, switch");
}

TEST(TomlFile, SyntaxErrorsAreOneLineWithTheirPosition) {
  EXPECT_THAT(error_of("a = 1\nb = \n"), StartsWith("f.toml:2:5: missing value"));
  EXPECT_THAT(error_of("a = 12.5 GB\n"), StartsWith("f.toml:1:10: invalid line format"));
  EXPECT_THAT(error_of("a = 1\na = 2\n"), StartsWith("f.toml:2:5: value"));
  EXPECT_THAT(error_of("a = \"x\nb = 1\n"), StartsWith("f.toml:1:5: "));
  EXPECT_THAT(error_of("[x]\n[x]\n"), StartsWith("f.toml:2:1: table (\"x\") already exists"));
  EXPECT_THAT(error_of("a = [1,\n2\n"), StartsWith("f.toml:"));
  EXPECT_THAT(error_of(std::string(5000, '[')), StartsWith("f.toml: brackets nested deeper"));
  for (const char* text : {"a = \n", "= 1\n", "[x\n", "a = {b = 1\n", "a = \"\\q\"\n", "\x01\n"}) {
    const std::string error = error_of(text);
    EXPECT_FALSE(error.empty()) << text;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(TomlFile, CallersAddErrorsOfTheirOwnAtAKey) {
  const TomlTable file = parse("devices = 3\n");
  EXPECT_EQ(file.integer("devices", {}), 3);
  file.fail("devices", "3 devices do not fill nodes of 4");
  EXPECT_FALSE(file.good());
  EXPECT_EQ(file.finish().error().to_string(), "f.toml:1:11: 3 devices do not fill nodes of 4");
}

TEST(TomlFile, KeysOfANameTableAreAllKnown) {
  const TomlTable file = parse("switches = { pcie = 2, board = 1 }\n");
  const TomlTable switches = file.table("switches");
  EXPECT_THAT(switches.keys(), ElementsAre("board", "pcie"));
  EXPECT_EQ(switches.integer("pcie", {}), 2);
  EXPECT_TRUE(file.finish().has_value());
}

TEST(TomlFile, FileThatIsNotThereOrNoFileIsOneLine) {
  EXPECT_EQ(read_toml_file("/no/such/file.toml").error().to_string(),
            "/no/such/file.toml: there is no such file");
  EXPECT_EQ(read_toml_file(SOAPBOX_SOURCE_DIR).error().to_string(),
            std::string(SOAPBOX_SOURCE_DIR) + ": is a folder, not a file");
}

}  // namespace
}  // namespace soapbox::runner
