// What each fp4 op computes on host values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_EVALUATE_OPS_H
#define FOURFOLD_COMPILER_EVALUATE_OPS_H

#include "compiler/evaluate/HostValue.h"

namespace fourfold {
namespace compiler {

/// Emits on `op` unless the two extents are equal: what verifiers cannot see where dimensions are dynamic.
mlir::LogicalResult checkExtent(mlir::Operation *op, llvm::StringRef what, int64_t found, llvm::StringRef of,
                                int64_t expected);

/// Operands of a prologue or epilogue, grouped as the op groups them.
struct ElementOperands {
  const HostTensor *input = nullptr;
  llvm::SmallVector<const HostTensor *> rows, cols, full, scalars;
};
mlir::FailureOr<HostTensor> evaluateElementOp(mlir::Operation *op, const ElementOperands &operands);

struct CenterResult {
  HostTensor mean, residual;
};
/// `mask` may be null.
mlir::FailureOr<CenterResult> evaluateCenter(mlir::fp4::CenterOp op, const HostTensor &input, const HostTensor *mask);
mlir::FailureOr<HostTensor> evaluateColumnSum(mlir::fp4::ColumnSumOp op, const HostTensor &input,
                                              const HostTensor *mask);
mlir::FailureOr<HostTensor> evaluateHadamard(mlir::fp4::HadamardOp op, const HostTensor &input);
mlir::FailureOr<HostTensor> evaluateMatvec(mlir::fp4::MatvecOp op, const HostTensor &matrix, const HostTensor &vector);

struct BlockScaleResult {
  HostTensor scales, amax;
};
mlir::FailureOr<BlockScaleResult> evaluateBlockScale(mlir::fp4::BlockScaleOp op, const HostTensor &input);

struct QuantizeOperands {
  const HostTensor *input = nullptr, *scales = nullptr;
  /// Null where the op has none.
  const HostTensor *amax = nullptr, *seed = nullptr, *offset = nullptr;
};
mlir::FailureOr<HostQuantized> evaluateQuantize(mlir::fp4::QuantizeOp op, const QuantizeOperands &operands);
HostTensor evaluateDequantize(mlir::fp4::DequantizeOp op, const HostQuantized &input);
mlir::FailureOr<HostTensor> evaluateMatmul(mlir::fp4::MatmulOp op, const HostQuantized &lhs, const HostQuantized &rhs,
                                         bool anyOrder);
mlir::FailureOr<HostTensor> evaluateDenseMatmul(mlir::fp4::MatmulOp op, const HostTensor &lhs, const HostTensor &rhs);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_EVALUATE_OPS_H
