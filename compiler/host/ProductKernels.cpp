// The inner kernel of quantized products for each instruction set.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Product.h"

#include <cmath>

#if defined(__x86_64__)
// GCC 12 takes the undefined pass-through operands in its own headers for mistakes.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace fourfold {
namespace host {

static void productGeneric(const LeftGroup *left, const RightGroup *right, int64_t groups,
                           double sums[kPanelRows][kPanelColumns]) {
  for (int64_t r = 0; r < kPanelRows; ++r)
    for (int64_t n = 0; n < kPanelColumns; ++n)
      sums[r][n] = 0.0;
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t r = 0; r < kPanelRows; ++r)
      for (int64_t n = 0; n < kPanelColumns; ++n) {
        int32_t dot = right[group].start[n];
        for (int q = 0; q < 4; ++q)
          for (int i = 0; i < 4; ++i)
            dot += left[group].codes[r][q * 4 + i] * right[group].codes[q][n][i];
        sums[r][n] += dot * (left[group].scales[r] * static_cast<double>(right[group].scales[n]));
      }
}

#if defined(__x86_64__)

#pragma GCC push_options
#pragma GCC target("avx2,fma")

/// Four rows by eight columns: what fits into 16 registers.
static void productAVX2Part(const LeftGroup *left, const RightGroup *right, int64_t groups, int row, int column,
                            double sums[kPanelRows][kPanelColumns]) {
  __m256d low[4], high[4];
  for (int r = 0; r < 4; ++r)
    low[r] = high[r] = _mm256_setzero_pd();
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t group = 0; group < groups; ++group) {
    const LeftGroup &a = left[group];
    const RightGroup &b = right[group];
    __m128 scalesLow = _mm_load_ps(b.scales + column), scalesHigh = _mm_load_ps(b.scales + column + 4);
    __m256i start = _mm256_load_si256(reinterpret_cast<const __m256i *>(b.start + column));
    for (int r = 0; r < 4; ++r) {
      // Pairs are at most 2 * 24 * 12, four of them 2304: far from 2^15.
      __m256i pairs = _mm256_setzero_si256();
      for (int q = 0; q < 4; ++q) {
        int32_t four;
        __builtin_memcpy(&four, a.codes[row + r] + q * 4, 4);
        pairs = _mm256_add_epi16(
            pairs, _mm256_maddubs_epi16(_mm256_set1_epi32(four),
                                        _mm256_load_si256(reinterpret_cast<const __m256i *>(b.codes[q][column]))));
      }
      __m256i dot = _mm256_add_epi32(start, _mm256_madd_epi16(pairs, ones));
      __m256d scale = _mm256_broadcast_sd(a.scales + row + r);
      low[r] = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(dot)),
                               _mm256_mul_pd(scale, _mm256_cvtps_pd(scalesLow)), low[r]);
      high[r] = _mm256_fmadd_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(dot, 1)),
                                _mm256_mul_pd(scale, _mm256_cvtps_pd(scalesHigh)), high[r]);
    }
  }
  for (int r = 0; r < 4; ++r) {
    _mm256_storeu_pd(&sums[row + r][column], low[r]);
    _mm256_storeu_pd(&sums[row + r][column + 4], high[r]);
  }
}

static void productAVX2(const LeftGroup *left, const RightGroup *right, int64_t groups,
                        double sums[kPanelRows][kPanelColumns]) {
  for (int column = 0; column < 16; column += 8)
    for (int row = 0; row < 8; row += 4)
      productAVX2Part(left, right, groups, row, column, sums);
}

#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

static void productAVX512(const LeftGroup *left, const RightGroup *right, int64_t groups,
                          double sums[kPanelRows][kPanelColumns]) {
  __m512d low[kPanelRows], high[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r)
    low[r] = high[r] = _mm512_setzero_pd();
  for (int64_t group = 0; group < groups; ++group) {
    const LeftGroup &a = left[group];
    const RightGroup &b = right[group];
    __m512i codes[4];
    for (int q = 0; q < 4; ++q)
      codes[q] = _mm512_load_si512(b.codes[q]);
    __m512i start = _mm512_load_si512(b.start);
    __m512d scalesLow = _mm512_cvtps_pd(_mm256_load_ps(b.scales));
    __m512d scalesHigh = _mm512_cvtps_pd(_mm256_load_ps(b.scales + 8));
#pragma GCC unroll 8
    for (int r = 0; r < kPanelRows; ++r) {
      __m512i dot = start;
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        int32_t four;
        __builtin_memcpy(&four, a.codes[r] + q * 4, 4);
        dot = _mm512_dpbusd_epi32(dot, _mm512_set1_epi32(four), codes[q]);
      }
      __m512d scale = _mm512_set1_pd(a.scales[r]);
      low[r] = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(dot)), _mm512_mul_pd(scale, scalesLow), low[r]);
      high[r] = _mm512_fmadd_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(dot, 1)), _mm512_mul_pd(scale, scalesHigh),
                                high[r]);
    }
  }
  for (int r = 0; r < kPanelRows; ++r) {
    _mm512_storeu_pd(sums[r], low[r]);
    _mm512_storeu_pd(sums[r] + 8, high[r]);
  }
}

#pragma GCC pop_options

#endif

ProductKernel productKernelFor(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::AVX512)
    return productAVX512;
  if (isa == Isa::AVX2)
    return productAVX2;
#endif
  (void)isa;
  return productGeneric;
}

} // namespace host
} // namespace fourfold
