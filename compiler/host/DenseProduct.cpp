// The product of two dense matrices of 16-bit floats: exact products added in double in the order of K, as the evaluator does.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Ops.h"
#include "compiler/host/Parallel.h"
#include "compiler/host/Product.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

using numerics::ceilDiv;

/// Element (row, k) of an operand goes to target[k * panel + row]; rows that the matrix does not have are 0.
template <typename T>
static void packPanel(const Tensor &source, int64_t axis, int64_t firstRow, int64_t panel, T *target) {
  int64_t extent = source.shape[static_cast<size_t>(axis)], rows = source.shape[static_cast<size_t>(1 - axis)];
  int64_t have = std::min(panel, rows - firstRow);
  std::fill_n(target, extent * panel, T{0});
  if (axis == 0) {
    float values[kPanelColumns];
    for (int64_t k = 0; k < extent; ++k) {
      loadFloats(source, k * rows + firstRow, have, values);
      std::copy_n(values, have, target + k * panel);
    }
    return;
  }
  float values[kTileColumns];
  for (int64_t row = 0; row < have; ++row)
    for (int64_t k = 0; k < extent; k += kTileColumns) {
      int64_t count = std::min(kTileColumns, extent - k);
      loadFloats(source, (firstRow + row) * extent + k, count, values);
      for (int64_t i = 0; i < count; ++i)
        target[(k + i) * panel + row] = values[i];
    }
}

Tensor multiplyDense(const Tensor &lhs, int64_t lhsAxis, const Tensor &rhs, int64_t rhsAxis) {
  int64_t rows = lhs.shape[static_cast<size_t>(1 - lhsAxis)], columns = rhs.shape[static_cast<size_t>(1 - rhsAxis)];
  int64_t extent = lhs.shape[static_cast<size_t>(lhsAxis)];
  int64_t leftPanels = ceilDiv(rows, kPanelRows), rightPanels = ceilDiv(columns, kPanelColumns);
  Tensor result(Element::F32, {rows, columns});
  static const DenseKernel kernel = denseKernelFor(detectIsa());

  Buffer leftBuffer = allocate(leftPanels * kPanelRows * extent * static_cast<int64_t>(sizeof(double)));
  Buffer rightBuffer = allocate(rightPanels * kPanelColumns * extent * static_cast<int64_t>(sizeof(float)));
  auto *left = static_cast<double *>(leftBuffer.get());
  auto *right = static_cast<float *>(rightBuffer.get());
  parallelFor(leftPanels, grainFor(kPanelRows * extent), [&](int64_t panel) {
    packPanel(lhs, lhsAxis, panel * kPanelRows, kPanelRows, left + panel * kPanelRows * extent);
  });
  parallelFor(rightPanels, grainFor(kPanelColumns * extent), [&](int64_t panel) {
    packPanel(rhs, rhsAxis, panel * kPanelColumns, kPanelColumns, right + panel * kPanelColumns * extent);
  });
  forEachPanelPair(rows, columns, result.mutableAs<float>(), 1.0f,
                   [&](int64_t i, int64_t j, double sums[kPanelRows][kPanelColumns]) {
                     kernel(left + i * kPanelRows * extent, right + j * kPanelColumns * extent, extent, sums);
                   });
  return result;
}

} // namespace host
} // namespace fourfold
