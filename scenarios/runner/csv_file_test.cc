#include "scenarios/runner/csv_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace soapbox::runner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CsvFile, ReadsQuotesCommasAndBreaksInsideThem) {
  const CsvFile csv =
      *CsvFile::parse("a,b\r\n\"x, y\",\"say \"\"hi\"\"\"\n\"two\nlines\",\n", "f.csv");
  EXPECT_THAT(csv.columns(), ElementsAre("a", "b"));
  ASSERT_EQ(csv.row_count(), 2u);
  EXPECT_EQ(csv.text(0, 0), "x, y");
  EXPECT_EQ(csv.text(0, 1), "say \"hi\"");
  EXPECT_EQ(csv.text(1, 0), "two\nlines");
  EXPECT_EQ(csv.text(1, 1), "");
  EXPECT_EQ(csv.where(0, 1).line, 2);
  EXPECT_EQ(csv.where(0, 1).column, 8);
  EXPECT_EQ(csv.where(1, 1).line, 4);  // after the break inside its neighbour
}

TEST(CsvFile, LastLineNeedsNoBreak) {
  EXPECT_EQ(CsvFile::parse("a,b\n1,2", "f.csv")->text(0, 1), "2");
}

TEST(CsvFile, NumbersAreWholeCellsAndFinite) {
  const CsvFile csv = *CsvFile::parse("a,b,c,d,e\n1.5,,x,nan,2 \n", "f.csv");
  EXPECT_EQ(*csv.number(0, 0), 1.5);
  EXPECT_FALSE(csv.number(0, 1)->has_value());
  EXPECT_EQ(csv.number(0, 2).error().to_string(), "f.csv:2:6: c 'x': is not a number");
  EXPECT_FALSE(csv.number(0, 3).has_value());
  EXPECT_FALSE(csv.number(0, 4).has_value());
}

std::string refusal(std::string_view text) {
  const Result<CsvFile> csv = CsvFile::parse(text, "f.csv");
  return csv ? "" : csv.error().to_string();
}

TEST(CsvFile, RefusesWhatIsNoTable) {
  EXPECT_THAT(refusal(""), HasSubstr("f.csv:1: the file is empty"));
  EXPECT_THAT(refusal("a,a\n"), HasSubstr("f.csv:1:3: two columns are named 'a'"));
  EXPECT_THAT(refusal("a,b\n1\n"), HasSubstr("f.csv:2: a row of 1 cells; the header has 2"));
  EXPECT_THAT(refusal("a,b\n1,2,3\n"), HasSubstr("a row of 3 cells"));
  EXPECT_THAT(refusal("a,b\n1,\"2\n"), HasSubstr("f.csv:2:3: a quote that is never closed"));
  EXPECT_THAT(refusal("a,b\n1,\"2\"x\n"), HasSubstr("f.csv:2:6: text after the closing quote"));
  EXPECT_THAT(refusal("a,b\n1,2\"\n"), HasSubstr("f.csv:2:4: a quote inside an unquoted cell"));
}

TEST(CsvFile, MissingColumnNamesTheNearest) {
  const CsvFile csv = *CsvFile::parse("model,gpus\n", "f.csv");
  EXPECT_EQ(*csv.column("gpus"), 1u);
  EXPECT_THAT(csv.column("gpu").error().message, HasSubstr("no column 'gpu'; 'gpus'"));
}

}  // namespace
}  // namespace soapbox::runner
