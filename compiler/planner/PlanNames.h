// Names of kernels, and grids that several launches share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_PLANNER_PLANNAMES_H
#define FOURFOLD_COMPILER_PLANNER_PLANNAMES_H

#include "dialect/Fp4.h"
#include "plan/Expr.h"

#include "llvm/ADT/SmallVector.h"

#include <array>
#include <string>

namespace fourfold {
namespace compiler {

/// "bf16", as MLIR prints it.
std::string typeName(mlir::Type type);

/// A value's name as part of a kernel's: letters, digits and underscores.
std::string identifier(llvm::StringRef name);

/// A transform's signs; none for null.
llvm::SmallVector<int> signsOf(mlir::fp4::HadamardOp hadamard);

/// Part of a kernel's name: two transforms with the same signs share a kernel.
std::string signsName(llvm::ArrayRef<int> signs);

/// Blocks of a kernel with a thread for each 16 elements of a row.
plan::Expr sixteenGrid(llvm::ArrayRef<plan::Expr> extents);

/// Blocks of a kernel on tiles of 128 x 64, which come in pairs, so that the scales of 128 columns are written whole.
std::array<plan::Expr, 3> tileGrid(llvm::ArrayRef<plan::Expr> extents);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_PLANNER_PLANNAMES_H
