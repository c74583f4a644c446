#include "results/table.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/base/rng.h"
#include "sim/base/str.h"

namespace soapbox::results {
namespace {

Table example() {
  Table table({{"model"}, {"devices"}, {"samples_per_s", 1}, {"found"}, {"note"}});
  table.add_row({"alexnet", 16, 634.94, true, Cell()});
  table.add_row({"nmt", 4, 0.1, false, "a, \"b\"\nc"});
  return table;
}

TEST(Table, TerminalFormatAlignsNumbersRightAndTextLeft) {
  EXPECT_EQ(render(example(), Format::kTable),
            "model    devices  samples_per_s  found  note\n"
            "alexnet       16          634.9  true   -\n"
            "nmt            4            0.1  false  a, \"b\" c\n");
}

TEST(Table, TerminalFormatCountsCodePointsNotBytes) {
  Table table({{"name"}, {"x"}});
  table.add_row({"Zürich", 1});
  table.add_row({"Berlin", 2});
  EXPECT_EQ(render(table, Format::kTable), "name    x\nZürich  1\nBerlin  2\n");
}

TEST(Table, TerminalFormatShowsSixSignificantDigitsUnlessTold) {
  Table table({{"short"}, {"fixed", 2}});
  table.add_row({1234567.0, 1234567.0});
  table.add_row({0.000123456789, 0.005});
  EXPECT_EQ(render(table, Format::kTable),
            "      short       fixed\n"
            "1.23457e+06  1234567.00\n"
            "0.000123457        0.01\n");
}

TEST(Table, CsvQuotesExactlyWhatRfc4180Requires) {
  EXPECT_EQ(render(example(), Format::kCsv),
            "model,devices,samples_per_s,found,note\n"
            "alexnet,16,634.94,true,\n"
            "nmt,4,0.1,false,\"a, \"\"b\"\"\nc\"\n");
}

TEST(Table, JsonKeepsColumnOrderAndTypes) {
  Table table({{"z"}, {"a"}, {"n"}, {"b"}});
  table.add_row({"x", 3, Cell(), true});
  EXPECT_EQ(render(table, Format::kJsonl), "{\"z\":\"x\",\"a\":3,\"n\":null,\"b\":true}\n");
  EXPECT_EQ(nlohmann::ordered_json::parse(render(table, Format::kJson)).dump(),
            "[{\"z\":\"x\",\"a\":3,\"n\":null,\"b\":true}]");
}

TEST(Table, AListOfTextsIsAnArrayOrJoined) {
  Table table({{"id"}, {"why"}});
  table.add_row({"a", Cell::Texts{"x=1", "y, \"z\""}});
  table.add_row({"b", Cell::Texts{}});
  EXPECT_EQ(render(table, Format::kJsonl),
            "{\"id\":\"a\",\"why\":[\"x=1\",\"y, \\\"z\\\"\"]}\n{\"id\":\"b\",\"why\":[]}\n");
  EXPECT_EQ(render(table, Format::kCsv), "id,why\na,\"x=1; y, \"\"z\"\"\"\nb,\n");
}

TEST(Table, ARecordIsOneObjectAndALineForEachColumn) {
  Table table({{"model"}, {"iteration_time_s"}});
  table.add_row({"nmt", 1.9});
  EXPECT_EQ(nlohmann::ordered_json::parse(render_record(table, Format::kJson)).dump(),
            "{\"model\":\"nmt\",\"iteration_time_s\":1.9}");
  EXPECT_EQ(render_record(table, Format::kTable), "model             nmt\niteration_time_s  1.9\n");
  EXPECT_EQ(render_record(table, Format::kCsv), render(table, Format::kCsv));
}

TEST(Table, NumbersReadBackAsTheSameBitsFromCsvAndJson) {
  Rng random(2026);
  for (int i = 0; i < 10000; ++i) {
    const double value = std::bit_cast<double>(random.next_u64());
    if (!std::isfinite(value)) continue;
    Table table({{"x"}});
    table.add_row({value});
    const std::string json = render_record(table, Format::kJson);
    const double from_json = nlohmann::json::parse(json)["x"].get<double>();
    const double from_csv = std::strtod(render(table, Format::kCsv).c_str() + 2, nullptr);
    ASSERT_EQ(std::bit_cast<uint64_t>(from_json), std::bit_cast<uint64_t>(value)) << json;
    ASSERT_EQ(std::bit_cast<uint64_t>(from_csv), std::bit_cast<uint64_t>(value)) << json;
  }
}

TEST(Table, IntegersAreExactAtTheEndsOfTheirRange) {
  Table table({{"low"}, {"high"}});
  table.add_row({std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()});
  EXPECT_EQ(render(table, Format::kJsonl),
            "{\"low\":-9223372036854775808,\"high\":9223372036854775807}\n");
  EXPECT_EQ(render(table, Format::kCsv), "low,high\n-9223372036854775808,9223372036854775807\n");
}

TEST(Table, NumbersThatJsonCannotWriteAreNothing) {
  Table table({{"nan"}, {"inf"}, {"absent"}});
  table.add_row({std::nan(""), -std::numeric_limits<double>::infinity(), std::optional<double>()});
  EXPECT_EQ(render(table, Format::kJsonl), "{\"nan\":null,\"inf\":null,\"absent\":null}\n");
  EXPECT_EQ(render(table, Format::kCsv), "nan,inf,absent\n,,\n");
  EXPECT_EQ(render(table, Format::kTable), "nan  inf  absent\n  -    -       -\n");
}

TEST(Table, BytesThatAreNotUtf8DoNotBreakJson) {
  Table table({{"x"}});
  table.add_row({"a\xff"});
  EXPECT_EQ(render(table, Format::kJsonl), "{\"x\":\"a\xef\xbf\xbd\"}\n");
}

TEST(Table, NoRowsStillGiveAHeaderOrAnEmptyArray) {
  const Table table({{"a"}, {"b"}});
  EXPECT_EQ(render(table, Format::kTable), "a  b\n");
  EXPECT_EQ(render(table, Format::kCsv), "a,b\n");
  EXPECT_EQ(render(table, Format::kJson), "[]\n");
  EXPECT_EQ(render(table, Format::kJsonl), "");
}

TEST(Table, FormatNamesAreKnownAndOthersAreRefusedWithTheNearest) {
  EXPECT_EQ(*parse_format("jsonl"), Format::kJsonl);
  EXPECT_EQ(*parse_format("table"), Format::kTable);
  const Result<Format> wrong = parse_format("jsn");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kUsage);
  EXPECT_EQ(wrong.error().message,
            "unknown format 'jsn'; did you mean 'json'? known: table, csv, json, jsonl");
}

TEST(TableDeath, ARowOfTheWrongWidthAborts) {
  Table table({{"a"}, {"b"}});
  EXPECT_DEATH(table.add_row({1}), "one cell for each column");
  EXPECT_DEATH(Cell(~uint64_t{0}), "does not fit");
}

TEST(Table, NamedCountsAreAnObjectInJson) {
  Table table({{"memory"}});
  table.add_row({Cell::Counts{{"weights", 12}, {"buffers", 3}}});
  EXPECT_EQ(render_record(table, Format::kJson),
            "{\n  \"memory\": {\n    \"weights\": 12,\n    \"buffers\": 3\n  }\n}\n");
  EXPECT_EQ(render(table, Format::kCsv), "memory\nweights=12; buffers=3\n");
}

}  // namespace
}  // namespace soapbox::results
