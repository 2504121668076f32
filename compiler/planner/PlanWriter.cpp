// Buffers, arguments, views and phases of a plan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/PlanWriter.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/planner/PlanNames.h"
#include "compiler/recipe/Recipe.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using llvm::SmallVector;

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

void PlanWriter::alias(Value value, Value other) { alias(value, tensorBuffer(other)); }

void PlanWriter::alias(Value value, int buffer) {
  tensors[value] = buffer;
  plan::Buffer &place = plan.buffers[buffer];
  if (!outputs.contains(value) || place.kind == plan::Buffer::Kind::Input)
    return;
  place.kind = plan::Buffer::Kind::Output;
  // An output lies where the caller says.
  place.alignment = place.contents.shape.empty() ? plan::elementTypeBytes(place.contents.type) : 16;
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

ElementRegion PlanWriter::elementRegion(ElementWise element, std::vector<Argument> *args) {
  ElementRegion result;
  result.region = &element.body();
  auto add = [&](ValueRange values, Broadcast broadcast) {
    for (Value value : values) {
      result.operands.push_back({broadcast, getElementTypeOrSelf(value.getType())});
      args->push_back(pointer(tensorBuffer(value)));
    }
  };
  llvm::TypeSwitch<Operation *>(element.operation()).Case<fp4::PrologueOp, fp4::EpilogueOp>([&](auto op) {
    add(op.getRows(), Broadcast::Row);
    add(op.getCols(), Broadcast::Column);
    add(op.getFull(), Broadcast::Full);
    add(op.getScalars(), Broadcast::Scalar);
  });
  return result;
}

std::string PlanWriter::regionName(ElementWise element) {
  std::string &known = regionNames[element.operation()];
  if (!known.empty())
    return known;
  // What follows a region in a kernel's name: a value whose name has it must not be taken for another one's kernel, "h_centred" for
  // the centred "h". Nor may "h.1" be taken for "h_1".
  static constexpr llvm::StringLiteral kWords[] = {"_centred", "_masked", "_hadamard", "_as_"};
  std::string base = identifier(valueName(element.result())), name = base;
  auto isTaken = [&](const std::string &wanted) {
    return llvm::any_of(regionNames, [&](const auto &entry) { return entry.second == wanted; });
  };
  bool isAmbiguous = llvm::any_of(kWords, [&](llvm::StringRef word) { return llvm::StringRef(base + "_").contains(word); });
  for (int number = 1; isAmbiguous || isTaken(name); ++number, isAmbiguous = false)
    name = base + "_region" + std::to_string(number);
  return known = name;
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
    source.prologue = elementRegion(view.prologue, args);
  }
  return source;
}

/// What distinguishes kernels of one kind by their source.
std::string PlanWriter::sourceName(const View &view, const RowSource &source) {
  std::string name = "_" + typeName(source.elementType);
  if (view.prologue)
    name += "_of_" + regionName(view.prologue);
  if (view.center)
    name += "_centred";
  if (view.mask)
    name += "_masked";
  return name;
}

} // namespace compiler
} // namespace fourfold
