// A stage on bf16 tensor cores: codes are dequantized in registers, scale included, and accumulated in fp32.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// e2m1 times its block scale is exact in bf16, so all products are those of FP4 tensor cores; only the accumulation differs.
//
// Eight codes of a register become four bf16 pairs. Shifted so that its exponent and mantissa meet those of bf16, a code is its value times
// 2^-126, subnormals included; one fma by the scale makes it whole. Codes i and i + 4 are a pair, pairs 0, 1 one matrix step of K = 16 and
// pairs 2, 3 another: along K both operands are permuted alike, which a sum does not notice. A lane's eight codes lie in one block, so it
// needs one scale a register.
//
// Instructions of a warp of 64x32 for K = 64 of nvfp4: 24 registers of codes at 15 + 4 fma, 12 scale words at 11, 64 matrix steps, 6
// ldmatrix, 12 scale loads. ptxas gives 700 (sm_80), beside 64 * 8 = 512 tensor-core cycles there, 64 * 6 = 384 on sm_90: issue bounds it, at
// about 70 % of what bf16 steps alone would reach.

#include "compiler/kernels/MatmulStage.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int64_t kMinusZeros = 0x80008000; // the addend that changes nothing
/// Powers of two as bf16 pairs.
constexpr int64_t kTwoTo111 = 0x77007700, kTwoTo126 = 0x7e807e80, kTwoTo127 = 0x7f007f00;

class FastStage : public StageMath {
public:
  explicit FastStage(const StageContext &context) : StageMath(context), isNVFP4(context.format == Format::NVFP4) {}
  SmallVector<Val> compute(Val base, llvm::ArrayRef<Val> accumulators) override;
  void finish(llvm::MutableArrayRef<Val> accumulators) override;

private:
  /// The factors of a row's two registers of codes (K 0-31 and 32-63) as bf16 pairs, from its word of scales.
  std::pair<Val, Val> factors(Val word, int step);
  SmallVector<Val> dequantize(Val codes, Val factor);
  Val multiply(Val x, Val y) { return k.fmaBF16x2(x, y, k.c32(kMinusZeros)); }

  bool isNVFP4;
};

} // namespace

std::pair<Val, Val> FastStage::factors(Val word, int step) {
  if (isNVFP4) {
    // Blocks t / 2 and t / 2 + 2 of the four. A byte's fields shifted to those of bf16 are the scale times 2^-120, subnormals too. The
    // factor is 2^118 times the scale, as 2^126 would overflow: products lack 2^16, which `finish` gives back.
    Val bytes = (word >> ((c.lane & 2) << 2)) & 0x007f007f;
    Val isNaN = (bytes + 0x00010001) & 0x00800080;
    Val scales = multiply(multiply(bytes << 4, k.c32(kTwoTo127)), k.c32(kTwoTo111));
    // 0x80 * 255: all exponent bits, over a mantissa that is not zero.
    scales = scales | (isNaN * 255);
    return {k.permuteBytes(scales, scales, k.c32(0x1010)), k.permuteBytes(scales, scales, k.c32(0x3232))};
  }
  // Two bytes a step, one for each half. 2^(byte - 127) has the byte as its exponent field, but for 0, a subnormal with the mantissa's
  // highest bit, and for 255, NaN, which that bit makes of infinity.
  Val bytes = k.permuteBytes(word, k.c32(0), k.c32(step % 2 == 0 ? 0x4140 : 0x4342));
  Val notSpecial = ((bytes + 0x00010001) & 0x00fe00fe) + 0x00fe00fe;
  Val scales = (bytes << 7) | (((notSpecial ^ -1) & 0x01000100) >> 2);
  return {k.permuteBytes(scales, scales, k.c32(0x1010)), k.permuteBytes(scales, scales, k.c32(0x3232))};
}

SmallVector<Val> FastStage::dequantize(Val codes, Val factor) {
  SmallVector<Val> pairs;
  for (int i = 0; i < 4; ++i) {
    // Codes i and i + 4 of the register: sign, exponent and mantissa to bits 15 and 8-6 of their halves.
    Val sign = i == 3 ? codes : codes << (12 - 4 * i);
    Val magnitude = i < 2 ? codes << (6 - 4 * i) : codes >> (4 * i - 6);
    Val pair = (sign & 0x80008000) | (magnitude & 0x01c001c0);
    // A ue8m0 scale spans all of bf16's exponents: 2^126 apart.
    pairs.push_back(multiply(isNVFP4 ? pair : multiply(pair, k.c32(kTwoTo126)), factor));
  }
  return pairs;
}

SmallVector<Val> FastStage::compute(Val base, llvm::ArrayRef<Val> accumulators) {
  const int tilesM = c.tilesM(), tilesN = c.tilesN();
  Val tileRowA = (c.blockRow + c.warpRow) & 127, tileRowB = (c.blockColumn + c.warpColumn) & 127;
  SmallVector<Val> sums(accumulators), wordsA, wordsB;
  for (int step = 0; step < kStepsPerStage; ++step) {
    if (step % c.stepsPerScaleTile() == 0) {
      int tileBytes = (step / c.stepsPerScaleTile()) * kScaleTileBytes;
      wordsA = loadScaleWords(k.offset(scalesA(base), tileBytes), tileRowA, c.lane >> 2, 2 * tilesM);
      wordsB = loadScaleWords(k.offset(scalesB(base), tileBytes), tileRowB, c.lane >> 2, tilesN);
    }
    CodeFragments codes = loadCodes(base, k.c32(step));
    SmallVector<std::pair<Val, Val>> factorsA, factorsB;
    for (Val word : wordsA)
      factorsA.push_back(factors(word, step));
    for (Val word : wordsB)
      factorsB.push_back(factors(word, step));
    for (int half = 0; half < 2; ++half) {
      auto factor = [half](const std::pair<Val, Val> &both) { return half == 0 ? both.first : both.second; };
      SmallVector<SmallVector<Val>> columns;
      for (int n = 0; n < tilesN; ++n)
        columns.push_back(dequantize(codes.b[n][half], factor(factorsB[n])));
      for (int m = 0; m < tilesM; ++m) {
        SmallVector<Val> low = dequantize(codes.a[m][2 * half], factor(factorsA[2 * m]));
        SmallVector<Val> high = dequantize(codes.a[m][2 * half + 1], factor(factorsA[2 * m + 1]));
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
  }
  return sums;
}

void FastStage::finish(llvm::MutableArrayRef<Val> accumulators) {
  if (isNVFP4)
    for (Val &sum : accumulators)
      sum = sum * k.cf(65536.0f);
}

std::unique_ptr<StageMath> makeFastStage(const StageContext &context) { return std::make_unique<FastStage>(context); }

} // namespace compiler
} // namespace fourfold
