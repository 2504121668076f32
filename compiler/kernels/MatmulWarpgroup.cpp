// A stage on the matrix steps of warpgroups: B dequantized to bf16 in shared memory, once a block; A in the registers of its warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A step here is K = 64, in two groups of matrix steps. While the tensor cores work on step s, all eight warps dequantize step s + 1: first a
// share of the rows of B each, into one of three buffers; then each its own 16 rows of A, a half of K at a time, into the registers of that
// half, which the group before the youngest has read. Nobody is a producer only: arithmetic and matrix steps alternate in every warp, and a
// group is always queued before the one before it ends.
//
// Two groups, so that steps can be a loop in the kernel: had a step one, its A would have to go to other registers than that of the step
// before, in two copies of the code, and ptxas takes as long for matrix steps of 128 accumulators as for the rest. Moving A to registers of
// its own after the wait is no way out: ptxas 13.0 merges them with those that it was moved from, which are written while they are read.
//
// Instructions of a block of 128x256 for a step: 32 registers of A's codes and 64 of B's, a warp each, at 19, with scales, loads, 64 stores
// and a loop over the halves of B's rows about 2900, 740 cycles of the four schedulers; its matrix steps take 1024 (64x256x16 in 128).
// Tensor cores bind it. As bf16 steps of warps (MatmulFast.cpp), B would be dequantized by every warp that shares it, and the steps reach
// two thirds of this rate.
// Operands expanded to bf16 by the quantize kernels would need no arithmetic here, but 2 bytes an element in place of 0.56, in memory
// for as long as the tensor is kept for the backward pass.
//
// Three buffers: a warp that writes B of step s has passed the barrier of step s - 1, before which every other warp waited, in its step
// s - 2, for its steps up to s - 3.

#include "compiler/kernels/CodeDequantizer.h"
#include "compiler/kernels/MatmulStage.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kOperandRowBytes = 128; // 64 of K in bf16: a row of the 128-byte swizzle
constexpr int kHalfBytes = kOperandRowBytes / 2;
constexpr int kBuffers = 3;

class WarpgroupStage : public StageMath {
public:
  explicit WarpgroupStage(const StageContext &context) : StageMath(context), dequantizer(context.k, context.format) {}
  SmallVector<Val> compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) override;
  SmallVector<Val> finish(llvm::ArrayRef<Val> accumulators) override { return k.waitWarpgroupSteps(0, accumulators); }
  Val sumFactor() const override { return dequantizer.sumFactor(); }

private:
  struct RowsOfA {
    SmallVector<Val> codes, factorsLow, factorsHigh;
  };
  RowsOfA loadA(Val base, Val step);
  SmallVector<Val> dequantizeA(const RowsOfA &a, int half, bool waits);
  /// `buffer`: bytes from the start of shared memory.
  void dequantizeB(Val base, Val step, Val buffer);

  CodeDequantizer dequantizer;
};

} // namespace

/// The codes of the warp's rows of A, and by halves of K the factors of those in the upper and the lower half of its matrices.
WarpgroupStage::RowsOfA WarpgroupStage::loadA(Val base, Val step) {
  Val tileRow = (c.blockRow + c.warpRow) & 127;
  SmallVector<Val> words = loadScaleWords(scaleTile(scalesA(base), step), tileRow, c.lane >> 2, 2);
  auto [low0, low1] = dequantizer.laneFactors(words[0], c.lane, step);
  auto [high0, high1] = dequantizer.laneFactors(words[1], c.lane, step);
  return {loadCodesA(base, step)[0], {low0, low1}, {high0, high1}};
}

/// A's fragments of the two matrix steps of K = 16 of a half: pairs 0, 1 and pairs 2, 3. With `waits` all groups but the youngest have ended
/// before they are written.
SmallVector<Val> WarpgroupStage::dequantizeA(const RowsOfA &a, int half, bool waits) {
  SmallVector<Val> codes(llvm::ArrayRef<Val>(a.codes).slice(2 * half, 2));
  if (waits)
    codes = k.waitWarpgroupSteps(1, codes);
  SmallVector<Val> low = dequantizer.pairs(codes[0], a.factorsLow[half]), high = dequantizer.pairs(codes[1], a.factorsHigh[half]);
  return {low[0], high[0], low[1], high[1], low[2], high[2], low[3], high[3]};
}

/// A thread's share: a row, or half a row, of B. In a row, chunk 4 half + p of 16 bytes holds pair p of its four registers of codes: matrix
/// steps of K = 16 take two chunks, and meet K in the order of A's fragments.
void WarpgroupStage::dequantizeB(Val base, Val step, Val buffer) {
  Val thread = k.threadId();
  int numHalves = 2 * c.tile.tileN / c.tile.numThreads();
  Val row = thread % c.tile.tileN;
  // Whole rows of 16 bytes of the scale tile, which 32 lanes read without a conflict; a warp's rows share the word.
  Val tiles = k.offset(scaleTile(scalesB(base), step), (row >> 7) * (c.tile.scaleTilesPerStage(c.format) * kScaleTileBytes));
  Val tileRow = (c.blockColumn + row) & 127;
  Val vector = k.load(k.vec(4, k.i32()), k.offset(tiles, swizzledScaleRow(tileRow & 31) << 4), 16);
  Val word = k.extract(vector, 0), which = tileRow >> 5;
  for (int i = 1; i < 4; ++i)
    word = k.select(equals(which, i), k.extract(vector, i), word);

  // Registers 0, 1 and 2, 3 of a half lie in blocks of 16 or in one of 32: two factors, or twice the same.
  std::pair<Val, Val> first = dequantizer.factors(word, step);
  std::pair<Val, Val> second = c.format == Format::NVFP4 ? dequantizer.factors(word >> 8, step) : first;
  SmallVector<Val> low = {first.first, second.first}, high = {first.second, second.second};
  auto loadCodes = [&](Val half) {
    Val chunk = (half + step * 2) ^ ((row >> 1) & 3);
    return k.load(k.vec(4, k.i32()), k.offset(codesB(base), row * kRowBytes + (chunk << 4)), 16);
  };
  Val toRow = buffer + row * kOperandRowBytes;
  auto dequantizeHalf = [&](Val halfBytes, Val codes, llvm::ArrayRef<Val> factors) {
    SmallVector<SmallVector<Val>> pairs;
    for (int t = 0; t < 4; ++t)
      pairs.push_back(dequantizer.pairs(k.extract(codes, t), factors[t / 2]));
    for (int p = 0; p < 4; ++p) {
      Val to = (toRow + (((row & 7) ^ p) << 4)) ^ halfBytes;
      k.store(k.pack({pairs[0][p], pairs[1][p], pairs[2][p], pairs[3][p]}), k.offset(k.shared(), to), 16);
    }
  };
  if (numHalves == 1) {
    Val half = thread / c.tile.tileN, isLow = equals(half, 0);
    dequantizeHalf(half * kHalfBytes, loadCodes(half), {k.select(isLow, low[0], high[0]), k.select(isLow, low[1], high[1])});
    return;
  }
  // A loop, as copies are a third of the code that the assembler sees. It loads nothing: what it needs is carried.
  Val codesHigh = loadCodes(k.c32(1));
  SmallVector<Val> carried = {loadCodes(k.c32(0)), low[0], low[1]};
  auto body = [&](Val halfBytes, llvm::ArrayRef<Val> current) {
    dequantizeHalf(halfBytes, current[0], current.drop_front());
    return SmallVector<Val>{codesHigh, high[0], high[1]};
  };
  k.forLoop(k.c32(0), k.c32(2 * kHalfBytes), k.c32(kHalfBytes), carried, body, KernelBuilder::Unroll::Rolled);
}

SmallVector<Val> WarpgroupStage::compute(Val index, Val base, llvm::ArrayRef<Val> accumulators) {
  Val shared = k.shared();
  // K-major, 128-byte swizzle, eight rows every 1024 bytes (PTX ISA 9.7.15.5.1); the lower half is the buffer's address.
  constexpr int64_t kDescriptor = int64_t{1} << 62 | int64_t{1024 >> 4} << 32 | int64_t{1} << 16;
  Val sharedAddress = k.wrap(LLVM::PtrToIntOp::create(k.ir(), k.loc(), k.i32(), shared));
  // Copies take 8 % fewer instructions, which bind where the tensor cores' part is small; the assembler takes too long for two of 128 accumulators.
  const bool isLoop = c.tile.tileN > 128;
  return forSteps(isLoop, accumulators, [&](Val step, llvm::ArrayRef<Val> carried) {
    SmallVector<Val> sums(carried);
    Val bufferOffset = ((index * kStepsPerStage + step) % kBuffers) * (c.tile.tileN * kOperandRowBytes);
    dequantizeB(base, step, bufferOffset);
    RowsOfA a = loadA(base, step);
    k.fenceOperands();
    k.barrier();
    Val descriptor = k.zext64((sharedAddress + bufferOffset) >> 4) | kDescriptor;
    for (int half = 0; half < 2; ++half)
      // In a loop the registers of a half are those of the step before; in copies of the stage before, and one wait a step is enough.
      sums = k.warpgroupSteps(dequantizeA(a, half, isLoop || half == 1), descriptor + half * (kHalfBytes >> 4), sums);
    return sums;
  });
}

std::unique_ptr<StageMath> makeWarpgroupStage(const StageContext &context) { return std::make_unique<WarpgroupStage>(context); }

} // namespace compiler
} // namespace fourfold
