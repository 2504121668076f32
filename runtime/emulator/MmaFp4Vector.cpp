// The block-scaled FP4 step of a whole warp, 8 or 16 rows side by side in vectors; bit for bit dialect/MmaModel.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MmaFp4.cpp says why double arithmetic is exact here. Dot products: codes become bytes by a table of 16 (pshufb), a
// multiply-add of unsigned by signed bytes takes A moved by +12 into 0..24, and 12 times the sum of B's group is taken
// off again. Every int16 sum is at most 4 * 2 * 24 * 12, far below 2^15. Scales are looked up in a table: to take one apart
// takes branches, and a step has 96.

#include "MmaFp4.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fourfold {
namespace emulator {

#if defined(__x86_64__)

namespace {

using numerics::ScaleFormat;

#define FOURFOLD_INLINE inline __attribute__((always_inline))

/// Vectors of so many bytes, and halves of them.
#define FOURFOLD_VECTORS(bytes)                                                                                                                      \
  typedef int32_t Ints __attribute__((vector_size(bytes)));                                                                                          \
  typedef uint32_t Words __attribute__((vector_size(bytes)));                                                                                        \
  typedef int16_t Shorts __attribute__((vector_size(bytes)));                                                                                        \
  typedef float Floats __attribute__((vector_size(bytes)));                                                                                          \
  typedef double Doubles __attribute__((vector_size(bytes)));                                                                                        \
  typedef int64_t Longs __attribute__((vector_size(bytes)));                                                                                         \
  typedef int32_t HalfInts __attribute__((vector_size((bytes) / 2)));                                                                                \
  typedef float HalfFloats __attribute__((vector_size((bytes) / 2)));

constexpr int kZeroExponent = -139, kFractionBits = 35;

/// `splitScale` of every byte.
struct ScaleTable {
  numerics::ScaleParts parts[256];
  explicit ScaleTable(ScaleFormat format) {
    for (int byte = 0; byte < 256; ++byte)
      parts[byte] = numerics::splitScale(static_cast<uint8_t>(byte), format);
  }
};

const ScaleTable &scaleTable(ScaleFormat format) {
  static const ScaleTable ue4m3(ScaleFormat::UE4M3), ue8m0(ScaleFormat::UE8M0);
  return format == ScaleFormat::UE8M0 ? ue8m0 : ue4m3;
}

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace avx2 {

FOURFOLD_VECTORS(32)

struct Bytes {
  static FOURFOLD_INLINE Words look(Words codes, int offset) {
    const __m256i table = _mm256_add_epi8(
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
        _mm256_set1_epi8(static_cast<char>(offset)));
    return reinterpret_cast<Words>(_mm256_shuffle_epi8(table, reinterpret_cast<__m256i>(codes)));
  }
  static FOURFOLD_INLINE Shorts product(Words a, uint32_t b) {
    return reinterpret_cast<Shorts>(_mm256_maddubs_epi16(reinterpret_cast<__m256i>(a), _mm256_set1_epi32(static_cast<int>(b))));
  }
  static FOURFOLD_INLINE Ints addPairs(Shorts x) {
    return reinterpret_cast<Ints>(_mm256_madd_epi16(reinterpret_cast<__m256i>(x), _mm256_set1_epi16(1)));
  }
  static FOURFOLD_INLINE Doubles truncate(Doubles x) {
    return reinterpret_cast<Doubles>(_mm256_round_pd(reinterpret_cast<__m256d>(x), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
  }
};

#include "MmaFp4Vector.inc"

} // namespace avx2
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
namespace avx512 {

FOURFOLD_VECTORS(64)

struct Bytes {
  static FOURFOLD_INLINE Words look(Words codes, int offset) {
    const __m512i table =
        _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
                        _mm512_set1_epi8(static_cast<char>(offset)));
    return reinterpret_cast<Words>(_mm512_shuffle_epi8(table, reinterpret_cast<__m512i>(codes)));
  }
  static FOURFOLD_INLINE Shorts product(Words a, uint32_t b) {
    return reinterpret_cast<Shorts>(_mm512_maddubs_epi16(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(static_cast<int>(b))));
  }
  static FOURFOLD_INLINE Ints addPairs(Shorts x) {
    return reinterpret_cast<Ints>(_mm512_madd_epi16(reinterpret_cast<__m512i>(x), _mm512_set1_epi16(1)));
  }
  static FOURFOLD_INLINE Doubles truncate(Doubles x) {
    return reinterpret_cast<Doubles>(_mm512_roundscale_pd(reinterpret_cast<__m512d>(x), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
  }
};

#include "MmaFp4Vector.inc"

} // namespace avx512
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

} // namespace

Fp4Step mmaFp4Avx512() {
  bool isThere = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vl");
  return isThere ? avx512::step : nullptr;
}

Fp4Step mmaFp4Avx2() { return __builtin_cpu_supports("avx2") ? avx2::step : nullptr; }

#else

Fp4Step mmaFp4Avx512() { return nullptr; }
Fp4Step mmaFp4Avx2() { return nullptr; }

#endif

} // namespace emulator
} // namespace fourfold
