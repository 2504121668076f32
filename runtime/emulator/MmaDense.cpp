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

FusedDot fusedDot(const float *a, const float *b, int k, float c, const DotModel &model, int shift) {
  FusedDot result{0, std::isnan(c), false};
  double infinities = std::isinf(c) ? c : 0;
  int top = INT_MIN;
  double terms[33];
  int smallestB = model.smallestOperandB == kAsOperandA ? model.smallestOperand : model.smallestOperandB;
  for (int i = 0; i <= k; ++i) {
    terms[i] = i < k ? std::ldexp(static_cast<double>(a[i]) * b[i], shift) : c;
    if (!std::isfinite(terms[i])) {
      result.isNaN |= std::isnan(terms[i]);
      infinities += terms[i];
      result.isNaN |= std::isnan(infinities);
    }
    int exponent = model.zeroExponent;
    if (terms[i] != 0 && std::isfinite(terms[i]))
      exponent = i < k ? operandExponent(a[i], model.smallestOperand) + operandExponent(b[i], smallestB) + shift
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

namespace {

constexpr int32_t kOfZero = -100000; // any sum with it is below all exponents

/// The exponent as the hardware sees it: of a subnormal element that of the smallest normal one; kOfZero for 0.
int32_t exponentOf(float value, int smallest) {
  uint32_t bits = numerics::floatBits(value) & 0x7fffffffu;
  int32_t exponent = static_cast<int32_t>(bits >> 23) - 127;
  return bits == 0 ? kOfZero : exponent < smallest ? smallest : exponent;
}

double powerOfTwo(int64_t exponent) {
  uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, 8);
  return value;
}

/// Eight sums. A term is below 2^(fractionBits + 2) in units of the last place kept: it fits an int32, whose conversion truncates.
__attribute__((target_clones("avx512f", "avx2", "default"))) void
sumColumns(const float *a, const int32_t *exponentsA, const float (*b)[8], const int32_t (*exponentsB)[8], int k,
           const float *c, const int32_t *exponentsC, const int32_t *shifts, int fractionBits, int zeroExponent, double *sums) {
  int32_t top[8];
  for (int n = 0; n < 8; ++n)
    top[n] = exponentsC[n] < zeroExponent - 1000 ? zeroExponent : exponentsC[n];
  for (int i = 0; i < k; ++i)
    for (int n = 0; n < 8; ++n) {
      int32_t exponent = exponentsA[i] + exponentsB[i][n];
      exponent = exponent < -1000 ? zeroExponent : exponent + shifts[n];
      top[n] = exponent > top[n] ? exponent : top[n];
    }
  double scales[8], products[8], units[8];
  for (int n = 0; n < 8; ++n) {
    scales[n] = powerOfTwo(fractionBits - top[n]);
    products[n] = powerOfTwo(fractionBits - top[n] + shifts[n]);
    units[n] = powerOfTwo(top[n] - fractionBits);
  }
  double totals[8];
  for (int n = 0; n < 8; ++n)
    totals[n] = static_cast<int32_t>(static_cast<double>(c[n]) * scales[n]);
  for (int i = 0; i < k; ++i)
    for (int n = 0; n < 8; ++n)
      totals[n] += static_cast<int32_t>(static_cast<double>(a[i]) * static_cast<double>(b[i][n]) * products[n]);
  for (int n = 0; n < 8; ++n)
    sums[n] = totals[n] * units[n];
}

} // namespace

bool FusedRows::load(const float (*a)[64], const float (*b)[64], int count, const DotModel &dotModel) {
  model = dotModel;
  k = count;
  bool finite = true;
  int smallestB = model.smallestOperandB == kAsOperandA ? model.smallestOperand : model.smallestOperandB;
  for (int row = 0; row < 16; ++row)
    for (int i = 0; i < k; ++i) {
      valuesA[row][i] = a[row][i];
      exponentsA[row][i] = exponentOf(a[row][i], model.smallestOperand);
      finite &= exponentsA[row][i] < 128;
    }
  for (int n = 0; n < 8; ++n)
    for (int i = 0; i < k; ++i) {
      valuesB[i][n] = b[n][i];
      exponentsB[i][n] = exponentOf(b[n][i], smallestB);
      finite &= exponentsB[i][n] < 128;
    }
  return finite;
}

bool FusedRows::row(int row, const float *c, float *out) const {
  static constexpr int32_t kNoShifts[8] = {};
  double exact[8];
  if (!sums(row, c, kNoShifts, exact))
    return false;
  for (int n = 0; n < 8; ++n)
    out[n] = exact[n] == 0 ? 0.0f : dotToFloat({exact[n], false, false});
  return true;
}

bool FusedRows::sums(int row, const float *c, const int32_t *shifts, double *out) const {
  int32_t exponentsC[8];
  bool finite = true;
  for (int n = 0; n < 8; ++n) {
    exponentsC[n] = exponentOf(c[n], model.smallestC);
    finite &= exponentsC[n] < 128;
  }
  if (!finite)
    return false;
  sumColumns(valuesA[row], exponentsA[row], valuesB, exponentsB, k, c, exponentsC, shifts, model.fractionBits, model.zeroExponent, out);
  return true;
}

uint16_t dotToHalf(const FusedDot &dot) {
  if (dot.isNaN)
    return 0x7fff;
  double sum = dot.sum == 0 ? 0.0 : dot.sum;
  return static_cast<uint16_t>(encodeSmall(sum, kFormatF16, Rounding::Nearest, false));
}

} // namespace emulator
} // namespace fourfold
