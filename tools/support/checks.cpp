#include "tools/support/checks.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

namespace qkv {
namespace {

// `good` decides over the number that the whole text spells.
template <typename Number>
CLI::Validator check(std::function<bool(Number)> good, const std::string& wanted, const std::string& help) {
  const auto test = [good = std::move(good), wanted](std::string& text) -> std::string {
    Number number{};
    const char* end = text.data() + text.size();
    const auto [stopped, code] = std::from_chars(text.data(), end, number);
    if (code == std::errc() && stopped == end && good(number)) return "";
    return fmt::format("'{}' is not {}", text, wanted);
  };
  return {test, help};
}

}  // namespace

CLI::Validator at_least(int64_t lowest) {
  constexpr int64_t most = 1'000'000'000'000;
  return check<int64_t>([lowest](int64_t n) { return n >= lowest && n <= most; },
                        fmt::format("a whole number from {} to {}", lowest, most), fmt::format(">= {}", lowest));
}

CLI::Validator above_zero() {
  return check<double>([](double x) { return std::isfinite(x) && x > 0; }, "a finite number above 0", "> 0");
}

CLI::Validator not_negative() {
  return check<double>([](double x) { return std::isfinite(x) && x >= 0; }, "a finite number of at least 0", ">= 0");
}

CLI::Validator between(double lowest, double highest) {
  return check<double>([=](double x) { return x >= lowest && x <= highest; },
                       fmt::format("a number from {} to {}", lowest, highest),
                       fmt::format("{} to {}", lowest, highest));
}

}  // namespace qkv
