// From FP4 codes and block scales to bf16, exactly.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/CodeDequantizer.h"

using llvm::SmallVector;

namespace fourfold {
namespace compiler {

constexpr int64_t kMinusZeros = 0x80008000; // the addend that changes nothing
/// Powers of two as bf16 pairs.
constexpr int64_t kTwoTo111 = 0x77007700, kTwoTo126 = 0x7e807e80, kTwoTo127 = 0x7f007f00;

Val CodeDequantizer::multiply(Val x, Val y) { return k.fmaBF16x2(x, y, k.c32(kMinusZeros)); }

std::pair<Val, Val> CodeDequantizer::factors(Val word, Val step) {
  if (isNVFP4) {
    // A byte's fields shifted to those of bf16 are the scale times 2^-120, subnormals too. The
    // factor is 2^118 times the scale, as 2^126 would overflow: products lack 2^16, which `sumFactor` gives back.
    Val bytes = word & 0x007f007f;
    Val isNaN = (bytes + 0x00010001) & 0x00800080;
    Val scales = multiply(multiply(bytes << 4, k.c32(kTwoTo127)), k.c32(kTwoTo111));
    // 0x80 * 255: all exponent bits, over a mantissa that is not zero.
    scales = scales | (isNaN * 255);
    return {k.permuteBytes(scales, scales, k.c32(0x1010)), k.permuteBytes(scales, scales, k.c32(0x3232))};
  }
  // Two bytes a step, one for each half. 2^(byte - 127) has the byte as its exponent field, but for 0, a subnormal with the mantissa's
  // highest bit, and for 255, NaN, which that bit makes of infinity.
  Val bytes = k.permuteBytes(word, k.c32(0), step * 0x0202 + 0x4140);
  Val notSpecial = ((bytes + 0x00010001) & 0x00fe00fe) + 0x00fe00fe;
  Val scales = (bytes << 7) | (((notSpecial ^ -1) & 0x01000100) >> 2);
  return {k.permuteBytes(scales, scales, k.c32(0x1010)), k.permuteBytes(scales, scales, k.c32(0x3232))};
}

std::pair<Val, Val> CodeDequantizer::laneFactors(Val word, Val lane, Val step) {
  // nvfp4: blocks t / 2 and t / 2 + 2 of the four.
  return factors(isNVFP4 ? word >> ((lane & 2) << 2) : word, step);
}

SmallVector<Val> CodeDequantizer::pairs(Val codes, Val factor) {
  SmallVector<Val> result;
  for (int i = 0; i < 4; ++i) {
    // Codes i and i + 4 of the register: sign, exponent and mantissa to bits 15 and 8-6 of their halves.
    Val sign = i == 3 ? codes : codes << (12 - 4 * i);
    Val magnitude = i < 2 ? codes << (6 - 4 * i) : codes >> (4 * i - 6);
    Val pair = (sign & 0x80008000) | (magnitude & 0x01c001c0);
    // A ue8m0 scale spans all of bf16's exponents: 2^126 apart.
    result.push_back(multiply(isNVFP4 ? pair : multiply(pair, k.c32(kTwoTo126)), factor));
  }
  return result;
}

} // namespace compiler
} // namespace fourfold
