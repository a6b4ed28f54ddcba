// Which instruction sets the Highway kernels are compiled for. Include before any Highway header. On x86: the baseline,
// AVX2 and AVX-512; sets between these would only lengthen the build. On other processors: what the compiler was told
// of.
#pragma once

#if !defined(__x86_64__)
#ifndef HWY_COMPILE_ONLY_STATIC
#define HWY_COMPILE_ONLY_STATIC
#endif
#elif defined(QKV_FUZZED)
// Fuzzers look at what reads files.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL)
#elif defined(QKV_SANITIZED)
// Sanitizers look at the source, which is the same for all: the narrowest, and one that all machines of late have.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
#else
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL)
#endif
