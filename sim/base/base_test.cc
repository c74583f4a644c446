#include <gtest/gtest.h>

#include <array>
#include <type_traits>

#include "sim/base/check.h"
#include "sim/base/ids.h"
#include "sim/base/result.h"
#include "sim/base/rng.h"
#include "sim/base/str.h"
#include "sim/base/units.h"

namespace soapbox {
namespace {

using AppleId = StrongId<struct AppleTag>;
using PearId = StrongId<struct PearTag>;

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

TEST(Ids, KindsDoNotMixAndHaveNoArithmetic) {
  static_assert(sizeof(AppleId) == 4);
  static_assert(!std::is_convertible_v<AppleId, PearId>);
  static_assert(!std::is_convertible_v<uint32_t, AppleId>);
  static_assert(!Addable<AppleId, AppleId>);
  EXPECT_FALSE(AppleId().valid());
  EXPECT_LT(AppleId(1), AppleId(2));
}

TEST(Ids, VectorIsIndexedByItsOwnIdAndListsItsIds) {
  IdVector<AppleId, int> weights;
  const AppleId first = weights.push_back(7);
  const AppleId second = weights.push_back(9);
  EXPECT_EQ(weights[first], 7);
  EXPECT_EQ(weights[second], 9);
  int sum = 0;
  for (const AppleId id : weights.ids()) sum += weights[id];
  EXPECT_EQ(sum, 16);
  EXPECT_FALSE(weights.contains(AppleId()));
}

TEST(IdsDeath, IndexThatDoesNotFitAborts) {
  EXPECT_DEATH(AppleId::from_index(size_t{1} << 32), "too many objects");
}

TEST(Units, MomentsCannotBeAdded) {
  static_assert(!Addable<SimTime, SimTime>);
  static_assert(!Addable<Duration, SimTime>);
  static_assert(Addable<SimTime, Duration>);
  EXPECT_EQ(SimTime(5) - SimTime(2), Duration(3));
}

TEST(Units, RatesRoundToTheNearestPicosecond) {
  // 450 B / 450 GB/s = 1 ns exactly; ceil() of the naive quotient gives 1001 ps.
  EXPECT_EQ(Bytes(450) / gb_per_s(450), picoseconds(1000));
  EXPECT_EQ(Bytes(0) / gb_per_s(450), picoseconds(0));
  // 1 B at 3 GB/s = 333.33 ps; 2 B = 666.67 ps.
  EXPECT_EQ(Bytes(1) / gb_per_s(3), picoseconds(333));
  EXPECT_EQ(Bytes(2) / gb_per_s(3), picoseconds(667));
  EXPECT_EQ(Flops(2e12) / tflops_per_s(4), milliseconds(500));
}

TEST(Units, WholeBytesAtWholeGigabytesPerSecondAreExact) {
  // n * r bytes at r GB/s are n ns, for every r: the property behind exact ties.
  for (int64_t rate = 1; rate <= 2000; ++rate) {
    for (const int64_t n : {1, 7, 1000, 123457}) {
      ASSERT_EQ(Bytes(n * rate) / gb_per_s(static_cast<double>(rate)), nanoseconds(n)) << rate;
    }
  }
}

TEST(Units, SiAndBinaryPrefixesAreDifferent) {
  EXPECT_EQ(gb_per_s(1).rate(), 1e9);
  EXPECT_EQ(gibibytes(1).count(), int64_t{1} << 30);
  EXPECT_EQ(mebibytes(1) * 1024, gibibytes(1));
  EXPECT_EQ(kibibytes(1024), mebibytes(1));
  EXPECT_EQ(microseconds(1000), milliseconds(1));
  EXPECT_EQ(nanoseconds(1000), microseconds(1));
  EXPECT_DOUBLE_EQ(milliseconds(1500).seconds(), 1.5);
  EXPECT_EQ(from_seconds(1.5), milliseconds(1500));
}

TEST(UnitsDeath, OverflowAborts) {
  const SimTime last(std::numeric_limits<int64_t>::max());
  EXPECT_DEATH(last + Duration(1), "simulated time overflow");
  EXPECT_DEATH(Duration(int64_t{1} << 62) * 2, "duration overflow");
  EXPECT_DEATH(Bytes(int64_t{1} << 62) * 2, "byte count overflow");
  EXPECT_DEATH(Bytes(1) / BytesPerSecond(0), "rate must be positive");
  EXPECT_DEATH(Bytes(int64_t{1} << 62) / BytesPerSecond(1), "duration out of range");
}

// The known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
TEST(Rng, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, SameSeedSameNumbersAndStreamsDiffer) {
  Rng a(42);
  Rng b(42);
  Rng c(42, 1);
  int equal = 0;
  for (int i = 0; i < 64; ++i) {
    const uint32_t value = a.next_u32();
    EXPECT_EQ(value, b.next_u32());
    equal += value == c.next_u32() ? 1 : 0;
  }
  EXPECT_EQ(equal, 0);
}

TEST(Rng, BelowIsInRangeAndUniform) {
  Rng rng(7);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts[rng.below(6)];
  // Binomial(60000, 1/6): standard deviation 91; 5 of them allowed.
  for (const int count : counts) EXPECT_NEAR(count, 10000, 456);
  for (int i = 0; i < 1000; ++i) {
    const double u = rng.uniform();
    EXPECT_GE(u, 0.0);
    EXPECT_LT(u, 1.0);
  }
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = 3;
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 3);
  const Result<int> bad = bad_input("no such key", {"a.toml", 3, 7});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().to_string(), "a.toml:3:7: no such key");
  EXPECT_EQ(bad_input("empty", {"a.toml", 0, 0}).to_string(), "a.toml: empty");
}

TEST(Str, NumbersReadBackExactly) {
  EXPECT_EQ(str_cat("x=", 0.1, " n=", 3, ' ' == ' ' ? "!" : ""), "x=0.1 n=3!");
  EXPECT_EQ(to_text(1.0 / 3.0), "0.3333333333333333");
}

TEST(Str, ForeignTextIsShownOnOneShortLine) {
  EXPECT_EQ(shown("a\nb\x7f\xc3\xbc"), "a?b?\xc3\xbc");
  EXPECT_EQ(shown(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(shown(std::string(61, 'x')), std::string(60, 'x') + "...");
  EXPECT_EQ(unknown_name("model", "a\nb", {}), "unknown model 'a?b'; known: ");
}

TEST(Str, NearestNameForgivesTyposOnly) {
  const std::vector<std::string> models = {"alexnet", "inception_v3", "nmt"};
  EXPECT_EQ(nearest_name("alexnt", models), "alexnet");
  EXPECT_EQ(nearest_name("inceptionv3", models), "inception_v3");
  EXPECT_EQ(nearest_name("transformer", models), "");
  EXPECT_EQ(nearest_name("NMT", models), "nmt");
  EXPECT_EQ(nearest_name("Inception", models), "inception_v3");  // its beginning
  EXPECT_EQ(nearest_name("al", models), "");
  EXPECT_EQ(unknown_name("model", "alexnt", models),
            "unknown model 'alexnt'; did you mean 'alexnet'? known: alexnet, inception_v3, nmt");
}

TEST(Str, HashIsFnv1a) {
  // Published FNV-1a 64 test vectors.
  EXPECT_EQ(hash_bytes(""), 0xcbf29ce484222325u);
  EXPECT_EQ(hash_bytes("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(hash_bytes("foobar"), 0x85944171f73967e8u);
  EXPECT_EQ(hex(0xaf63dc4c8601ec8c), "af63dc4c8601ec8c");
}

}  // namespace
}  // namespace soapbox
