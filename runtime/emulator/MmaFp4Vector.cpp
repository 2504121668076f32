// The block-scaled FP4 step of a whole warp, 16 rows side by side in vectors; bit for bit dialect/MmaModel.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MmaFp4.cpp says why double arithmetic is exact here. Dot products: codes become bytes by a table of 16 (pshufb), a
// multiply-add of unsigned by signed bytes takes A moved by +12 into 0..24, and 12 times the sum of B's group is taken
// off again. Every int16 sum is at most 4 * 2 * 24 * 12, far below 2^15.

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

typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t HalfInts __attribute__((vector_size(32)));
typedef float HalfFloats __attribute__((vector_size(32)));
typedef double Doubles __attribute__((vector_size(64)));
typedef int64_t Longs __attribute__((vector_size(64)));

constexpr int kZeroExponent = -139, kFractionBits = 35;

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace avx2 {

struct Bytes256 {
  static inline Words look(Words codes, int offset) {
    const __m256i table = _mm256_add_epi8(
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
        _mm256_set1_epi8(static_cast<char>(offset)));
    __m256i halves[2];
    std::memcpy(halves, &codes, 64);
    for (__m256i &half : halves)
      half = _mm256_shuffle_epi8(table, half);
    Words result;
    std::memcpy(&result, halves, 64);
    return result;
  }
  static inline Ints dot(Words a0, uint32_t b0, Words a1, uint32_t b1, Words a2, uint32_t b2, Words a3, uint32_t b3) {
    const Words *a[4] = {&a0, &a1, &a2, &a3};
    const uint32_t b[4] = {b0, b1, b2, b3};
    __m256i sums[2];
    for (int half = 0; half < 2; ++half) {
      __m256i sum = _mm256_setzero_si256();
      for (int i = 0; i < 4; ++i) {
        __m256i operand;
        std::memcpy(&operand, reinterpret_cast<const char *>(a[i]) + 32 * half, 32);
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(operand, _mm256_set1_epi32(static_cast<int>(b[i]))));
      }
      sums[half] = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
    }
    Ints result;
    std::memcpy(&result, sums, 64);
    return result;
  }
};

using Bytes = Bytes256;
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

struct Bytes512 {
  static inline Words look(Words codes, int offset) {
    const __m512i table =
        _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
                        _mm512_set1_epi8(static_cast<char>(offset)));
    return reinterpret_cast<Words>(_mm512_shuffle_epi8(table, reinterpret_cast<__m512i>(codes)));
  }
  static inline Ints dot(Words a0, uint32_t b0, Words a1, uint32_t b1, Words a2, uint32_t b2, Words a3, uint32_t b3) {
    auto product = [](Words a, uint32_t b) {
      return _mm512_maddubs_epi16(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(static_cast<int>(b)));
    };
    __m512i sum = _mm512_add_epi16(_mm512_add_epi16(product(a0, b0), product(a1, b1)),
                                   _mm512_add_epi16(product(a2, b2), product(a3, b3)));
    return reinterpret_cast<Ints>(_mm512_madd_epi16(sum, _mm512_set1_epi16(1)));
  }
};

using Bytes = Bytes512;
#include "MmaFp4Vector.inc"

} // namespace avx512
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

} // namespace

Fp4Step mmaFp4Vector() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return avx512::step;
  return __builtin_cpu_supports("avx2") ? avx2::step : nullptr;
}

#else

Fp4Step mmaFp4Vector() { return nullptr; }

#endif

} // namespace emulator
} // namespace fourfold
