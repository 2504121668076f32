// The block-scaled FP4 step of a whole warp, 16 rows side by side in vectors; bit for bit dialect/MmaModel.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MmaFp4.cpp says why double arithmetic is exact here. Dot products: codes become bytes by a table of 16 (pshufb), a multiply-add of
// unsigned by signed bytes takes A moved by +12 into 0..24, and 12 times the sum of B's group is taken off again. Every int16 sum is
// at most 4 * 2 * 24 * 12, far below 2^15.

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

/// What stays the same for all columns: A in vectors over its rows.
struct RowOperands {
  Words low[8], high[8]; // 2 * code + 12 as bytes: even and odd k of a word of eight codes
  Words flags[8];        // bit 4j: code j is not zero
  Ints significand[4], exponent[4];
  Ints nan;
};

FOURFOLD_INLINE Words nonZero(Words w) {
  return (w | w >> 1 | w >> 2) & 0x11111111u;
}

FOURFOLD_INLINE double toExponent(int64_t exponent) {
  int64_t bits = (exponent + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, 8);
  return value;
}

FOURFOLD_INLINE Doubles powersOfTwo(Longs exponents) { return reinterpret_cast<Doubles>((exponents + 1023) << 52); }

/// Truncation toward zero of |x| < 2^52.
FOURFOLD_INLINE Doubles truncateSmall(Doubles x) {
  const Longs signBit = Longs{} + INT64_MIN;
  Longs sign = reinterpret_cast<Longs>(x) & signBit;
  Doubles magnitude = reinterpret_cast<Doubles>(reinterpret_cast<Longs>(x) & ~signBit);
  Doubles rounded = (magnitude + 4503599627370496.0) - 4503599627370496.0;
  Longs above = rounded > magnitude;
  rounded -= reinterpret_cast<Doubles>(above & reinterpret_cast<Longs>(Doubles{} + 1.0));
  return reinterpret_cast<Doubles>(reinterpret_cast<Longs>(rounded) | sign);
}

/// Eight results: the sum of the truncated terms, truncated to fp32.
FOURFOLD_INLINE HalfFloats finish(const HalfInts *products, const HalfInts *exponents, HalfInts topInts, HalfFloats c) {
  Longs top = __builtin_convertvector(topInts, Longs);
  Doubles sum = truncateSmall(__builtin_convertvector(c, Doubles) * powersOfTwo(kFractionBits - top));
  for (int g = 0; g < 4; ++g) {
    Longs shift = __builtin_convertvector(exponents[g], Longs) + (kFractionBits - 8) - top;
    sum += truncateSmall(__builtin_convertvector(products[g], Doubles) * powersOfTwo(shift));
  }
  Doubles result = sum * powersOfTwo(top - kFractionBits);
  Doubles cut = reinterpret_cast<Doubles>(reinterpret_cast<Longs>(result) & ~int64_t{0x1fffffff});
  Longs tiny = (result < 1.1754943508222875e-38) & (result > -1.1754943508222875e-38);
  Doubles small = reinterpret_cast<Doubles>(reinterpret_cast<Longs>(result) & tiny);
  Doubles grid = truncateSmall(small * toExponent(149)) * toExponent(-149);
  Doubles value = reinterpret_cast<Doubles>((reinterpret_cast<Longs>(grid) & tiny) | (reinterpret_cast<Longs>(cut) & ~tiny));
  return __builtin_convertvector(value, HalfFloats) + 0.0f;
}

/// `Bytes` has the two operations that differ between AVX2 and AVX-512: the table look-up and the multiply-add.
template <class Bytes>
FOURFOLD_INLINE void prepareRows(const Fp4Tile &tile, ScaleFormat format, RowOperands &rows) {
  alignas(64) uint32_t words[8][16];
  for (int m = 0; m < 16; ++m)
    for (int w = 0; w < 8; ++w)
      std::memcpy(&words[w][m], &tile.a[m][4 * w], 4);
  for (int w = 0; w < 8; ++w) {
    Words codes;
    std::memcpy(&codes, words[w], 64);
    rows.low[w] = Bytes::look(codes & 0x0f0f0f0fu, 12);
    rows.high[w] = Bytes::look(codes >> 4 & 0x0f0f0f0fu, 12);
    rows.flags[w] = nonZero(codes);
  }
  alignas(64) int32_t significands[4][16], exponents[4][16], nans[16] = {};
  for (int m = 0; m < 16; ++m)
    for (int g = 0; g < 4; ++g) {
      numerics::ScaleParts parts = numerics::splitScale(tile.scaleA[m][g], format);
      significands[g][m] = parts.significand;
      exponents[g][m] = parts.exponent;
      nans[m] |= parts.isNaN ? -1 : 0;
    }
  std::memcpy(rows.significand, significands, sizeof(significands));
  std::memcpy(rows.exponent, exponents, sizeof(exponents));
  std::memcpy(&rows.nan, nans, sizeof(nans));
}

template <class Bytes>
FOURFOLD_INLINE void step(Fp4Tile &tile, ScaleFormat format) {
  static const int8_t doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  RowOperands rows;
  prepareRows<Bytes>(tile, format, rows);
  alignas(64) float columns[8][16];
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n)
      columns[n][m] = tile.c[m][n];
  for (int n = 0; n < 8; ++n) {
    Ints products[4], exponents[4];
    Floats c;
    std::memcpy(&c, columns[n], 64);
    Ints bits = reinterpret_cast<Ints>(c) & 0x7fffffff, field = bits >> 23;
    Ints finiteC = field != 255;
    Ints exponentC = field == 0 ? Ints{} - 126 : field - 127;
    Ints top = bits == 0 ? Ints{} + kZeroExponent : exponentC;
    top = finiteC ? top : Ints{} + kZeroExponent;
    bool nanB = false;
    for (int g = 0; g < 4; ++g) {
      Words any = {};
      Ints sum = {};
      int total = 0;
      uint32_t low[2], high[2];
      for (int half = 0; half < 2; ++half) {
        uint32_t word;
        std::memcpy(&word, &tile.b[n][8 * g + 4 * half], 4);
        uint32_t flags = (word | word >> 1 | word >> 2) & 0x11111111u;
        any |= rows.flags[2 * g + half] & flags;
        low[half] = high[half] = 0;
        for (int i = 0; i < 4; ++i) {
          int8_t even = doubled[word >> (8 * i) & 15], odd = doubled[word >> (8 * i + 4) & 15];
          total += even + odd;
          low[half] |= static_cast<uint32_t>(static_cast<uint8_t>(even)) << (8 * i);
          high[half] |= static_cast<uint32_t>(static_cast<uint8_t>(odd)) << (8 * i);
        }
      }
      sum = Bytes::dot(rows.low[2 * g], low[0], rows.high[2 * g], high[0], rows.low[2 * g + 1], low[1], rows.high[2 * g + 1], high[1]);
      sum -= 12 * total;
      numerics::ScaleParts parts = numerics::splitScale(tile.scaleB[n][g], format);
      nanB |= parts.isNaN;
      Ints significand = rows.significand[g] * parts.significand;
      Ints zero = (reinterpret_cast<Ints>(any) == 0) | (significand == 0);
      products[g] = sum * significand;
      exponents[g] = zero ? Ints{} + kZeroExponent : rows.exponent[g] + parts.exponent;
      top = exponents[g] > top ? exponents[g] : top;
    }
    // C that is not finite decides the result alone; 0 keeps it out of the arithmetic.
    Floats safe = reinterpret_cast<Floats>(reinterpret_cast<Ints>(c) & finiteC);
    alignas(64) float results[16];
    for (int half = 0; half < 2; ++half) {
      HalfInts p[4], e[4], t;
      HalfFloats s;
      for (int g = 0; g < 4; ++g) {
        std::memcpy(&p[g], reinterpret_cast<const char *>(&products[g]) + 32 * half, 32);
        std::memcpy(&e[g], reinterpret_cast<const char *>(&exponents[g]) + 32 * half, 32);
      }
      std::memcpy(&t, reinterpret_cast<const char *>(&top) + 32 * half, 32);
      std::memcpy(&s, reinterpret_cast<const char *>(&safe) + 32 * half, 32);
      HalfFloats result = finish(p, e, t, s);
      std::memcpy(results + 8 * half, &result, 32);
    }
    Ints value;
    std::memcpy(&value, results, 64);
    value = finiteC ? value : reinterpret_cast<Ints>(c);
    Ints nan = rows.nan | (nanB ? -1 : 0) | (bits > 0x7f800000);
    value = nan ? Ints{} + 0x7fffffff : value;
    std::memcpy(columns[n], &value, 64);
  }
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n)
      tile.d[m][n] = columns[n][m];
}

#define FOURFOLD_AVX2 __attribute__((target("avx2")))
#define FOURFOLD_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))

struct Bytes256 {
  FOURFOLD_AVX2 static inline Words look(Words codes, int offset) {
    const __m256i table = _mm256_add_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
                                          _mm256_set1_epi8(static_cast<char>(offset)));
    __m256i halves[2];
    std::memcpy(halves, &codes, 64);
    for (__m256i &half : halves)
      half = _mm256_shuffle_epi8(table, half);
    Words result;
    std::memcpy(&result, halves, 64);
    return result;
  }
  FOURFOLD_AVX2 static inline Ints dot(Words a0, uint32_t b0, Words a1, uint32_t b1, Words a2, uint32_t b2, Words a3, uint32_t b3) {
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

struct Bytes512 {
  FOURFOLD_AVX512 static inline Words look(Words codes, int offset) {
    const __m512i table = _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)),
                                          _mm512_set1_epi8(static_cast<char>(offset)));
    return reinterpret_cast<Words>(_mm512_shuffle_epi8(table, reinterpret_cast<__m512i>(codes)));
  }
  FOURFOLD_AVX512 static inline Ints dot(Words a0, uint32_t b0, Words a1, uint32_t b1, Words a2, uint32_t b2, Words a3, uint32_t b3) {
    auto product = [](Words a, uint32_t b) FOURFOLD_AVX512 {
      return _mm512_maddubs_epi16(reinterpret_cast<__m512i>(a), _mm512_set1_epi32(static_cast<int>(b)));
    };
    __m512i sum = _mm512_add_epi16(_mm512_add_epi16(product(a0, b0), product(a1, b1)), _mm512_add_epi16(product(a2, b2), product(a3, b3)));
    return reinterpret_cast<Ints>(_mm512_madd_epi16(sum, _mm512_set1_epi16(1)));
  }
};

FOURFOLD_AVX2 void avx2(Fp4Tile &tile, ScaleFormat format) { step<Bytes256>(tile, format); }
FOURFOLD_AVX512 void avx512(Fp4Tile &tile, ScaleFormat format) { step<Bytes512>(tile, format); }

} // namespace

Fp4Step mmaFp4Vector() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return avx512;
  return __builtin_cpu_supports("avx2") ? avx2 : nullptr;
}

#else

Fp4Step mmaFp4Vector() { return nullptr; }

#endif

} // namespace emulator
} // namespace fourfold
