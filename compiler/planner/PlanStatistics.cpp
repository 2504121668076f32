// Launches of statistics: means, column sums, tensor amaxes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanWriter.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/kernels/Quantize.h"
#include "compiler/kernels/QuantizeTile.h"
#include "compiler/kernels/Statistics.h"
#include "compiler/planner/PlanNames.h"
#include "dialect/Numerics.h"

using namespace mlir;
using llvm::SmallVector;
using llvm::Twine;

namespace fourfold {
namespace compiler {

using plan::Argument;
using plan::Expr;

int PlanWriter::addPartials(const View &view) {
  ElementWise prologue = view.prologue;
  auto [entry, isNew] =
      partials.try_emplace(std::tuple(view.root, prologue.operation(), view.mask), -1);
  if (!isNew)
    return entry->second;
  SmallVector<Expr> extents = shapes.of(view.root);
  Expr chunks = plan::ceilDiv(extents[0], numerics::kSumChunkRows);
  llvm::StringRef name = valueName(prologue ? prologue.result() : view.root);
  int buffer = addBuffer((name + ".partials").str(), chunks * extents[1] * (view.mask ? 16 : 12));
  entry->second = buffer;

  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(buffer));
  std::string kernel = "column_partials" + sourceName(view, source);
  if (mustBuild(kernel))
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
    if (mustBuild("column_totals" + suffix))
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
  if (mustBuild(kernel)) {
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
  if (mustBuild(kernel))
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

void PlanWriter::addAmax(const View &view, int amax, llvm::StringRef label) {
  std::vector<Argument> args;
  RowSource source = rowSource(view, &args);
  args.push_back(pointer(amax));
  SmallVector<int> signs = signsOf(view.hadamard);
  std::string kernel = "amax" + sourceName(view, source) + signsName(signs);
  if (mustBuild(kernel))
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
  if (mustBuild(kernel))
    buildAmaxColumns(kernels, kernel, source, signs, plain);
  addLaunch(label, kernel, tileGrid(shapes.of(view.root)), 256, kQuantizeTileBytes, args);
}

} // namespace compiler
} // namespace fourfold
