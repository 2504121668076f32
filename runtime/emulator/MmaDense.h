// The unscaled tensor-core steps: 16-bit floats and small integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H
#define FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H

#include <cstdint>

namespace fourfold {
namespace emulator {

/// c + sum of a[i] * b[i] as tensor cores do it (MMA-Sim, arXiv 2511.10909): every term aligned to the largest exponent and
/// truncated at `fractionBits`, added exactly. `k` <= 16; a and b are exact values of 16-bit floats. The result is the exact sum,
/// to be rounded by the caller.
struct FusedDot {
  double sum;
  bool isNaN;
  bool isInfinite;
};
FusedDot fusedDot(const float *a, const float *b, int k, float c, int fractionBits);

/// fp32 result: truncated.
float dotToFloat(const FusedDot &dot);
/// f16 result: nearest even.
uint16_t dotToHalf(const FusedDot &dot);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MMADENSE_H
