// The front of every kernel on a tensor: reads runs of a row and applies prologue, mask and centring.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_ROWSOURCE_H
#define FOURFOLD_COMPILER_KERNELS_ROWSOURCE_H

#include "compiler/kernels/ElementRegion.h"

namespace fourfold {
namespace compiler {

/// What is done to a row-major source (rows x columns) on its way into a kernel, in this order.
struct RowSource {
  mlir::Type elementType;
  ElementRegion prologue;
  bool centred = false;
  /// Rows whose mask byte is 0 read as zeros.
  bool masked = false;

  /// Kernel parameters in order: source, rows, columns (i32), [mean], [mask], one pointer a prologue operand.
  llvm::SmallVector<mlir::Type> paramTypes(mlir::MLIRContext *context) const;
};

/// Emits the reads of a RowSource whose parameters start at `firstParam`.
class RowReader {
public:
  RowReader(KernelBuilder &k, const RowSource &source, unsigned firstParam);

  Val rows() const { return numRows; }
  Val columns() const { return numColumns; }
  /// Whether a row (i32) is in the tensor and not masked.
  Val isKept(Val row);

  /// The f32 values of `count` elements from (row, column), both i32; elements outside the tensor and in masked rows are +0. `count` is
  /// a power of two from 4 to 32, `column` a multiple of it.
  llvm::SmallVector<Val> read(Val row, Val column, int count);

private:
  void applyPrologue(llvm::SmallVector<Val> &values, Val row, Val column, Val full, Val valid);

  KernelBuilder &k;
  const RowSource &source;
  Val pointer, numRows, numColumns, mean, mask;
  llvm::SmallVector<Val> operandPointers;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_ROWSOURCE_H
