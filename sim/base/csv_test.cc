#include "sim/base/csv.h"

#include <gtest/gtest.h>

#include <array>

namespace soapbox {
namespace {

constexpr std::array<std::string_view, 2> kColumns = {"name", "time_us"};

Result<CsvTable> parse(std::string_view text) {
  return CsvTable::parse(text, "t.csv", kColumns);
}

std::string refusal(std::string_view text) {
  const Result<CsvTable> table = parse(text);
  return table ? "accepted" : table.error().to_string();
}

TEST(Csv, CellsAreReadAsWritten) {
  const Result<CsvTable> table = parse("name,time_us\nconv,1.5\r\n\"a, \"\"b\"\"\nc\",2\nlast,");
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->row_count(), 3U);
  EXPECT_EQ(table->text(0, 0), "conv");
  EXPECT_EQ(*table->positive(0, 1), 1.5);
  EXPECT_EQ(table->text(1, 0), "a, \"b\"\nc");
  EXPECT_EQ(*table->count(1, 1), 2);
  EXPECT_EQ(table->text(2, 1), "");
}

TEST(Csv, PositionsCountLinesInsideQuotesAndBytesFromOne) {
  const Result<CsvTable> table = parse("name,time_us\n\"a\nb\",x\nconv,y\n");
  ASSERT_TRUE(table);
  // The quoted cell ends on line 3, so its neighbour begins at line 3, after `b",`.
  EXPECT_EQ(table->positive(0, 1).error().to_string(),
            "t.csv:3:4: time_us 'x': must be a positive number");
  EXPECT_EQ(table->count(1, 1).error().to_string(),
            "t.csv:4:6: time_us 'y': must be a positive whole number");
  EXPECT_EQ(table->where(0, 0).line, 2);
}

TEST(Csv, AByteOrderMarkIsNotPartOfTheHeader) {
  EXPECT_EQ(refusal("\xef\xbb\xbfname,time_us\na,1\n"), "accepted");
}

TEST(Csv, AnotherHeaderIsRefusedAtItsFirstWrongCell) {
  EXPECT_EQ(refusal("name,time_ms\na,1\n"),
            "t.csv:1:6: column 2 of the header is 'time_ms'; it must be 'time_us'");
  EXPECT_EQ(refusal("name\na\n"), "t.csv:1:1: column 2, 'time_us', is missing");
  EXPECT_EQ(refusal("name,time_us,x\n"), "t.csv:1:14: column 'x' is one too many");
  EXPECT_EQ(refusal(""), "t.csv:1:1: column 1 of the header is ''; it must be 'name'");
}

TEST(Csv, ATableMayNameItsColumnsItself) {
  const Result<CsvTable> table = CsvTable::parse("b,a\n1,2\n", "t.csv");
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->columns(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(table->text(0, 1), "2");
  EXPECT_EQ(table->header_where(1).column, 3);
  EXPECT_EQ(CsvTable::parse("b,a,b\n1,2,3\n", "t.csv").error().to_string(),
            "t.csv:1:5: column 'b' is there twice");
  EXPECT_EQ(CsvTable::parse("b,,c\n1,2,3\n", "t.csv").error().to_string(),
            "t.csv:1:3: a column without a name");
  EXPECT_EQ(CsvTable::parse("b,a\n1\n", "t.csv").error().to_string(),
            "t.csv:2:1: a row needs 2 cells, this one has 1");
}

TEST(Csv, ARowOfTheWrongLengthIsRefused) {
  EXPECT_EQ(refusal("name,time_us\na,1\nb\n"), "t.csv:3:1: a row needs 2 cells, this one has 1");
  EXPECT_EQ(refusal("name,time_us\na,1,2\n"), "t.csv:2:1: a row needs 2 cells, this one has 3");
  EXPECT_EQ(refusal("name,time_us\n\na,1\n"), "t.csv:2:1: a row needs 2 cells, this one has 1");
  EXPECT_EQ(refusal("name,time_us\n"), "t.csv:2: the table has no rows");
}

TEST(Csv, EmptyLinesAtTheEndAreNoRows) {
  for (const char* const text :
       {"a,b\n1,2", "a,b\n1,2\n", "a,b\n1,2\n\n\n", "a,b\r\n1,2\r\n\r\n"}) {
    const Result<CsvTable> table = CsvTable::parse(text, "t.csv");
    ASSERT_TRUE(table) << table.error().to_string();
    EXPECT_EQ(table->row_count(), 1U);
    EXPECT_EQ(table->text(0, 1), "2");
  }
}

TEST(Csv, QuotesOutOfPlaceAreRefusedWhereTheyAre) {
  EXPECT_EQ(refusal("name,time_us\na,\"1\n2,3\n"), "t.csv:2:3: this quote is not closed");
  EXPECT_EQ(refusal("name,time_us\nab\"c,1\n"),
            "t.csv:2:3: a quote inside a cell that does not begin with one");
  EXPECT_EQ(refusal("name,time_us\n\"a\"b,1\n"), "t.csv:2:4: expected ',' or the end of the line");
}

TEST(Csv, OnlyWholeCellsAreNumbers) {
  for (const std::string bad :
       {"", " 1", "1 ", "1x", "-1", "0", "nan", "inf", "1e400", "+1", "0x1"}) {
    const Result<CsvTable> table = parse("name,time_us\na," + bad + "\n");
    ASSERT_TRUE(table);
    EXPECT_FALSE(table->positive(0, 1)) << bad;
    EXPECT_FALSE(table->count(0, 1)) << bad;
  }
  EXPECT_FALSE(parse("name,time_us\na,1.5\n")->count(0, 1));
  EXPECT_FALSE(parse("name,time_us\na,9007199254740993\n")->count(0, 1));  // 2^53 + 1
  EXPECT_EQ(*parse("name,time_us\na,9007199254740992\n")->count(0, 1), int64_t{1} << 53);
  EXPECT_EQ(*parse("name,time_us\na,1e-3\n")->positive(0, 1), 1e-3);
}

TEST(Csv, AMissingFileIsRefusedByName) {
  const Result<CsvTable> table = CsvTable::read("/no/such.csv", kColumns);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().to_string(), "/no/such.csv: cannot read the file");
}

}  // namespace
}  // namespace soapbox
