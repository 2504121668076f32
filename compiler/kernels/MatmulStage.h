// What a block-scaled matmul does with one stage of its ring: from codes and scales in shared memory to accumulators.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Four ways: block-scaled matrix steps of the hardware (MatmulStage.cpp), bf16 steps of warps on operands dequantized in registers
// (MatmulFast.cpp) or of warpgroups with one of them dequantized into shared memory (MatmulWarpgroup.cpp), and 8-bit integer steps whose
// block sums are combined as the hardware would (MatmulFaithful.cpp). Tensor memory needs another kernel: MatmulTensorMemory.cpp.

#ifndef FOURFOLD_COMPILER_KERNELS_MATMULSTAGE_H
#define FOURFOLD_COMPILER_KERNELS_MATMULSTAGE_H

#include "compiler/kernels/MatmulCopies.h"

namespace fourfold {
namespace compiler {

inline constexpr int kStageK = 128;                // elements of K a stage
inline constexpr int kRowBytes = kStageK / 2;      // bytes of codes a row and stage
inline constexpr int kStepsPerStage = kStageK / 64; // matrix steps of K = 64

/// A warp's part of the block's tile.
struct StageContext {
  KernelBuilder &k;
  const Target &target;
  Format format;
  const MatmulTile &tile;
  Val lane;
  Val warpRow, warpColumn;   // first row of A and of B in the block's tile
  Val blockRow, blockColumn; // first row of A and of B of the block's tile

  int warpM() const { return tile.tileM / tile.warpsM; }
  int tilesM() const { return warpM() / 16; }
  int tilesN() const { return tile.tileN / tile.warpsN / 8; }
  /// Steps of K = 64 that a scale tile covers.
  int stepsPerScaleTile() const { return format == Format::NVFP4 ? 1 : 2; }
};

/// FP4 fragments of one step of K = 64 in the layout of m16n8k64 (PTX ISA 9.7.14.5.11): a register of lane 4 g + t holds eight
/// neighbours along K of row g, from 8 t on.
struct CodeFragments {
  /// For each 16 rows: (rows 0-7, rows 8-15) of the first 32 of K, then of the second.
  llvm::SmallVector<llvm::SmallVector<Val>> a;
  /// For each 8 columns: the two halves of K.
  llvm::SmallVector<llvm::SmallVector<Val>> b;
};

class StageMath {
public:
  explicit StageMath(const StageContext &context) : c(context), k(context.k) {}
  virtual ~StageMath() = default;

  /// Adds the products of stage number `index`, at `base` in shared memory, to the accumulators: for each 16 rows, for each 8 columns, four.
  virtual llvm::SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) = 0;
  /// The accumulators after the last stage.
  virtual llvm::SmallVector<Val> finish(llvm::ArrayRef<Val> accumulators) { return llvm::SmallVector<Val>(accumulators); }
  /// What is left to multiply them by; null for 1.
  virtual Val sumFactor() const { return Val(); }

protected:
  Val codesB(Val base) const { return k.offset(base, c.tile.tileM * kRowBytes); }
  Val scalesA(Val base) const { return k.offset(base, (c.tile.tileM + c.tile.tileN) * kRowBytes); }
  Val scalesB(Val base) const {
    return k.offset(scalesA(base), scaleTileRows(c.tile.tileM) * c.tile.scaleTilesPerStage(c.format) * kScaleTileBytes);
  }
  /// The sums after all steps of a stage: `body(step, sums)` one after the other, in a loop in the kernel or as a copy for each.
  llvm::SmallVector<Val> forSteps(bool isLoop, llvm::ArrayRef<Val> accumulators,
                                  llvm::function_ref<llvm::SmallVector<Val>(Val step, llvm::ArrayRef<Val> sums)> body);
  /// Of a stage's scale tiles of one row of tiles that of step `step`, 0 or 1.
  Val scaleTile(Val scales, Val step) const { return c.stepsPerScaleTile() == 1 ? k.offset(scales, step * kScaleTileBytes) : scales; }
  /// The codes of step `step`.
  CodeFragments loadCodes(Val base, Val step) const;
  /// Those of A alone.
  llvm::SmallVector<llvm::SmallVector<Val>> loadCodesA(Val base, Val step) const;
  /// The scale words (one byte a K-block) of rows `firstRow + 8 j + row`, j < count: `scales` is a scale tile, `firstRow` a multiple of
  /// 8 * count or of 32, `row` in 0..7. Lanes of eight rows read 128 bytes: no bank serves two of them.
  llvm::SmallVector<Val> loadScaleWords(Val scales, Val firstRow, Val row, int count) const;

  const StageContext c;
  KernelBuilder &k;
};

std::unique_ptr<StageMath> makeHardwareStage(const StageContext &context);
std::unique_ptr<StageMath> makeWarpgroupStage(const StageContext &context);
std::unique_ptr<StageMath> makeFastStage(const StageContext &context);
std::unique_ptr<StageMath> makeFaithfulStage(const StageContext &context);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATMULSTAGE_H
