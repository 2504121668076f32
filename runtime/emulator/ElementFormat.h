// Element formats of matrix steps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_ELEMENTFORMAT_H
#define FOURFOLD_RUNTIME_EMULATOR_ELEMENTFORMAT_H

#include "dialect/Numerics.h"

#include <cmath>
#include <cstdint>
#include <string_view>

namespace fourfold {
namespace emulator {

enum class ElementFormat : uint8_t { BF16, F16, TF32, E4M3, E5M2, E3M2, E2M3, E2M1, S8, U8, S4, U4, None };

inline ElementFormat parseElementFormat(std::string_view name) {
  constexpr std::string_view names[] = {"bf16", "f16", "tf32", "e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "s8", "u8", "s4", "u4"};
  for (int i = 0; i < 12; ++i)
    if (name == names[i])
      return static_cast<ElementFormat>(i);
  return ElementFormat::None;
}

inline bool isInteger(ElementFormat format) { return format >= ElementFormat::S8 && format <= ElementFormat::U4; }
/// The formats of 8 bits and less that stand in bytes.
inline bool isSmallFloat(ElementFormat format) { return format >= ElementFormat::E4M3 && format <= ElementFormat::E2M1; }

/// The value of an element in its container: 32 bits for tf32, whose low 13 are ignored, a byte for what has 8 bits and less. A byte
/// holds e3m2 and e2m3 in its low six bits, e2m1 in bits 2 to 5 (PTX ISA 9.7.14.5.10).
inline float decodeElement(ElementFormat format, uint32_t bits) {
  using namespace numerics;
  auto sixBits = [&](int mantissaBits, int bias) {
    int exponent = static_cast<int>(bits >> mantissaBits & ((1u << (5 - mantissaBits)) - 1));
    int mantissa = static_cast<int>(bits & ((1u << mantissaBits) - 1));
    float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissaBits)
                                    : std::ldexp(static_cast<float>(mantissa | 1 << mantissaBits), exponent - bias - mantissaBits);
    return bits & 0x20 ? -magnitude : magnitude;
  };
  switch (format) {
  case ElementFormat::BF16:
    return decodeBF16(static_cast<uint16_t>(bits));
  case ElementFormat::F16:
    return decodeF16(static_cast<uint16_t>(bits));
  case ElementFormat::TF32:
    return floatFromBits(bits & 0xffffe000u);
  case ElementFormat::E4M3:
    return decodeE4M3(static_cast<uint8_t>(bits));
  case ElementFormat::E5M2: // the upper byte of an f16
    return decodeF16(static_cast<uint16_t>(bits << 8));
  case ElementFormat::E3M2:
    return sixBits(2, 3);
  case ElementFormat::E2M3:
    return sixBits(3, 1);
  case ElementFormat::E2M1:
    return decodeE2M1(bits >> 2 & 15);
  default:
    return 0;
  }
}

/// The exponent that hardware aligns a subnormal element by: that of the smallest normal one.
inline int smallestExponent(ElementFormat format) {
  switch (format) {
  case ElementFormat::E4M3:
    return -6;
  case ElementFormat::F16:
  case ElementFormat::E5M2:
    return -14;
  case ElementFormat::E3M2:
    return -2;
  case ElementFormat::E2M3:
  case ElementFormat::E2M1:
    return 0;
  default:
    return -126;
  }
}

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_ELEMENTFORMAT_H
