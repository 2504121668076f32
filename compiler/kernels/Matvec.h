// The high-precision product of a matrix with a vector: the rank-one terms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_MATVEC_H
#define FOURFOLD_COMPILER_KERNELS_MATVEC_H

#include "compiler/kernels/KernelBuilder.h"

namespace fourfold {
namespace compiler {

/// Rows one block computes when the columns are contracted: a warp each.
inline constexpr int kMatvecRows = 8;
/// Columns one block computes when the rows are contracted: a lane each.
inline constexpr int kMatvecColumns = 32;

/// out[r] = sum_c matrix[r, c] vector[c] (`axis` 1), or out[c] = sum_r matrix[r, c] vector[r] (`axis` 0), fp32 in the fixed order
/// of Numerics.h, dotProduct: 32 partial sums, of which number (j / 8) % 32 takes index j, combined by a butterfly.
///
/// Parameters: matrix (`elementType`, row-major), vector (f32), out (f32), rows, columns (i32). 256 threads.
/// Grid: ceil(rows / 8) for axis 1, ceil(columns / 32) for axis 0.
void buildMatvec(KernelModule module, llvm::StringRef name, mlir::Type elementType, int axis);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATVEC_H
