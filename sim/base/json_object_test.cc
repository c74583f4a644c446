#include "sim/base/json_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace soapbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

JsonObject parsed(std::string_view text) {
  Result<JsonObject> object = JsonObject::parse(text, "f.json");
  EXPECT_TRUE(object) << (object ? "" : object.error().to_string());
  return *std::move(object);
}

std::string parse_error(std::string_view text) {
  const Result<JsonObject> object = JsonObject::parse(text, "f.json");
  EXPECT_FALSE(object) << text;
  return object ? "" : object.error().to_string();
}

TEST(JsonObject, ReadsWhatIsThereAndKnowsWhatNobodyAskedFor) {
  JsonObject object = parsed(R"({"a": 1, "b": {"a": 2}, "c": null, "d": [1, 2], "e": true,
                                 "f": "x", "g": 0.5, "odd": 3})");
  EXPECT_EQ(object.integer({"a"}, {0, 9}), 1);
  EXPECT_EQ(object.integer_or({"c"}, 7, {0, 9}), 7);  // null is absent
  EXPECT_EQ(object.integer_or({"missing", "a"}, 7, {0, 9}), 1);
  EXPECT_THAT(object.integers("d", {0, 9}), ElementsAre(1, 2));
  EXPECT_TRUE(object.flag_or("e", false));
  EXPECT_EQ(object.text_or("f", ""), "x");
  EXPECT_EQ(object.number_or("g", 0, 0, 1), 0.5);
  JsonObject inner = *object.object("b");
  EXPECT_EQ(inner.integer({"a"}, {0, 9}), 2);
  EXPECT_TRUE(object.status());
  EXPECT_THAT(object.unread_keys(), ElementsAre("odd"));
}

TEST(JsonObject, PointsAtTheKeyThatIsWrong) {
  const std::string text =
      "{\n  \"s\": \"a\\\"size\\\": 1\",\n  \"size\": -3,\n  \"in\": {\n"
      "    \"size\": 2.5\n  }\n}";
  JsonObject object = parsed(text);
  (void)object.integer({"size"}, {1, 10});
  EXPECT_EQ(object.status().error().to_string(),
            "f.json:3:3: size is -3; allowed: whole numbers from 1 to 10");
  JsonObject inner = *object.object("in");
  (void)inner.integer({"size"}, {1, 10});
  EXPECT_EQ(inner.status().error().to_string(),
            "f.json:5:5: size is 2.5; allowed: whole numbers from 1 to 10");
}

TEST(JsonObject, KeepsTheFirstOfSeveralErrors) {
  JsonObject object = parsed(R"({"a": "x", "b": 1})");
  (void)object.integer({"a"}, {0, 9});
  (void)object.flag_or("b", true);
  EXPECT_THAT(object.status().error().message, HasSubstr("a is \"x\""));
  JsonObject other = parsed("{}");
  (void)other.integer({"n", "m"}, {0, 9});
  EXPECT_THAT(other.status().error().message, HasSubstr("missing key 'n'"));
}

TEST(JsonObject, RefusesWhatIsNoObject) {
  EXPECT_EQ(parse_error("{\n \"a\": 1,\n}"), "f.json:3:1: not valid JSON");
  EXPECT_THAT(parse_error("[1]"), HasSubstr("f.json:1:1: expected a JSON object"));
  EXPECT_THAT(parse_error(""), HasSubstr("not valid JSON"));
  EXPECT_EQ(parse_error("{\"a\": 1,\n \"a\": 2}"), "f.json:2:2: key 'a' is given twice");
  EXPECT_THAT(parse_error("{\"a\": " + std::string(1000, '[')), HasSubstr("nested more than 64"));
}

TEST(JsonObject, NumbersBeyondTheirTypeAreRefusedNotWrapped) {
  JsonObject object = parsed(R"({"a": 18446744073709551615, "b": 1e30})");
  (void)object.integer({"a"}, {0, INT64_MAX});
  EXPECT_FALSE(object.status());
  JsonObject other = parsed(R"({"b": 1e30})");
  (void)other.integer({"b"}, {0, INT64_MAX});
  EXPECT_FALSE(other.status());
}

}  // namespace
}  // namespace soapbox
