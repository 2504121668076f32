// Launches that quantize, dequantize and store.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanWriter.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/kernels/Dequantize.h"
#include "compiler/kernels/Quantize.h"
#include "compiler/kernels/QuantizeTile.h"
#include "compiler/planner/PlanNames.h"
#include "dialect/Numerics.h"

using namespace mlir;
using llvm::SmallVector;
using llvm::Twine;

namespace fourfold {
namespace compiler {

using plan::Argument;
using plan::Expr;

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
  if (mustBuild(kernel))
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
  if (mustBuild(kernel))
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
  if (mustBuild(kernel))
    buildDequantize(kernels, kernel, target, format, static_cast<int>(type.getAxis()));
  Expr blocks = rows * plan::ceilDiv(columns, formatBlockSize(format));
  addLaunch(("dequantize " + valueName(op.getResult())).str(), kernel, {plan::ceilDiv(blocks, kDequantizeThreads), 1, 1},
            kDequantizeThreads, 0, args);
}

void PlanWriter::addStore(const View &view, Value result) {
  std::vector<Argument> args;
  fp4::HadamardOp hadamard = view.hadamard;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(tensorBuffer(result)));
  Type elementType = getElementTypeOrSelf(result.getType());
  SmallVector<int> signs = signsOf(view.hadamard);
  if (hadamard && hadamard.getAxis() == 0) {
    std::string kernel = "store_columns" + sourceName(view, source) + signsName(signs);
    if (mustBuild(kernel))
      buildStoreColumns(kernels, kernel, source, signs);
    addLaunch(("store " + valueName(result)).str(), kernel, tileGrid(shapes.of(view.root)), 256, kQuantizeTileBytes, args);
    return;
  }
  std::string kernel = "store" + sourceName(view, source) + signsName(signs) + "_as_" + typeName(elementType);
  if (mustBuild(kernel))
    buildStoreRows(kernels, kernel, source, signs, elementType);
  addLaunch(("store " + valueName(result)).str(), kernel, {sixteenGrid(shapes.of(view.root)), 1, 1}, kRowThreads, 0,
            args);
}

int PlanWriter::addCopy(Value value, llvm::StringRef name) {
  plan::Contents contents = plan.buffers[tensorBuffer(value)].contents;
  contents.value = name.str();
  int elementBytes = static_cast<int>(plan::elementTypeBytes(contents.type));
  Expr count = 1;
  for (const Expr &extent : contents.shape)
    count = count * extent;
  int buffer = addBuffer(name, count * elementBytes, plan::Buffer::Kind::Output);
  plan.buffers[buffer].contents = contents;
  plan.buffers[buffer].alignment = contents.shape.empty() ? elementBytes : 16;
  std::string kernel = "copy_" + std::to_string(8 * elementBytes);
  if (mustBuild(kernel))
    buildCopy(kernels, kernel, elementBytes);
  Argument number;
  number.kind = Argument::Kind::I64;
  number.value = count;
  addLaunch(("copy " + name).str(), kernel, {plan::ceilDiv(count, kRowThreads), 1, 1}, kRowThreads, 0,
            {pointer(tensorBuffer(value)), pointer(buffer), number});
  return buffer;
}

} // namespace compiler
} // namespace fourfold
