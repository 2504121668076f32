// The block-scaled matmul of GPUs with tensor memory (tcgen05): one thread starts matrix steps of the whole tile.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A stage is 256 of K: rows of 128 bytes, the widest swizzle. All threads copy, as in the other kernels; when a stage has come, one thread
// starts the copies of its scale tiles into tensor memory and its four steps of K = 64, and goes on. The slot of the stage before is
// filled again when its steps have ended, while those of this one run: tensor cores never wait for the loop.
//
// A 128x256 tile needs 48 KiB of codes and 6 KiB of scales for the 512 cycles of a stage's steps: 108 bytes a cycle, more than a multiprocessor's
// port to L2 has (64). Pairs of multiprocessors that share an operand (cta_group::2) would halve what each reads; they are not used yet.
//
// Each slot has its own columns for its scales: that steps end before a later copy overwrites their scales then follows from the slot's
// mbarrier, as it does for shared memory. 256 columns of accumulators and 4 slots of 4 steps of 12 make 448 of the 512 there are.

#include "compiler/kernels/MatmulCopies.h"
#include "compiler/kernels/MatmulEpilogue.h"
#include "compiler/kernels/TensorMemory.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kAddressPlace = 64; // of tensor memory's address among the bytes before the stages; mbarriers come first

class TensorMemoryMatmul {
public:
  TensorMemoryMatmul(KernelBuilder &k, Format format, const MatmulTile &tile, const ElementRegion &epilogue)
      : k(k), memory(k), params(k, format), tile(tile), epilogue(epilogue), stage{format, tile.tileN, tile.stageK() / 64},
        columns(static_cast<int>(llvm::PowerOf2Ceil(static_cast<uint64_t>(tile.tileN + tile.stages * stage.scaleColumns())))) {}

  void build();

private:
  Val prepare();
  void startStage(Val step, Val slot);
  void store(Val blockRow);

  KernelBuilder &k;
  TensorMemory memory;
  MatmulParams params;
  const MatmulTile &tile;
  const ElementRegion &epilogue;
  TensorSteps stage;
  int columns; // of tensor memory: accumulators, then scales of each slot

  Val shared, sharedAddress, warp, isFirstWarp, blockColumn, accumulators;
};

} // namespace

/// Tensor memory and mbarriers, by the first warp.
Val TensorMemoryMatmul::prepare() {
  k.ifThen(isFirstWarp, [&] {
    memory.allocate(sharedAddress + kAddressPlace, columns);
    k.ifThen(memory.isElected(), [&] {
      for (int slot = 0; slot < tile.stages; ++slot)
        memory.initBarrier(sharedAddress + slot * 8);
    });
  });
  memory.fenceBefore();
  k.barrier();
  memory.fenceAfter();
  return k.load(k.i32(), k.offset(shared, kAddressPlace), 4);
}

void TensorMemoryMatmul::startStage(Val step, Val slot) {
  k.ifThen(isFirstWarp, [&] {
    k.ifThen(memory.isElected(), [&] {
      memory.fenceAfter();
      Val codesA = sharedAddress + slot * tile.stageBytes(stage.format) + tile.headBytes();
      Val codesB = codesA + tile.tileM * tile.rowBytes(), tiles = codesB + tile.tileN * tile.rowBytes();
      // Rows r and r + 32 are neighbouring columns.
      Val firstRowB = tile.tileN < 128 ? (blockColumn & 127) >> 5 : k.c32(0);
      memory.startSteps(stage, accumulators, accumulators + tile.tileN + slot * stage.scaleColumns(), codesA, codesB, tiles, firstRowB, step,
                        sharedAddress + slot * 8);
    });
  });
}

/// A warp reaches 32 rows of accumulators; warps four apart share their columns.
void TensorMemoryMatmul::store(Val blockRow) {
  const int warpColumns = tile.tileN / tile.warpsN;
  Val row = (warp & 3) << 5, column = (warp >> 2) * warpColumns;
  Val alpha = params.loadAlpha(k);
  TileWriter writer(k, epilogue, params.firstEpilogueParam, params.out, params.sizeM, params.sizeN);
  Val left = params.sizeN - (blockColumn + column);
  Val exist = k.select(left < warpColumns, left, k.c32(warpColumns));
  k.ifThen((blockRow + row) < params.sizeM, [&] {
    k.forLoop(k.c32(0), exist, k.c32(kWarpN), {}, [&](Val first, llvm::ArrayRef<Val>) {
      SmallVector<Val> values = memory.load(accumulators + (row << 16) + column + first);
      writer.storeRows({blockRow + row, blockColumn + column + first, 2, kWarpN / 8, {alpha}}, values, k.offset(shared, tile.headBytes()));
      return SmallVector<Val>();
    });
  });
}

void TensorMemoryMatmul::build() {
  shared = k.shared(1024); // the pattern of the 128-byte swizzle
  sharedAddress = memory.address(shared);
  warp = k.threadId() >> 5;
  isFirstWarp = equals(warp, 0);
  StageCopies copies(k, stage.format, tile, params);
  auto [firstRow, firstColumn] = placeTile(k, params.sizeM, params.sizeN, tile.tileM, tile.tileN);
  blockColumn = firstColumn;
  copies.prepare(firstRow, firstColumn);
  // Without any K one stage of zeros makes the accumulators zero.
  Val numSteps = umax((params.sizeK + (tile.stageK() - 1)) / tile.stageK(), k.c32(1));
  for (int slot = 0; slot < tile.stages - 1; ++slot)
    copies.issue(k.c32(slot), k.c32(slot), numSteps);
  accumulators = prepare();

  // Ring: slot `read` holds step i; slot `write` had the step before, whose steps end with the phase of parity `parity` of its mbarrier. At
  // the first step it is unused: that passes a wait for parity 1.
  const int last = tile.stages - 1;
  SmallVector<Val> state = {k.c32(0), k.c32(last), k.c32(1)};
  state = k.forLoop(k.c32(0), numSteps, k.c32(1), state, [&](Val step, llvm::ArrayRef<Val> carried) {
    Val read = carried[0], write = carried[1], parity = carried[2];
    k.waitCopies(tile.stages - 2);
    k.fenceOperands();
    k.barrier();
    startStage(step, read);
    memory.waitBarrier(sharedAddress + (write << 3), parity);
    copies.issue(write, step + last, numSteps);
    Val wraps = equals(write, last);
    return SmallVector<Val>{k.select(equals(read, last), k.c32(0), read + 1), k.select(wraps, k.c32(0), write + 1),
                            k.select(wraps, parity ^ 1, parity)};
  });
  memory.waitBarrier(sharedAddress + (state[1] << 3), state[2]);
  memory.fenceAfter();
  k.waitCopies(0); // of empty groups
  store(firstRow);
  memory.fenceBefore();
  k.barrier();
  k.ifThen(isFirstWarp, [&] {
    memory.fenceAfter();
    memory.free(accumulators, columns);
  });
}

void buildTensorMemoryMatmul(KernelBuilder &k, Format format, const MatmulTile &tile, const ElementRegion &epilogue) {
  TensorMemoryMatmul(k, format, tile, epilogue).build();
}

} // namespace compiler
} // namespace fourfold
