// Scales, codes, their values and their products.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/Ops.h"

#include "dialect/MmaModel.h"
#include "dialect/Numerics.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

static bool isUncertain(const HostTensor *tensor) {
  return tensor && llvm::any_of(tensor->bound, [](float bound) { return bound != 0.0f; });
}

//===----------------------------------------------------------------------===//
// block_scale, quantize, dequantize
//===----------------------------------------------------------------------===//

FailureOr<BlockScaleResult> evaluateBlockScale(fp4::BlockScaleOp op, const HostTensor &input) {
  int64_t rows = input.shape[0], columns = input.shape[1];
  int64_t blockRows = op.getAxis() == 1 ? op.getBlockAcross() : op.getBlockAlong();
  int64_t blockColumns = op.getAxis() == 1 ? op.getBlockAlong() : op.getBlockAcross();

  BlockScaleResult result;
  result.amax = HostTensor(Element::F32, {});
  float &amax = result.amax.floats[0];
  for (float value : input.floats)
    if (numerics::isFinite(value))
      amax = std::fmax(amax, std::fabs(value));
  float tensorScale = numerics::nvfp4EncodeTensorScale(amax);

  result.scales =
      HostTensor(Element::Scale, {numerics::ceilDiv(rows, blockRows), numerics::ceilDiv(columns, blockColumns)});
  for (int64_t i = 0; i < result.scales.shape[0]; ++i)
    for (int64_t j = 0; j < result.scales.shape[1]; ++j) {
      float blockAmax = 0.0f;
      for (int64_t row = i * blockRows; row < std::min(rows, (i + 1) * blockRows); ++row)
        for (int64_t column = j * blockColumns; column < std::min(columns, (j + 1) * blockColumns); ++column) {
          float value = input.at(row, column);
          // A NaN must not lose against a number.
          blockAmax = numerics::isFinite(value) ? std::fmax(blockAmax, std::fabs(value))
                                                : std::numeric_limits<float>::infinity();
          if (!numerics::isFinite(blockAmax))
            row = rows, column = columns;
        }
      result.scales.integers[static_cast<size_t>(i * result.scales.shape[1] + j)] =
          op.getFormat() == fp4::Format::nvfp4 ? numerics::nvfp4BlockScale(blockAmax, tensorScale)
                                               : numerics::mxfp4BlockScale(blockAmax);
    }
  if (isUncertain(&input)) {
    result.amax.bound = {*std::max_element(input.bound.begin(), input.bound.end())};
    result.scales.bound.assign(result.scales.integers.size(), std::numeric_limits<float>::infinity());
  }
  return result;
}

FailureOr<HostQuantized> evaluateQuantize(fp4::QuantizeOp op, const QuantizeOperands &operands) {
  fp4::QuantizedType type = op.getResult().getType();
  const HostTensor &input = *operands.input, &scales = *operands.scales;
  size_t axis = static_cast<size_t>(type.getAxis());
  int64_t blockAlong = type.getBlockAlong(), blockAcross = type.getBlockAcross();

  HostQuantized result;
  result.format = type.getFormat();
  result.rows = input.shape[1 - axis];
  result.k = input.shape[axis];
  result.blockSize = blockAlong;
  if (failed(checkExtent(op, "scales along the scaled axis", scales.shape[axis], "blocks", result.blocks())) ||
      failed(checkExtent(op, "scales across the scaled axis", scales.shape[1 - axis], "blocks",
                         numerics::ceilDiv(result.rows, blockAcross))))
    return failure();
  result.uncertain = isUncertain(&input) || isUncertain(&scales) || isUncertain(operands.amax);
  result.amax = operands.amax ? operands.amax->floats[0] : 0.0f;
  float tensorScale = numerics::nvfp4EncodeTensorScale(result.amax);
  uint64_t offset = operands.offset ? numerics::streamOffset(static_cast<uint64_t>(operands.offset->integers[0]),
                                                             static_cast<uint64_t>(op.getStream()))
                                    : 0;
  bool isNVFP4 = result.format == fp4::Format::nvfp4;

  for (int64_t row = 0; row < result.rows; ++row)
    for (int64_t block = 0; block < result.blocks(); ++block) {
      int64_t across = row / blockAcross;
      int64_t index = axis == 1 ? across * scales.shape[1] + block : block * scales.shape[1] + across;
      result.scales.push_back(static_cast<uint8_t>(scales.integers[static_cast<size_t>(index)]));
    }
  result.codes.resize(static_cast<size_t>(result.rows * result.k));
  for (int64_t row = 0; row < result.rows; ++row)
    for (int64_t k = 0; k < result.k; ++k) {
      uint8_t scale = result.scale(row, k / blockAlong);
      float encode = isNVFP4 ? numerics::nvfp4EncodeScale(scale, tensorScale) : numerics::mxfp4EncodeScale(scale);
      float value = axis == 1 ? input.at(row, k) : input.at(k, row);
      uint8_t code;
      if (op.getRounding() == fp4::Rounding::stochastic) {
        uint32_t random = numerics::elementRandom16(static_cast<uint64_t>(operands.seed->integers[0]),
                                                    offset,
                                                    static_cast<uint32_t>(row), static_cast<uint32_t>(k));
        code = numerics::quantizeStochastic(value, encode, random);
      } else {
        code = numerics::quantizeNearest(value, encode);
      }
      result.codes[static_cast<size_t>(row * result.k + k)] = code;
    }
  return result;
}

HostTensor evaluateDequantize(fp4::DequantizeOp op, const HostQuantized &input) {
  bool isRowMajor = op.getInput().getType().getAxis() == 1;
  HostTensor result(Element::F32,
                    isRowMajor ? std::vector<int64_t>{input.rows, input.k} : std::vector<int64_t>{input.k, input.rows});
  float tensorScale = numerics::nvfp4EncodeTensorScale(input.amax);
  for (int64_t row = 0; row < input.rows; ++row)
    for (int64_t k = 0; k < input.k; ++k) {
      uint8_t code = input.code(row, k), scale = input.scale(row, k / input.blockSize);
      float value = input.format == fp4::Format::nvfp4 ? numerics::nvfp4Decode(code, scale, tensorScale)
                                                       : numerics::mxfp4Decode(code, scale);
      (isRowMajor ? result.at(row, k) : result.at(k, row)) = value;
    }
  if (input.uncertain)
    result.bound.assign(result.floats.size(), std::numeric_limits<float>::infinity());
  return result;
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

namespace {

/// An operand decoded for the inner loop: codes as integers in units of 1/2, scales split and as numbers.
struct DecodedOperand {
  const HostQuantized &source;
  std::vector<int8_t> halves;
  std::vector<double> scales;
  std::vector<numerics::ScaleParts> parts;

  explicit DecodedOperand(const HostQuantized &source) : source(source) {
    bool isNVFP4 = source.format == fp4::Format::nvfp4;
    for (uint8_t code : source.codes)
      halves.push_back(static_cast<int8_t>(2.0f * numerics::decodeE2M1(code)));
    for (uint8_t scale : source.scales) {
      scales.push_back(isNVFP4 ? numerics::decodeE4M3(scale) : numerics::decodeUE8M0(scale));
      parts.push_back(
          numerics::splitScale(scale, isNVFP4 ? numerics::ScaleFormat::UE4M3 : numerics::ScaleFormat::UE8M0));
    }
  }
};

/// The exact product and how far a tensor core's may be off.
struct Accumulator {
  double value = 0.0;
  double bound = 0.0;
};

} // namespace

/// The sum over k for one element. The groups are those of the tensor core's 16 products; their sums are integers, so
/// only adding groups rounds, in 53 bits. With `anyOrder` the bound is that of fp32 sums in any order, truncated at each product at worst.
static Accumulator accumulate(const DecodedOperand &lhs, const DecodedOperand &rhs, int64_t row, int64_t column,
                              bool anyOrder) {
  constexpr int kZeroExponent = -139; // MmaModel.h
  const int64_t k = lhs.source.k, blockSize = lhs.source.blockSize;
  const int8_t *a = lhs.halves.data() + row * k, *b = rhs.halves.data() + column * k;
  Accumulator sum;
  double magnitude = 0.0, productMagnitude = 0.0;
  for (int64_t step = 0; step < k; step += numerics::kCodesPadK) {
    int maxExponent = sum.value == 0.0 ? kZeroExponent : std::max(std::ilogb(sum.value), -126);
    int64_t end = std::min(k, step + numerics::kCodesPadK);
    for (int64_t group = step; group < end; group += 16) {
      int products = 0, magnitudes = 0;
      for (int64_t i = group; i < std::min(end, group + 16); ++i) {
        products += a[i] * b[i];
        magnitudes += std::abs(a[i] * b[i]);
      }
      size_t scaleA = static_cast<size_t>(row * lhs.source.blocks() + group / blockSize);
      size_t scaleB = static_cast<size_t>(column * rhs.source.blocks() + group / blockSize);
      // A NaN scale makes this NaN even where the products are 0: 0 * NaN is NaN.
      double scale = 0.25 * lhs.scales[scaleA] * rhs.scales[scaleB], term = products * scale;
      sum.value += term;
      magnitude += std::fabs(term);
      productMagnitude += magnitudes * scale;
      if (magnitudes != 0)
        maxExponent = std::max(maxExponent, lhs.parts[scaleA].exponent + rhs.parts[scaleB].exponent);
    }
    sum.bound += 0x1p-23 * std::fabs(sum.value) + 5.0 * std::ldexp(1.0, maxExponent - 35);
  }
  if (anyOrder)
    sum.bound = static_cast<double>(k) * 0x1p-23 * productMagnitude;
  // This sum's own roundings, and that the bound above took exact partial sums for the device's.
  sum.bound = sum.bound * 1.0001 + static_cast<double>(k) * 0x1p-53 * magnitude;
  return sum;
}

FailureOr<HostTensor> evaluateMatmul(fp4::MatmulOp op, const HostQuantized &lhs, const HostQuantized &rhs,
                                     bool anyOrder) {
  if (failed(checkExtent(op, "a left contracted extent", lhs.k, "a right contracted extent", rhs.k)))
    return failure();
  float alpha = lhs.format == fp4::Format::nvfp4 ? numerics::nvfp4Alpha(lhs.amax, rhs.amax) : 1.0f;
  DecodedOperand a(lhs), b(rhs);
  HostTensor result(Element::F32, {lhs.rows, rhs.rows});
  result.bound.resize(result.floats.size());
  bool uncertain = lhs.uncertain || rhs.uncertain;
  for (int64_t i = 0; i < lhs.rows; ++i)
    for (int64_t j = 0; j < rhs.rows; ++j) {
      Accumulator sum = accumulate(a, b, i, j, anyOrder);
      float value = static_cast<float>(sum.value) * alpha;
      float &bound = result.bound[static_cast<size_t>(i * rhs.rows + j)];
      result.at(i, j) = value;
      if (uncertain || (!numerics::isFinite(value) && !std::isnan(value)))
        bound = std::numeric_limits<float>::infinity();
      else if (!std::isnan(value))
        bound = static_cast<float>((std::fabs(sum.value) * 0x1p-23 + sum.bound) * std::fabs(alpha) +
                                   std::fabs(static_cast<double>(value)) * 0x1p-22) +
                FLT_TRUE_MIN;
    }
  return result;
}

} // namespace compiler
} // namespace fourfold
