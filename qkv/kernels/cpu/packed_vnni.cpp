// The packed product for processors with AVX-512 VNNI, for which Highway has no target of its own.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX2 | HWY_AVX3_DL)

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "qkv/kernels/cpu/packed_vnni.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#if HWY_TARGET == HWY_AVX3
#define QKV_VNNI
#include "qkv/kernels/cpu/packed_product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qkv::kernels::cpu_set {
bool vnni_supported() {
  static const bool supported = __builtin_cpu_supports("avx512vnni") != 0;
  return supported;
}
void packed_product_vnni(const PackedGemm& g, const QuantisedRows& x) { HWY_NAMESPACE::packed_product(g, x); }
}  // namespace qkv::kernels::cpu_set
HWY_AFTER_NAMESPACE();
#undef QKV_VNNI
#endif

#if HWY_ONCE && !HWY_ARCH_X86
namespace qkv::kernels::cpu_set {
bool vnni_supported() { return false; }
void packed_product_vnni(const PackedGemm&, const QuantisedRows&) {}
}  // namespace qkv::kernels::cpu_set
#endif
