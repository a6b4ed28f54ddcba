// What the rendering of an untrusted template may cost: steps of work, and bytes of the values that it makes.
#pragma once

#include <cstddef>

namespace qkv::jinja {

// While one lives, the thread's work on template values is counted against it; without one nothing is counted.
class Allowance {
 public:
  static constexpr size_t most_steps = 10'000'000;
  static constexpr size_t most_bytes = size_t{256} << 20;  // of all values ever made
  static constexpr size_t longest = size_t{16} << 20;      // of one text

  Allowance();
  ~Allowance();
  Allowance(const Allowance&) = delete;
  Allowance& operator=(const Allowance&) = delete;

  // These throw Error when nothing is left.
  static void spend_steps(size_t steps);
  static void spend_bytes(size_t bytes);

  // Throws Error for a text longer than `longest`.
  static void check_length(size_t bytes);

 private:
  size_t steps_ = 0;
  size_t bytes_ = 0;
  Allowance* outer_;
};

}  // namespace qkv::jinja
