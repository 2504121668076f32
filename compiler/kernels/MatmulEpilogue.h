// What every matmul kernel does with its accumulators: the fused epilogue and the store; and which tile a block takes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_MATMULEPILOGUE_H
#define FOURFOLD_COMPILER_KERNELS_MATMULEPILOGUE_H

#include "compiler/kernels/ElementRegion.h"

namespace fourfold {
namespace compiler {

/// Columns that a warp stores at once: four matrix steps of 8.
inline constexpr int kWarpN = 32;
/// Shared memory that the writer needs for so many sums: of a warp, or of a block.
inline constexpr int scratchBytes(int rows, int columns) { return rows * columns * 4; }

/// First row and column of the tile that this block takes of a result of sizeM x sizeN: groups of eight tile rows walk along N together,
/// so that operands are reused from L2.
std::pair<Val, Val> placeTile(KernelBuilder &k, Val sizeM, Val sizeN, int tileM, int tileN);

/// Lets the caller pass one memory as output and as an epilogue's `full` operand: a gradient that is added to. Each element is read by the
/// thread that writes it, before it writes it; the compiler must not move loads on the ground that they cannot meet.
void permitAccumulation(KernelBuilder &k, const ElementRegion &epilogue, unsigned outParam);

/// A warp's part of the result.
struct WarpTile {
  /// In the result, i32.
  Val firstRow, firstColumn;
  /// Groups of 16 rows, and of 8 columns: a multiple of four.
  int rowGroups, columnGroups;
  int rows() const { return rowGroups * 16; }
  int columns() const { return columnGroups * 8; }
  /// The accumulators times the first, times the second, and so on; the null one is 1.
  llvm::SmallVector<Val> factors;
};

/// Applies the epilogue to accumulators in the fragment layout of m16n8 steps (PTX ISA 9.7.14.5.8) and stores the result, row-major.
class TileWriter {
public:
  /// Epilogue operands are parameters from `firstParam` on.
  TileWriter(KernelBuilder &k, const ElementRegion &epilogue, unsigned firstParam, Val out, Val sizeM, Val sizeN);

  /// `accumulators`: for each row group, for each 8 columns, four registers. Shared memory must be free of readers and writers.
  void store(const WarpTile &tile, llvm::ArrayRef<Val> accumulators);
  /// A tile of 32 rows and kWarpN columns, from a warp whose lanes have a row each: `row` is this lane's, as tensor memory gives it. `scratch`: shared
  /// memory free of readers and writers, scratchBytes(32, kWarpN) for each warp of the block.
  void storeRows(const WarpTile &tile, llvm::ArrayRef<Val> row, Val scratch);

private:
  void loadColumns(Val firstColumn);
  void loop(int end, int step, llvm::function_ref<void(Val)> body);
  void storeColumns(const WarpTile &tile, Val scratch);
  void storeRowGroup(const WarpTile &tile, Val firstRow, Val scratch);

  KernelBuilder &k;
  const ElementRegion &epilogue;
  llvm::SmallVector<Val> pointers;
  Val out, sizeM, sizeN, shared, thread, lane;
  // Of the columns at hand: epilogue operands that do not depend on the row.
  llvm::SmallVector<llvm::SmallVector<Val>> columnValues;
  Val column, columnFull, columnsValid;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATMULEPILOGUE_H
