// A stage on the matrix steps of warpgroups: B dequantized to bf16 in shared memory, once a block; A in the registers of its warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A step here is K = 64. While the tensor cores work on step s, all eight warps dequantize step s + 1: each its own 16 rows of A into
// registers, and a share of the rows of B into one of three buffers. Nobody is a producer only: arithmetic and matrix steps alternate in
// every warp, and a step is always queued before the one before it ends.
//
// Instructions of a block of 128x256 for a step: 32 registers of A's codes and 64 of B's, a warp each, at 19, with scales, loads and 64
// stores about 2400, 600 cycles of the four schedulers; its matrix steps take 1024 (64x256x16 in 128). Tensor cores bind it. As bf16 steps
// of warps (MatmulFast.cpp), B would be dequantized by every warp that shares it, and the steps reach two thirds of this rate.
// Operands expanded to bf16 by the quantize kernels would need no arithmetic here, but 2 bytes an element in place of 0.56, in memory
// for as long as the tensor is kept for the backward pass.
//
// Three buffers: a warp that writes B of step s has waited for its own steps up to s - 2, and has since passed the barrier of step s - 1,
// before which every other warp waited for its steps up to s - 3.

#include "compiler/kernels/CodeDequantizer.h"
#include "compiler/kernels/MatmulStage.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kOperandRowBytes = 128; // 64 of K in bf16: a row of the 128-byte swizzle
constexpr int kBuffers = 3;

class WarpgroupStage : public StageMath {
public:
  explicit WarpgroupStage(const StageContext &context) : StageMath(context), dequantizer(context.k, context.format) {}
  SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) override;
  void finish(llvm::MutableArrayRef<Val> accumulators) override;

private:
  SmallVector<Val> dequantizeA(Val base, int step);
  void dequantizeB(Val base, int step, Val buffer);
  Val scaleTile(Val scales, int step) { return k.offset(scales, (step / c.stepsPerScaleTile()) * kScaleTileBytes); }

  CodeDequantizer dequantizer;
};

} // namespace

/// A's fragments of the four matrix steps of K = 16: pairs 0, 1 and pairs 2, 3 of each half.
SmallVector<Val> WarpgroupStage::dequantizeA(Val base, int step) {
  Val tileRow = (c.blockRow + c.warpRow) & 127;
  SmallVector<Val> words = loadScaleWords(scaleTile(scalesA(base), step), tileRow, c.lane >> 2, 2);
  SmallVector<Val> codes = loadCodesA(base, k.c32(step))[0];
  auto [low0, low1] = dequantizer.laneFactors(words[0], c.lane, step);
  auto [high0, high1] = dequantizer.laneFactors(words[1], c.lane, step);
  SmallVector<Val> fragments;
  for (int half = 0; half < 2; ++half) {
    SmallVector<Val> low = dequantizer.pairs(codes[2 * half], half == 0 ? low0 : low1);
    SmallVector<Val> high = dequantizer.pairs(codes[2 * half + 1], half == 0 ? high0 : high1);
    for (int pair = 0; pair < 4; pair += 2)
      fragments.append({low[pair], high[pair], low[pair + 1], high[pair + 1]});
  }
  return fragments;
}

/// A thread's share: a row, or half a row, of B. In a row, chunk 4 half + p of 16 bytes holds pair p of its four registers of codes: matrix
/// steps of K = 16 take two chunks, and meet K in the order of A's fragments.
void WarpgroupStage::dequantizeB(Val base, int step, Val buffer) {
  Val thread = k.threadId();
  int numHalves = 2 * c.tile.tileN / c.tile.numThreads();
  Val row = thread % c.tile.tileN;
  // Whole rows of 16 bytes of the scale tile, which 32 lanes read without a conflict; a warp's rows share the word.
  Val tiles = k.offset(scaleTile(scalesB(base), step), (row >> 7) * (scaleTilesPerStage(c.format) * kScaleTileBytes));
  Val tileRow = (c.blockColumn + row) & 127;
  Val vector = k.load(k.vec(4, k.i32()), k.offset(tiles, swizzledScaleRow(tileRow & 31) << 4), 16);
  Val word = k.extract(vector, 0), which = tileRow >> 5;
  for (int i = 1; i < 4; ++i)
    word = k.select(equals(which, i), k.extract(vector, i), word);

  // Registers 0, 1 and 2, 3 of a half lie in blocks of 16 or in one of 32.
  std::pair<Val, Val> first = dequantizer.factors(word, step);
  std::pair<Val, Val> second = c.format == Format::NVFP4 ? dequantizer.factors(word >> 8, step) : first;
  Val toRow = k.offset(buffer, row * kOperandRowBytes);
  for (int i = 0; i < numHalves; ++i) {
    Val half = numHalves == 2 ? k.c32(i) : thread / c.tile.tileN;
    auto factor = [&](const std::pair<Val, Val> &both) {
      return numHalves == 2 ? (i == 0 ? both.first : both.second) : k.select(equals(half, 0), both.first, both.second);
    };
    Val chunk = (half + step * 2) ^ ((row >> 1) & 3);
    Val codes = k.load(k.vec(4, k.i32()), k.offset(codesB(base), row * kRowBytes + (chunk << 4)), 16);
    Val factors[2] = {factor(first), factor(second)};
    SmallVector<SmallVector<Val>> pairs;
    for (int t = 0; t < 4; ++t)
      pairs.push_back(dequantizer.pairs(k.extract(codes, t), factors[t / 2]));
    for (int p = 0; p < 4; ++p)
      k.store(k.pack({pairs[0][p], pairs[1][p], pairs[2][p], pairs[3][p]}), k.offset(toRow, ((half * 4 + p) ^ (row & 7)) << 4), 16);
  }
}

SmallVector<Val> WarpgroupStage::compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) {
  Val shared = k.shared();
  // K-major, 128-byte swizzle, eight rows every 1024 bytes (PTX ISA 9.7.15.5.1); the lower half is the buffer's address.
  constexpr int64_t kDescriptor = int64_t{1} << 62 | int64_t{1024 >> 4} << 32 | int64_t{1} << 16;
  Val sharedAddress = k.wrap(LLVM::PtrToIntOp::create(k.ir(), k.loc(), k.i32(), shared));
  SmallVector<Val> sums(accumulators);
  for (int step = 0; step < kStepsPerStage; ++step) {
    Val bufferOffset = ((index * kStepsPerStage + step) % kBuffers) * (c.tile.tileN * kOperandRowBytes);
    dequantizeB(base, step, k.offset(shared, bufferOffset));
    SmallVector<Val> a = dequantizeA(base, step);
    k.fenceOperands();
    k.barrier();
    Val descriptor = k.zext64((sharedAddress + bufferOffset) >> 4) | kDescriptor;
    sums = k.warpgroupSteps(a, descriptor, sums);
    k.waitWarpgroupSteps(1);
  }
  return sums;
}

void WarpgroupStage::finish(llvm::MutableArrayRef<Val> accumulators) {
  SmallVector<Val> sums = k.finishWarpgroupSteps(accumulators);
  llvm::copy(sums, accumulators.begin());
  dequantizer.finish(accumulators);
}

std::unique_ptr<StageMath> makeWarpgroupStage(const StageContext &context) { return std::make_unique<WarpgroupStage>(context); }

} // namespace compiler
} // namespace fourfold
