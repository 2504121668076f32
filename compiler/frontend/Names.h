// Naming the values of a spec.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_FRONTEND_NAMES_H
#define FOURFOLD_COMPILER_FRONTEND_NAMES_H

#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace fourfold {
namespace compiler {

/// The discardable attribute that holds the names of an op's results.
inline constexpr llvm::StringLiteral kNamesAttr = "fp4.names";

/// Gives every argument its `fp4.name` and every op its `fp4.names`, as `valueName` documents. `state` is null for
/// bytecode.
mlir::LogicalResult nameValues(mlir::func::FuncOp function, const mlir::AsmParserState *state);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_FRONTEND_NAMES_H
