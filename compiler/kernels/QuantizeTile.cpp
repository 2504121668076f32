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

/// The tile in shared memory.
class SharedTile {
public:
  SharedTile(KernelBuilder &k, const RowSource &source)
      : k(k), reader(k, source, 0), shared(k.shared()), lane(k.threadId() & 31), warp(k.threadId() >> 5),
        firstColumn(k.blockId(0) * kTileColumns), firstRow(k.blockId(1) * kTileRows) {}

  /// Rows a warp reads at a time, in blocks of `block`: 16 where their magnitudes are combined, else as many as leave all K-blocks of the
  /// tile to its lanes.
  static int rowsPerStep(int block, bool square) { return square ? 16 : 32 / (kTileColumns / block); }

  /// Reads the tile, a block of a row a lane, and puts it where `readColumn` with blocks of `columnBlock` finds it. `use` sees the values
  /// on the way, with row and K-block in the tile.
  void read(int block, int rowsPerStep, int columnBlock,
            llvm::function_ref<void(llvm::ArrayRef<Val> values, Val row, Val kBlock)> use) {
    const int perRow = kTileColumns / block, blocksPerStep = 32 / rowsPerStep;
    for (int rowStep = 0; rowStep < kTileRows / (rowsPerStep * kWarps); ++rowStep)
      for (int blockStep = 0; blockStep < perRow / blocksPerStep; ++blockStep) {
        Val row = (warp + rowStep * kWarps) * rowsPerStep + (lane & (rowsPerStep - 1));
        Val kBlock = lane / rowsPerStep + blockStep * blocksPerStep;
        Val column = kBlock * block;
        SmallVector<Val> values = reader.read(firstRow + row, firstColumn + column, block);
        for (int i = 0; i < block; i += 4) {
          Val word = row * kPitch + place(column + i, row / columnBlock);
          k.store(k.pack(llvm::ArrayRef<Val>(values).slice(i, 4)), k.offset(shared, word * 4), 16);
        }
        use(values, row, kBlock);
      }
  }

  SmallVector<Val> readColumn(Val column, Val kBlock, int block) {
    Val start = k.offset(shared, (kBlock * (block * kPitch) + place(column, kBlock)) * 4);
    SmallVector<Val> values;
    for (int i = 0; i < block; ++i)
      values.push_back(k.load(k.f32(), k.offset(start, i * kPitch * 4), 4));
    return values;
  }

  /// Where the magnitude of a 16x16 block of the tile is kept.
  Val patch(Val rowPatch, Val columnPatch) {
    return k.offset(shared, (rowPatch * kPatchColumns + columnPatch) * 4 + kTileRows * kPitch * 4);
  }

private:
  /// Where the tile's column stands in its row, given the row's K-block along the columns.
  Val place(Val column, Val rowBlock) { return (column + (rowBlock << 3)) & (kTileColumns - 1); }

  KernelBuilder &k;

public:
  RowReader reader;
  const Val shared, lane, warp, firstColumn, firstRow;
};

class TileGenerator {
public:
  TileGenerator(KernelBuilder &k, const Target &target, const RowSource &source, const std::optional<QuantizeConfig> &rows,
                const QuantizeConfig &columns, unsigned firstParam)
      : k(k), rowConfig(rows), columnConfig(columns), tile(k, source),
        columnBlocks(k, target, columns, firstParam + (rows ? rows->numParams() : 0)) {
    if (rows)
      rowBlocks.emplace(k, target, *rows, firstParam);
  }

  void build();

private:
  void quantizeRow(llvm::ArrayRef<Val> source, Val row, Val kBlock, int rowsPerStep);
  void columnStep(Val first);
  void columnPass();

  KernelBuilder &k;
  const std::optional<QuantizeConfig> &rowConfig;
  const QuantizeConfig &columnConfig;
  SharedTile tile;
  std::optional<BlockQuantizer> rowBlocks;
  BlockQuantizer columnBlocks;
};

} // namespace

/// Rounds the block of one row; lanes that hold its neighbours along K are `rowsPerStep` apart.
void TileGenerator::quantizeRow(llvm::ArrayRef<Val> source, Val row, Val kBlock, int rowsPerStep) {
  SmallVector<Val> values(source);
  if (!rowConfig->hadamardSigns.empty())
    applyHadamard(k, values, rowConfig->hadamardSigns);
  Val amax = amaxBits(k, values);
  if (rowConfig->blockRows == 16)
    for (int mask = 1; mask < 16; mask *= 2)
      amax = umax(amax, k.shuffleXor(amax, mask));
  Val globalRow = tile.firstRow + row;
  Val globalBlock = tile.firstColumn / rowBlocks->blockSize() + kBlock;
  rowBlocks->quantize(values, amax, globalRow, globalBlock);
  Val exists = globalRow < tile.reader.rows();
  SmallVector<int> masks;
  for (int mask = rowsPerStep; mask < 32; mask *= 2)
    masks.push_back(mask);
  rowBlocks->storeScale(exists, globalRow, globalBlock, tile.reader.columns(), masks);
  rowBlocks->storeCodes(exists, globalRow, globalBlock, tile.reader.columns());
}

/// A block of a column a lane, eight columns by four K-blocks a warp, from K-block `first` of the tile on.
void TileGenerator::columnStep(Val first) {
  const int block = columnBlocks.blockSize();
  Val column = tile.warp * 8 + (tile.lane >> 2), kBlock = (tile.lane & 3) + first;
  SmallVector<Val> values = tile.readColumn(column, kBlock, block);
  if (!columnConfig.hadamardSigns.empty())
    applyHadamard(k, values, columnConfig.hadamardSigns);
  Val amax = columnConfig.blockRows == 16 ? k.load(k.i32(), tile.patch(kBlock, column >> 4), 4) : amaxBits(k, values);
  Val globalColumn = tile.firstColumn + column, globalBlock = tile.firstRow / block + kBlock;
  columnBlocks.quantize(values, amax, globalColumn, globalBlock);
  Val exists = globalColumn < tile.reader.columns();
  columnBlocks.storeScale(exists, globalColumn, globalBlock, tile.reader.rows(), {1, 2});
  columnBlocks.storeCodes(exists, globalColumn, globalBlock, tile.reader.rows());
}

/// A loop in the kernel: what rounds a block, with its transform and random bits, is most of the code, and its operands are at hand in shared
/// memory. It takes the assembler half as long as two copies, and fewer registers.
void TileGenerator::columnPass() {
  constexpr int kBlocksPerStep = 4;
  const int blocks = kTileRows / columnBlocks.blockSize();
  if (blocks == kBlocksPerStep)
    return columnStep(k.c32(0));
  k.forLoop(k.c32(0), k.c32(blocks), k.c32(kBlocksPerStep), {}, [&](Val first, llvm::ArrayRef<Val>) {
    columnStep(first);
    return SmallVector<Val>();
  });
}

void TileGenerator::build() {
  const int block = rowBlocks ? rowBlocks->blockSize() : 16;
  const bool squareColumns = columnConfig.blockRows == 16;
  const int rows = SharedTile::rowsPerStep(block, squareColumns || (rowConfig && rowConfig->blockRows == 16));
  tile.read(block, rows, columnBlocks.blockSize(), [&](llvm::ArrayRef<Val> values, Val row, Val kBlock) {
    if (squareColumns) {
      Val amax = amaxBits(k, values);
      for (int mask = 1; mask < 16; mask *= 2)
        amax = umax(amax, k.shuffleXor(amax, mask));
      k.ifThen(equals(tile.lane & 15, 0), [&] { k.store(amax, tile.patch(row >> 4, kBlock), 4); });
    }
    if (rowBlocks)
      quantizeRow(values, row, kBlock, rows);
  });
  k.barrier();
  columnPass();
}

void buildAmaxColumns(KernelModule module, llvm::StringRef name, const RowSource &source,
                      llvm::ArrayRef<int> hadamardSigns, bool plain) {
  constexpr int kBlock = 16;
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned amaxParam = static_cast<unsigned>(params.size());
  params.append(plain ? 2 : 1, globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kThreads);
  SharedTile tile(k, source);
  Val plainAmax = k.c32(0), transformedAmax = k.c32(0);
  tile.read(kBlock, SharedTile::rowsPerStep(kBlock, /*square=*/false), kBlock,
            [&](llvm::ArrayRef<Val> values, Val, Val) { plainAmax = finiteAmax(k, values, plainAmax); });
  k.barrier();
  for (int step = 0; step < kTileRows / (4 * kBlock); ++step) {
    SmallVector<Val> values = tile.readColumn(tile.warp * 8 + (tile.lane >> 2), (tile.lane & 3) + step * 4, kBlock);
    applyHadamard(k, values, hadamardSigns);
    transformedAmax = finiteAmax(k, values, transformedAmax);
  }
  publishAmax(k, transformedAmax, k.param(amaxParam));
  if (plain)
    publishAmax(k, plainAmax, k.param(amaxParam + 1));
  k.finish();
}

void buildStoreColumns(KernelModule module, llvm::StringRef name, const RowSource &source,
                       llvm::ArrayRef<int> hadamardSigns) {
  constexpr int kBlock = 16;
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned toParam = static_cast<unsigned>(params.size());
  params.push_back(globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kThreads);
  SharedTile tile(k, source);
  tile.read(kBlock, SharedTile::rowsPerStep(kBlock, /*square=*/false), kBlock, [](llvm::ArrayRef<Val>, Val, Val) {});
  k.barrier();
  for (int step = 0; step < kTileRows / (4 * kBlock); ++step) {
    Val column = tile.warp * 8 + (tile.lane >> 2), kBlockInTile = (tile.lane & 3) + step * 4;
    SmallVector<Val> values = tile.readColumn(column, kBlockInTile, kBlock);
    applyHadamard(k, values, hadamardSigns);
    Val globalColumn = tile.firstColumn + column, row = tile.firstRow + kBlockInTile * kBlock;
    // A group that begins in the matrix is stored whole: the result has its rows.
    k.ifThen(k.logicalAnd(globalColumn < tile.reader.columns(), row < tile.reader.rows()), [&] {
      Val index = k.toI64(row) * k.toI64(tile.reader.columns()) + k.toI64(globalColumn);
      for (int i = 0; i < kBlock; ++i)
        k.store(values[i], k.offset(k.param(toParam), (index + k.toI64(tile.reader.columns() * i)) * 4), 4);
    });
  }
  k.finish();
}

void buildQuantizeTile(KernelModule module, llvm::StringRef name, const Target &target, const RowSource &source,
                       const std::optional<QuantizeConfig> &rows, const QuantizeConfig &columns) {
  SmallVector<Type> params = source.paramTypes(module->getContext());
  unsigned firstParam = static_cast<unsigned>(params.size());
  params.append((rows ? rows->numParams() : 0) + columns.numParams(), globalPointerType(module->getContext()));
  KernelBuilder k(module, name, params, kThreads);
  TileGenerator(k, target, source, rows, columns, firstParam).build();
  k.finish();
}

} // namespace compiler
} // namespace fourfold
