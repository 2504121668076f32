// The fp4 dialect: its type, attributes and ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_DIALECT_FP4_H
#define FOURFOLD_DIALECT_FP4_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/Fp4Dialect.h.inc"
#include "dialect/Fp4Enums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/Fp4Attributes.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/Fp4Types.h.inc"

#define GET_OP_CLASSES
#include "dialect/Fp4Ops.h.inc"

namespace mlir {
namespace fp4 {

/// Elements along the scaled axis that share a scale: 16 for nvfp4, 32 for mxfp4.
int64_t formatBlockAlong(Format format);

/// The name under which a function's arguments and results are passed.
inline constexpr llvm::StringLiteral kNameAttr = "fp4.name";

/// Marks an argument that callers may leave out.
inline constexpr llvm::StringLiteral kOptionalAttr = "fp4.optional";

} // namespace fp4
} // namespace mlir

#endif // FOURFOLD_DIALECT_FP4_H
