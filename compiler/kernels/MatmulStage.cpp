// Fragments of codes and scales, and the stage of targets whose tensor cores take both.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/MatmulStage.h"

#include "compiler/kernels/MatmulEpilogue.h"

using llvm::SmallVector;

namespace fourfold {
namespace compiler {

static_assert(kWarpN == 32, "four steps of 8 columns are served by one scale register");

SmallVector<Val> StageMath::forSteps(bool isLoop, llvm::ArrayRef<Val> accumulators,
                                     llvm::function_ref<SmallVector<Val>(Val, llvm::ArrayRef<Val>)> body) {
  if (isLoop)
    return k.forLoop(k.c32(0), k.c32(kStepsPerStage), k.c32(1), accumulators, body);
  SmallVector<Val> sums(accumulators);
  for (int step = 0; step < kStepsPerStage; ++step)
    sums = body(k.c32(step), sums);
  return sums;
}

SmallVector<SmallVector<Val>> StageMath::loadCodesA(Val base, Val step) const {
  // Matrices of a load: (rows 0-7, rows 8-15) x (first, second 32 of K).
  Val inMatrix = c.lane & 7, matrix = c.lane >> 3;
  Val row = c.warpRow + inMatrix + (matrix & 1) * 8;
  Val chunk = (((matrix >> 1) + step * 2) ^ ((inMatrix >> 1) & 3)) << 4;
  SmallVector<SmallVector<Val>> fragments;
  for (int m = 0; m < c.tilesM(); ++m)
    fragments.push_back(k.loadMatrixX4(k.offset(k.offset(base, row * kRowBytes + chunk), m * 16 * kRowBytes)));
  return fragments;
}

CodeFragments StageMath::loadCodes(Val base, Val step) const {
  // Matrices of a load: 8 columns' two halves of K, then the next 8.
  Val inMatrix = c.lane & 7, matrix = c.lane >> 3;
  Val rowB = c.warpColumn + inMatrix + (matrix >> 1) * 8;
  Val chunkB = (((matrix & 1) + step * 2) ^ ((inMatrix >> 1) & 3)) << 4;
  CodeFragments fragments;
  fragments.a = loadCodesA(base, step);
  for (int n = 0; n < c.tilesN(); n += 2) {
    SmallVector<Val> pair = k.loadMatrixX4(k.offset(k.offset(codesB(base), rowB * kRowBytes + chunkB), n * 8 * kRowBytes));
    fragments.b.push_back({pair[0], pair[1]});
    fragments.b.push_back({pair[2], pair[3]});
  }
  return fragments;
}

SmallVector<Val> StageMath::loadScaleWords(Val scales, Val firstRow, Val row, int count) const {
  SmallVector<Val> words;
  Val firstWord = k.offset(scales, (firstRow >> 5) << 2), inTile = firstRow & 31;
  for (int j = 0; j < count; ++j) {
    Val r = row + inTile + (j & 3) * 8;
    words.push_back(k.load(k.i32(), k.offset(k.offset(firstWord, swizzledScaleRow(r) << 4), (j >> 2) * 4), 4));
  }
  return words;
}

namespace {

class HardwareStage : public StageMath {
public:
  using StageMath::StageMath;
  SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) override;
};

} // namespace

/// Fragment layout: PTX ISA 9.7.14.5.11; scale lanes: 9.7.14.3.
SmallVector<Val> HardwareStage::compute(Val, Val base, llvm::ArrayRef<Val> accumulators) {
  // Lane 4g + t holds the scales of row g + 8t of every 32: with thread-ids 0, 1 (A) and 0..3 (B) one register serves two tiles of
  // A or four of B, and its neighbours in memory the next 32 rows.
  Val scaleLane = (c.lane >> 2) + (c.lane & 3) * 8;
  Val tileRowA = (c.blockRow + c.warpRow) & 127, tileRowB = (c.blockColumn + c.warpColumn) & 127;
  Val scaleRowA = c.warpM() >= 32 ? scaleLane : (c.lane >> 2) + (c.lane & 1) * 8 + (tileRowA & 31);
  // Whole rows of 16 bytes: 32 lanes then read 512 bytes without a conflict, where single words would lie 16 bytes apart. Which of
  // the four words are this warp's is the same for all lanes.
  auto loadWords = [&](Val scales, Val scaleRow, Val tileRow, int numWords) {
    Val vector = k.load(k.vec(4, k.i32()), k.offset(scales, swizzledScaleRow(scaleRow) * 16), 16);
    SmallVector<Val> words;
    Val first = tileRow >> 5;
    for (int i = 0; i < numWords; ++i) {
      Val word = k.extract(vector, i);
      for (int other = numWords; other < 4; other += numWords)
        word = k.select(equals(first, other), k.extract(vector, other + i), word);
      words.push_back(word);
    }
    return words;
  };

  SmallVector<Val> sums(accumulators);
  SmallVector<Val> wordsA;
  Val wordB;
  for (int step = 0; step < kStepsPerStage; ++step) {
    if (step % c.stepsPerScaleTile() == 0) {
      int tileBytes = (step / c.stepsPerScaleTile()) * kScaleTileBytes;
      wordsA = loadWords(k.offset(scalesA(base), tileBytes), scaleRowA, tileRowA, std::max(1, c.warpM() / 32));
      wordB = loadWords(k.offset(scalesB(base), tileBytes), scaleLane, tileRowB, 1)[0];
    }
    CodeFragments codes = loadCodes(base, k.c32(step));
    ScaleSelectors selectors;
    selectors.byte = 2 * (step % c.stepsPerScaleTile());
    for (int m = 0; m < c.tilesM(); ++m)
      for (int n = 0; n < c.tilesN(); ++n) {
        selectors.threadA = m % 2;
        selectors.threadB = n;
        int first = (m * c.tilesN() + n) * 4;
        llvm::ArrayRef<Val> sum = llvm::ArrayRef<Val>(sums).slice(first, 4);
        SmallVector<Val> result =
            c.target.matrixStep(k, c.format, codes.a[m], codes.b[n], sum, wordsA[m / 2], wordB, selectors);
        llvm::copy(result, sums.begin() + first);
      }
  }
  return sums;
}

std::unique_ptr<StageMath> makeHardwareStage(const StageContext &context) {
  return std::make_unique<HardwareStage>(context);
}

} // namespace compiler
} // namespace fourfold
