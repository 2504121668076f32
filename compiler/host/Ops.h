// What the ops of the fp4 dialect compute on values of the host program; bit for bit the reference evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Extents have been checked by Program.cpp.

#ifndef FOURFOLD_COMPILER_HOST_OPS_H
#define FOURFOLD_COMPILER_HOST_OPS_H

#include "compiler/host/RegionCode.h"
#include "compiler/host/Value.h"

namespace fourfold {
namespace host {

/// f32 [columns]; `mask` may be null.
Tensor columnSum(const Value &input, const Tensor *mask);
struct Centered {
  Value mean, residual;
};
Centered center(const Value &input, const Tensor *mask);
Value hadamard(const Value &input, int64_t axis, const std::array<int, 16> &signs);
Tensor matvec(const Value &matrix, const Tensor &vector, int64_t axis);

/// Blocks of a quantized matrix, as types and ops hold them.
struct Blocks {
  bool isNVFP4 = true;
  int64_t across = 1, along = 16, axis = 1;
};
struct BlockScales {
  Tensor scales;
  float amax = 0.0f;
};
BlockScales blockScale(const Value &input, const Blocks &blocks);

struct Rounding {
  bool isStochastic = false;
  uint64_t seed = 0, offset = 0;
};
Quantized quantize(const Value &input, const Tensor &scales, float amax, const Blocks &blocks, const Rounding &rounding);
Tensor dequantize(const Quantized &input);

/// f32 [lhs.rows, rhs.rows].
Tensor multiply(const Quantized &lhs, const Quantized &rhs);

/// Operands of a region in the order of its arguments.
struct ElementOperands {
  const Value *input = nullptr;
  std::vector<const Tensor *> rows, cols;
  std::vector<const Value *> full;
  std::vector<const Tensor *> scalars;
};
Tensor applyRegion(const Region &region, const ElementOperands &operands, Element element);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_OPS_H
