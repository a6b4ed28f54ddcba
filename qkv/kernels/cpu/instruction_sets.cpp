#include "qkv/kernels/cpu/instruction_sets.h"

#include "qkv/kernels/cpu/targets.h"

#include <hwy/highway.h>

#include <atomic>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace qkv::kernels::cpu_set {
namespace {

#if defined(__x86_64__)
// What compilers' own question does not know: conversions of f16, and counting leading zeros.
bool has_f16c_and_lzcnt() {
  unsigned a, b, c = 0, d, of_extended = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && __get_cpuid(0x80000001, &a, &b, &of_extended, &d) && (c & bit_F16C) &&
         (of_extended & bit_LZCNT);
}

// The same demands as Highway makes of its targets.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && has_f16c_and_lzcnt();
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#else
bool has_avx2() { return false; }
bool has_avx512() { return false; }
#endif

std::atomic<InstructionSet>& chosen() {
  static std::atomic<InstructionSet> set = instruction_sets().front();
  return set;
}

}  // namespace

std::string_view name_of(InstructionSet set) {
  constexpr std::string_view names[] = {"AVX-512", "AVX2", "baseline"};
  return names[static_cast<size_t>(set)];
}

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  if ((HWY_TARGETS & HWY_AVX3) != 0 && has_avx512()) sets.push_back(InstructionSet::avx512);
  if ((HWY_TARGETS & HWY_AVX2) != 0 && has_avx2()) sets.push_back(InstructionSet::avx2);
  if (sets.empty() || (HWY_STATIC_TARGET & (HWY_AVX2 | HWY_AVX3)) == 0) sets.push_back(InstructionSet::baseline);
  return sets;
}

InstructionSet instruction_set() { return chosen().load(std::memory_order_relaxed); }

void choose_instruction_set(InstructionSet set) { chosen() = set; }

}  // namespace qkv::kernels::cpu_set
