// Launches of products: matrix and vector, quantized and dense matrices.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanWriter.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/kernels/DenseMatmul.h"
#include "compiler/kernels/Matmul.h"
#include "compiler/kernels/Matvec.h"
#include "compiler/planner/PlanNames.h"

using namespace mlir;
using llvm::SmallVector;
using llvm::Twine;

namespace fourfold {
namespace compiler {

using plan::Argument;
using plan::Expr;

void PlanWriter::addMatvec(fp4::MatvecOp op) {
  SmallVector<Expr> extents = shapes.of(op.getMatrix());
  Type elementType = getElementTypeOrSelf(op.getMatrix().getType());
  int axis = static_cast<int>(op.getAxis());
  std::vector<Argument> args = {pointer(tensorBuffer(op.getMatrix())), pointer(tensorBuffer(op.getVector())),
                                pointer(tensorBuffer(op.getResult())), size(extents[0]), size(extents[1])};
  std::string kernel = "matvec_" + typeName(elementType) + "_axis" + std::to_string(axis);
  if (mustBuild(kernel))
    buildMatvec(kernels, kernel, elementType, axis);
  Expr grid = axis == 1 ? plan::ceilDiv(extents[0], kMatvecRows) : plan::ceilDiv(extents[1], kMatvecColumns);
  addLaunch(("matvec " + valueName(op.getResult())).str(), kernel, {grid, 1, 1}, 256, axis == 1 ? 0 : 32 * 32 * 4, args);
}

/// Blocks that fill a GPU: with fewer, smaller tiles are better.
static constexpr int kFullGrid = 128;

/// When a tile shape is chosen: one for a handful of rows, the last for problems where larger tiles are fewer than the streaming
/// multiprocessors of a large GPU.
static Expr tileCondition(const MatmulTile &tile, bool isLast, Expr sizeM, Expr sizeN) {
  constexpr int kFewRows = 16;
  if (tile.tileM == kFewRows)
    return plan::lessEqual(sizeM, kFewRows);
  if (isLast)
    return 1;
  return plan::lessEqual(kFullGrid, plan::ceilDiv(sizeM, tile.tileM) * plan::ceilDiv(sizeN, tile.tileN));
}

void PlanWriter::addMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue) {
  Value result = epilogue ? Value(epilogue.getResult()) : Value(op.getResult());
  auto lhsType = cast<fp4::QuantizedType>(op.getLhs().getType());
  Format format = kernelFormat(lhsType.getFormat());
  const QuantizedBuffers &lhs = quantizedValues[op.getLhs()], &rhs = quantizedValues[op.getRhs()];
  SmallVector<Expr> extents = shapes.of(op.getResult());
  Expr sizeM = extents[0], sizeN = extents[1], sizeK = shapes.of(op.getLhs())[lhsType.getAxis()];

  std::vector<Argument> args = {pointer(lhs.codes), pointer(lhs.scales), pointer(rhs.codes), pointer(rhs.scales)};
  if (format == Format::NVFP4) {
    args.push_back(pointer(lhs.amax));
    args.push_back(pointer(rhs.amax));
  }
  args.push_back(pointer(tensorBuffer(result)));
  args.insert(args.end(), {size(sizeM), size(sizeN), size(sizeK)});
  ElementRegion region;
  std::string suffix;
  if (epilogue) {
    region = elementRegion(epilogue, &args);
    suffix = "_to_" + regionName(epilogue);
  }

  plan::Launch launch;
  launch.label = ("matmul " + valueName(op.getResult())).str();
  if (epilogue)
    launch.label += (", epilogue " + valueName(result)).str();
  launch.args = args;
  llvm::ArrayRef<MatmulTile> tiles = matmulTiles(target, mode);
  for (const MatmulTile &tile : tiles) {
    Expr blocks = plan::ceilDiv(sizeM, tile.tileM) * plan::ceilDiv(sizeN, tile.tileN);
    plan::Variant variant;
    variant.kernel = ("matmul_" + formatName(format) + "_" + Twine(tile.tileM) + "x" + Twine(tile.tileN) + suffix).str();
    variant.grid = {blocks, 1, 1};
    variant.block = {tile.numThreads(), 1, 1};
    variant.sharedBytes = tile.sharedBytes(format);
    variant.when = tileCondition(tile, &tile == &tiles.back(), sizeM, sizeN);
    if (variant.when == Expr(0))
      continue;
    if (mustBuild(variant.kernel))
      buildMatmul(kernels, variant.kernel, target, format, tile, region, mode);
    launch.variants.push_back(variant);
    if (variant.when == Expr(1))
      break; // none after it would be chosen
  }
  append(std::move(launch));
}

void PlanWriter::addDenseMatmul(fp4::MatmulOp op, fp4::EpilogueOp epilogue) {
  Value result = epilogue ? Value(epilogue.getResult()) : Value(op.getResult());
  int axisA = static_cast<int>(op.getLhsAxis()), axisB = static_cast<int>(op.getRhsAxis());
  Type elementType = getElementTypeOrSelf(op.getLhs().getType());
  SmallVector<Expr> extents = shapes.of(op.getResult());
  Expr sizeM = extents[0], sizeN = extents[1], sizeK = shapes.of(op.getLhs())[axisA];
  plan::Launch launch;
  launch.label = ("matmul " + valueName(op.getResult())).str();
  launch.args = {pointer(tensorBuffer(op.getLhs())), pointer(tensorBuffer(op.getRhs())), pointer(tensorBuffer(result)),
                 size(sizeM), size(sizeN), size(sizeK)};
  ElementRegion region;
  std::string suffix;
  if (epilogue) {
    region = elementRegion(epilogue, &launch.args);
    suffix = "_to_" + regionName(epilogue);
    launch.label += (", epilogue " + valueName(result)).str();
  }
  for (const DenseTile &tile : denseTiles()) {
    Expr blocks = plan::ceilDiv(sizeM, tile.tileM) * plan::ceilDiv(sizeN, tile.tileN);
    plan::Variant variant;
    variant.kernel = "matmul_" + typeName(elementType) + "_axes" + std::to_string(axisA) + std::to_string(axisB) + "_" +
                     std::to_string(tile.tileM) + "x" + std::to_string(tile.tileN) + suffix;
    variant.grid = {blocks, 1, 1};
    variant.block = {tile.numThreads(), 1, 1};
    variant.sharedBytes = tile.sharedBytes();
    // The last serves every size; the large one only problems that fill a GPU.
    variant.when = &tile == &denseTiles().back() ? Expr(1) : plan::lessEqual(kFullGrid, blocks);
    if (variant.when == Expr(0))
      continue;
    if (mustBuild(variant.kernel))
      buildDenseMatmul(kernels, variant.kernel, elementType, axisA, axisB, tile, region);
    launch.variants.push_back(variant);
  }
  append(std::move(launch));
}

} // namespace compiler
} // namespace fourfold
