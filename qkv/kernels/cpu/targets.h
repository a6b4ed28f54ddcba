// Which instruction sets the Highway kernels are compiled for. Include before any Highway header. On x86: the baseline,
// AVX2 and AVX-512; sets between these would only lengthen the build. Other processors keep Highway's choice.
#pragma once

#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
