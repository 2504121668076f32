// The scalar model of one block-scaled FP4 tensor-core step (K = 64).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// MMA-Sim's `gst_fdpa` (arXiv 2511.10909, mmasim 2.1.1) with G=16, F=35, RZ, written on integers: groups of 16 products are exact;
// each group times its two scales, and C, is aligned to the largest exponent and truncated toward zero at 35 fractional bits; the
// terms are added exactly; the sum is truncated (RZ) to fp32.

#ifndef FOURFOLD_DIALECT_MMAMODEL_H
#define FOURFOLD_DIALECT_MMAMODEL_H

#include "Numerics.h"

namespace fourfold {
namespace numerics {

/// The two block-scale formats of `kind::mxf4nvf4`.
enum class ScaleFormat { UE4M3, UE8M0 };

/// A scale as an integer significand in units of 2^-3 and an exponent; subnormals keep exponent -6. The sign bit of a ue4m3 byte is
/// ignored.
struct ScaleParts {
  int significand;
  int exponent;
  bool isNaN;
};

inline ScaleParts splitScale(uint8_t bits, ScaleFormat format) {
  if (format == ScaleFormat::UE8M0)
    return {8, static_cast<int>(bits) - 127, bits == kUE8M0NaN};
  int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  if (exponent == 0)
    return {mantissa, -6, false};
  return {8 + mantissa, exponent - 7, (bits & 0x7f) == kE4M3NaN};
}

/// One output element: `a` and `b` are 64 e2m1 codes (one a byte), `scaleA` and `scaleB` 4 bytes each, one for every 16 of K (for
/// blocks of 32 the caller repeats each byte). Returns the bits-exact model result; NaN is 0x7fffffff.
inline float mmaStep(const uint8_t *a, const uint8_t *b, const uint8_t *scaleA, const uint8_t *scaleB,
                     ScaleFormat format, float c) {
  constexpr int kFractionBits = 35, kZeroExponent = -139;
  const float nan = floatFromBits(0x7fffffffu);
  if (std::isnan(c))
    return nan;

  int64_t terms[5];
  int exponents[5];
  for (int group = 0; group < 4; ++group) {
    ScaleParts partA = splitScale(scaleA[group], format), partB = splitScale(scaleB[group], format);
    if (partA.isNaN || partB.isNaN)
      return nan;
    int sum = 0; // in units of 2^-2
    bool anyProduct = false;
    for (int i = 0; i < 16; ++i) {
      int product = static_cast<int>(2 * decodeE2M1(a[group * 16 + i])) *
                    static_cast<int>(2 * decodeE2M1(b[group * 16 + i]));
      sum += product;
      anyProduct |= product != 0;
    }
    terms[group] = static_cast<int64_t>(sum) * partA.significand * partB.significand; // units of 2^-8
    bool zero = !anyProduct || partA.significand * partB.significand == 0;
    exponents[group] = zero ? kZeroExponent : partA.exponent + partB.exponent;
  }
  if (!isFinite(c))
    return c;
  uint32_t bits = floatBits(c);
  int exponentC = static_cast<int>((bits >> 23) & 0xff);
  int64_t significandC = exponentC ? (bits & 0x7fffff) | 0x800000 : bits & 0x7fffff; // units of 2^-23
  terms[4] = (bits >> 31) ? -significandC : significandC;
  exponents[4] = significandC == 0 ? kZeroExponent : (exponentC ? exponentC - 127 : -126);

  int maxExponent = exponents[0];
  for (int exponent : exponents)
    maxExponent = exponent > maxExponent ? exponent : maxExponent;
  int64_t sum = 0; // in units of 2^(maxExponent - 35)
  for (int i = 0; i < 5; ++i) {
    int shift = kFractionBits - (i < 4 ? 8 : 23) + exponents[i] - maxExponent;
    int64_t magnitude = terms[i] < 0 ? -terms[i] : terms[i];
    magnitude = shift >= 0 ? magnitude << shift : (shift > -64 ? magnitude >> -shift : 0);
    sum += terms[i] < 0 ? -magnitude : magnitude;
  }
  if (sum == 0)
    return 0.0f;

  // Truncate the exact sum to 24 bits, or to the subnormal grid 2^-149.
  uint64_t magnitude = sum < 0 ? -static_cast<uint64_t>(sum) : static_cast<uint64_t>(sum);
  int unit = maxExponent - kFractionBits; // exponent of the lowest bit
  int width = 64 - __builtin_clzll(magnitude);
  int drop = width - 24;
  if (unit + drop < -149)
    drop = -149 - unit;
  if (drop > 0)
    magnitude = drop < 64 ? magnitude >> drop : 0;
  else
    drop = 0;
  float result = static_cast<float>(std::ldexp(static_cast<double>(magnitude), unit + drop)) + 0.0f;
  return sum < 0 && result != 0.0f ? -result : result;
}

} // namespace numerics
} // namespace fourfold

#endif // FOURFOLD_DIALECT_MMAMODEL_H
