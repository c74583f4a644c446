#include "scenarios/runner/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace soapbox::runner {
namespace {

using testing::HasSubstr;

Syntax syntax() {
  return {.command = "search",
          .positional = "[FILE]",
          .max_positional = 1,
          .options = {{"budget", "N", "evaluations"},
                      {"method", "NAME", "searcher"},
                      {"dry-run", "", "only print"}}};
}

Result<Arguments> parse(std::vector<std::string> words) {
  return Arguments::parse(syntax(), words);
}

std::string refusal(std::vector<std::string> words) {
  const Result<Arguments> arguments = parse(std::move(words));
  if (arguments) return "accepted";
  EXPECT_EQ(arguments.error().code, ErrorCode::kUsage);
  return arguments.error().message;
}

TEST(Options, ValuesFollowASpaceOrAnEqualsSign) {
  const Result<Arguments> arguments =
      parse({"--budget", "20", "--method=mcmc", "x.toml", "--dry-run"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->text("budget"), "20");
  EXPECT_EQ(arguments->text("method"), "mcmc");
  EXPECT_TRUE(arguments->has("dry-run"));
  EXPECT_EQ(arguments->positional(), std::vector<std::string>{"x.toml"});
  EXPECT_EQ(arguments->text("nothing"), std::nullopt);
}

TEST(Options, UnknownNamesAreRefusedWithTheNearestOne) {
  EXPECT_THAT(refusal({"--bugdet", "20"}),
              AllOf(HasSubstr("'--bugdet'"), HasSubstr("did you mean '--budget'")));
  EXPECT_THAT(refusal({"--bugdet=20"}), HasSubstr("'--bugdet'"));
}

TEST(Options, AbbreviationsAreRefused) {
  EXPECT_THAT(refusal({"--budg", "20"}), HasSubstr("unknown search option '--budg'"));
  EXPECT_THAT(refusal({"--dry"}), HasSubstr("unknown search option '--dry'"));
}

TEST(Options, ShortOptionsAreRefused) {
  EXPECT_THAT(refusal({"-n", "4"}), HasSubstr("unknown search option '-n'"));
}

TEST(Options, RepetitionIsRefused) {
  EXPECT_THAT(refusal({"--budget", "1", "--budget", "2"}), HasSubstr("--budget is given twice"));
  EXPECT_THAT(refusal({"--dry-run", "--dry-run"}), HasSubstr("--dry-run is given twice"));
}

TEST(Options, StrayWordsAreRefused) {
  EXPECT_THAT(refusal({"a.toml", "b.toml"}), HasSubstr("unexpected argument 'b.toml'"));
}

TEST(Options, TheInternalPositionalNameIsNotAnOption) {
  EXPECT_THAT(refusal({"--positional", "x"}), HasSubstr("unknown search option"));
}

TEST(Options, AValueIsRequiredWhereOneIsDeclared) {
  EXPECT_THAT(refusal({"--budget"}), HasSubstr("budget"));
  EXPECT_THAT(refusal({"--budget", "--dry-run"}), HasSubstr("budget"));
  EXPECT_THAT(refusal({"--method", "--budget", "3"}), HasSubstr("--method needs a value"));
  EXPECT_THAT(refusal({"--dry-run=3"}), HasSubstr("dry-run"));
  EXPECT_THAT(refusal({"--method="}), HasSubstr("--method"));
  EXPECT_THAT(refusal({"--method", ""}), HasSubstr("--method is empty"));
}

TEST(Options, WordsAreOfAList) {
  const std::array<std::string_view, 2> known = {"mcmc", "random"};
  EXPECT_EQ(*parse({"--method", "mcmc"})->word("method", "random", known), "mcmc");
  EXPECT_EQ(*parse({})->word("method", "random", known), "random");
  const Result<std::string> unknown = parse({"--method", "mcm"})->word("method", "random", known);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUsage);
  EXPECT_EQ(unknown.error().message,
            "search: unknown --method 'mcm'; did you mean 'mcmc'? known: mcmc, random");
}

TEST(Options, WhatAReaderRefusesIsWrongUsage) {
  const auto read = [](std::string_view text) -> Result<size_t> {
    if (text.size() > 2) return bad_input("too long");
    return text.size();
  };
  EXPECT_EQ(*parse({})->parsed<size_t>("method", "ab", read), 2u);
  const Result<size_t> refused = parse({"--method", "abc"})->parsed<size_t>("method", "ab", read);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUsage);
  EXPECT_EQ(refused.error().message, "search: --method: too long");
}

TEST(Options, WholeNumbersAreReadStrictly) {
  for (const std::string word : {"x", "1x", " 1", "1.0", "-1", "11", "99999999999999999999"}) {
    const Result<Arguments> arguments = parse({"--budget", word});
    ASSERT_TRUE(arguments) << word;
    const auto number = arguments->whole_number("budget", 0, 10);
    ASSERT_FALSE(number) << word;
    EXPECT_THAT(number.error().message, HasSubstr("whole number from 0 to 10"));
  }
  EXPECT_EQ(*parse({"--budget", "10"})->whole_number("budget", 0, 10), 10);
  EXPECT_EQ(*parse({})->whole_number("budget", 0, 10), std::nullopt);
}

TEST(Options, NumbersAreReadStrictly) {
  for (const std::string word : {"x", "1x", " 1", "nan", "inf", "-inf", "0.99", "100.5"}) {
    const Result<Arguments> arguments = parse({"--budget", word});
    ASSERT_TRUE(arguments) << word;
    const auto number = arguments->number("budget", 1, 100);
    ASSERT_FALSE(number) << word;
    EXPECT_THAT(number.error().message, HasSubstr("number from 1 to 100"));
  }
  EXPECT_EQ(*parse({"--budget", "1.25"})->number("budget", 1, 100), 1.25);
  EXPECT_EQ(*parse({"--budget", "1"})->number("budget", 1, 100), 1.0);
  EXPECT_EQ(*parse({"--budget", "1e2"})->number("budget", 1, 100), 100.0);
  EXPECT_EQ(*parse({})->number("budget", 1, 100), std::nullopt);
}

TEST(Options, ARequiredOptionThatIsAbsentIsNamed) {
  EXPECT_THAT(parse({})->required("method").error().message,
              HasSubstr("option --method is required: NAME, "));
}

TEST(Options, HelpComesBeforeTheOtherChecks) {
  Syntax needs_file = syntax();
  needs_file.min_positional = 1;
  const std::vector<std::string> words = {"-h"};
  const Result<Arguments> arguments = Arguments::parse(needs_file, words);
  ASSERT_TRUE(arguments);
  EXPECT_TRUE(arguments->has("help"));
}

TEST(Options, HelpNamesEveryOption) {
  const std::string text = help_text(syntax(), "Finds a plan.");
  for (const std::string part : {"soapbox search [FILE]", "Finds a plan.", "--budget N",
                                 "--method NAME", "--dry-run", "--help"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace soapbox::runner
