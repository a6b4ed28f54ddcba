// Checks of option values. CLI11's own let NaN pass, and whole numbers that do not fit become the largest that does.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>

namespace qkv {

CLI::Validator at_least(int64_t lowest);                // a whole number up to 10^12
CLI::Validator above_zero();                            // a finite number
CLI::Validator not_negative();                          // likewise
CLI::Validator between(double lowest, double highest);  // both ends included

}  // namespace qkv
