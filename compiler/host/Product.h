// The inner kernels of products, and the order in which they read their operands.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes are integers in halves, -12 to 12. A group of 16 products has one pair of scales: its sum is an exact integer, that times the
// scales is exact in double, and only adding groups rounds, in the order of K. That is the arithmetic of the reference evaluator,
// so products are its bits. Dense products are sums of exact products of 16-bit floats in double, in the order of K.

#ifndef FOURFOLD_COMPILER_HOST_PRODUCT_H
#define FOURFOLD_COMPILER_HOST_PRODUCT_H

#include "compiler/host/Kernels.h"
#include "compiler/host/Parallel.h"

#include <algorithm>

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

/// The same of left[k][8] and right[k][16].
using DenseKernel = void (*)(const double *left, const float *right, int64_t extent,
                             double sums[kPanelRows][kPanelColumns]);
DenseKernel denseKernelFor(Isa isa);

/// Calls `multiply(i, j, sums)` for every left panel i and right panel j, and writes the sums, rounded to fp32, times `alpha`.
template <typename Multiply>
void forEachPanelPair(int64_t rows, int64_t columns, float *result, float alpha, const Multiply &multiply) {
  int64_t leftPanels = (rows + kPanelRows - 1) / kPanelRows, rightPanels = (columns + kPanelColumns - 1) / kPanelColumns;
  // A task is a block of left panels, which stay in the second cache, times a range of right panels.
  constexpr int64_t kBlock = 8;
  int64_t rightChunk = std::max<int64_t>(1, leftPanels >= 64 ? rightPanels : (rightPanels + 15) / 16);
  int64_t rowTasks = (leftPanels + kBlock - 1) / kBlock, columnTasks = (rightPanels + rightChunk - 1) / rightChunk;
  parallelFor(rowTasks * columnTasks, 1, [&](int64_t task) {
    alignas(64) double sums[kPanelRows][kPanelColumns];
    int64_t firstLeft = task / columnTasks * kBlock, firstRight = task % columnTasks * rightChunk;
    for (int64_t j = firstRight; j < std::min(rightPanels, firstRight + rightChunk); ++j)
      for (int64_t i = firstLeft; i < std::min(leftPanels, firstLeft + kBlock); ++i) {
        multiply(i, j, sums);
        int64_t width = std::min(kPanelColumns, columns - j * kPanelColumns);
        for (int64_t r = 0; r < std::min(kPanelRows, rows - i * kPanelRows); ++r) {
          float *target = result + (i * kPanelRows + r) * columns + j * kPanelColumns;
          for (int64_t n = 0; n < width; ++n)
            target[n] = static_cast<float>(sums[r][n]) * alpha;
        }
      }
  });
}

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_PRODUCT_H
