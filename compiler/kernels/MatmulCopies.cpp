// The copies that feed a block-scaled matmul.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where chunk c (16 bytes) of row r stands. Rows of 64 bytes (128 codes): two rows share the 128 bytes that all banks span once, and c
// stands at c ^ ((r >> 1) & 3); the eight rows of an ldmatrix phase then fall on eight different 16-byte bank groups, and so do the copies
// that fill them. Rows of 128 bytes (256 codes): at c ^ (r & 7), the 128-byte swizzle of matrix descriptors (PTX ISA, tcgen05, shared memory
// layout and swizzling).

#include "compiler/kernels/MatmulCopies.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <algorithm>

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

int MatmulTile::scaleTilesPerStage(Format format) const { return stageK() / (4 * formatBlockSize(format)); }

int MatmulTile::stageBytes(Format format) const {
  return (tileM + tileN) * rowBytes() + (scaleTileRows(tileM) + scaleTileRows(tileN)) * scaleTilesPerStage(format) * kScaleTileBytes;
}

StageCopies::StageCopies(KernelBuilder &k, Format format, const MatmulTile &tile, const MatmulParams &params)
    : k(k), format(format), tile(tile), params(params), shared(k.shared()), thread(k.threadId()) {
  numChunks = ((params.sizeK + 63) >> 6) << 1;
  int tileK = 4 * formatBlockSize(format);
  numScaleTiles = (params.sizeK + (tileK - 1)) / tileK;
}

void StageCopies::prepare(Val firstRow, Val firstColumn) {
  addCodes(params.codesA, firstRow, params.sizeM, tile.tileM, 0);
  addCodes(params.codesB, firstColumn, params.sizeN, tile.tileN, tile.tileM * tile.rowBytes());
  int numScaleCopies = (scaleTileRows(tile.tileM) + scaleTileRows(tile.tileN)) * tile.scaleTilesPerStage(format) * (kScaleTileBytes / 16);
  for (int first = 0; first < numScaleCopies; first += tile.numThreads()) {
    addScales(firstRow, firstColumn, first);
    scaleCopies.back().threads = std::min(numScaleCopies - first, tile.numThreads());
  }
}

void StageCopies::addCodes(Val codes, Val firstRow, Val numRows, int rows, int base) {
  Val pitch = k.toI64(numChunks) * 16;
  int perRow = tile.rowBytes() / 16, total = rows * perRow;
  for (int first = 0; first < total; first += tile.numThreads()) {
    Val index = thread + first;
    Val row = index / perRow, chunk = index % perRow;
    Copy copy;
    copy.rowExists = (firstRow + row) < numRows;
    if (total - first < tile.numThreads())
      copy.guard = index < total;
    Val source = k.select(copy.rowExists, firstRow + row, k.c32(0));
    copy.from = k.offset(codes, k.toI64(source) * pitch + k.toI64(chunk * 16));
    copy.chunk = chunk;
    Val swizzle = perRow == 4 ? (row >> 1) & 3 : row & 7;
    copy.to = row * tile.rowBytes() + ((chunk ^ swizzle) << 4) + base;
    copies.push_back(copy);
  }
}

/// Scale tiles of one row of tiles are contiguous along K: 16-byte copies of A's tile rows come first, then those of B's.
void StageCopies::addScales(Val firstRow, Val firstColumn, int first) {
  int perTileRow = tile.scaleTilesPerStage(format) * (kScaleTileBytes / 16);
  int tileRowsA = scaleTileRows(tile.tileM), tileRowsB = scaleTileRows(tile.tileN);
  Val place = first ? thread + first : thread;
  Val tileRow = place / perTileRow, index = place % perTileRow;
  Val isA = tileRow < tileRowsA;
  Val row = k.select(isA, firstRow, firstColumn) / 128;
  ScaleCopy copy;
  if (tileRowsA + tileRowsB > 2) { // the first of an operand's exists, others may lie past its end
    row = row + k.select(isA, tileRow, tileRow - tileRowsA);
    copy.rowExists = (row * 128) < k.select(isA, params.sizeM, params.sizeN);
    row = k.select(copy.rowExists, row, k.c32(0));
  }
  Val base = k.wrap(arith::SelectOp::create(k.ir(), k.loc(), isA, params.scalesA, params.scalesB));
  copy.from = k.offset(base, k.toI64(row) * k.toI64(numScaleTiles) * kScaleTileBytes + k.toI64(index * 16));
  copy.tile = index / (kScaleTileBytes / 16);
  int scales = (tile.tileM + tile.tileN) * tile.rowBytes();
  // Copies into tensor memory take tiles as they stand in global memory.
  if (tile.isTensorMemory)
    copy.to = place * 16 + scales;
  else
    copy.to = (place & ~int64_t{31}) * 16 + swizzledScaleRow(place & 31) * 16 + scales;
  scaleCopies.push_back(copy);
}

void StageCopies::guarded(Val guard, llvm::function_ref<void()> emit) {
  if (guard)
    k.ifThen(guard, emit);
  else
    emit();
}

void StageCopies::issue(Val stage, Val step, Val numSteps) {
  Val base = stage * tile.stageBytes(format) + tile.headBytes();
  Val zero = k.c32(0), full = k.c32(16);
  int chunksPerStage = tile.rowBytes() / 16, tilesPerStage = tile.scaleTilesPerStage(format);
  k.ifThen(step < numSteps, [&] {
    for (const Copy &copy : copies) {
      Val exists = k.logicalAnd(copy.rowExists, (step * chunksPerStage + copy.chunk) < numChunks);
      guarded(copy.guard, [&] {
        k.copyAsync16(k.offset(shared, base + copy.to), k.offset(copy.from, k.toI64(step * tile.rowBytes())),
                      k.select(exists, full, zero));
      });
    }
    for (const ScaleCopy &copy : scaleCopies)
      guarded(copy.threads < tile.numThreads() ? thread < copy.threads : Val(), [&] {
        Val exists = (step * tilesPerStage + copy.tile) < numScaleTiles;
        if (copy.rowExists)
          exists = k.logicalAnd(copy.rowExists, exists);
        k.copyAsync16(k.offset(shared, base + copy.to), k.offset(copy.from, k.toI64(step * (tilesPerStage * kScaleTileBytes))),
                      k.select(exists, full, zero));
      });
  });
  k.commitCopies();
}

} // namespace compiler
} // namespace fourfold
