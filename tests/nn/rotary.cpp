// Rotary tables against the papers' formulas, one frequency at a time.
#include "qkv/nn/rotary.h"

#include <cmath>
#include <functional>
#include <numbers>

namespace qkv {
namespace {

constexpr double two_pi = 2 * std::numbers::pi;
constexpr int64_t dim = 16, positions = 50;
constexpr double base = 10000;

double plain_frequency(int64_t i) { return std::pow(base, -2.0 * static_cast<double>(i) / dim); }

void expect_frequencies(const RotarySpec& spec, const std::function<double(int64_t i)>& frequency,
                        double magnitude = 1) {
  const RotaryTable table = rotary_table(spec, positions);
  ASSERT_EQ(table.cosine.shape(), (Shape{positions, dim / 2}));
  const std::vector<float> cosine = table.cosine.to_vector<float>(), sine = table.sine.to_vector<float>();
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t i = 0; i < dim / 2; ++i) {
      const double angle = static_cast<double>(p) * frequency(i);
      const size_t at = static_cast<size_t>(p * dim / 2 + i);
      ASSERT_NEAR(cosine[at], magnitude * std::cos(angle), 1e-5) << "position " << p << ", frequency " << i;
      ASSERT_NEAR(sine[at], magnitude * std::sin(angle), 1e-5) << "position " << p << ", frequency " << i;
    }
}

RotarySpec spec(RotarySpec::Scaling scaling) {
  return {.dim = dim, .base = base, .scaling = scaling, .factor = 4, .original_positions = 20};
}

TEST(Rotary, Plain) { expect_frequencies(spec(RotarySpec::Scaling::none), plain_frequency); }

TEST(Rotary, LinearDividesEveryFrequency) {
  expect_frequencies(spec(RotarySpec::Scaling::linear), [](int64_t i) { return plain_frequency(i) / 4; });
}

TEST(Rotary, DynamicGrowsTheBaseBeyondTheTrainedLength) {
  const double grown = base * std::pow(4.0 * positions / 20 - 3, 16.0 / 14);
  expect_frequencies(spec(RotarySpec::Scaling::dynamic),
                     [&](int64_t i) { return std::pow(grown, -2.0 * static_cast<double>(i) / dim); });
  RotarySpec within = spec(RotarySpec::Scaling::dynamic);
  within.original_positions = positions;
  expect_frequencies(within, plain_frequency);
}

TEST(Rotary, Llama3BlendsByWavelength) {
  RotarySpec s = spec(RotarySpec::Scaling::llama3);
  s.original_positions = 200;  // wavelengths below 50 stay, above 200 are divided
  int kept = 0, divided = 0, blended = 0;
  expect_frequencies(s, [&](int64_t i) {
    const double f = plain_frequency(i), wavelength = two_pi / f;
    if (wavelength < 200.0 / 4) return ++kept, f;
    if (wavelength > 200.0 / 1) return ++divided, f / 4;
    ++blended;
    const double smooth = (200 / wavelength - 1) / (4 - 1);
    return (1 - smooth) * f / 4 + smooth * f;
  });
  EXPECT_GT(kept, 0);
  EXPECT_GT(divided, 0);
  EXPECT_GT(blended, 0);
}

TEST(Rotary, YarnBlendsByRotationsAndScalesAttention) {
  RotarySpec s = spec(RotarySpec::Scaling::yarn);
  s.original_positions = 400;
  s.truncate = false;
  // The frequency's index at which the trained length holds so many turns.
  const auto index_of = [](double turns) { return dim * std::log(400 / (turns * two_pi)) / (2 * std::log(base)); };
  const double low = index_of(32), high = index_of(1);
  const auto frequency = [&](double from, double to) {
    return [=](int64_t i) {
      const double ramp = std::clamp((static_cast<double>(i) - from) / (to - from), 0.0, 1.0);
      return plain_frequency(i) / 4 * ramp + plain_frequency(i) * (1 - ramp);
    };
  };
  const double magnitude = 0.1 * std::log(4) + 1;
  expect_frequencies(s, frequency(low, high), magnitude);
  s.truncate = true;
  expect_frequencies(s, frequency(std::floor(low), std::ceil(high)), magnitude);
  s.attention_factor = 1.5;
  expect_frequencies(s, frequency(std::floor(low), std::ceil(high)), 1.5);
  s.attention_factor = 0;
  s.mscale = 2;
  s.mscale_all_dim = 1;
  expect_frequencies(s, frequency(std::floor(low), std::ceil(high)), (0.2 * std::log(4) + 1) / magnitude);
}

}  // namespace
}  // namespace qkv
