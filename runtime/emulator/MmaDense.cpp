// The unscaled tensor-core steps: 16-bit floats.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "MmaDense.h"

#include "SmallFloat.h"

#include <climits>
#include <cmath>
#include <cstring>

namespace fourfold {
namespace emulator {

namespace {

int operandExponent(float value, int smallest) {
  int exponent = std::ilogb(value);
  return exponent < smallest ? smallest : exponent;
}

} // namespace

FusedDot fusedDot(const float *a, const float *b, int k, float c, const DotModel &model) {
  FusedDot result{0, std::isnan(c), false};
  double infinities = std::isinf(c) ? c : 0;
  int top = INT_MIN;
  double terms[17];
  for (int i = 0; i <= k; ++i) {
    terms[i] = i < k ? static_cast<double>(a[i]) * b[i] : c;
    if (!std::isfinite(terms[i])) {
      result.isNaN |= std::isnan(terms[i]);
      infinities += terms[i];
      result.isNaN |= std::isnan(infinities);
    }
    int exponent = model.zeroExponent;
    if (terms[i] != 0 && std::isfinite(terms[i]))
      exponent = i < k ? operandExponent(a[i], model.smallestOperand) + operandExponent(b[i], model.smallestOperand)
                       : operandExponent(c, model.smallestC);
    top = exponent > top ? exponent : top;
  }
  if (result.isNaN)
    return result;
  if (std::isinf(infinities)) {
    result.isInfinite = true;
    result.sum = infinities;
    return result;
  }
  for (int i = 0; i <= k; ++i)
    result.sum += std::trunc(std::ldexp(terms[i], model.fractionBits - top));
  result.sum = std::ldexp(result.sum, top - model.fractionBits);
  return result;
}

float dotToFloat(const FusedDot &dot) {
  if (dot.isNaN)
    return numerics::floatFromBits(0x7fffffffu);
  if (dot.isInfinite)
    return static_cast<float>(dot.sum);
  double magnitude = std::fabs(dot.sum);
  if (magnitude < 1.1754943508222875e-38) {
    float value = static_cast<float>(std::trunc(std::ldexp(dot.sum, 149)) * 1.401298464324817e-45);
    return value == 0 ? 0.0f : value;
  }
  uint64_t bits;
  std::memcpy(&bits, &dot.sum, 8);
  bits &= ~uint64_t{0x1fffffff};
  double cut;
  std::memcpy(&cut, &bits, 8);
  return static_cast<float>(cut);
}

uint16_t dotToHalf(const FusedDot &dot) {
  if (dot.isNaN)
    return 0x7fff;
  double sum = dot.sum == 0 ? 0.0 : dot.sum;
  return static_cast<uint16_t>(encodeSmall(sum, kFormatF16, Rounding::Nearest, false));
}

} // namespace emulator
} // namespace fourfold
