// Launches, their kernels and buffers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanWriter.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/kernels/DenseMatmul.h"
#include "compiler/kernels/Dequantize.h"
#include "compiler/kernels/Matmul.h"
#include "compiler/kernels/Matvec.h"
#include "compiler/kernels/Quantize.h"
#include "compiler/kernels/QuantizeTile.h"
#include "compiler/kernels/Statistics.h"
#include "compiler/recipe/Recipe.h"
#include "dialect/Numerics.h"

using namespace mlir;
using llvm::SmallVector;
using llvm::Twine;

namespace fourfold {
namespace compiler {

using plan::Argument;
using plan::Expr;

Format kernelFormat(fp4::Format format) { return format == fp4::Format::nvfp4 ? Format::NVFP4 : Format::MXFP4; }

FailureOr<plan::ElementType> planElementType(Type type) {
  if (type.isF32())
    return plan::ElementType::F32;
  if (type.isBF16())
    return plan::ElementType::BF16;
  if (type.isF16())
    return plan::ElementType::F16;
  if (type.isInteger(64))
    return plan::ElementType::I64;
  if (type.isInteger(32))
    return plan::ElementType::I32;
  if (type.isInteger(8))
    return plan::ElementType::I8;
  return failure();
}

static std::string typeName(Type type) {
  std::string name;
  llvm::raw_string_ostream(name) << type;
  return name;
}

/// A value's name as part of a kernel's: letters, digits and underscores.
static std::string identifier(llvm::StringRef name) {
  std::string result = name.str();
  for (char &c : result)
    if (!llvm::isAlnum(c))
      c = '_';
  return result;
}

//===----------------------------------------------------------------------===//
// Buffers and arguments
//===----------------------------------------------------------------------===//

int PlanWriter::addBuffer(llvm::StringRef name, Expr bytes, plan::Buffer::Kind kind) {
  plan::Buffer buffer;
  buffer.name = name.str();
  buffer.kind = kind;
  buffer.bytes = bytes;
  plan.buffers.push_back(buffer);
  return static_cast<int>(plan.buffers.size()) - 1;
}

int PlanWriter::tensorBuffer(Value value) {
  auto [entry, isNew] = tensors.try_emplace(value, -1);
  if (!isNew)
    return entry->second;
  plan::Contents contents;
  contents.value = valueName(value).str();
  contents.type = *planElementType(getElementTypeOrSelf(value.getType()));
  Expr bytes = plan::elementTypeBytes(contents.type);
  for (const Expr &extent : shapes.of(value)) {
    contents.shape.push_back(extent);
    bytes = bytes * extent;
  }
  plan::Buffer::Kind kind = isa<BlockArgument>(value)  ? plan::Buffer::Kind::Input
                            : outputs.contains(value) ? plan::Buffer::Kind::Output
                                                      : plan::Buffer::Kind::Workspace;
  int index = addBuffer(contents.value, bytes, kind);
  plan.buffers[index].contents = contents;
  // Callers' tensors need what 16-byte accesses need; scalars, seed and offset, lie side by side.
  if (kind != plan::Buffer::Kind::Workspace)
    plan.buffers[index].alignment = contents.shape.empty() ? plan::elementTypeBytes(contents.type) : 16;
  return tensors[value] = index;
}

Argument PlanWriter::pointer(int buffer) const {
  Argument argument;
  argument.kind = Argument::Kind::Pointer;
  argument.buffer = buffer;
  return argument;
}

Argument PlanWriter::size(Expr value) const {
  Argument argument;
  argument.kind = Argument::Kind::I32;
  argument.value = value;
  return argument;
}

void PlanWriter::append(plan::Launch launch) {
  launch.phase = currentPhase;
  plan.launches.push_back(std::move(launch));
}

void PlanWriter::alias(Value value, Value other) {
  int buffer = tensorBuffer(other);
  tensors[value] = buffer;
  if (outputs.contains(value))
    plan.buffers[buffer].kind = plan::Buffer::Kind::Output;
}

void PlanWriter::keepBetweenPhases() {
  if (plan.phases.empty())
    return;
  std::vector<int> first(plan.buffers.size(), -1), last(plan.buffers.size(), -1);
  auto use = [&](int buffer, int phase) {
    if (buffer < 0)
      return;
    if (first[buffer] < 0)
      first[buffer] = phase;
    last[buffer] = phase;
  };
  for (const plan::Launch &launch : plan.launches) {
    use(launch.buffer, launch.phase);
    for (const Argument &argument : launch.args)
      if (argument.kind == Argument::Kind::Pointer)
        use(argument.buffer, launch.phase);
  }
  for (auto [index, buffer] : llvm::enumerate(plan.buffers)) {
    if (buffer.kind != plan::Buffer::Kind::Workspace || first[index] == last[index])
      continue;
    switch (static_cast<Phase>(first[index])) {
    case Phase::Weights:
      buffer.kind = plan::Buffer::Kind::Weights;
      break;
    case Phase::Forward:
      buffer.kind = plan::Buffer::Kind::Saved;
      break;
    default:
      buffer.kind = plan::Buffer::Kind::Gradient;
    }
  }
}

void PlanWriter::addLaunch(std::string label, std::string kernel, std::array<Expr, 3> grid, int threads,
                           int sharedBytes, std::vector<Argument> args) {
  plan::Variant variant;
  variant.kernel = std::move(kernel);
  variant.grid = grid;
  variant.block = {threads, 1, 1};
  variant.sharedBytes = sharedBytes;
  plan::Launch launch;
  launch.label = std::move(label);
  launch.variants.push_back(variant);
  launch.args = std::move(args);
  append(std::move(launch));
}

//===----------------------------------------------------------------------===//
// Views
//===----------------------------------------------------------------------===//

ElementRegion PlanWriter::elementRegion(Region &region, ValueRange rows, ValueRange cols, ValueRange full,
                                        ValueRange scalars, std::vector<Argument> *args) {
  ElementRegion result;
  result.region = &region;
  auto add = [&](ValueRange values, Broadcast broadcast) {
    for (Value value : values) {
      result.operands.push_back({broadcast, getElementTypeOrSelf(value.getType())});
      args->push_back(pointer(tensorBuffer(value)));
    }
  };
  add(rows, Broadcast::Row);
  add(cols, Broadcast::Column);
  add(full, Broadcast::Full);
  add(scalars, Broadcast::Scalar);
  return result;
}

/// The kernel's source and its arguments: source, rows, columns, [mean], [mask], prologue operands.
RowSource PlanWriter::rowSource(const View &view, std::vector<Argument> *args) {
  RowSource source;
  source.elementType = getElementTypeOrSelf(view.root.getType());
  SmallVector<Expr> extents = shapes.of(view.root);
  args->push_back(pointer(tensorBuffer(view.root)));
  args->push_back(size(extents[0]));
  args->push_back(size(extents[1]));
  if (view.center) {
    source.centred = true;
    fp4::CenterOp center = view.center;
    args->push_back(pointer(tensorBuffer(center.getMean())));
  }
  if (view.mask) {
    source.masked = true;
    args->push_back(pointer(tensorBuffer(view.mask)));
  }
  if (view.prologue) {
    fp4::PrologueOp op = view.prologue;
    source.prologue = elementRegion(op.getBody(), op.getRows(), op.getCols(), op.getFull(), op.getScalars(), args);
  }
  return source;
}

/// What distinguishes kernels of one kind by their source.
std::string PlanWriter::sourceName(const View &view, const RowSource &source) {
  std::string name = "_" + typeName(source.elementType);
  if (view.prologue) {
    fp4::PrologueOp prologue = view.prologue;
    name += "_of_" + identifier(valueName(prologue.getResult()));
  }
  if (view.center)
    name += "_centred";
  if (view.mask)
    name += "_masked";
  return name;
}

static SmallVector<int> signsOf(fp4::HadamardOp hadamard) {
  return hadamard ? SmallVector<int>(hadamard.getSigns()) : SmallVector<int>();
}

/// Part of a kernel's name: two transforms with the same signs share a kernel.
static std::string signsName(llvm::ArrayRef<int> signs) {
  if (signs.empty())
    return "";
  uint32_t bits = 0;
  for (auto [i, sign] : llvm::enumerate(signs))
    bits |= sign < 0 ? 1u << i : 0u;
  return "_hadamard" + llvm::utohexstr(bits, /*LowerCase=*/true);
}

//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

int PlanWriter::addPartials(const View &view) {
  fp4::PrologueOp prologue = view.prologue;
  auto [entry, isNew] =
      partials.try_emplace(std::tuple(view.root, prologue ? prologue.getOperation() : nullptr, view.mask), -1);
  if (!isNew)
    return entry->second;
  SmallVector<Expr> extents = shapes.of(view.root);
  Expr chunks = plan::ceilDiv(extents[0], numerics::kSumChunkRows);
  llvm::StringRef name = valueName(prologue ? Value(prologue.getResult()) : view.root);
  int buffer = addBuffer((name + ".partials").str(), chunks * extents[1] * (view.mask ? 16 : 12));
  entry->second = buffer;

  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(buffer));
  std::string kernel = "column_partials" + sourceName(view, source);
  if (isNewKernel(kernel))
    buildColumnPartials(kernels, kernel, source);
  addLaunch(("column statistics of " + name).str(), kernel,
            {plan::ceilDiv(extents[1], kStatisticsColumns), chunks, 1}, 256,
            statisticsSharedBytes(source.masked), args);
  return buffer;
}

void PlanWriter::addRankReduction(int buffer, Expr offset, Expr bytes, plan::Launch::Reduction reduction,
                                  llvm::StringRef name) {
  plan::Launch launch;
  launch.kind = plan::Launch::Kind::Reduce;
  launch.label = (name + " over ranks").str();
  launch.buffer = buffer;
  launch.offset = offset;
  launch.bytes = bytes;
  launch.reduction = reduction;
  append(std::move(launch));
}

void PlanWriter::addMean(const View &input, fp4::CenterOp op, int residualAmax) {
  int source = addPartials(input);
  SmallVector<Expr> extents = shapes.of(op.getInput());
  bool amax = residualAmax >= 0, counted = static_cast<bool>(input.mask);
  std::string suffix = counted ? "_masked" : "";
  std::array<Expr, 3> grid = {plan::ceilDiv(extents[1], kFinalizeThreads), 1, 1};
  if (distributed) {
    std::string name = valueName(op.getMean()).str();
    int totals = addBuffer(name + ".totals", extents[1] * 16);
    if (isNewKernel("column_totals" + suffix))
      buildColumnTotals(kernels, "column_totals" + suffix, counted);
    addLaunch("column totals for " + name, "column_totals" + suffix, grid, kFinalizeThreads, 0,
              {pointer(source), pointer(totals), size(extents[0]), size(extents[1])});
    addRankReduction(totals, 0, extents[1] * 8, plan::Launch::Reduction::Sum, "sums and counts of " + name);
    addRankReduction(totals, extents[1] * 8, extents[1] * 8, plan::Launch::Reduction::Max, "extremes of " + name);
    source = totals;
  }
  std::vector<Argument> args = {pointer(source), pointer(tensorBuffer(op.getMean()))};
  if (amax)
    args.push_back(pointer(residualAmax));
  if (!distributed)
    args.push_back(size(extents[0]));
  args.push_back(size(extents[1]));
  std::string kernel = std::string(distributed ? "mean_of_totals" : "column_mean") + (amax ? "_amax" : "") +
                       (distributed ? "" : suffix);
  if (isNewKernel(kernel)) {
    if (distributed)
      buildMeanOfTotals(kernels, kernel, amax);
    else
      buildFinalizeColumns(kernels, kernel, /*mean=*/true, amax, counted);
  }
  std::string label = ("mean " + valueName(op.getMean())).str();
  if (amax)
    label += (", amax of " + valueName(op.getResidual())).str();
  addLaunch(label, kernel, grid, kFinalizeThreads, 0, args);
}

void PlanWriter::addColumnSum(const View &input, Value result) {
  int partialsBuffer = addPartials(input);
  SmallVector<Expr> extents = shapes.of(input.root);
  std::vector<Argument> args = {pointer(partialsBuffer), pointer(tensorBuffer(result)), size(extents[0]),
                                size(extents[1])};
  bool counted = static_cast<bool>(input.mask);
  std::string kernel = counted ? "column_sum_masked" : "column_sum";
  if (isNewKernel(kernel))
    buildFinalizeColumns(kernels, kernel, /*mean=*/false, /*amax=*/false, counted);
  addLaunch(("column sum " + valueName(result)).str(), kernel, {plan::ceilDiv(extents[1], kFinalizeThreads), 1, 1},
            kFinalizeThreads, 0, args);
}

int PlanWriter::addAmaxBuffer(llvm::StringRef name, Value value) {
  int buffer = addBuffer(name, 4);
  plan::Contents &contents = plan.buffers[buffer].contents;
  contents.value = valueName(value).str();
  contents.part = plan::Contents::Part::Amax;
  plan::Launch launch;
  launch.kind = plan::Launch::Kind::Memset;
  launch.label = ("clear " + name).str();
  launch.buffer = buffer;
  launch.bytes = 4;
  append(std::move(launch));
  return buffer;
}

static Expr sixteenGrid(llvm::ArrayRef<Expr> extents) {
  return plan::ceilDiv(extents[0] * plan::ceilDiv(extents[1], 16), kRowThreads);
}

/// Tiles of 64 columns come in pairs, so that the scales of 128 columns are written whole.
static std::array<Expr, 3> tileGrid(llvm::ArrayRef<Expr> extents) {
  return {plan::ceilDiv(extents[1], 2 * kQuantizeTileColumns) * 2, plan::ceilDiv(extents[0], kQuantizeTileRows), 1};
}

void PlanWriter::addAmax(const View &view, int amax, llvm::StringRef label) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(amax));
  SmallVector<int> signs = signsOf(view.hadamard);
  std::string kernel = "amax" + sourceName(view, source) + signsName(signs);
  if (isNewKernel(kernel))
    buildAmax(kernels, kernel, source, signs);
  addLaunch(label.str(), kernel, {sixteenGrid(shapes.of(view.root)), 1, 1}, kRowThreads, 0, args);
}

void PlanWriter::addAmaxColumns(const View &view, fp4::HadamardOp hadamard, int amax, int plainAmax) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(amax));
  std::string label = ("amax of " + valueName(hadamard.getResult())).str();
  bool plain = plainAmax >= 0;
  if (plain) {
    args.push_back(pointer(plainAmax));
    label += (", amax of " + valueName(hadamard.getInput())).str();
  }
  SmallVector<int> signs = signsOf(hadamard);
  std::string kernel = std::string("amax_columns") + (plain ? "_and_plain" : "") + sourceName(view, source) + signsName(signs);
  if (isNewKernel(kernel))
    buildAmaxColumns(kernels, kernel, source, signs, plain);
  addLaunch(label, kernel, tileGrid(shapes.of(view.root)), 256, kQuantizeTileBytes, args);
}

//===----------------------------------------------------------------------===//
// Quantize, dequantize, store
//===----------------------------------------------------------------------===//

QuantizeConfig PlanWriter::addQuantized(const PlannedQuantize &planned, std::vector<Argument> *args) {
  fp4::QuantizeOp op = planned.op;
  fp4::QuantizedType type = op.getResult().getType();
  QuantizeConfig config;
  config.format = kernelFormat(type.getFormat());
  config.blockRows = static_cast<int>(type.getBlockAcross());
  config.stochastic = op.getRounding() == fp4::Rounding::stochastic;
  config.stream = static_cast<int>(op.getStream());
  config.hadamardSigns = signsOf(planned.hadamard);
  int block = formatBlockSize(config.format);
  SmallVector<Expr> extents = shapes.of(op.getResult());
  Expr rows = extents[1 - type.getAxis()], columns = extents[type.getAxis()];
  std::string name = valueName(op.getResult()).str();

  Expr tilesK = plan::ceilDiv(columns, 4 * block), tilesRows = plan::ceilDiv(rows, 128);
  QuantizedBuffers &buffers = quantizedValues[op.getResult()];
  buffers.codes = addBuffer(name + ".codes", rows * plan::ceilDiv(columns, numerics::kCodesPadK) * 32);
  buffers.scales = addBuffer(name + ".scales", tilesRows * tilesK * 512);
  buffers.amax = planned.amax;
  for (auto [buffer, part] : {std::pair(buffers.codes, plan::Contents::Part::Codes),
                              std::pair(buffers.scales, plan::Contents::Part::Scales)}) {
    plan::Contents &contents = plan.buffers[buffer].contents;
    contents.value = name;
    contents.part = part;
    contents.format = formatName(config.format).str();
    contents.rows = rows;
    contents.k = columns;
    contents.blockSize = block;
    contents.blockRows = config.blockRows;
  }
  args->push_back(pointer(buffers.codes));
  args->push_back(pointer(buffers.scales));
  if (config.format == Format::NVFP4)
    args->push_back(pointer(planned.amax));
  if (config.stochastic) {
    args->push_back(pointer(tensorBuffer(op.getSeed())));
    args->push_back(pointer(tensorBuffer(op.getOffset())));
  }
  return config;
}

/// What distinguishes kernels by how they round, without the format.
static std::string configName(const QuantizeConfig &config) {
  std::string name = "_" + std::to_string(config.blockRows) + "x" + std::to_string(formatBlockSize(config.format));
  if (config.stochastic)
    name += "_stochastic" + (config.stream ? std::to_string(config.stream) : "");
  return name + signsName(config.hadamardSigns);
}

void PlanWriter::addQuantizeRows(const View &view, const PlannedQuantize &rows) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  QuantizeConfig config = addQuantized(rows, &args);
  std::string kernel = "quantize_" + formatName(config.format).str() + configName(config) + sourceName(view, source);
  if (isNewKernel(kernel))
    buildQuantize(kernels, kernel, target, source, config);
  int block = formatBlockSize(config.format);
  SmallVector<Expr> extents = shapes.of(view.root);
  Expr threads = plan::ceilDiv(extents[0], 128) * 128 * plan::ceilDiv(extents[1], 4 * block) * 4;
  fp4::QuantizeOp op = rows.op;
  addLaunch(("quantize " + valueName(op.getResult())).str(), kernel, {plan::ceilDiv(threads, kRowThreads), 1, 1},
            kRowThreads, 0, args);
}

void PlanWriter::addQuantizeTile(const View &view, const std::optional<PlannedQuantize> &rows,
                                 const PlannedQuantize &columns) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  std::optional<QuantizeConfig> rowConfig;
  if (rows)
    rowConfig = addQuantized(*rows, &args);
  QuantizeConfig columnConfig = addQuantized(columns, &args);
  std::string kernel = "quantize_" + formatName(columnConfig.format).str();
  std::string label = "quantize ";
  if (rows) {
    fp4::QuantizeOp op = rows->op;
    kernel += "_rows" + configName(*rowConfig);
    label += valueName(op.getResult()).str() + " and ";
  }
  kernel += "_columns" + configName(columnConfig) + sourceName(view, source);
  if (isNewKernel(kernel))
    buildQuantizeTile(kernels, kernel, target, source, rowConfig, columnConfig);
  fp4::QuantizeOp op = columns.op;
  addLaunch(label + valueName(op.getResult()).str(), kernel, tileGrid(shapes.of(view.root)), 256, kQuantizeTileBytes, args);
}

void PlanWriter::addDequantize(fp4::DequantizeOp op) {
  fp4::QuantizedType type = op.getInput().getType();
  Format format = kernelFormat(type.getFormat());
  const QuantizedBuffers &buffers = quantizedValues[op.getInput()];
  SmallVector<Expr> extents = shapes.of(op.getInput());
  Expr rows = extents[1 - type.getAxis()], columns = extents[type.getAxis()];
  std::vector<Argument> args = {pointer(buffers.codes), pointer(buffers.scales)};
  if (format == Format::NVFP4)
    args.push_back(pointer(buffers.amax));
  args.insert(args.end(), {pointer(tensorBuffer(op.getResult())), size(rows), size(columns)});
  std::string kernel = ("dequantize_" + formatName(format) + "_axis" + Twine(type.getAxis())).str();
  if (isNewKernel(kernel))
    buildDequantize(kernels, kernel, target, format, static_cast<int>(type.getAxis()));
  Expr blocks = rows * plan::ceilDiv(columns, formatBlockSize(format));
  addLaunch(("dequantize " + valueName(op.getResult())).str(), kernel, {plan::ceilDiv(blocks, kDequantizeThreads), 1, 1},
            kDequantizeThreads, 0, args);
}

void PlanWriter::addStore(const View &view, Value result) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(tensorBuffer(result)));
  Type elementType = getElementTypeOrSelf(result.getType());
  SmallVector<int> signs = signsOf(view.hadamard);
  std::string kernel = "store" + sourceName(view, source) + signsName(signs) + "_as_" + typeName(elementType);
  if (isNewKernel(kernel))
    buildStoreRows(kernels, kernel, source, signs, elementType);
  addLaunch(("store " + valueName(result)).str(), kernel, {sixteenGrid(shapes.of(view.root)), 1, 1}, kRowThreads, 0,
            args);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void PlanWriter::addMatvec(fp4::MatvecOp op) {
  SmallVector<Expr> extents = shapes.of(op.getMatrix());
  Type elementType = getElementTypeOrSelf(op.getMatrix().getType());
  int axis = static_cast<int>(op.getAxis());
  std::vector<Argument> args = {pointer(tensorBuffer(op.getMatrix())), pointer(tensorBuffer(op.getVector())),
                                pointer(tensorBuffer(op.getResult())), size(extents[0]), size(extents[1])};
  std::string kernel = "matvec_" + typeName(elementType) + "_axis" + std::to_string(axis);
  if (isNewKernel(kernel))
    buildMatvec(kernels, kernel, elementType, axis);
  Expr grid = axis == 1 ? plan::ceilDiv(extents[0], kMatvecRows) : plan::ceilDiv(extents[1], kMatvecColumns);
  addLaunch(("matvec " + valueName(op.getResult())).str(), kernel, {grid, 1, 1}, 256, axis == 1 ? 0 : 32 * 32 * 4, args);
}

/// Blocks that fill a GPU: with fewer, smaller tiles are better.
static constexpr int kFullGrid = 128;

/// When a tile shape is chosen. The last two are for a handful of rows, and for problems where 128x128 tiles are fewer than the
/// streaming multiprocessors of a large GPU.
static Expr tileCondition(const MatmulTile &tile, Expr sizeM, Expr sizeN) {
  constexpr int kFewRows = 16;
  if (tile.tileM == kFewRows)
    return plan::lessEqual(sizeM, kFewRows);
  if (tile.tileM < 128)
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
    region = elementRegion(epilogue.getBody(), epilogue.getRows(), epilogue.getCols(), epilogue.getFull(),
                           epilogue.getScalars(), &args);
    suffix = "_to_" + identifier(valueName(result));
  }

  plan::Launch launch;
  launch.label = ("matmul " + valueName(op.getResult())).str();
  if (epilogue)
    launch.label += (", epilogue " + valueName(result)).str();
  launch.args = args;
  for (const MatmulTile &tile : matmulTiles()) {
    Expr blocks = plan::ceilDiv(sizeM, tile.tileM) * plan::ceilDiv(sizeN, tile.tileN);
    plan::Variant variant;
    variant.kernel = ("matmul_" + formatName(format) + "_" + Twine(tile.tileM) + "x" + Twine(tile.tileN) + suffix).str();
    variant.grid = {blocks, 1, 1};
    variant.block = {tile.numThreads(), 1, 1};
    variant.sharedBytes = tile.sharedBytes(format);
    variant.when = tileCondition(tile, sizeM, sizeN);
    if (variant.when == Expr(0))
      continue;
    if (isNewKernel(variant.kernel))
      buildMatmul(kernels, variant.kernel, target, format, tile, region);
    launch.variants.push_back(variant);
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
    region = elementRegion(epilogue.getBody(), epilogue.getRows(), epilogue.getCols(), epilogue.getFull(),
                           epilogue.getScalars(), &launch.args);
    suffix = "_to_" + identifier(valueName(result));
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
    if (isNewKernel(variant.kernel))
      buildDenseMatmul(kernels, variant.kernel, elementType, axisA, axisB, tile, region);
    launch.variants.push_back(variant);
  }
  append(std::move(launch));
}

} // namespace compiler
} // namespace fourfold
