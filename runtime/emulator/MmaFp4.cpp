// The block-scaled FP4 step of a whole warp in plain C++; bit for bit dialect/MmaModel.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Why double arithmetic is exact here: every term is an integer multiple of 2^(me - 35), me the largest exponent of the
// element, once it is truncated; a group term is below 2^(me + 12), C below 2^(me + 1). So each is an integer below
// 2^48 in that unit, and the sum of five is below 2^51: no addition of doubles rounds. The unit stays far inside the
// exponent range of double (|me| < 600).

#include "MmaFp4.h"

#include <cmath>
#include <cstring>

#define FOURFOLD_INLINE inline __attribute__((always_inline))

namespace fourfold {
namespace emulator {

namespace {

using numerics::ScaleFormat;

/// Twice the value of every code pair of a byte, as two int16.
struct CodeTable {
  int16_t values[256][2];
  uint8_t nonZero[256]; // bit 0: low code, bit 1: high code
  CodeTable() {
    for (int byte = 0; byte < 256; ++byte) {
      for (int half = 0; half < 2; ++half) {
        float value = 2 * numerics::decodeE2M1(static_cast<uint8_t>(byte >> (4 * half) & 15));
        values[byte][half] = static_cast<int16_t>(value);
      }
      nonZero[byte] = static_cast<uint8_t>(((byte & 7) ? 1 : 0) | ((byte & 0x70) ? 2 : 0));
    }
  }
};

const CodeTable &codes() {
  static const CodeTable table;
  return table;
}

/// The power of two as a double; exponents here stay within +-1022.
FOURFOLD_INLINE double powerOfTwo(int exponent) {
  uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, 8);
  return value;
}

/// Truncation toward zero of |x| < 2^52, in operations every vector unit has.
FOURFOLD_INLINE double truncateSmall(double x) {
  double magnitude = x < 0 ? -x : x;
  double rounded = (magnitude + 4503599627370496.0) - 4503599627370496.0;
  rounded = rounded > magnitude ? rounded - 1.0 : rounded;
  return x < 0 ? -rounded : rounded;
}

constexpr int kZeroExponent = -139; // of terms that are zero, as in dialect/MmaModel.h
constexpr int kFractionBits = 35;

struct Scratch {
  alignas(64) int16_t a[16][64];
  alignas(64) int16_t b[32][8][2]; // k pairs of all columns side by side
  uint16_t maskA[16][4], maskB[8][4];
  alignas(64) int32_t sums[4][16][8];
  int exponentA[16][4], exponentB[8][4];
  int significandA[16][4], significandB[8][4];
  bool nanA[16], nanB[8];
};

FOURFOLD_INLINE void unpack(const Fp4Tile &tile, Scratch &s, ScaleFormat format) {
  const CodeTable &table = codes();
  auto masks = [&](const uint8_t *bytes, uint16_t *out) {
    for (int g = 0; g < 4; ++g) {
      uint32_t mask = 0;
      for (int i = 0; i < 8; ++i)
        mask |= static_cast<uint32_t>(table.nonZero[bytes[8 * g + i]]) << (2 * i);
      out[g] = static_cast<uint16_t>(mask);
    }
  };
  for (int m = 0; m < 16; ++m) {
    for (int i = 0; i < 32; ++i)
      std::memcpy(&s.a[m][2 * i], table.values[tile.a[m][i]], 4);
    masks(tile.a[m], s.maskA[m]);
  }
  for (int n = 0; n < 8; ++n) {
    for (int i = 0; i < 32; ++i)
      std::memcpy(s.b[i][n], table.values[tile.b[n][i]], 4);
    masks(tile.b[n], s.maskB[n]);
  }
  auto scales = [&](const uint8_t *bytes, int *significands, int *exponents, bool &nan) {
    nan = false;
    for (int g = 0; g < 4; ++g) {
      numerics::ScaleParts parts = numerics::splitScale(bytes[g], format);
      significands[g] = parts.significand;
      exponents[g] = parts.exponent;
      nan |= parts.isNaN;
    }
  };
  for (int m = 0; m < 16; ++m)
    scales(tile.scaleA[m], s.significandA[m], s.exponentA[m], s.nanA[m]);
  for (int n = 0; n < 8; ++n)
    scales(tile.scaleB[n], s.significandB[n], s.exponentB[n], s.nanB[n]);
}

/// Group sums in units of 2^-2: eight k pairs a group, one multiply-add of int16 pairs each.
FOURFOLD_INLINE void dotProducts(Scratch &s) {
  for (int m = 0; m < 16; ++m)
    for (int g = 0; g < 4; ++g) {
      int32_t sum[8] = {};
      for (int pair = 8 * g; pair < 8 * g + 8; ++pair) {
        int32_t a0 = s.a[m][2 * pair], a1 = s.a[m][2 * pair + 1];
        for (int n = 0; n < 8; ++n)
          sum[n] += a0 * s.b[pair][n][0] + a1 * s.b[pair][n][1];
      }
      std::memcpy(s.sums[g][m], sum, sizeof(sum));
    }
}

FOURFOLD_INLINE void accumulate(Fp4Tile &tile, const Scratch &s) {
  for (int m = 0; m < 16; ++m) {
    alignas(64) int exponents[4][8], top[8];
    alignas(64) double significands[4][8], result[8];
    for (int n = 0; n < 8; ++n) {
      uint32_t bits = numerics::floatBits(tile.c[m][n]);
      int field = static_cast<int>(bits >> 23 & 0xff);
      top[n] = (bits & 0x7fffffffu) == 0 ? kZeroExponent : field ? field - 127 : -126;
    }
    for (int g = 0; g < 4; ++g)
      for (int n = 0; n < 8; ++n) {
        int significand = s.significandA[m][g] * s.significandB[n][g];
        bool zero = !(s.maskA[m][g] & s.maskB[n][g]) || significand == 0;
        exponents[g][n] = zero ? kZeroExponent : s.exponentA[m][g] + s.exponentB[n][g];
        significands[g][n] = static_cast<double>(s.sums[g][m][n] * significand); // units of 2^-8
        top[n] = exponents[g][n] > top[n] ? exponents[g][n] : top[n];
      }
    for (int n = 0; n < 8; ++n) {
      // Infinities and NaNs of C are overwritten below; they must not disturb the arithmetic of their neighbours.
      double c = static_cast<double>(tile.c[m][n]);
      c = numerics::isFinite(tile.c[m][n]) ? c : 0.0;
      double sum = truncateSmall(c * powerOfTwo(kFractionBits - top[n]));
      for (int g = 0; g < 4; ++g) {
        int shift = kFractionBits - 8 + exponents[g][n] - top[n];
        sum += truncateSmall(significands[g][n] * powerOfTwo(shift < -900 ? -900 : shift));
      }
      result[n] = sum * powerOfTwo(top[n] - kFractionBits);
    }
    for (int n = 0; n < 8; ++n) {
      // RZ to fp32: cut the mantissa of normal results, snap smaller ones to the grid of 2^-149.
      uint64_t bits;
      std::memcpy(&bits, &result[n], 8);
      bits &= ~uint64_t{0x1fffffff};
      double cut;
      std::memcpy(&cut, &bits, 8);
      double magnitude = result[n] < 0 ? -result[n] : result[n];
      bool tiny = magnitude < 1.1754943508222875e-38; // 2^-126
      double grid = truncateSmall((tiny ? result[n] : 0.0) * powerOfTwo(149)) * powerOfTwo(-149);
      tile.d[m][n] = static_cast<float>(tiny ? grid : cut) + 0.0f;
    }
    for (int n = 0; n < 8; ++n) {
      float c = tile.c[m][n];
      if (s.nanA[m] || s.nanB[n] || c != c)
        tile.d[m][n] = numerics::floatFromBits(0x7fffffffu);
      else if (!numerics::isFinite(c))
        tile.d[m][n] = c;
    }
  }
}

} // namespace

void mmaFp4Portable(Fp4Tile &tile, ScaleFormat format) {
  Scratch scratch;
  unpack(tile, scratch, format);
  dotProducts(scratch);
  accumulate(tile, scratch);
}

void mmaFp4(Fp4Tile &tile, ScaleFormat format) {
  static const Fp4Step step = mmaFp4Avx512() ? mmaFp4Avx512() : mmaFp4Avx2() ? mmaFp4Avx2() : mmaFp4Portable;
  step(tile, format);
}

void mmaFp4Reference(Fp4Tile &tile, ScaleFormat format) {
  uint8_t a[16][64], b[8][64];
  auto spread = [](const uint8_t *bytes, uint8_t *out) {
    for (int i = 0; i < 64; ++i)
      out[i] = bytes[i / 2] >> (4 * (i % 2)) & 15;
  };
  for (int m = 0; m < 16; ++m)
    spread(tile.a[m], a[m]);
  for (int n = 0; n < 8; ++n)
    spread(tile.b[n], b[n]);
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n)
      tile.d[m][n] = numerics::mmaStep(a[m], b[n], tile.scaleA[m], tile.scaleB[n], format, tile.c[m][n]);
}

} // namespace emulator
} // namespace fourfold
