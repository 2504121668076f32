// The product of two quantized matrices: operands turned into panels, panels multiplied.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Product.h"

#include "compiler/host/Ops.h"
#include "compiler/host/Parallel.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

using numerics::ceilDiv;

namespace {

/// Codes as integers in halves.
struct CodeTable {
  int8_t halves[16];
  CodeTable() {
    for (uint8_t code = 0; code < 16; ++code)
      halves[code] = static_cast<int8_t>(2.0f * numerics::decodeE2M1(code));
  }
};

} // namespace

static float scaleValue(const Quantized &source, uint8_t scale) {
  return source.isNVFP4 ? numerics::decodeE4M3(scale) : numerics::decodeUE8M0(scale);
}

/// The codes of row `row` in group `group`, in halves; zero past the end of K and for rows that the matrix does not have.
static void groupCodes(const Quantized &source, const CodeTable &table, int64_t row, int64_t group, int8_t *halves) {
  int64_t have = row < source.rows ? std::min<int64_t>(16, source.k - group * 16) : 0;
  const uint8_t *codes = source.codeBytes() + row * source.k + group * 16;
  for (int64_t i = 0; i < 16; ++i)
    halves[i] = i < have ? table.halves[codes[i] & 15u] : int8_t{0};
}

static float groupScale(const Quantized &source, int64_t row, int64_t group) {
  if (row >= source.rows)
    return 0.0f;
  return scaleValue(source, source.scaleBytes()[row * source.blocks() + group * 16 / source.blockSize]);
}

static void packLeft(const Quantized &source, const CodeTable &table, int64_t panel, int64_t groups, LeftGroup *target) {
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t r = 0; r < kPanelRows; ++r) {
      int8_t halves[16];
      groupCodes(source, table, panel * kPanelRows + r, group, halves);
      for (int i = 0; i < 16; ++i)
        target[group].codes[r][i] = static_cast<uint8_t>(halves[i] + 12);
      target[group].scales[r] = 0.25 * static_cast<double>(groupScale(source, panel * kPanelRows + r, group));
    }
}

static void packRight(const Quantized &source, const CodeTable &table, int64_t panel, int64_t groups, RightGroup *target) {
  for (int64_t group = 0; group < groups; ++group)
    for (int64_t n = 0; n < kPanelColumns; ++n) {
      int8_t halves[16];
      groupCodes(source, table, panel * kPanelColumns + n, group, halves);
      int32_t sum = 0;
      for (int i = 0; i < 16; ++i) {
        target[group].codes[i / 4][n][i % 4] = halves[i];
        sum += halves[i];
      }
      target[group].start[n] = -12 * sum;
      target[group].scales[n] = groupScale(source, panel * kPanelColumns + n, group);
    }
}

Tensor multiply(const Quantized &lhs, const Quantized &rhs) {
  int64_t rows = lhs.rows, columns = rhs.rows, groups = ceilDiv(lhs.k, 16);
  int64_t leftPanels = ceilDiv(rows, kPanelRows), rightPanels = ceilDiv(columns, kPanelColumns);
  Tensor result(Element::F32, {rows, columns});
  float alpha = lhs.isNVFP4 ? numerics::nvfp4Alpha(lhs.amax, rhs.amax) : 1.0f;
  static const CodeTable table;
  static const ProductKernel kernel = productKernelFor(detectIsa());

  Buffer leftBuffer = allocate(leftPanels * groups * static_cast<int64_t>(sizeof(LeftGroup)));
  Buffer rightBuffer = allocate(rightPanels * groups * static_cast<int64_t>(sizeof(RightGroup)));
  auto *left = static_cast<LeftGroup *>(leftBuffer.get());
  auto *right = static_cast<RightGroup *>(rightBuffer.get());
  parallelFor(leftPanels, grainFor(kPanelRows * lhs.k),
              [&](int64_t panel) { packLeft(lhs, table, panel, groups, left + panel * groups); });
  parallelFor(rightPanels, grainFor(kPanelColumns * rhs.k),
              [&](int64_t panel) { packRight(rhs, table, panel, groups, right + panel * groups); });

  // A task is a block of left panels, which stay in the second cache, times a range of right panels.
  constexpr int64_t kBlock = 8;
  int64_t rightChunk = leftPanels >= 64 ? rightPanels : std::max<int64_t>(1, ceilDiv(rightPanels, 16));
  int64_t rowTasks = ceilDiv(leftPanels, kBlock), columnTasks = ceilDiv(rightPanels, std::max<int64_t>(1, rightChunk));
  parallelFor(rowTasks * columnTasks, 1, [&](int64_t task) {
    alignas(64) double sums[kPanelRows][kPanelColumns];
    int64_t firstLeft = task / columnTasks * kBlock, firstRight = task % columnTasks * rightChunk;
    for (int64_t j = firstRight; j < std::min(rightPanels, firstRight + rightChunk); ++j)
      for (int64_t i = firstLeft; i < std::min(leftPanels, firstLeft + kBlock); ++i) {
        kernel(left + i * groups, right + j * groups, groups, sums);
        int64_t width = std::min(kPanelColumns, columns - j * kPanelColumns);
        for (int64_t r = 0; r < std::min(kPanelRows, rows - i * kPanelRows); ++r) {
          float *target = result.mutableAs<float>() + (i * kPanelRows + r) * columns + j * kPanelColumns;
          for (int64_t n = 0; n < width; ++n)
            target[n] = static_cast<float>(sums[r][n]) * alpha;
        }
      }
  });
  return result;
}

} // namespace host
} // namespace fourfold
