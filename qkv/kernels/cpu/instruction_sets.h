// The same kernel for several instruction sets, and the choice between them when the program runs. Include behind
// hwy/highway.h. Highway's library has this too, but times the processor's clock while it is loaded: 6 ms of every
// start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace qkv::kernels::cpu_set {

// The kernel for AVX-512, for AVX2, and for any processor that the compiler was told of; null where not compiled.
#define QKV_EXPORT(kernel)                                                    \
  constexpr decltype(&HWY_STATIC_DISPATCH(kernel)) kernel##_of_each_set[] = { \
      HWY_CHOOSE_AVX3(kernel), HWY_CHOOSE_AVX2(kernel), &HWY_STATIC_DISPATCH(kernel)}
#define QKV_DISPATCH(kernel) (*qkv::kernels::cpu_set::best_of(kernel##_of_each_set))

enum class InstructionSet : uint8_t { avx512, avx2, baseline };

std::string_view name_of(InstructionSet set);

// Those of the compiled ones that this processor and its operating system have, best first.
std::vector<InstructionSet> instruction_sets();

// The best one, or that which a test has chosen.
InstructionSet instruction_set();

// For tests: that one, in this process, until another is chosen.
void choose_instruction_set(InstructionSet set);

template <typename Kernel, size_t count>
Kernel best_of(Kernel const (&each)[count]) {
  auto set = static_cast<size_t>(instruction_set());
  while (each[set] == nullptr) ++set;
  return each[set];
}

}  // namespace qkv::kernels::cpu_set
