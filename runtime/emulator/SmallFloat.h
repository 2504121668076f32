// Rounding to the small float formats in any direction, for conversions and half arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_SMALLFLOAT_H
#define FOURFOLD_RUNTIME_EMULATOR_SMALLFLOAT_H

#include "dialect/Numerics.h"

#include <cmath>
#include <cstdint>

namespace fourfold {
namespace emulator {

enum class Rounding : uint8_t { Nearest, Zero, Down, Up, Away }; // rn rz rm rp rna

/// A format with a sign bit; `maxBits` is the largest finite pattern.
struct SmallFormat {
  int mantissaBits, bias;
  uint32_t signBit, maxBits, infinityBits, nanBits;
  bool hasInfinity;
};

inline constexpr SmallFormat kFormatF16{10, 15, 0x8000, 0x7bff, 0x7c00, 0x7fff, true};
inline constexpr SmallFormat kFormatBF16{7, 127, 0x8000, 0x7f7f, 0x7f80, 0x7fff, true};
inline constexpr SmallFormat kFormatE4M3{3, 7, 0x80, 0x7e, 0x7f, 0x7f, false};
inline constexpr SmallFormat kFormatE5M2{2, 15, 0x80, 0x7b, 0x7c, 0x7f, true};
inline constexpr SmallFormat kFormatE2M1{1, 1, 0x8, 0x7, 0x7, 0x7, false};
inline constexpr SmallFormat kFormatE2M3{3, 1, 0x20, 0x1f, 0x1f, 0x1f, false};
inline constexpr SmallFormat kFormatE3M2{2, 3, 0x20, 0x1f, 0x1f, 0x1f, false};
/// tf32 in the place of its bits in an fp32, shifted down by 13.
inline constexpr SmallFormat kFormatTF32{10, 127, 0x40000, 0x3fbff, 0x3fc00, 0x3ffff, true};

inline long double roundInteger(long double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::Nearest:
    return std::nearbyint(value);
  case Rounding::Zero:
    return std::trunc(value);
  case Rounding::Down:
    return std::floor(value);
  case Rounding::Up:
    return std::ceil(value);
  case Rounding::Away:
    return std::round(value);
  }
  return value;
}

/// The pattern of `value` in the format. `saturate`: overflow and infinities give the largest finite value.
inline uint32_t encodeSmall(long double value, const SmallFormat &format, Rounding rounding, bool saturate) {
  if (std::isnan(value))
    return format.nanBits;
  uint32_t sign = std::signbit(value) ? format.signBit : 0;
  long double magnitude = std::fabs(value);
  // Directions are of the value, not of the magnitude.
  if (sign && rounding == Rounding::Down)
    rounding = Rounding::Up;
  else if (sign && rounding == Rounding::Up)
    rounding = Rounding::Down;
  uint32_t overflow = saturate || !format.hasInfinity ? format.maxBits : format.infinityBits;
  if (std::isinf(magnitude))
    return sign | overflow;
  if (magnitude == 0)
    return sign;
  int exponent;
  std::frexp(magnitude, &exponent);
  --exponent;
  int unit = (exponent < 1 - format.bias ? 1 - format.bias : exponent) - format.mantissaBits;
  long double steps = roundInteger(std::ldexp(magnitude, -unit), rounding);
  // Patterns are ordered as their values are, so a carry into the exponent is an increment of the pattern.
  int64_t biased = unit + format.mantissaBits + format.bias;
  int64_t pattern = ((biased - 1) << format.mantissaBits) + static_cast<int64_t>(steps);
  if (pattern > format.maxBits) {
    bool towardZero = rounding == Rounding::Zero || rounding == Rounding::Down;
    return sign | (towardZero ? format.maxBits : overflow);
  }
  return sign | static_cast<uint32_t>(pattern);
}

/// The value of a pattern without infinities and NaN: E2M3, E3M2.
inline float decodeFinite(uint32_t bits, const SmallFormat &format) {
  int exponent = static_cast<int>((bits & (format.signBit - 1)) >> format.mantissaBits);
  float mantissa = static_cast<float>(bits & ((1u << format.mantissaBits) - 1));
  float hidden = exponent ? static_cast<float>(1 << format.mantissaBits) : 0.0f;
  float magnitude = std::ldexp(hidden + mantissa, (exponent ? exponent : 1) - format.bias - format.mantissaBits);
  return bits & format.signBit ? -magnitude : magnitude;
}

inline float decodeE5M2(uint8_t bits) { return numerics::decodeF16(static_cast<uint16_t>(bits << 8)); }

/// a * b + c without any rounding but one to odd at 53 bits, so that a later rounding to 11 bits or fewer is the only
/// one that shows.
inline double fmaToOdd(double a, double b, double c) {
  double product = a * b; // exact: 11 + 11 bits
  double sum = product + c;
  if (!std::isfinite(sum))
    return sum;
  double back = sum - product;
  double error = (product - (sum - back)) + (c - back);
  uint64_t bits;
  std::memcpy(&bits, &sum, 8);
  if (error != 0 && !(bits & 1))
    sum = std::nextafter(sum, error > 0 ? HUGE_VAL : -HUGE_VAL);
  return sum;
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_SMALLFLOAT_H
