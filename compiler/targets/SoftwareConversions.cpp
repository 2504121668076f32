// Conversions without the conversion instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/SoftwareConversions.h"

namespace fourfold {
namespace compiler {

/// |clamped| rounded to a format with `mantissaBits` and smallest normal exponent `minExponent`, as a code without sign.
///
/// One float addition rounds: 2^(E + 23 - mantissaBits), E the value's exponent but at least the smallest normal one, has the format's
/// spacing as its own last place, so the sum's low bits count spacings, ties to even. Codes go up by 2^mantissaBits from one exponent to
/// the next, an even number, so an even count is an even code.
static Val roundToCode(KernelBuilder &k, Val clamped, int mantissaBits, int minExponent) {
  Val magnitude = k.absolute(clamped);
  // All non-negative, so that unsigned order is the order of exponents.
  Val exponent = umax(k.asBits(magnitude) & 0x7f800000, k.c32(static_cast<int64_t>(127 + minExponent) << 23));
  Val spacing = exponent + (static_cast<int64_t>(23 - mantissaBits) << 23);
  Val count = k.asBits(magnitude + k.asFloat(spacing)) - spacing;
  // Of exponent minExponent the codes start at 0: its subnormals come first.
  return count + ((exponent >> (23 - mantissaBits)) - (static_cast<int64_t>(127 + minExponent) << mantissaBits));
}

Val softwareEncodeE2M1(KernelBuilder &k, Val value) {
  // A minimum with NaN is the other operand: +6, whatever its sign, as the instruction has it.
  Val clamped = k.maximum(k.minimum(value, k.cf(6.0f)), k.cf(-6.0f));
  return roundToCode(k, clamped, 1, 0) | ((k.asBits(clamped) >> 28) & 8);
}

Val softwareEncodeE4M3(KernelBuilder &k, Val value) {
  Val clamped = k.maximum(k.minimum(value, k.cf(448.0f)), k.cf(-448.0f));
  Val code = roundToCode(k, clamped, 3, -6) | ((k.asBits(clamped) >> 24) & 0x80);
  return k.select(k.c32(0x7f800000) < (k.asBits(value) & 0x7fffffff), k.c32(0x7f), code);
}

Val softwareDecodeE4M3(KernelBuilder &k, Val byte) {
  // A subnormal byte is its mantissa times 2^-9; a normal one has the fields of an fp32 with another bias (127 - 7 = 120).
  Val subnormal = k.intToFloat(byte) * k.cf(0.001953125f);
  Val normal = k.asFloat((byte << 20) + (int64_t{120} << 23));
  return k.select(byte < 8, subnormal, normal);
}

} // namespace compiler
} // namespace fourfold
