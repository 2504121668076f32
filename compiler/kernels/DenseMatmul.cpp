// bf16 and f16 matmul: a ring of asynchronous stages, swizzled shared memory, ldmatrix, mma.sync, fused epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A stage holds 32 elements of K. An operand stored rows by K has 64 bytes a row there: the 16-byte chunk c of row r stands at
// c ^ ((r >> 1) & 3), as in the block-scaled kernel. One stored K by rows has its tile's rows in 128 or 256 bytes for each k: chunk c of k
// stands at c ^ (k & 7), and ldmatrix transposes. Either way the eight rows of an ldmatrix phase fall on different banks.

#include "compiler/kernels/DenseMatmul.h"

#include "compiler/kernels/MatmulEpilogue.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kStageK = 32;
constexpr int kElement = 2;                        // bytes
constexpr int kPerChunk = 16 / kElement;           // elements of a 16-byte copy
constexpr int kRowChunks = kStageK / kPerChunk;    // of an operand stored rows by K
constexpr int kStepsPerStage = kStageK / 16;       // matrix steps of K = 16
constexpr int kTilesN = kWarpN / 8;

/// One operand: where its chunks come from and go, and how its fragments are read.
class Operand {
public:
  Operand(KernelBuilder &k, Type elementType, Val pointer, int axis, int tileRows, Val firstRow, Val numRows, Val sizeK,
          int threads, int stageOffset)
      : k(k), elementType(elementType), pointer(pointer), axis(axis), tileRows(tileRows), firstRow(firstRow),
        numRows(numRows), sizeK(sizeK), stageOffset(stageOffset), count(tileRows * kRowChunks / threads),
        threads(threads) {
    // A chunk is whole and aligned, or absent, where rows in memory are multiples of it.
    aligned = equals((axis == 1 ? sizeK : numRows) & (kPerChunk - 1), 0);
  }

  /// Starts the copies of the stage that begins at `firstK` to `stage`.
  void copy(Val stage, Val firstK) {
    Val thread = k.threadId();
    k.ifElse(
        aligned, TypeRange(),
        [&] {
          for (int i = 0; i < count; ++i) {
            Chunk chunk = place(thread + i * threads, firstK);
            Val exists = k.logicalAnd(chunk.row < numRows, chunk.column < sizeK);
            k.copyAsync16(k.offset(stage, chunk.to), k.offset(pointer, k.select(exists, chunk.from * kElement, k.c64(0))),
                          k.select(exists, k.c32(16), k.c32(0)));
          }
          return SmallVector<Val>();
        },
        [&] {
          for (int i = 0; i < count; ++i)
            copyElements(stage, place(thread + i * threads, firstK));
          return SmallVector<Val>();
        });
  }

  /// Four matrices: 16 rows from `row` by 16 elements of K from step `step`, in the order (rows 0-7, rows 8-15) of the first half of K,
  /// then of the second; with `halvesFirst` both halves of K of rows 0-7 first.
  SmallVector<Val> fragments(Val stage, Val row, int step, bool halvesFirst) {
    Val lane = k.threadId() & 31;
    Val inMatrix = lane & 7, matrix = lane >> 3;
    Val rowHalf = halvesFirst ? matrix >> 1 : matrix & 1, kHalf = halvesFirst ? matrix & 1 : matrix >> 1;
    Val base = k.offset(stage, stageOffset);
    if (axis == 1) {
      Val r = row + rowHalf * 8 + inMatrix, chunk = kHalf + 2 * step;
      return k.loadMatrixX4(k.offset(base, (r * kRowChunks + (chunk ^ ((r >> 1) & 3))) * 16));
    }
    Val kRow = kHalf * 8 + inMatrix + step * 16, chunk = (row >> 3) + rowHalf;
    return k.loadMatrixX4(k.offset(base, (kRow * (tileRows / kPerChunk) + (chunk ^ (kRow & 7))) * 16), /*transpose=*/true);
  }

private:
  struct Chunk {
    Val row, column; // of its first element: row of the operand, element of K
    Val from;        // index of its first element, i64
    Val to;          // byte in the stage
  };

  Chunk place(Val index, Val firstK) {
    Chunk chunk;
    if (axis == 1) {
      Val row = index / kRowChunks, c = index % kRowChunks;
      chunk.row = firstRow + row;
      chunk.column = firstK + c * kPerChunk;
      chunk.from = k.toI64(chunk.row) * k.toI64(sizeK) + k.toI64(chunk.column);
      chunk.to = (row * kRowChunks + (c ^ ((row >> 1) & 3))) * 16 + stageOffset;
      return chunk;
    }
    const int perRow = tileRows / kPerChunk;
    Val row = index / perRow, c = index % perRow;
    chunk.row = firstRow + c * kPerChunk;
    chunk.column = firstK + row;
    chunk.from = k.toI64(chunk.column) * k.toI64(numRows) + k.toI64(chunk.row);
    chunk.to = (row * perRow + (c ^ (row & 7))) * 16 + stageOffset;
    return chunk;
  }

  /// Element by element, where 16 bytes would be misaligned or reach into the next row.
  void copyElements(Val stage, const Chunk &chunk) {
    Val rowExists = axis == 1 ? chunk.row < numRows : chunk.column < sizeK;
    Val valid = k.select(rowExists, axis == 1 ? sizeK - chunk.column : numRows - chunk.row, k.c32(0));
    SmallVector<Val> values =
        loadElements(k, elementType, pointer, chunk.from, kPerChunk, k.cbool(false), valid);
    k.store(k.pack(values), k.offset(stage, chunk.to), 16);
  }

  KernelBuilder &k;
  Type elementType;
  Val pointer;
  int axis, tileRows;
  Val firstRow, numRows, sizeK;
  int stageOffset, count, threads;
  Val aligned;
};

} // namespace

llvm::ArrayRef<DenseTile> denseTiles() {
  // Eight warps of 64x32 for large problems; four of 32x32 where 128x128 tiles would leave most of the GPU idle.
  static const DenseTile tiles[] = {{128, 128, 2, 4, 4}, {64, 64, 2, 2, 4}};
  return tiles;
}

void buildDenseMatmul(KernelModule module, llvm::StringRef name, Type elementType, int axisA, int axisB,
                      const DenseTile &tile, const ElementRegion &epilogue) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  SmallVector<Type> params(3, global);
  params.append(3, i32);
  params.append(epilogue.operands.size(), global);
  KernelBuilder k(module, name, params, tile.numThreads());
  permitAccumulation(k, epilogue, /*outParam=*/2);

  Val sizeM = k.param(3), sizeN = k.param(4), sizeK = k.param(5);
  const int warpM = tile.tileM / tile.warpsM, tilesM = warpM / 16;
  Val shared = k.shared(), warp = k.threadId() >> 5;
  Val warpRow = (warp / tile.warpsN) * warpM, warpColumn = (warp % tile.warpsN) * kWarpN;
  auto [blockRow, blockColumn] = placeTile(k, sizeM, sizeN, tile.tileM, tile.tileN);
  Operand a(k, elementType, k.param(0), axisA, tile.tileM, blockRow, sizeM, sizeK, tile.numThreads(), 0);
  Operand b(k, elementType, k.param(1), axisB, tile.tileN, blockColumn, sizeN, sizeK, tile.numThreads(), tile.tileM * 64);

  NVVM::MMATypes stepType = elementType.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  Val numSteps = (sizeK + (kStageK - 1)) / kStageK;
  auto issue = [&](Val stage, Val step) {
    k.ifThen(step < numSteps, [&] {
      Val to = k.offset(shared, stage * tile.stageBytes()), firstK = step * kStageK;
      a.copy(to, firstK);
      b.copy(to, firstK);
    });
    k.commitCopies();
  };
  for (int stage = 0; stage < tile.stages - 1; ++stage)
    issue(k.c32(stage), k.c32(stage));

  // Ring: slot `read` holds step i; slot `write` was read in the step before, which the barrier has put behind every warp.
  SmallVector<Val> carried = {k.c32(0), k.c32(tile.stages - 1)};
  carried.append(tilesM * kTilesN * 4, k.cf(0.0f));
  SmallVector<Val> results = k.forLoop(k.c32(0), numSteps, k.c32(1), carried, [&](Val step, llvm::ArrayRef<Val> state) {
    Val read = state[0], write = state[1];
    k.waitCopies(tile.stages - 2);
    k.barrier();
    issue(write, step + (tile.stages - 1));
    SmallVector<Val> next = {k.select(equals(read, tile.stages - 1), k.c32(0), read + 1),
                             k.select(equals(write, tile.stages - 1), k.c32(0), write + 1)};
    SmallVector<Val> sums(state.drop_front(2));
    Val stage = k.offset(shared, read * tile.stageBytes());
    for (int s = 0; s < kStepsPerStage; ++s) {
      SmallVector<SmallVector<Val>> fragmentsA, fragmentsB;
      for (int m = 0; m < tilesM; ++m)
        fragmentsA.push_back(a.fragments(stage, warpRow + m * 16, s, /*halvesFirst=*/false));
      for (int n = 0; n < kTilesN; n += 2) {
        SmallVector<Val> pair = b.fragments(stage, warpColumn + n * 8, s, /*halvesFirst=*/true);
        fragmentsB.push_back({pair[0], pair[1]});
        fragmentsB.push_back({pair[2], pair[3]});
      }
      for (int m = 0; m < tilesM; ++m)
        for (int n = 0; n < kTilesN; ++n) {
          int first = (m * kTilesN + n) * 4;
          llvm::copy(k.matrixStep(stepType, 16, fragmentsA[m], fragmentsB[n], llvm::ArrayRef<Val>(sums).slice(first, 4)),
                     sums.begin() + first);
        }
    }
    next.append(sums);
    return next;
  });
  k.waitCopies(0);
  k.barrier();
  TileWriter writer(k, epilogue, 6, k.param(2), sizeM, sizeN);
  writer.store({blockRow + warpRow, blockColumn + warpColumn, tilesM, kWarpN / 8, {}}, llvm::ArrayRef<Val>(results).drop_front(2));
  k.finish();
}

} // namespace compiler
} // namespace fourfold
