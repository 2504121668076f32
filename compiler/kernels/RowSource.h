// The front of every row kernel: reads blocks of a source tensor along its rows and applies prologue, centring and Hadamard.
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
  /// The 16-point transform along the columns, with these signs; empty for none.
  llvm::SmallVector<int> hadamardSigns;

  /// Kernel parameters in order: source, rows, columns (i32), [mean], one pointer a prologue operand.
  llvm::SmallVector<mlir::Type> paramTypes(mlir::MLIRContext *context) const;
};

/// Emits the reads of a RowSource whose parameters start at `firstParam`.
class RowReader {
public:
  RowReader(KernelBuilder &k, const RowSource &source, unsigned firstParam);

  Val rows() const { return numRows; }
  Val columns() const { return numColumns; }

  /// The f32 values of `count` elements from (row, column), both i32; elements outside the tensor are +0. `count` is a power of two
  /// up to 32, `column` a multiple of it.
  llvm::SmallVector<Val> read(Val row, Val column, int count);

private:
  void applyPrologue(llvm::SmallVector<Val> &values, Val row, Val column, Val full, Val valid);
  void applyHadamard(llvm::SmallVector<Val> &values);

  KernelBuilder &k;
  const RowSource &source;
  Val pointer, numRows, numColumns, mean;
  llvm::SmallVector<Val> operandPointers;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_ROWSOURCE_H
