// Steps from ops: every attribute read once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Lower.h"

#include "compiler/frontend/Frontend.h"
#include "compiler/recipe/Recipe.h"
#include "dialect/Fp4.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace fourfold {
namespace host {

static std::optional<Element> elementOf(Type type) {
  if (type.isF32())
    return Element::F32;
  if (type.isBF16())
    return Element::BF16;
  if (type.isF16())
    return Element::F16;
  if (type.isSignlessInteger(64))
    return Element::I64;
  if (type.isSignlessInteger(32))
    return Element::I32;
  if (type.isSignlessInteger(8))
    return Element::I8;
  if (isa<Float8E4M3FNType, Float8E8M0FNUType>(type))
    return Element::Scale;
  return std::nullopt;
}

/// "file:line:column: error: 'name' op", as diagnostics begin.
static std::string whereOf(Operation *op) {
  std::string text;
  if (auto place = op->getLoc()->findInstanceOf<FileLineColLoc>())
    text = (place.getFilename().getValue() + ":" + llvm::Twine(place.getLine()) + ":" + llvm::Twine(place.getColumn()) +
            ": error: ").str();
  return text + "'" + op->getName().getStringRef().str() + "' op";
}

namespace {

class Lowering {
public:
  explicit Lowering(func::FuncOp function) : function(function) {}
  FailureOr<std::shared_ptr<const Program>> run();

private:
  LogicalResult addValue(::mlir::Value value, int phase);
  LogicalResult addStep(Operation &op);
  void use(Step &step, ::mlir::Value value);
  void use(Step &step, ValueRange values) {
    for (::mlir::Value value : values)
      use(step, value);
  }
  LogicalResult fill(Step &step, Operation &op);
  template <typename OpTy>
  LogicalResult fillElement(Step &step, OpTy op);
  static Blocks blocksOf(fp4::Format format, int64_t across, int64_t along, int64_t axis) {
    return {format == fp4::Format::nvfp4, across, along, axis};
  }

  func::FuncOp function;
  llvm::DenseMap<Operation *, compiler::Phase> phases;
  llvm::DenseMap<::mlir::Value, int> numbers;
  std::shared_ptr<Program> program = std::make_shared<Program>();
};

} // namespace

LogicalResult Lowering::addValue(::mlir::Value value, int phase) {
  ValueInfo info;
  info.name = compiler::valueName(value).str();
  info.phase = phase;
  auto shape = [&](llvm::ArrayRef<int64_t> extents) {
    for (int64_t extent : extents)
      info.shape.push_back(ShapedType::isDynamic(extent) ? -1 : extent);
  };
  if (auto quantized = dyn_cast<fp4::QuantizedType>(value.getType())) {
    info.isQuantized = true;
    shape(quantized.getShape());
  } else {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    std::optional<Element> element = type ? elementOf(type.getElementType()) : std::nullopt;
    if (!element)
      return function.emitOpError() << "value '" << info.name << "' of type " << value.getType()
                                    << " cannot be held on the host";
    info.element = *element;
    shape(type.getShape());
  }
  bool isArgument = isa<BlockArgument>(value);
  if (isArgument && (info.isQuantized || info.element == Element::Scale))
    return function.emitOpError() << "argument '" << info.name << "' of type " << value.getType()
                                  << " cannot be passed in; expects a tensor of f32, bf16, f16, i64, i32 or i8";
  numbers[value] = static_cast<int>(program->values.size());
  program->values.push_back(std::move(info));
  return success();
}

void Lowering::use(Step &step, ::mlir::Value value) {
  step.operands.push_back(value ? numbers.lookup(value) : -1);
  if (value)
    ++program->values[static_cast<size_t>(step.operands.back())].uses;
}

template <typename OpTy>
LogicalResult Lowering::fillElement(Step &step, OpTy op) {
  step.kind = StepKind::Element;
  use(step, op.getInput());
  use(step, op.getRows());
  use(step, op.getCols());
  use(step, op.getFull());
  use(step, op.getScalars());
  step.numRows = op.getRows().size();
  step.numCols = op.getCols().size();
  step.numFull = op.getFull().size();
  step.numScalars = op.getScalars().size();
  FailureOr<Region> region = lowerRegion(op.getBody().front());
  if (failed(region))
    return failure();
  step.region = std::move(*region);
  return success();
}

LogicalResult Lowering::fill(Step &step, Operation &op) {
  auto simple = [&](StepKind kind, std::initializer_list<::mlir::Value> operands) {
    step.kind = kind;
    for (::mlir::Value operand : operands)
      use(step, operand);
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(&op)
      .Case<fp4::PrologueOp, fp4::EpilogueOp>([&](auto op) { return fillElement(step, op); })
      .Case([&](fp4::CenterOp op) { return simple(StepKind::Center, {op.getInput(), op.getMask()}); })
      .Case([&](fp4::ColumnSumOp op) { return simple(StepKind::ColumnSum, {op.getInput(), op.getMask()}); })
      .Case([&](fp4::HadamardOp op) {
        step.axis = op.getAxis();
        llvm::copy(op.getSigns(), step.signs.begin());
        return simple(StepKind::Hadamard, {op.getInput()});
      })
      .Case([&](fp4::BlockScaleOp op) {
        step.blocks = blocksOf(op.getFormat(), op.getBlockAcross(), op.getBlockAlong(), op.getAxis());
        return simple(StepKind::BlockScale, {op.getInput()});
      })
      .Case([&](fp4::QuantizeOp op) {
        fp4::QuantizedType type = op.getResult().getType();
        step.blocks = blocksOf(type.getFormat(), type.getBlockAcross(), type.getBlockAlong(), type.getAxis());
        step.isStochastic = op.getRounding() == fp4::Rounding::stochastic;
        step.stream = static_cast<uint64_t>(op.getStream());
        return simple(StepKind::Quantize,
                      {op.getInput(), op.getScales(), op.getAmax(), op.getSeed(), op.getOffset()});
      })
      .Case([&](fp4::DequantizeOp op) { return simple(StepKind::Dequantize, {op.getInput()}); })
      .Case([&](fp4::MatmulOp op) { return simple(StepKind::Matmul, {op.getLhs(), op.getRhs()}); })
      .Case([&](fp4::ReshapeOp op) { return simple(StepKind::Reshape, {op.getInput()}); })
      .Case([&](fp4::MatvecOp op) {
        step.axis = op.getAxis();
        return simple(StepKind::Matvec, {op.getMatrix(), op.getVector()});
      })
      .Default([](Operation *op) {
        return op->emitOpError("has no meaning in a spec: only fp4 ops stand outside of regions");
      });
}

LogicalResult Lowering::addStep(Operation &op) {
  Step step;
  step.where = whereOf(&op);
  step.phase = static_cast<int>(phases.lookup(&op));
  if (failed(fill(step, op)))
    return failure();
  for (OpResult result : op.getResults()) {
    if (failed(addValue(result, step.phase)))
      return failure();
    step.results.push_back(numbers.lookup(result));
  }
  program->steps.push_back(std::move(step));
  return success();
}

FailureOr<std::shared_ptr<const Program>> Lowering::run() {
  program->name = function.getName().str();
  auto found = compiler::phasesOf(function);
  if (failed(found))
    return failure();
  phases = std::move(*found);
  for (int phase = 0; !phases.empty() && phase < compiler::kNumPhases; ++phase)
    program->phases.push_back(compiler::phaseName(static_cast<compiler::Phase>(phase)));
  for (BlockArgument argument : function.getArguments())
    if (failed(addValue(argument, /*phase=*/-1)))
      return failure();
  program->numArguments = program->values.size();
  for (Operation &op : function.front().without_terminator())
    if (failed(addStep(op)))
      return failure();
  for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands())) {
    int number = numbers.lookup(value);
    ++program->values[static_cast<size_t>(number)].uses;
    program->results.push_back({compiler::resultName(function, static_cast<unsigned>(index)), number});
  }
  return std::shared_ptr<const Program>(std::move(program));
}

FailureOr<std::shared_ptr<const Program>> lowerToHost(func::FuncOp function) { return Lowering(function).run(); }

} // namespace host
} // namespace fourfold
