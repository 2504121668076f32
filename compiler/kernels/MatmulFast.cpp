// A stage on bf16 tensor cores: codes are dequantized in registers, scale included, and accumulated in fp32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Codes become bf16 as CodeDequantizer.h has it: pairs 0, 1 of a register are one matrix step of K = 16 and pairs 2, 3 another. Along K both
// operands are permuted alike, which a sum does not notice. A lane's eight codes lie in one block, so it needs one scale a register.
//
// Instructions of a warp of 64x32 for K = 64 of nvfp4: 24 registers of codes at 15 + 4 fma, 12 scale words at 11, 64 matrix steps, 6
// ldmatrix, 12 scale loads. ptxas gives 690 (sm_80), beside 64 * 8 = 512 tensor-core cycles there, 64 * 6 = 384 on sm_90: issue bounds it, at
// about 70 % of what bf16 steps alone would reach.

#include "compiler/kernels/CodeDequantizer.h"
#include "compiler/kernels/MatmulStage.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

class FastStage : public StageMath {
public:
  explicit FastStage(const StageContext &context) : StageMath(context), dequantizer(context.k, context.format) {}
  SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) override;
  Val sumFactor() const override { return dequantizer.sumFactor(); }

private:
  CodeDequantizer dequantizer;
};

} // namespace

SmallVector<Val> FastStage::compute(Val, Val base, llvm::ArrayRef<Val> accumulators) {
  const int tilesM = c.tilesM(), tilesN = c.tilesN();
  Val tileRowA = (c.blockRow + c.warpRow) & 127, tileRowB = (c.blockColumn + c.warpColumn) & 127;
  // Copies take 5 % fewer instructions, as addresses are constants; the code of large tiles is too long for that.
  return forSteps(/*isLoop=*/tilesM * tilesN > 8, accumulators, [&](Val step, llvm::ArrayRef<Val> state) {
    SmallVector<Val> sums(state);
    SmallVector<Val> wordsA = loadScaleWords(scaleTile(scalesA(base), step), tileRowA, c.lane >> 2, 2 * tilesM);
    SmallVector<Val> wordsB = loadScaleWords(scaleTile(scalesB(base), step), tileRowB, c.lane >> 2, tilesN);
    CodeFragments codes = loadCodes(base, step);
    SmallVector<std::pair<Val, Val>> factorsA, factorsB;
    for (Val word : wordsA)
      factorsA.push_back(dequantizer.laneFactors(word, c.lane, step));
    for (Val word : wordsB)
      factorsB.push_back(dequantizer.laneFactors(word, c.lane, step));
    for (int half = 0; half < 2; ++half) {
      auto factor = [half](const std::pair<Val, Val> &both) { return half == 0 ? both.first : both.second; };
      SmallVector<SmallVector<Val>> columns;
      for (int n = 0; n < tilesN; ++n)
        columns.push_back(dequantizer.pairs(codes.b[n][half], factor(factorsB[n])));
      for (int m = 0; m < tilesM; ++m) {
        SmallVector<Val> low = dequantizer.pairs(codes.a[m][2 * half], factor(factorsA[2 * m]));
        SmallVector<Val> high = dequantizer.pairs(codes.a[m][2 * half + 1], factor(factorsA[2 * m + 1]));
        // The two steps of an accumulator are not next to each other: its chain has time.
        for (int pair = 0; pair < 4; pair += 2)
          for (int n = 0; n < tilesN; ++n) {
            int first = (m * tilesN + n) * 4;
            SmallVector<Val> result = k.matrixStep(NVVM::MMATypes::bf16, 16, {low[pair], high[pair], low[pair + 1], high[pair + 1]},
                                                       {columns[n][pair], columns[n][pair + 1]},
                                                       llvm::ArrayRef<Val>(sums).slice(first, 4));
            llvm::copy(result, sums.begin() + first);
          }
      }
    }
    return sums;
  });
}

std::unique_ptr<StageMath> makeFastStage(const StageContext &context) { return std::make_unique<FastStage>(context); }

} // namespace compiler
} // namespace fourfold
