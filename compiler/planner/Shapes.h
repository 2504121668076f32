// Sizes of every value of a spec as expressions of its dynamic dimensions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_PLANNER_SHAPES_H
#define FOURFOLD_COMPILER_PLANNER_SHAPES_H

#include "plan/Plan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include "llvm/ADT/DenseMap.h"

namespace fourfold {
namespace compiler {

/// Infers which dynamic dimensions are one and the same: `in` of X and `in` of W, because a matmul contracts them.
///
/// Every dynamic dimension of an argument starts as its own symbol; each op says which extents are equal; symbols that are equal to
/// a constant become it. What remains are the plan's dimensions d0, d1, ... in order of first appearance.
class Shapes {
public:
  /// Fails with a diagnostic where two different constants would have to be equal.
  mlir::LogicalResult analyze(mlir::func::FuncOp func);

  /// Ties the extents of two values that no op ties, as a linked recipe's d and y.
  using Tie = std::pair<mlir::Value, mlir::Value>;
  mlir::LogicalResult analyze(mlir::func::FuncOp func, llvm::ArrayRef<Tie> ties);

  /// The sizes of a ranked tensor or quantized value.
  llvm::SmallVector<plan::Expr> of(mlir::Value value) const;
  /// Origins of the dimensions, for the plan.
  const std::vector<plan::Dimension> &dimensions() const { return dims; }

private:
  int symbolFor(int64_t extent);
  /// The symbol of an extent rounded up to a multiple of 16 (fp4.hadamard): one for each symbol it is rounded from.
  int roundedSymbol(int symbol);
  plan::Expr expression(int symbol) const;
  mlir::LogicalResult unify(mlir::Operation *op, int lhs, int rhs, llvm::function_ref<std::string(bool right)> name);
  int find(int symbol) const;
  mlir::LogicalResult unify(mlir::Operation *op, mlir::Value lhs, unsigned lhsDim, mlir::Value rhs, unsigned rhsDim);
  mlir::LogicalResult visit(mlir::Operation *op);
  void define(mlir::Value value);

  llvm::DenseMap<mlir::Value, llvm::SmallVector<int>> symbols;
  mutable std::vector<int> parent;
  std::vector<int64_t> constants; // -1: dynamic; of the representative
  std::vector<int> roundedFrom;   // -1, or the symbol that this one is rounded up from; of the representative
  std::vector<plan::Expr> expressions;
  std::vector<plan::Dimension> dims;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_PLANNER_SHAPES_H
