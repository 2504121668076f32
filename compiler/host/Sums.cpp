// Sums, means and matrix times vector, in the fixed orders of dialect/Numerics.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Kernels.h"
#include "compiler/host/Ops.h"
#include "compiler/host/Parallel.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

using numerics::ceilDiv;

/// The sums of one chunk of 128 rows: eight lanes, added in order. A row that is left out would add +0 to a lane that starts at +0,
/// which changes nothing.
static void sumChunk(const Value &input, const int8_t *mask, int64_t chunk, float *sums) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) float lanes[numerics::kSumLanes][kTileColumns];
  const Kernels &k = kernels();
  int64_t first = chunk * numerics::kSumChunkRows, columns = input.columns();
  int64_t end = std::min(input.rows(), first + numerics::kSumChunkRows);
  for (int64_t column = 0; column < columns; column += kTileColumns) {
    int64_t width = std::min(kTileColumns, columns - column);
    for (auto &lane : lanes)
      std::fill_n(lane, width, 0.0f);
    for (int64_t row = first; row < end; row += kTileRows) {
      loadTile(input, row, column, width, tile);
      for (int64_t r = 0; r < std::min(kTileRows, end - row); ++r)
        if (!mask || mask[row + r])
          k.add(lanes[r % numerics::kSumLanes], tile + r * kTileColumns, static_cast<size_t>(width));
    }
    for (int64_t lane = 1; lane < numerics::kSumLanes; ++lane)
      k.add(lanes[0], lanes[lane], static_cast<size_t>(width));
    std::copy_n(lanes[0], width, sums + column);
  }
}

Tensor columnSum(const Value &input, const Tensor *mask) {
  int64_t rows = input.rows(), columns = input.columns(), chunks = ceilDiv(rows, numerics::kSumChunkRows);
  Tensor result(Element::F32, {columns});
  float *sums = result.mutableAs<float>();
  std::fill_n(sums, columns, 0.0f);
  if (chunks == 0)
    return result;
  Tensor parts(Element::F32, {chunks, columns});
  parallelFor(chunks, grainFor(numerics::kSumChunkRows * columns), [&](int64_t chunk) {
    sumChunk(input, mask ? mask->as<int8_t>() : nullptr, chunk, parts.mutableAs<float>() + chunk * columns);
  });
  std::copy_n(parts.as<float>(), columns, sums);
  for (int64_t chunk = 1; chunk < chunks; ++chunk)
    kernels().add(sums, parts.as<float>() + chunk * columns, static_cast<size_t>(columns));
  return result;
}

Centered center(const Value &input, const Tensor *mask) {
  int64_t kept = input.rows();
  if (mask)
    kept -= std::count(mask->as<int8_t>(), mask->as<int8_t>() + input.rows(), int8_t{0});
  Tensor mean = columnSum(input, mask);
  // The mean over no rows is 0: a batch that is all padding must not poison what it is added to.
  for (int64_t j = 0; j < input.columns(); ++j) {
    float &value = mean.mutableAs<float>()[j];
    value = kept == 0 ? 0.0f : value / static_cast<float>(kept);
  }
  Stage stage;
  stage.kind = Stage::Kind::Center;
  stage.mean = mean;
  stage.hasMask = mask != nullptr;
  if (mask)
    stage.mask = *mask;
  stage.rows = input.rows();
  stage.columns = input.columns();
  Centered result = {Value(std::move(mean)), input};
  result.residual.stages.push_back(std::move(stage));
  return result;
}

Value hadamard(const Value &input, int64_t axis, const std::array<int, 16> &signs) {
  Stage stage;
  stage.kind = Stage::Kind::Hadamard;
  stage.axis = axis;
  stage.signs = signs;
  stage.rows = axis == 0 ? ceilDiv(input.rows(), 16) * 16 : input.rows();
  stage.columns = axis == 1 ? ceilDiv(input.columns(), 16) * 16 : input.columns();
  Value result = input;
  result.stages.push_back(std::move(stage));
  return result;
}

//===----------------------------------------------------------------------===//
// matvec
//===----------------------------------------------------------------------===//

static constexpr int64_t kLanes = numerics::kDotLanes, kDotStep = numerics::kDotLanes * numerics::kDotGroup;
static_assert(kDotStep == kTileColumns, "a tile is one step of the dot product");

static float combineLanes(float *lanes) {
  for (int64_t stride = kLanes / 2; stride >= 1; stride /= 2)
    for (int64_t lane = 0; lane < stride; ++lane)
      lanes[lane] += lanes[lane + stride];
  return lanes[0];
}

static void multiplyRows(const Value &matrix, const float *vector, int64_t row, float *result) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) float lanes[kTileRows][kLanes] = {};
  int64_t rows = std::min(kTileRows, matrix.rows() - row), columns = matrix.columns();
  for (int64_t column = 0; column < columns; column += kTileColumns) {
    int64_t width = std::min(kTileColumns, columns - column);
    loadTile(matrix, row, column, width, tile);
    for (int64_t r = 0; r < rows; ++r) {
      const float *values = tile + r * kTileColumns;
      if (width == kDotStep) {
        kernels().dotLanes(lanes[r], values, vector + column, 1);
        continue;
      }
      for (int64_t j = 0; j < width; ++j) {
        float &lane = lanes[r][j / numerics::kDotGroup];
        lane = std::fma(values[j], vector[column + j], lane);
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r)
    result[row + r] = combineLanes(lanes[r]);
}

static void multiplyColumns(const Value &matrix, const float *vector, int64_t column, float *result) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) float lanes[kLanes][kTileColumns] = {};
  int64_t rows = matrix.rows(), width = std::min(kTileColumns, matrix.columns() - column);
  for (int64_t row = 0; row < rows; row += kTileRows) {
    loadTile(matrix, row, column, width, tile);
    for (int64_t r = 0; r < std::min(kTileRows, rows - row); ++r)
      kernels().multiplyAdd(lanes[(row + r) / numerics::kDotGroup % kLanes], tile + r * kTileColumns, vector[row + r],
                            static_cast<size_t>(width));
  }
  for (int64_t stride = kLanes / 2; stride >= 1; stride /= 2)
    for (int64_t lane = 0; lane < stride; ++lane)
      kernels().add(lanes[lane], lanes[lane + stride], static_cast<size_t>(width));
  std::copy_n(lanes[0], width, result + column);
}

Tensor matvec(const Value &matrix, const Tensor &vector, int64_t axis) {
  int64_t rows = matrix.rows(), columns = matrix.columns();
  Tensor result(Element::F32, {axis == 1 ? rows : columns});
  float *values = result.mutableAs<float>();
  if (axis == 1)
    parallelFor(ceilDiv(rows, kTileRows), grainFor(kTileRows * columns), [&](int64_t group) {
      multiplyRows(matrix, vector.as<float>(), group * kTileRows, values);
    });
  else
    parallelFor(ceilDiv(columns, kTileColumns), grainFor(kTileColumns * rows), [&](int64_t group) {
      multiplyColumns(matrix, vector.as<float>(), group * kTileColumns, values);
    });
  return result;
}

} // namespace host
} // namespace fourfold
