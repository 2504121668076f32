// A tile of 128 x 64 through registers along its rows, then through shared memory along its columns.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Traffic of a bf16 tile: 16 KiB in; 4 KiB of codes and 512 bytes of scales out for each direction. Rows of the tile lie 68 words apart,
// and the column c of rows in K-block b stands at (c + 8 b) mod 64. The 16-byte stores of the row pass, whose eight lanes of a phase hold
// eight rows, then fall on all banks; and so do the reads of the column pass, whose lanes hold 8 columns of 4 K-blocks, the layout in
// which the codes of a column leave as whole 32-byte sectors.

#include "compiler/kernels/QuantizeTile.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kTileRows = kQuantizeTileRows, kTileColumns = kQuantizeTileColumns;
constexpr int kPitch = kTileColumns + 4; // words
constexpr int kPatchColumns = kTileColumns / 16;

class TileGenerator {
public:
  TileGenerator(KernelBuilder &k, const Target &target, const RowSource &source, const std::optional<QuantizeConfig> &rows,
                const QuantizeConfig &columns, unsigned firstParam)
      : k(k), rowConfig(rows), columnConfig(columns), reader(k, source, 0),
        columnBlocks(k, target, columns, firstParam + (rows ? rows->numParams() : 0)) {
    if (rows)
      rowBlocks.emplace(k, target, *rows, firstParam);
  }

  void build();

private:
  void rowPass();
  void quantizeRow(SmallVector<Val> values, Val row, Val kBlock, int rowsPerStep);
  void columnPass();
  /// Where the tile's column stands in its row, given the row's K-block along the columns.
  Val place(Val column, Val rowBlock) { return (column + (rowBlock << 3)) & (kTileColumns - 1); }
  Val patch(Val rowPatch, Val columnPatch) {
    return k.offset(shared, (rowPatch * kPatchColumns + columnPatch) * 4 + kTileRows * kPitch * 4);
  }

  KernelBuilder &k;
  const std::optional<QuantizeConfig> &rowConfig;
  const QuantizeConfig &columnConfig;
  RowReader reader;
  std::optional<BlockQuantizer> rowBlocks;
  BlockQuantizer columnBlocks;
  Val shared, lane, warp, firstRow, firstColumn;
};

} // namespace

/// Rounds the block of one row; lanes that hold its neighbours along K are `rowsPerStep` apart.
void TileGenerator::quantizeRow(SmallVector<Val> values, Val row, Val kBlock, int rowsPerStep) {
  if (!rowConfig->hadamardSigns.empty())
    applyHadamard(k, values, rowConfig->hadamardSigns);
  Val amax = amaxBits(k, values);
  if (rowConfig->blockRows == 16)
    for (int mask = 1; mask < 16; mask *= 2)
      amax = umax(amax, k.shuffleXor(amax, mask));
  Val globalRow = firstRow + row;
  Val globalBlock = firstColumn / rowBlocks->blockSize() + kBlock;
  rowBlocks->quantize(values, amax, globalRow, globalBlock);
  Val exists = globalRow < reader.rows();
  SmallVector<int> masks;
  for (int mask = rowsPerStep; mask < 32; mask *= 2)
    masks.push_back(mask);
  rowBlocks->storeScale(exists, globalRow, globalBlock, reader.columns(), masks);
  rowBlocks->storeCodes(exists, globalRow, globalBlock, reader.columns());
}

/// Reads the tile, a block of a row a lane; rounds it along the rows and puts it into shared memory.
void TileGenerator::rowPass() {
  const int block = rowBlocks ? rowBlocks->blockSize() : 16;
  const bool square = columnConfig.blockRows == 16 || (rowConfig && rowConfig->blockRows == 16);
  // Rows a warp takes at a time: 16 where their magnitudes are combined, else as many as leave all K-blocks of the tile to its lanes.
  const int perRow = kTileColumns / block;
  const int rowsPerStep = square ? 16 : 32 / perRow;
  const int blocksPerStep = 32 / rowsPerStep;
  const int rowSteps = kTileRows / (rowsPerStep * kWarps), blockSteps = perRow / blocksPerStep;
  const int columnBlock = columnBlocks.blockSize();

  for (int rowStep = 0; rowStep < rowSteps; ++rowStep)
    for (int blockStep = 0; blockStep < blockSteps; ++blockStep) {
      Val row = (warp + rowStep * kWarps) * rowsPerStep + (lane & (rowsPerStep - 1));
      Val kBlock = lane / rowsPerStep + blockStep * blocksPerStep;
      Val column = kBlock * block;
      SmallVector<Val> values = reader.read(firstRow + row, firstColumn + column, block);
      Val rowStart = row * kPitch;
      for (int i = 0; i < block; i += 4) {
        Val word = rowStart + place(column + i, row / columnBlock);
        k.store(k.pack(llvm::ArrayRef<Val>(values).slice(i, 4)), k.offset(shared, word * 4), 16);
      }
      if (columnConfig.blockRows == 16) {
        Val amax = amaxBits(k, values);
        for (int mask = 1; mask < 16; mask *= 2)
          amax = umax(amax, k.shuffleXor(amax, mask));
        k.ifThen(equals(lane & 15, 0), [&] { k.store(amax, patch(row >> 4, kBlock), 4); });
      }
      if (rowBlocks)
        quantizeRow(values, row, kBlock, rowsPerStep);
    }
}

/// A block of a column a lane: eight columns by four K-blocks a warp.
void TileGenerator::columnPass() {
  const int block = columnBlocks.blockSize();
  const int steps = kTileRows / (4 * block);
  for (int step = 0; step < steps; ++step) {
    Val column = warp * 8 + (lane >> 2), kBlock = (lane & 3) + step * 4;
    Val start = k.offset(shared, (kBlock * (block * kPitch) + place(column, kBlock)) * 4);
    SmallVector<Val> values;
    for (int i = 0; i < block; ++i)
      values.push_back(k.load(k.f32(), k.offset(start, i * kPitch * 4), 4));
    if (!columnConfig.hadamardSigns.empty())
      applyHadamard(k, values, columnConfig.hadamardSigns);
    Val amax = columnConfig.blockRows == 16 ? k.load(k.i32(), patch(kBlock, column >> 4), 4) : amaxBits(k, values);
    Val globalColumn = firstColumn + column, globalBlock = firstRow / block + kBlock;
    columnBlocks.quantize(values, amax, globalColumn, globalBlock);
    Val exists = globalColumn < reader.columns();
    columnBlocks.storeScale(exists, globalColumn, globalBlock, reader.rows(), {1, 2});
    columnBlocks.storeCodes(exists, globalColumn, globalBlock, reader.rows());
  }
}

void TileGenerator::build() {
  shared = k.shared();
  Val thread = k.threadId();
  lane = thread & 31;
  warp = thread >> 5;
  firstColumn = k.blockId(0) * kTileColumns;
  firstRow = k.blockId(1) * kTileRows;
  rowPass();
  k.barrier();
  columnPass();
}

void buildQuantizeTile(gpu::GPUModuleOp module, llvm::StringRef name, const Target &target, const RowSource &source,
                       const std::optional<QuantizeConfig> &rows, const QuantizeConfig &columns) {
  SmallVector<Type> params = source.paramTypes(module.getContext());
  unsigned firstParam = static_cast<unsigned>(params.size());
  params.append((rows ? rows->numParams() : 0) + columns.numParams(), LLVM::LLVMPointerType::get(module.getContext(), 1));
  KernelBuilder k(module, name, params, kThreads);
  TileGenerator(k, target, source, rows, columns, firstParam).build();
  k.finish();
}

} // namespace compiler
} // namespace fourfold
