// Centring, sums, the Hadamard transform and matrix times vector: fp32 in a fixed order.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/Ops.h"

#include "dialect/Numerics.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

/// The bound of a sum of `count` fp32 terms whose magnitudes add to `magnitude` and whose bounds add to `bound`: those
/// bounds, and that every rounding may go the other way.
static float sumBound(int64_t count, double magnitude, double bound) {
  if (bound == 0.0)
    return 0.0f;
  return static_cast<float>((bound + static_cast<double>(count) * 0x1p-23 * (magnitude + bound)) * 1.0001);
}

static LogicalResult checkMask(Operation *op, const HostTensor &input, const HostTensor *mask) {
  return mask ? checkExtent(op, "a mask", mask->shape[0], "an input with rows", input.shape[0]) : success();
}

static bool isKept(const HostTensor *mask, int64_t row) {
  return !mask || mask->integers[static_cast<size_t>(row)] != 0;
}

/// The sum of each column over the rows that are kept, and its bound where the input has one.
static HostTensor columnSums(const HostTensor &input, const HostTensor *mask) {
  int64_t rows = input.shape[0], columns = input.shape[1];
  HostTensor result(Element::F32, {columns});
  if (!input.bound.empty())
    result.bound.resize(result.floats.size());
  for (int64_t j = 0; j < columns; ++j) {
    result.floats[static_cast<size_t>(j)] =
        numerics::columnSum(rows, [&](int64_t row) { return isKept(mask, row) ? input.at(row, j) : 0.0f; });
    if (input.bound.empty())
      continue;
    double magnitude = 0.0, bound = 0.0;
    for (int64_t row = 0; row < rows; ++row)
      if (isKept(mask, row)) {
        magnitude += std::fabs(input.at(row, j));
        bound += input.boundAt(row * columns + j);
      }
    result.bound[static_cast<size_t>(j)] = sumBound(rows, magnitude, bound);
  }
  return result;
}

FailureOr<HostTensor> evaluateColumnSum(fp4::ColumnSumOp op, const HostTensor &input, const HostTensor *mask) {
  if (failed(checkMask(op, input, mask)))
    return failure();
  return columnSums(input, mask);
}

FailureOr<CenterResult> evaluateCenter(fp4::CenterOp op, const HostTensor &input, const HostTensor *mask) {
  if (failed(checkMask(op, input, mask)))
    return failure();
  int64_t rows = input.shape[0], columns = input.shape[1], kept = 0;
  for (int64_t row = 0; row < rows; ++row)
    kept += isKept(mask, row) ? 1 : 0;

  CenterResult result = {columnSums(input, mask), HostTensor(Element::F32, input.shape)};
  bool bounded = !input.bound.empty();
  // The mean over no rows is 0: a batch that is all padding must not poison what it is added to.
  for (float &mean : result.mean.floats)
    mean = kept == 0 ? 0.0f : mean / static_cast<float>(kept);
  for (size_t j = 0; bounded && j < result.mean.bound.size(); ++j)
    if (kept != 0 && result.mean.bound[j] != 0.0f)
      result.mean.bound[j] =
          result.mean.bound[j] / static_cast<float>(kept) * 1.0001f + std::fabs(result.mean.floats[j]) * 0x1p-23f;
  if (bounded)
    result.residual.bound.resize(result.residual.floats.size());
  for (int64_t i = 0; i < rows; ++i) {
    if (!isKept(mask, i))
      continue;
    for (int64_t j = 0; j < columns; ++j) {
      float mean = result.mean.floats[static_cast<size_t>(j)];
      result.residual.at(i, j) = input.at(i, j) - mean;
      if (bounded)
        result.residual.bound[static_cast<size_t>(i * columns + j)] = sumBound(
            1, std::fabs(input.at(i, j)) + std::fabs(mean), input.boundAt(i * columns + j) + result.mean.boundAt(j));
    }
  }
  return result;
}

FailureOr<HostTensor> evaluateHadamard(fp4::HadamardOp op, const HostTensor &input) {
  size_t axis = static_cast<size_t>(op.getAxis());
  int64_t extent = input.shape[axis], others = input.shape[1 - axis];
  std::array<int, 16> signs;
  llvm::copy(op.getSigns(), signs.begin());
  std::vector<int64_t> shape = input.shape;
  shape[axis] = numerics::ceilDiv(extent, 16) * 16;
  HostTensor result(Element::F32, shape);
  if (!input.bound.empty())
    result.bound.resize(result.floats.size());
  for (int64_t other = 0; other < others; ++other)
    for (int64_t group = 0; group < extent; group += 16) {
      auto index = [&](int64_t i, int64_t columns) {
        return static_cast<size_t>(axis == 1 ? other * columns + group + i : (group + i) * columns + other);
      };
      float values[16] = {}; // a last group that is not full ends in zeros
      double magnitude = 0.0, bound = 0.0;
      for (int64_t i = 0; i < std::min<int64_t>(16, extent - group); ++i) {
        size_t from = index(i, input.shape[1]);
        values[i] = input.floats[from];
        magnitude += std::fabs(values[i]);
        bound += input.boundAt(static_cast<int64_t>(from));
      }
      numerics::hadamard16(values, signs.data());
      for (int64_t i = 0; i < 16; ++i) {
        size_t to = index(i, shape[1]);
        result.floats[to] = values[i];
        if (!result.bound.empty())
          result.bound[to] = 0.25f * sumBound(16, magnitude, bound);
      }
    }
  return result;
}

/// Exact products added in 53 bits. A tensor core may add its products in any order and truncate: each of its K roundings is within
/// 2^-23 of the partial sum, which the sum of magnitudes bounds.
FailureOr<HostTensor> evaluateDenseMatmul(fp4::MatmulOp op, const HostTensor &lhs, const HostTensor &rhs) {
  size_t axisL = static_cast<size_t>(op.getLhsAxis()), axisR = static_cast<size_t>(op.getRhsAxis());
  int64_t extent = lhs.shape[axisL], rows = lhs.shape[1 - axisL], columns = rhs.shape[1 - axisR];
  if (failed(checkExtent(op, "a left contracted extent", extent, "a right contracted extent", rhs.shape[axisR])))
    return failure();
  auto rowsByExtent = [extent](const HostTensor &source, size_t axis, int64_t count) {
    std::vector<double> values(static_cast<size_t>(count * extent));
    for (int64_t row = 0; row < count; ++row)
      for (int64_t i = 0; i < extent; ++i)
        values[static_cast<size_t>(row * extent + i)] = axis == 1 ? source.at(row, i) : source.at(i, row);
    return values;
  };
  std::vector<double> a = rowsByExtent(lhs, axisL, rows), b = rowsByExtent(rhs, axisR, columns);
  bool uncertain = !lhs.bound.empty() || !rhs.bound.empty();
  HostTensor result(Element::F32, {rows, columns});
  result.bound.resize(result.floats.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const double *x = &a[static_cast<size_t>(i * extent)], *y = &b[static_cast<size_t>(j * extent)];
      double sum = 0.0, magnitude = 0.0;
      for (int64_t l = 0; l < extent; ++l) {
        sum += x[l] * y[l];
        magnitude += std::fabs(x[l] * y[l]);
      }
      float value = static_cast<float>(sum);
      float &bound = result.bound[static_cast<size_t>(i * columns + j)];
      result.at(i, j) = value;
      if (uncertain || (!numerics::isFinite(value) && !std::isnan(value)))
        bound = std::numeric_limits<float>::infinity();
      else if (!std::isnan(value))
        bound = static_cast<float>((static_cast<double>(extent) + 1) * 0x1p-23 * magnitude) + FLT_TRUE_MIN;
    }
  return result;
}

FailureOr<HostTensor> evaluateMatvec(fp4::MatvecOp op, const HostTensor &matrix, const HostTensor &vector) {
  size_t axis = static_cast<size_t>(op.getAxis());
  int64_t count = matrix.shape[axis], others = matrix.shape[1 - axis], columns = matrix.shape[1];
  if (failed(checkExtent(op, "a vector", vector.shape[0], "a contracted extent", count)))
    return failure();
  HostTensor result(Element::F32, {others});
  bool bounded = !matrix.bound.empty() || !vector.bound.empty();
  if (bounded)
    result.bound.resize(result.floats.size());
  for (int64_t other = 0; other < others; ++other) {
    auto index = [&](int64_t j) { return axis == 1 ? other * columns + j : j * columns + other; };
    auto weight = [&](int64_t j) { return matrix.floats[static_cast<size_t>(index(j))]; };
    auto value = [&](int64_t j) { return vector.floats[static_cast<size_t>(j)]; };
    result.floats[static_cast<size_t>(other)] = numerics::dotProduct(count, weight, value);
    if (!bounded)
      continue;
    double magnitude = 0.0, bound = 0.0;
    for (int64_t j = 0; j < count; ++j) {
      double w = std::fabs(weight(j)), v = std::fabs(value(j));
      double boundW = matrix.boundAt(index(j)), boundV = vector.boundAt(j);
      magnitude += w * v;
      if (boundW != 0.0 || boundV != 0.0)
        bound += boundW * v + w * boundV + boundW * boundV;
    }
    result.bound[static_cast<size_t>(other)] = sumBound(count, magnitude, bound);
  }
  return result;
}

} // namespace compiler
} // namespace fourfold
