// The inner kernel of the product of two quantized matrices, and the order in which it reads its operands.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes are integers in halves, -12 to 12. A group of 16 products has one pair of scales: its sum is an exact integer, that times the
// scales is exact in double, and only adding groups rounds, in the order of K. That is the arithmetic of the reference evaluator,
// so products are its bits.

#ifndef FOURFOLD_COMPILER_HOST_PRODUCT_H
#define FOURFOLD_COMPILER_HOST_PRODUCT_H

#include "compiler/host/Kernels.h"

namespace fourfold {
namespace host {

/// A panel of the left operand: 8 rows. For each group of 16 along K, the codes of row r moved by +12 into 0..24 (multiply-add
/// instructions take unsigned by signed bytes), and the scale of row r times 1/4, as halves times halves ask for.
inline constexpr int64_t kPanelRows = 8;
struct LeftGroup {
  uint8_t codes[kPanelRows][16];
  double scales[kPanelRows];
};

/// A panel of the right operand: 16 columns of the result. codes[q][n] are four neighbours along K of column n; `start` takes back what
/// moving the left codes adds, -12 times the sum of the column's codes.
inline constexpr int64_t kPanelColumns = 16;
struct alignas(64) RightGroup {
  int8_t codes[4][kPanelColumns][4];
  int32_t start[kPanelColumns];
  float scales[kPanelColumns];
};

/// sums[r][n] over all groups.
using ProductKernel = void (*)(const LeftGroup *left, const RightGroup *right, int64_t groups,
                               double sums[kPanelRows][kPanelColumns]);
ProductKernel productKernelFor(Isa isa);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_PRODUCT_H
