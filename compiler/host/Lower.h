// From a parsed spec to a host program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_LOWER_H
#define FOURFOLD_COMPILER_HOST_LOWER_H

#include "compiler/host/Program.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace fourfold {
namespace host {

/// The steps of a spec that `parseSpec` read and `expandMath` made exact; with phases where it was linked from a recipe. Keeps nothing
/// of the function.
mlir::FailureOr<std::shared_ptr<const Program>> lowerToHost(mlir::func::FuncOp function);

/// A region of a prologue or epilogue as instructions. Fails with a diagnostic on an op that `isExactRegionOp` does not know.
mlir::FailureOr<Region> lowerRegion(mlir::Block &block);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_LOWER_H
