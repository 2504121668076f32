// Column statistics: sum, minimum and maximum over tokens in a fixed order; means and the amax of the residual.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_STATISTICS_H
#define FOURFOLD_COMPILER_KERNELS_STATISTICS_H

#include "compiler/kernels/RowSource.h"

namespace fourfold {
namespace compiler {

/// Columns one block of the first level covers: 32 lanes of eight.
inline constexpr int kStatisticsColumns = 256;
/// Dynamic shared memory of the first level; more where rows are counted because some may be masked.
constexpr int statisticsSharedBytes(bool counted) { return (counted ? 4 : 3) * 8 * (kStatisticsColumns + 16) * 4; }
/// Threads of a block of the second level: one column each.
inline constexpr int kFinalizeThreads = 128;

/// First level: partials[chunk][sum, min, max][column] of 128 rows each (Numerics.h, columnSum); a masked source also counts the rows
/// it keeps, as a fourth.
///
/// Parameters: the source's (not centred), then partials (f32). Grid: ceil(columns / 256) x ceil(rows / 128).
void buildColumnPartials(KernelModule module, llvm::StringRef name, const RowSource &source);

/// Second level: chunks added in order. With `mean` the result is the sum divided by the number of rows, or of those counted; with `amax` the largest
/// finite |x - mean| of every column, which rounding's monotonicity puts at the column's minimum or maximum, goes to the tensor's
/// amax by atomic maximum.
///
/// Parameters: partials, result (f32, a column each), [amax], rows, columns (i32). Grid: ceil(columns / 128).
void buildFinalizeColumns(KernelModule module, llvm::StringRef name, bool mean, bool amax, bool counted);

/// Second level where several ranks have rows: totals[sum, count, max, -min][column]. The first half is then added up over ranks, of the
/// second the maximum taken.
///
/// Parameters: partials, totals, rows, columns (i32). Grid: ceil(columns / 128).
void buildColumnTotals(KernelModule module, llvm::StringRef name, bool counted);

/// Mean and, with `amax`, the residual's amax from totals.
///
/// Parameters: totals, mean, [amax], columns (i32). Grid: ceil(columns / 128).
void buildMeanOfTotals(KernelModule module, llvm::StringRef name, bool amax);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_STATISTICS_H
