// Numbers between bounds: every one that fits and no other.
#include "qkv/generate/grammar/number_range.h"

#include "qkv/core/error.h"
#include "qkv/core/random.h"
#include "qkv/generate/grammar/json_grammar.h"
#include "tests/generate/accepts.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

using Schema = OrderedJson;

Grammar bounded(const char* type, const Schema& bounds) {
  Schema schema = {{"type", type}};
  schema.update(bounds);
  return json_schema_grammar(schema);
}

// Sanitizers look at the source: every 31st number goes through the same lines.
#if defined(QKV_SANITIZED)
constexpr int integer_step = 31;
#else
constexpr int integer_step = 1;
#endif

TEST(NumberRange, EveryIntegerBetweenSmallBounds) {
  for (const int least :
       {-1200, -1000, -999, -101, -100, -11, -10, -9, -1, 0, 1, 5, 9, 10, 19, 99, 100, 345, 1000, 1199})
    for (const int more : {0, 1, 2, 8, 9, 10, 11, 89, 90, 99, 100, 101, 655, 899, 900, 1000, 1111, 2400}) {
      const int most = least + more;
      const Grammar both = bounded("integer", {{"minimum", least}, {"maximum", most}});
      for (int i = -1200; i <= 1200; i += integer_step)
        ASSERT_EQ(accepts(both, std::to_string(i)), i >= least && i <= most) << i << " in " << least << ", " << most;
      for (const char* no : {"-0", "00", "01", "-", "", "+1", "1.0", "1e1", "-01"})
        ASSERT_FALSE(accepts(both, no)) << no;
    }
  for (const int bound : {-1000, -99, -10, -1, 0, 1, 9, 10, 101, 999}) {
    const Grammar from = bounded("integer", {{"minimum", bound}}), upto = bounded("integer", {{"maximum", bound}}),
                  above = bounded("integer", {{"exclusiveMinimum", bound}}),
                  below = bounded("integer", {{"exclusiveMaximum", bound}});
    for (int i = -1200; i <= 1200; i += integer_step) {
      ASSERT_EQ(accepts(from, std::to_string(i)), i >= bound) << i << " from " << bound;
      ASSERT_EQ(accepts(upto, std::to_string(i)), i <= bound) << i << " up to " << bound;
      ASSERT_EQ(accepts(above, std::to_string(i)), i > bound) << i << " above " << bound;
      ASSERT_EQ(accepts(below, std::to_string(i)), i < bound) << i << " below " << bound;
    }
    EXPECT_TRUE(accepts(from, "9876543210123456"));
    EXPECT_TRUE(accepts(upto, "-9876543210123456"));
  }
}

TEST(NumberRange, BoundsOf64Bits) {
  Random random{RandomKey{21}};
  const auto any = [&] {
    const auto bits = static_cast<uint64_t>(random.uniform() * 64);
    const double sign = random.uniform() < 0.5 ? -1 : 1;
    return static_cast<int64_t>(sign * std::ldexp(random.uniform(), static_cast<int>(bits)));
  };
  for (int round = 0; round < 300; ++round) {
    int64_t least = any(), most = any();
    if (least > most) std::swap(least, most);
    const Grammar grammar = bounded("integer", {{"minimum", least}, {"maximum", most}});
    for (int i = 0; i < 20; ++i) {
      const int64_t x = any();
      EXPECT_EQ(accepts(grammar, std::to_string(x)), x >= least && x <= most) << x << " in " << least << ", " << most;
    }
    EXPECT_TRUE(accepts(grammar, std::to_string(least)));
    EXPECT_TRUE(accepts(grammar, std::to_string(most)));
    EXPECT_FALSE(accepts(grammar, std::to_string(least - 1)));
    EXPECT_FALSE(accepts(grammar, std::to_string(most + 1)));
  }
  const Grammar all = bounded("integer", {{"minimum", INT64_MIN}, {"maximum", UINT64_MAX}});
  for (const char* yes : {"-9223372036854775808", "18446744073709551615", "0"}) EXPECT_TRUE(accepts(all, yes)) << yes;
  for (const char* no : {"-9223372036854775809", "18446744073709551616"}) EXPECT_FALSE(accepts(all, no)) << no;
  EXPECT_TRUE(accepts(bounded("integer", {{"minimum", UINT64_MAX}}), "18446744073709551615"));
}

TEST(NumberRange, BoundsThatAreNoIntegers) {
  const Grammar grammar = bounded("integer", {{"minimum", -2.5}, {"exclusiveMaximum", 3.0}});
  for (int i = -5; i <= 5; ++i) EXPECT_EQ(accepts(grammar, std::to_string(i)), i >= -2 && i < 3) << i;
  const Grammar far = bounded("integer", {{"minimum", 1e3}, {"exclusiveMinimum", 1200}, {"maximum", 1e20}});
  EXPECT_FALSE(accepts(far, "1200"));
  EXPECT_TRUE(accepts(far, "1201"));
  EXPECT_TRUE(accepts(far, "100000000000000000000"));
  EXPECT_FALSE(accepts(far, "100000000000000000001"));
}

TEST(NumberRange, NumbersStayOnTheirSide) {
  // Decimals of up to four digits behind the point, counted in ten-thousandths.
  Random random{RandomKey{22}};
  const auto text_of = [](int64_t n, int digits) {
    std::string text = std::to_string(std::abs(n));
    if (text.size() < 5) text.insert(0, 5 - text.size(), '0');
    text.insert(text.size() - 4, ".");
    text.resize(text.size() - 4 + static_cast<size_t>(digits));
    if (digits == 0) text.pop_back();
    return (n < 0 ? "-" : "") + text;
  };
  for (int round = 0; round < 400; ++round) {
    const auto any = [&](double most) { return static_cast<int64_t>((random.uniform() * 2 - 1) * most); };
    const double width = std::pow(10, 1 + random.uniform() * 6);
    int64_t least = any(width), most = any(width);
    if (round % 4 == 0) least = least / 10000 * 10000;
    if (round % 3 == 0) most = most / 100 * 100;
    if (least > most) std::swap(least, most);
    const bool from = round % 2 == 0, upto = round % 5 < 3;
    if (least == most && !(from && upto)) continue;
    const Grammar grammar =
        bounded("number", {{from ? "minimum" : "exclusiveMinimum", Schema::parse(text_of(least, 4))},
                           {upto ? "maximum" : "exclusiveMaximum", Schema::parse(text_of(most, 4))}});
    const auto check = [&](int64_t n) {
      const bool fits = (from ? n >= least : n > least) && (upto ? n <= most : n < most);
      const int digits = n % 10000 == 0 ? 0 : n % 1000 == 0 ? 1 : n % 100 == 0 ? 2 : n % 10 == 0 ? 3 : 4;
      for (int written = digits; written <= 4; ++written) {
        const std::string text = text_of(n, written);
        ASSERT_EQ(accepts(grammar, text), fits) << text << " in " << text_of(least, 4) << ", " << text_of(most, 4);
      }
    };
    for (int i = 0; i < 30; ++i) check(any(width * 1.2));
    for (const int64_t near : {least, most})
      for (int64_t n = near - 3; n <= near + 3; ++n)
        if (n != 0 || near >= 0) check(n);
  }
}

TEST(NumberRange, NumbersThatLookAlike) {
  const Grammar positive = bounded("number", {{"exclusiveMinimum", 0}});
  for (const char* yes : {"1", "0.5", "0.00000000000001", "123456789012345", "12.25"})
    EXPECT_TRUE(accepts(positive, yes)) << yes;
  for (const char* no : {"0", "0.0", "-1", "-0", "0.", ".5", "1e-3", "00.5"}) EXPECT_FALSE(accepts(positive, no)) << no;
  // Read as floating point this is 1.
  const Grammar share = bounded("number", {{"minimum", 0}, {"exclusiveMaximum", 1}});
  EXPECT_FALSE(accepts(share, "0.99999999999999999999"));
  EXPECT_TRUE(accepts(share, "0.99999999999999"));
  EXPECT_TRUE(accepts(share, "0"));
  const Grammar tenth = bounded("number", {{"minimum", 0.1}, {"maximum", 0.30000000000000004}});
  for (const char* yes : {"0.1", "0.10", "0.3", "0.30000000000000004"}) EXPECT_TRUE(accepts(tenth, yes)) << yes;
  for (const char* no : {"0.09", "0.30000000000000005", "0.31", "0"}) EXPECT_FALSE(accepts(tenth, no)) << no;
  const Grammar small = bounded("number", {{"minimum", 1e-7}, {"maximum", 2.5e-7}});
  EXPECT_TRUE(accepts(small, "0.0000002"));
  EXPECT_FALSE(accepts(small, "0.0000003"));
  const Grammar negative = bounded("number", {{"minimum", -1.5}, {"exclusiveMaximum", 0}});
  for (const char* yes : {"-1.5", "-0.5", "-1"}) EXPECT_TRUE(accepts(negative, yes)) << yes;
  for (const char* no : {"-1.51", "0", "-0", "-0.0", "-2"}) EXPECT_FALSE(accepts(negative, no)) << no;
}

}  // namespace
}  // namespace qkv
