// The epilogue of matmul kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/MatmulEpilogue.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

static constexpr int kTilesN = kWarpN / 8;

std::pair<Val, Val> placeTile(KernelBuilder &k, Val sizeM, Val sizeN, int tileM, int tileN) {
  constexpr int kGroup = 8;
  Val numM = (sizeM + (tileM - 1)) / tileM, numN = (sizeN + (tileN - 1)) / tileN;
  Val block = k.blockId(0);
  Val perGroup = numN * kGroup;
  Val group = block / perGroup, inGroup = block % perGroup;
  Val firstM = group * kGroup;
  Val rows = umin(numM - firstM, k.c32(kGroup));
  return {(firstM + inGroup % rows) * tileM, (inGroup / rows) * tileN};
}

void permitAccumulation(KernelBuilder &k, const ElementRegion &epilogue, unsigned outParam) {
  SmallVector<unsigned> params = {outParam};
  for (auto [i, operand] : llvm::enumerate(epilogue.operands))
    if (operand.broadcast == Broadcast::Full)
      params.push_back(outParam + 4 + static_cast<unsigned>(i));
  if (params.size() > 1)
    for (unsigned param : params)
      k.mayAlias(param);
}

TileWriter::TileWriter(KernelBuilder &k, const ElementRegion &epilogue, unsigned firstParam, Val out, Val sizeM, Val sizeN)
    : k(k), epilogue(epilogue), out(out), sizeM(sizeM), sizeN(sizeN), shared(k.shared()), thread(k.threadId()),
      lane(thread & 31) {
  for (unsigned i = 0; i < epilogue.operands.size(); ++i)
    pointers.push_back(k.param(firstParam + i));
}

/// Sixteen rows of the warp's tile through shared memory, so that each lane has four neighbours of a row: coalesced operand loads
/// and stores.
void TileWriter::storeRowGroup(const WarpTile &tile, int group, llvm::ArrayRef<Val> accumulators) {
  int columns = tile.columnGroups * 8, pitch = scratchPitch(columns);
  Val scratch = k.offset(shared, (thread >> 5) * scratchBytes(columns));
  Val fragmentRow = lane >> 2, fragmentColumn = (lane & 3) * 2;
  for (int n = 0; n < tile.columnGroups; ++n)
    for (int half = 0; half < 2; ++half) {
      int first = n * 4 + half * 2;
      Val word = (fragmentRow + half * 8) * pitch + fragmentColumn + n * 8;
      k.store(k.pack({accumulators[first], accumulators[first + 1]}), k.offset(scratch, word * 4), 8);
    }
  k.warpSync();
  if (columns == kWarpN) {
    storeColumns(tile.firstRow, group, tile.alpha, scratch, pitch);
  } else {
    // A loop in the kernel: the code of one epilogue is enough.
    k.forLoop(k.c32(0), k.c32(columns), k.c32(kWarpN), {}, [&](Val first, llvm::ArrayRef<Val>) {
      loadColumns(tile.firstColumn + first);
      storeColumns(tile.firstRow, group, tile.alpha, k.offset(scratch, first * 4), pitch);
      return SmallVector<Val>();
    });
  }
  k.warpSync();
}

void TileWriter::storeRows(Val firstRow, Val firstColumn, Val alpha, llvm::ArrayRef<Val> row, Val scratch) {
  scratch = k.offset(scratch, (thread >> 5) * kLaneScratchBytes);
  for (int i = 0; i < kWarpN; i += 4)
    k.store(k.pack(row.slice(i, 4)), k.offset(scratch, lane * (kLanePitch * 4) + i * 4), 16);
  k.warpSync();
  loadColumns(firstColumn);
  // A loop in the kernel, not two copies of the epilogue.
  k.forLoop(k.c32(0), k.c32(32), k.c32(16), {}, [&](Val first, llvm::ArrayRef<Val>) {
    storeColumns(firstRow + first, /*group=*/0, alpha, k.offset(scratch, first * (kLanePitch * 4)), kLanePitch);
    return SmallVector<Val>();
  });
  k.warpSync();
}

/// Sixteen rows, those of a group, of the columns at hand, from `scratch` on, where rows are `pitch` words apart.
void TileWriter::storeColumns(Val firstRow, int group, Val alpha, Val scratch, int pitch) {
  for (int part = 0; part < 4; ++part) {
    Val row = (lane >> 3) + part * 4;
    Val vector = k.load(k.vec(4, k.f32()), k.offset(scratch, (row * pitch + (lane & 7) * 4) * 4), 16);
    Val globalRow = firstRow + row + group * 16;
    k.ifThen(k.logicalAnd(globalRow < sizeM, k.c32(0) < columnsValid), [&] {
      Val index = k.toI64(globalRow) * k.toI64(sizeN) + k.toI64(column);
      SmallVector<SmallVector<Val>> operands(columnValues);
      for (auto [i, operand] : llvm::enumerate(epilogue.operands)) {
        if (operand.broadcast == Broadcast::Full)
          operands[i] = loadElements(k, operand.elementType, pointers[i], index, 4, columnFull, columnsValid);
        else if (operand.broadcast == Broadcast::Column)
          operands[i].assign(4, k.load(operand.elementType,
                                       k.offset(pointers[i], k.toI64(globalRow) * elementBytes(operand.elementType)),
                                       elementBytes(operand.elementType)));
      }
      SmallVector<Val> results;
      for (int i = 0; i < 4; ++i) {
        Val value = k.extract(vector, i);
        SmallVector<Val> arguments = {alpha ? value * alpha : value};
        for (auto &values : operands)
          arguments.push_back(values[i]);
        results.push_back(inlineRegion(k, epilogue, arguments));
      }
      storeElements(k, out, index, results, columnFull, columnsValid);
    });
  }
}

void TileWriter::loadColumns(Val firstColumn) {
  column = firstColumn + (lane & 7) * 4;
  columnsValid = sizeN - column;
  columnFull = k.logicalAnd(columnsValid >= 4, equals(sizeN & 3, 0));
  columnValues.clear();
  for (auto [i, operand] : llvm::enumerate(epilogue.operands)) {
    SmallVector<Val> values;
    if (operand.broadcast == Broadcast::Row)
      values = loadElements(k, operand.elementType, pointers[i], k.toI64(column), 4, columnFull, columnsValid);
    else if (operand.broadcast == Broadcast::Scalar)
      values.assign(4, k.load(operand.elementType, pointers[i], elementBytes(operand.elementType)));
    columnValues.push_back(values);
  }
}

void TileWriter::store(const WarpTile &tile, llvm::ArrayRef<Val> accumulators) {
  if (tile.columnGroups == kTilesN)
    loadColumns(tile.firstColumn);
  int perGroup = tile.columnGroups * 4;
  for (int group = 0; group < tile.rowGroups; ++group)
    storeRowGroup(tile, group, accumulators.slice(group * perGroup, perGroup));
}

} // namespace compiler
} // namespace fourfold
