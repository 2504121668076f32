// The block-scaled matmul: a ring of asynchronous stages in swizzled shared memory, matrix steps (MatmulStage.h), fused epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Traffic of a 128x128 tile and 128 of K: 16 KiB of codes and 2 KiB of scales for 2 Mi products. A row of a stage is 64 bytes (128
// codes); two rows share the 128 bytes that all banks span once, and the 16-byte chunk c of row r stands at c ^ ((r >> 1) & 3):
// the eight rows of an ldmatrix phase then fall on eight different 16-byte bank groups, and so do the copies that fill them.

#include "compiler/kernels/Matmul.h"

#include "compiler/kernels/MatmulEpilogue.h"
#include "compiler/kernels/MatmulStage.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

constexpr int kChunks = kRowBytes / 16; // 16-byte copies a row and stage

class MatmulGenerator {
public:
  MatmulGenerator(KernelBuilder &k, const Target &target, Format format, const MatmulTile &tile,
                  const ElementRegion &epilogue, MatmulMode mode)
      : k(k), target(target), format(format), tile(tile), epilogue(epilogue), mode(mode) {}

  void build();

private:
  void prepareCopies();
  void issueCopies(Val stage, Val step);

  struct Copy {
    Val from;      // global pointer at K = 0, of row 0 where the row does not exist
    Val rowExists; // i1
    Val chunk;     // chunk in the row
    Val to;        // byte offset in a stage
    Val guard;     // i1, set where there are fewer chunks than threads
  };

  KernelBuilder &k;
  const Target &target;
  Format format;
  const MatmulTile &tile;
  const ElementRegion &epilogue;
  MatmulMode mode;

  Val shared, thread;
  Val sizeM, sizeN, sizeK, numChunks, numScaleTiles, out;
  Val blockRow, blockColumn; // first row of A and of B
  SmallVector<Copy> copies;
  Val scaleFrom, scaleRowExists, scaleTile, scaleTo; // this thread's 16 bytes of scales
};

} // namespace

int MatmulTile::stageBytes(Format format) const {
  return (tileM + tileN) * kRowBytes + (scaleTileRows(tileM) + scaleTileRows(tileN)) * scaleTilesPerStage(format) * kScaleTileBytes;
}

llvm::ArrayRef<MatmulTile> matmulTiles(const Target &target, MatmulMode mode) {
  // One row of tiles for a handful of tokens; eight warps of 64x32 for large problems; four of 32x32 where 128x128 tiles would
  // leave most of the GPU idle.
  static const MatmulTile tiles[] = {{16, 128, 1, 4, 4}, {128, 128, 2, 4, 4}, {64, 64, 2, 2, 4}};
  // Combining block sums in integers is bound by arithmetic and long: warps of 16x32 only.
  static const MatmulTile faithful[] = {{16, 128, 1, 4, 4}, {64, 64, 4, 2, 4}};
  if (!target.hasBlockScaledStep() && mode == MatmulMode::Faithful)
    return faithful;
  // Warpgroups where they exist (MatmulWarpgroup.cpp), but for the two small shapes.
  static const MatmulTile warpgroups[] = {{16, 128, 1, 4, 4}, {128, 256, 8, 1, 4, true}, {128, 128, 8, 1, 4, true}, {64, 64, 2, 2, 4}};
  if (target.hasWarpgroupStep())
    return warpgroups;
  return tiles;
}

/// What each thread copies in every stage: the pointers move by a constant along K.
void MatmulGenerator::prepareCopies() {
  Val pitch = k.toI64(numChunks) * 16;
  auto addOperand = [&](Val codes, Val firstRow, Val numRows, int rows, int base) {
    int total = rows * kChunks;
    for (int first = 0; first < total; first += tile.numThreads()) {
      Val index = thread + first;
      Val row = index / kChunks, chunk = index % kChunks;
      Copy copy;
      copy.rowExists = (firstRow + row) < numRows;
      if (total - first < tile.numThreads())
        copy.guard = index < total;
      Val source = k.select(copy.rowExists, firstRow + row, k.c32(0));
      copy.from = k.offset(codes, k.toI64(source) * pitch + k.toI64(chunk * 16));
      copy.chunk = chunk;
      copy.to = row * kRowBytes + ((chunk ^ ((row >> 1) & 3)) << 4) + base;
      copies.push_back(copy);
    }
  };
  addOperand(k.param(0), blockRow, sizeM, tile.tileM, 0);
  addOperand(k.param(2), blockColumn, sizeN, tile.tileN, tile.tileM * kRowBytes);

  // Scale tiles of one row of tiles are contiguous along K: 16-byte copies of A's tile rows for the first threads, of B's for the next.
  int perTileRow = scaleTilesPerStage(format) * (kScaleTileBytes / 16);
  int tileRowsA = scaleTileRows(tile.tileM), tileRowsB = scaleTileRows(tile.tileN);
  Val tileRow = thread / perTileRow, index = thread % perTileRow;
  Val isA = tileRow < tileRowsA;
  Val row = k.select(isA, blockRow, blockColumn) / 128;
  if (tileRowsA + tileRowsB > 2) { // the first of an operand's exists, others may lie past its end
    row = row + k.select(isA, tileRow, tileRow - tileRowsA);
    scaleRowExists = (row * 128) < k.select(isA, sizeM, sizeN);
    row = k.select(scaleRowExists, row, k.c32(0));
  }
  Val base = k.wrap(arith::SelectOp::create(k.ir(), k.loc(), isA, k.param(1), k.param(3)));
  scaleFrom = k.offset(base, k.toI64(row) * k.toI64(numScaleTiles) * kScaleTileBytes + k.toI64(index * 16));
  scaleTile = index / (kScaleTileBytes / 16);
  scaleTo = (thread & ~int64_t{31}) * 16 + swizzledScaleRow(thread & 31) * 16 + (tile.tileM + tile.tileN) * kRowBytes;
}

/// Starts the copies of K-stage `step` into ring slot `stage` and commits them as one group; a step past the end is an empty group.
void MatmulGenerator::issueCopies(Val stage, Val step) {
  Val base = stage * tile.stageBytes(format) + tile.operandBytes();
  Val zero = k.c32(0), full = k.c32(16);
  Val numSteps = (sizeK + (kStageK - 1)) / kStageK;
  k.ifThen(step < numSteps, [&] {
    for (const Copy &copy : copies) {
      Val exists = k.logicalAnd(copy.rowExists, (step * kChunks + copy.chunk) < numChunks);
      auto emit = [&] {
        k.copyAsync16(k.offset(shared, base + copy.to), k.offset(copy.from, k.toI64(step * kRowBytes)),
                      k.select(exists, full, zero));
      };
      if (copy.guard)
        k.ifThen(copy.guard, emit);
      else
        emit();
    }
    int tilesPerStage = scaleTilesPerStage(format);
    int scaleThreads = (scaleTileRows(tile.tileM) + scaleTileRows(tile.tileN)) * tilesPerStage * (kScaleTileBytes / 16);
    auto emitScales = [&] {
      Val exists = (step * tilesPerStage + scaleTile) < numScaleTiles;
      if (scaleRowExists)
        exists = k.logicalAnd(scaleRowExists, exists);
      k.copyAsync16(k.offset(shared, base + scaleTo),
                    k.offset(scaleFrom, k.toI64(step * (tilesPerStage * kScaleTileBytes))),
                    k.select(exists, full, zero));
    };
    if (scaleThreads < tile.numThreads())
      k.ifThen(thread < scaleThreads, emitScales);
    else
      emitScales();
  });
  k.commitCopies();
}

void MatmulGenerator::build() {
  bool isNVFP4 = format == Format::NVFP4;
  unsigned next = isNVFP4 ? 6 : 4;
  out = k.param(next);
  sizeM = k.param(next + 1);
  sizeN = k.param(next + 2);
  sizeK = k.param(next + 3);

  // Swizzled operands of warpgroups start at a multiple of their pattern.
  shared = k.shared(tile.isWarpgroup ? 1024 : 128);
  thread = k.threadId();
  Val warp = thread >> 5;
  Val warpRow = (warp / tile.warpsN) * (tile.tileM / tile.warpsM), warpColumn = (warp % tile.warpsN) * (tile.tileN / tile.warpsN);
  numChunks = ((sizeK + 63) >> 6) << 1;
  int tileK = 4 * formatBlockSize(format);
  numScaleTiles = (sizeK + (tileK - 1)) / tileK;

  std::tie(blockRow, blockColumn) = placeTile(k, sizeM, sizeN, tile.tileM, tile.tileN);
  prepareCopies();
  StageContext context{k, target, format, tile, thread & 31, warpRow, warpColumn, blockRow, blockColumn};
  std::unique_ptr<StageMath> math = tile.isWarpgroup               ? makeWarpgroupStage(context)
                                    : target.hasBlockScaledStep()  ? makeHardwareStage(context)
                                    : mode == MatmulMode::Fast     ? makeFastStage(context)
                                                                   : makeFaithfulStage(context);

  Val one = k.c32(1);
  for (int stage = 0; stage < tile.stages - 1; ++stage)
    issueCopies(k.c32(stage), k.c32(stage));

  // Ring: slot `read` holds step i; slot `write` was read in the step before, which the barrier has put behind every warp.
  SmallVector<Val> carried = {k.c32(0), k.c32(tile.stages - 1)};
  carried.append(context.tilesM() * context.tilesN() * 4, k.cf(0.0f));
  Val numSteps = (sizeK + (kStageK - 1)) / kStageK;
  SmallVector<Val> results = k.forLoop(k.c32(0), numSteps, one, carried, [&](Val step, llvm::ArrayRef<Val> state) {
    Val read = state[0], write = state[1];
    k.waitCopies(tile.stages - 2);
    k.barrier();
    issueCopies(write, step + (tile.stages - 1));
    SmallVector<Val> next = {k.select(equals(read, tile.stages - 1), k.c32(0), read + 1),
                             k.select(equals(write, tile.stages - 1), k.c32(0), write + 1)};
    next.append(math->compute(step, k.offset(shared, read * tile.stageBytes(format) + tile.operandBytes()), state.drop_front(2)));
    return next;
  });
  math->finish(llvm::MutableArrayRef<Val>(results).drop_front(2));
  k.waitCopies(0);
  k.barrier();

  Val alpha;
  if (isNVFP4) {
    // numerics: alpha = amaxA * amaxB / (2688 * 2688), in this order.
    Val amaxA = k.load(k.f32(), k.param(4), 4), amaxB = k.load(k.f32(), k.param(5), 4);
    alpha = (amaxA * amaxB) / k.cf(7225344.0f);
  }
  TileWriter writer(k, epilogue, next + 4, out, sizeM, sizeN);
  writer.store({blockRow + warpRow, blockColumn + warpColumn, context.tilesM(), context.tilesN(), alpha},
               llvm::ArrayRef<Val>(results).drop_front(2));
}

void buildMatmul(KernelModule module, llvm::StringRef name, const Target &target, Format format,
                 const MatmulTile &tile, const ElementRegion &epilogue, MatmulMode mode) {
  auto global = globalPointerType(module->getContext());
  auto i32 = IntegerType::get(module->getContext(), 32);
  SmallVector<Type> params(format == Format::NVFP4 ? 7 : 5, global);
  params.append(3, i32);
  params.append(epilogue.operands.size(), global);
  KernelBuilder k(module, name, params, tile.numThreads());
  permitAccumulation(k, epilogue, format == Format::NVFP4 ? 6 : 4);
  MatmulGenerator(k, target, format, tile, epilogue, mode).build();
  k.finish();
}

} // namespace compiler
} // namespace fourfold
