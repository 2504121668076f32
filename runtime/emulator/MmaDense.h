// The unscaled tensor-core steps: 16-bit floats and small integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H
#define FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H

#include <cstdint>

namespace fourfold {
namespace emulator {

inline constexpr int kAsOperandA = 1000;

/// The parameters of MMA-Sim's `t_fdpa` (arXiv 2511.10909, mmasim 2.1.1) that differ among chips and formats.
struct DotModel {
  int fractionBits;    // kept below the largest exponent
  int zeroExponent;    // of terms that are zero
  int smallestOperand; // exponent of subnormal elements of a and b
  int smallestC;
  int smallestOperandB = kAsOperandA;
};

struct FusedDot {
  double sum; // exact, to be rounded
  bool isNaN;
  bool isInfinite;
};

/// c + sum of a[i] * b[i]: every term aligned to the largest exponent, truncated, added exactly. `k` <= 32.
/// `shift`: products are times 2^shift.
FusedDot fusedDot(const float *a, const float *b, int k, float c, const DotModel &model, int shift = 0);

/// One row of A against eight columns of B at a time: the same sums, as vectors over the columns.
class FusedRows {
public:
  /// Takes the operands of `k` <= 32 products; false where one is not finite, for which `fusedDot` is right.
  bool load(const float (*a)[64], const float (*b)[64], int k, const DotModel &model);
  /// c[column] + the row's products, as dotToFloat gives them; false where a c is not finite.
  bool row(int row, const float *c, float *out) const;
  /// The same before it is rounded; products are times 2^shifts[column].
  bool sums(int row, const float *c, const int32_t *shifts, double *out) const;

private:
  DotModel model;
  int k;
  float valuesA[16][32], valuesB[32][8];
  int32_t exponentsA[16][32], exponentsB[32][8];
};

/// fp32 result: truncated.
float dotToFloat(const FusedDot &dot);
/// f16 result: nearest even.
uint16_t dotToHalf(const FusedDot &dot);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H
