// The copies that feed a block-scaled matmul: codes and scale tiles of a stage, from global into shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_MATMULCOPIES_H
#define FOURFOLD_COMPILER_KERNELS_MATMULCOPIES_H

#include "compiler/kernels/Matmul.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace fourfold {
namespace compiler {

inline constexpr int kScaleTileBytes = 512; // 128 rows x 4 K-blocks

inline int scaleTileRows(int rows) { return (rows + 127) / 128; }

/// Where row r of a scale tile (16 bytes: the scales of rows r, r + 32, r + 64, r + 96) stands when lanes read it. The lanes of a
/// quarter-warp read rows 2q, 2q + 1 plus 0, 8, 16, 24: flipping two bits by r / 8 spreads them over all banks.
inline Val swizzledScaleRow(Val row) { return row ^ ((row >> 3) << 1); }

/// What each thread copies in every stage: its pointers move by a constant along K. What does not exist, rows and all beyond the padded
/// extent of K, is filled with zeros. In a stage: the tile's rows of A, of B, A's scale tiles by row of tiles, then along K, and B's.
class StageCopies {
public:
  StageCopies(KernelBuilder &k, Format format, const MatmulTile &tile, const MatmulParams &params);

  /// Once, before the first copies, with the first row of A and of B of the block's tile.
  void prepare(Val firstRow, Val firstColumn);

  /// Starts the copies of step `step` of `numSteps` into ring slot `stage` and commits them as one group; a step past the end is an empty
  /// group.
  void issue(Val stage, Val step, Val numSteps);

private:
  struct Copy {
    Val from;      // global pointer at K = 0, of row 0 where the row does not exist
    Val rowExists; // i1
    Val chunk;     // chunk in the row
    Val to;        // byte offset in a stage
    Val guard;     // i1, set where there are fewer chunks than threads
  };
  struct ScaleCopy {
    Val from;
    Val rowExists; // i1, set where a row of tiles may not exist
    Val tile;      // along K in the stage
    Val to;
    int threads; // which have one: the first ones
  };
  void addCodes(Val codes, Val firstRow, Val numRows, int rows, int base);
  void addScales(Val firstRow, Val firstColumn, int first);
  void guarded(Val guard, llvm::function_ref<void()> emit);

  KernelBuilder &k;
  Format format;
  const MatmulTile &tile;
  const MatmulParams &params;
  Val shared, thread, numChunks, numScaleTiles;
  llvm::SmallVector<Copy> copies;
  llvm::SmallVector<ScaleCopy> scaleCopies;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATMULCOPIES_H
