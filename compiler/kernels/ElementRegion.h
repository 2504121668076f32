// Element-wise regions (prologues and epilogues) inside kernels: operand loads and inlining of the region's ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_ELEMENTREGION_H
#define FOURFOLD_COMPILER_KERNELS_ELEMENTREGION_H

#include "compiler/kernels/KernelBuilder.h"

#include "llvm/ADT/SmallVector.h"

namespace fourfold {
namespace compiler {

/// How a region operand is indexed: one value a column, one a row, one an element, or one for all.
enum class Broadcast { Row, Column, Full, Scalar };

/// A region operand as the generator sees it: kind, element type; its pointer is a kernel parameter.
struct RegionOperand {
  Broadcast broadcast;
  mlir::Type elementType;
};

/// A region with the operands that follow its first block argument. A null region is the identity on f32.
struct ElementRegion {
  mlir::Region *region = nullptr;
  llvm::SmallVector<RegionOperand> operands;

  /// The type the region yields.
  mlir::Type resultType(mlir::MLIRContext *context) const;
};

/// Inlines the region for one element: the arguments are the block arguments in order.
Val inlineRegion(KernelBuilder &k, const ElementRegion &region, llvm::ArrayRef<Val> arguments);

/// `count` consecutive elements from `pointer` + `index` (i64, in elements): one vector load where `full`, else loads guarded by
/// `valid` (i32, elements that exist); absent elements are zero.
llvm::SmallVector<Val> loadElements(KernelBuilder &k, mlir::Type elementType, Val pointer, Val index, int count, Val full,
                                    Val valid);

/// Stores `values` the same way; absent elements are not written.
void storeElements(KernelBuilder &k, Val pointer, Val index, llvm::ArrayRef<Val> values, Val full, Val valid);

/// Bytes of one element of a builtin float or integer type.
int elementBytes(mlir::Type type);

/// The zero of a float type.
Val zeroOf(KernelBuilder &k, mlir::Type type);

/// Widens bf16 or f16 to f32; f32 as it is.
Val toF32(KernelBuilder &k, Val value);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_ELEMENTREGION_H
