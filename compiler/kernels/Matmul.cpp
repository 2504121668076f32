// The block-scaled matmul: a ring of asynchronous stages in swizzled shared memory, matrix steps (MatmulStage.h), fused epilogue.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Traffic of a 128x128 tile and 128 of K: 16 KiB of codes and 2 KiB of scales for 2 Mi products.

#include "compiler/kernels/Matmul.h"

#include "compiler/kernels/MatmulEpilogue.h"
#include "compiler/kernels/MatmulStage.h"
#include "dialect/Numerics.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

namespace {

class MatmulGenerator {
public:
  MatmulGenerator(KernelBuilder &k, const Target &target, Format format, const MatmulTile &tile,
                  const ElementRegion &epilogue, MatmulMode mode)
      : k(k), target(target), format(format), tile(tile), epilogue(epilogue), mode(mode) {}

  void build();

private:
  KernelBuilder &k;
  const Target &target;
  Format format;
  const MatmulTile &tile;
  const ElementRegion &epilogue;
  MatmulMode mode;
};

} // namespace

MatmulParams::MatmulParams(KernelBuilder &k, Format format)
    : codesA(k.param(0)), scalesA(k.param(1)), codesB(k.param(2)), scalesB(k.param(3)) {
  unsigned next = 4;
  if (format == Format::NVFP4) {
    amaxA = k.param(next++);
    amaxB = k.param(next++);
  }
  out = k.param(next);
  sizeM = k.param(next + 1);
  sizeN = k.param(next + 2);
  sizeK = k.param(next + 3);
  firstEpilogueParam = next + 4;
}

Val MatmulParams::loadAlpha(KernelBuilder &k) const {
  if (!amaxA)
    return Val();
  // numerics: alpha = amaxA * amaxB / (2688 * 2688), in this order.
  Val product = k.load(k.f32(), amaxA, 4) * k.load(k.f32(), amaxB, 4);
  using Quotient = numerics::RangeQuotient;
  // The rounded quotient without a division, whose slow path is a tenth of a kernel's machine code.
  auto inDouble = [&] { return SmallVector<Val>{k.multiplyInDouble(product, Quotient::inverse)}; };
  auto inFloat = [&] { return SmallVector<Val>{k.fma(product, k.cf(Quotient::high), product * k.cf(Quotient::low))}; };
  Val isInRange = k.logicalAnd(product >= k.cf(Quotient::from), product < k.cf(HUGE_VALF));
  return k.ifElse(isInRange, k.f32(), inFloat, inDouble)[0];
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
  // All rows of tensor memory each (MatmulTensorMemory.cpp). The first fills a multiprocessor's shared memory, of the others two blocks fit.
  static const MatmulTile tensorMemory[] = {{128, 256, 4, 2, 4, false, true}, {128, 128, 4, 2, 3, false, true}, {128, 64, 4, 2, 4, false, true}};
  if (target.hasTensorMemory())
    return tensorMemory;
  return tiles;
}

void MatmulGenerator::build() {
  MatmulParams params(k, format);
  auto [sizeM, sizeN, sizeK] = std::array{params.sizeM, params.sizeN, params.sizeK};

  // Swizzled operands of warpgroups start at a multiple of their pattern.
  Val shared = k.shared(tile.isWarpgroup ? 1024 : 128), thread = k.threadId();
  Val warp = thread >> 5;
  Val warpRow = (warp / tile.warpsN) * (tile.tileM / tile.warpsM), warpColumn = (warp % tile.warpsN) * (tile.tileN / tile.warpsN);
  StageCopies copies(k, format, tile, params);
  auto [blockRow, blockColumn] = placeTile(k, sizeM, sizeN, tile.tileM, tile.tileN);
  copies.prepare(blockRow, blockColumn);
  StageContext context{k, target, format, tile, thread & 31, warpRow, warpColumn, blockRow, blockColumn};
  std::unique_ptr<StageMath> math = tile.isWarpgroup               ? makeWarpgroupStage(context)
                                    : target.hasBlockScaledStep()  ? makeHardwareStage(context)
                                    : mode == MatmulMode::Fast     ? makeFastStage(context)
                                                                   : makeFaithfulStage(context);

  Val one = k.c32(1);
  Val numSteps = (sizeK + (kStageK - 1)) / kStageK;
  for (int stage = 0; stage < tile.stages - 1; ++stage)
    copies.issue(k.c32(stage), k.c32(stage), numSteps);

  // Ring: slot `read` holds step i; slot `write` was read in the step before, which the barrier has put behind every warp.
  SmallVector<Val> carried = {k.c32(0), k.c32(tile.stages - 1)};
  carried.append(context.tilesM() * context.tilesN() * 4, k.cf(0.0f));
  SmallVector<Val> results = k.forLoop(k.c32(0), numSteps, one, carried, [&](Val step, llvm::ArrayRef<Val> state) {
    Val read = state[0], write = state[1];
    k.waitCopies(tile.stages - 2);
    k.barrier();
    copies.issue(write, step + (tile.stages - 1), numSteps);
    SmallVector<Val> next = {k.select(equals(read, tile.stages - 1), k.c32(0), read + 1),
                             k.select(equals(write, tile.stages - 1), k.c32(0), write + 1)};
    next.append(math->compute(step, k.offset(shared, read * tile.stageBytes(format) + tile.headBytes()), state.drop_front(2)));
    return next;
  });
  SmallVector<Val> sums = math->finish(llvm::ArrayRef<Val>(results).drop_front(2));
  k.waitCopies(0);
  k.barrier();

  Val alpha = params.loadAlpha(k);
  TileWriter writer(k, epilogue, params.firstEpilogueParam, params.out, sizeM, sizeN);
  writer.store({blockRow + warpRow, blockColumn + warpColumn, context.tilesM(), context.tilesN(), {math->sumFactor(), alpha}}, sums);
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
  if (tile.isTensorMemory)
    buildTensorMemoryMatmul(k, format, tile, epilogue);
  else
    MatmulGenerator(k, target, format, tile, epilogue, mode).build();
  k.finish();
}

} // namespace compiler
} // namespace fourfold
