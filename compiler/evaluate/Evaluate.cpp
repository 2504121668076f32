// The walk over a spec: inputs by name, ops in order, results out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/Evaluate.h"

#include "compiler/evaluate/Ops.h"
#include "compiler/frontend/Frontend.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

class Evaluator {
public:
  Evaluator(func::FuncOp function, llvm::ArrayRef<FourfoldHostTensor> inputs, bool intermediates, ValueSink sink,
            bool anyOrder)
      : function(function), inputs(inputs), intermediates(intermediates), sink(sink), anyOrder(anyOrder) {}

  LogicalResult run();

private:
  LogicalResult bindInputs();
  LogicalResult bindInput(BlockArgument argument, const FourfoldHostTensor &input);
  LogicalResult visit(Operation *op);
  LogicalResult visitOp(Operation *op);
  LogicalResult checkResult(OpResult result);
  template <typename OpTy>
  LogicalResult visitElementOp(OpTy op);

  /// Null for an absent operand.
  const HostTensor *tensor(Value value) const { return value ? &values.find(value)->second->tensor : nullptr; }
  const HostQuantized &quantized(Value value) const { return values.find(value)->second->quantized; }
  LogicalResult set(Value value, FailureOr<HostTensor> tensor) {
    if (failed(tensor))
      return failure();
    auto held = std::make_unique<HostValue>();
    held->tensor = std::move(*tensor);
    values[value] = std::move(held);
    return success();
  }
  LogicalResult set(Value value, FailureOr<HostQuantized> quantized) {
    if (failed(quantized))
      return failure();
    auto held = std::make_unique<HostValue>();
    held->isQuantized = true;
    held->quantized = std::move(*quantized);
    values[value] = std::move(held);
    return success();
  }

  func::FuncOp function;
  llvm::ArrayRef<FourfoldHostTensor> inputs;
  bool intermediates;
  ValueSink sink;
  bool anyOrder;
  llvm::DenseMap<Value, std::unique_ptr<HostValue>> values;
};

} // namespace

static std::string shapeText(llvm::ArrayRef<int64_t> shape) {
  std::string text = "(";
  for (auto [index, extent] : llvm::enumerate(shape))
    text += (index ? "x" : "") + (ShapedType::isDynamic(extent) ? "?" : std::to_string(extent));
  return text + ")";
}

static bool fits(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> type) {
  return shape.size() == type.size() && llvm::all_of(llvm::zip(shape, type), [](auto pair) {
           return ShapedType::isDynamic(std::get<1>(pair)) || std::get<0>(pair) == std::get<1>(pair);
         });
}

LogicalResult Evaluator::bindInput(BlockArgument argument, const FourfoldHostTensor &input) {
  llvm::StringRef name = valueName(argument);
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  std::optional<Element> element = type ? elementOf(type.getElementType()) : std::nullopt;
  if (!element || *element == Element::Scale)
    return function.emitOpError() << "argument '" << name << "' of type " << argument.getType()
                                  << " cannot be passed in; expects a tensor of f32, bf16, f16, i64, i32 or i8";
  llvm::StringRef given = input.elementType ? input.elementType : "";
  if (given != elementName(*element))
    return function.emitOpError() << "input '" << name << "' expects elements of " << elementName(*element)
                                  << ", but got '" << given << "'";
  llvm::ArrayRef<int64_t> shape(input.shape, static_cast<size_t>(std::max(input.rank, 0)));
  if (!fits(shape, type.getShape()) || llvm::any_of(shape, [](int64_t extent) { return extent < 0; }))
    return function.emitOpError() << "input '" << name << "' expects shape " << shapeText(type.getShape())
                                  << ", but got " << shapeText(shape);
  bool isEmpty = llvm::is_contained(shape, 0);
  if (!input.data && !isEmpty)
    return function.emitOpError() << "input '" << name << "' has no data";
  return set(argument, readTensor(input, *element));
}

LogicalResult Evaluator::bindInputs() {
  std::string known;
  llvm::StringMap<const FourfoldHostTensor *> byName;
  for (BlockArgument argument : function.getArguments())
    known += (known.empty() ? "" : ", ") + valueName(argument).str();
  for (const FourfoldHostTensor &input : inputs) {
    llvm::StringRef name = input.name ? input.name : "";
    if (!byName.try_emplace(name, &input).second)
      return function.emitOpError() << "input '" << name << "' is given twice";
  }
  for (BlockArgument argument : function.getArguments()) {
    auto found = byName.find(valueName(argument));
    if (found == byName.end())
      return function.emitOpError() << "input '" << valueName(argument) << "' is missing; the spec takes " << known;
    if (failed(bindInput(argument, *found->second)))
      return failure();
    byName.erase(found);
  }
  for (const FourfoldHostTensor &input : inputs)
    if (byName.count(input.name ? input.name : ""))
      return function.emitOpError() << "has no input '" << (input.name ? input.name : "") << "'; it takes "
                                    << (known.empty() ? "none" : known);
  return success();
}

template <typename OpTy>
LogicalResult Evaluator::visitElementOp(OpTy op) {
  ElementOperands operands;
  operands.input = tensor(op.getInput());
  auto collect = [&](ValueRange from, llvm::SmallVector<const HostTensor *> &to) {
    for (Value value : from)
      to.push_back(tensor(value));
  };
  collect(op.getRows(), operands.rows);
  collect(op.getCols(), operands.cols);
  collect(op.getFull(), operands.full);
  collect(op.getScalars(), operands.scalars);
  return set(op.getResult(), evaluateElementOp(op, operands));
}

LogicalResult Evaluator::visitOp(Operation *op) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<fp4::PrologueOp, fp4::EpilogueOp>([&](auto op) { return visitElementOp(op); })
      .Case([&](fp4::CenterOp op) -> LogicalResult {
        FailureOr<CenterResult> result = evaluateCenter(op, *tensor(op.getInput()), tensor(op.getMask()));
        if (failed(result))
          return failure();
        return success(succeeded(set(op.getMean(), FailureOr<HostTensor>(std::move(result->mean)))) &&
                       succeeded(set(op.getResidual(), FailureOr<HostTensor>(std::move(result->residual)))));
      })
      .Case([&](fp4::HadamardOp op) { return set(op.getResult(), evaluateHadamard(op, *tensor(op.getInput()))); })
      .Case([&](fp4::BlockScaleOp op) -> LogicalResult {
        FailureOr<BlockScaleResult> result = evaluateBlockScale(op, *tensor(op.getInput()));
        if (failed(result) || failed(set(op.getScales(), FailureOr<HostTensor>(std::move(result->scales)))))
          return failure();
        return op.getAmax() ? set(op.getAmax(), FailureOr<HostTensor>(std::move(result->amax))) : success();
      })
      .Case([&](fp4::QuantizeOp op) {
        return set(op.getResult(),
                   evaluateQuantize(op, {tensor(op.getInput()), tensor(op.getScales()), tensor(op.getAmax()),
                                         tensor(op.getSeed()), tensor(op.getOffset())}));
      })
      .Case([&](fp4::DequantizeOp op) {
        return set(op.getResult(), FailureOr<HostTensor>(evaluateDequantize(op, quantized(op.getInput()))));
      })
      .Case([&](fp4::MatmulOp op) {
        return set(op.getResult(), op.isDense()
                                       ? evaluateDenseMatmul(op, *tensor(op.getLhs()), *tensor(op.getRhs()))
                                       : evaluateMatmul(op, quantized(op.getLhs()), quantized(op.getRhs()), anyOrder));
      })
      .Case([&](fp4::ReshapeOp op) {
        HostTensor result = *tensor(op.getInput());
        if (result.shape.size() == 2)
          result.shape.erase(result.shape.begin());
        else
          result.shape.insert(result.shape.begin(), 1);
        return set(op.getResult(), FailureOr<HostTensor>(std::move(result)));
      })
      .Case([&](fp4::MatvecOp op) {
        return set(op.getResult(), evaluateMatvec(op, *tensor(op.getMatrix()), *tensor(op.getVector())));
      })
      .Case([&](fp4::ColumnSumOp op) {
        return set(op.getResult(), evaluateColumnSum(op, *tensor(op.getInput()), tensor(op.getMask())));
      })
      .Default([](Operation *op) {
        return op->emitOpError("has no meaning in a spec: only fp4 ops stand outside of regions");
      });
}

/// The shape that came out is the one the type promises.
LogicalResult Evaluator::checkResult(OpResult result) {
  auto type = dyn_cast<RankedTensorType>(result.getType());
  llvm::ArrayRef<int64_t> expected = type ? type.getShape() : cast<fp4::QuantizedType>(result.getType()).getShape();
  const HostValue &value = *values.find(result)->second;
  llvm::SmallVector<int64_t> shape;
  if (value.isQuantized) {
    shape = {value.quantized.rows, value.quantized.k};
    if (cast<fp4::QuantizedType>(result.getType()).getAxis() == 0)
      std::swap(shape[0], shape[1]);
  } else {
    shape.assign(value.tensor.shape.begin(), value.tensor.shape.end());
  }
  if (fits(shape, expected))
    return success();
  return result.getOwner()->emitOpError() << "result '" << valueName(result) << "' expects shape "
                                          << shapeText(expected) << ", but these inputs give " << shapeText(shape);
}

LogicalResult Evaluator::visit(Operation *op) {
  if (failed(visitOp(op)))
    return failure();
  for (OpResult result : op->getResults())
    if (failed(checkResult(result)))
      return failure();
  return success();
}

LogicalResult Evaluator::run() {
  if (failed(bindInputs()))
    return failure();
  for (Operation &op : function.front().without_terminator())
    if (failed(visit(&op)))
      return failure();

  llvm::StringSet<> sent;
  for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands())) {
    std::string name = resultName(function, static_cast<unsigned>(index));
    sent.insert(name);
    sendValue(*values.find(value)->second, name, sink);
  }
  for (Operation &op : function.front().without_terminator())
    for (OpResult result : op.getResults())
      if (intermediates && !sent.contains(valueName(result)))
        sendValue(*values.find(result)->second, valueName(result).str(), sink);
  return success();
}

LogicalResult evaluate(func::FuncOp function, llvm::ArrayRef<FourfoldHostTensor> inputs, bool intermediates,
                       ValueSink sink, bool anyOrder) {
  return Evaluator(function, inputs, intermediates, sink, anyOrder).run();
}

} // namespace compiler
} // namespace fourfold
