// The epilogue of matmul kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/MatmulEpilogue.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

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

/// The word at which piece `piece` (four words) of scratch row `row` stands in its 32 words: rows are not padded, their pieces change places.
/// A half-warp's 8-byte stores of fragments take two neighbouring pieces of four rows, `row % 4` apart; a quarter-warp's 16-byte stores one
/// piece of eight rows; its 16-byte loads all pieces of a row: each meets all banks once.
static Val swizzledWord(Val row, Val piece) { return (piece ^ ((row & 3) << 1) ^ ((row >> 2) & 1)) << 2; }

void TileWriter::store(const WarpTile &tile, llvm::ArrayRef<Val> accumulators) {
  const int columns = tile.columns();
  Val scratch = k.offset(shared, (thread >> 5) * scratchBytes(tile.rows(), columns));
  Val row = lane >> 2, word = swizzledWord(row, (lane & 2) >> 1) + (lane & 1) * 2;
  Val fragments = k.offset(scratch, row * (columns * 4));
  for (int n = 0; n < tile.columnGroups; ++n) {
    Val fragment = k.offset(fragments, (word ^ (n % 4 * 8)) << 2);
    for (int group = 0; group < tile.rowGroups; ++group)
      for (int half = 0; half < 2; ++half) {
        int first = (group * tile.columnGroups + n) * 4 + half * 2;
        k.store(k.pack({accumulators[first], accumulators[first + 1]}),
                k.offset(fragment, (group * 16 + half * 8) * (columns * 4) + n / 4 * (kWarpN * 4)), 8);
      }
  }
  k.warpSync();
  // Loops in the kernel: the code of one epilogue is enough.
  loop(columns, kWarpN, [&](Val firstColumn) {
    loadColumns(tile.firstColumn + firstColumn);
    storeColumns(tile, k.offset(scratch, firstColumn * 4));
  });
  k.warpSync();
}

void TileWriter::storeRows(const WarpTile &tile, llvm::ArrayRef<Val> row, Val scratch) {
  scratch = k.offset(scratch, (thread >> 5) * scratchBytes(tile.rows(), kWarpN));
  Val word = swizzledWord(lane, k.c32(0));
  for (int piece = 0; piece < kWarpN / 4; ++piece)
    k.store(k.pack(row.slice(piece * 4, 4)), k.offset(scratch, (lane * kWarpN + (word ^ (piece * 4))) << 2), 16);
  k.warpSync();
  loadColumns(tile.firstColumn);
  storeColumns(tile, scratch);
  k.warpSync();
}

/// `body` for 0, `step`, ... below `end`; in place where that is once.
void TileWriter::loop(int end, int step, llvm::function_ref<void(Val)> body) {
  if (end == step)
    return body(k.c32(0));
  k.forLoop(k.c32(0), k.c32(end), k.c32(step), {}, [&](Val first, llvm::ArrayRef<Val>) {
    body(first);
    return SmallVector<Val>();
  });
}

/// The tile's rows of the columns at hand, from `scratch` on.
void TileWriter::storeColumns(const WarpTile &tile, Val scratch) {
  loop(tile.rows(), 16, [&](Val first) { storeRowGroup(tile, tile.firstRow + first, k.offset(scratch, first * (tile.columns() * 4))); });
}

/// Sixteen of them: each lane has four neighbours of a row, so that operand loads and stores are coalesced.
void TileWriter::storeRowGroup(const WarpTile &tile, Val firstRow, Val scratch) {
  for (int part = 0; part < 4; ++part) {
    Val row = (lane >> 3) + part * 4;
    Val vector = k.load(k.vec(4, k.f32()), k.offset(scratch, (row * tile.columns() + swizzledWord(row, lane & 7)) * 4), 16);
    Val globalRow = firstRow + row;
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
        for (Val factor : tile.factors)
          if (factor)
            value = value * factor;
        SmallVector<Val> arguments = {value};
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

} // namespace compiler
} // namespace fourfold
