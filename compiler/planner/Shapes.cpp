// Which dynamic dimensions are one and the same.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/planner/Shapes.h"

#include "compiler/frontend/Frontend.h"
#include "dialect/Fp4.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using llvm::SmallVector;

namespace fourfold {
namespace compiler {

/// The extents of a tensor or quantized type.
static llvm::ArrayRef<int64_t> extentsOf(Type type) {
  if (auto quantized = dyn_cast<fp4::QuantizedType>(type))
    return quantized.getShape();
  return cast<RankedTensorType>(type).getShape();
}

int Shapes::symbolFor(int64_t extent) {
  int symbol = static_cast<int>(parent.size());
  parent.push_back(symbol);
  constants.push_back(ShapedType::isDynamic(extent) ? -1 : extent);
  roundedFrom.push_back(-1);
  return symbol;
}

int Shapes::find(int symbol) const {
  while (parent[symbol] != symbol)
    symbol = parent[symbol] = parent[parent[symbol]];
  return symbol;
}

int Shapes::roundedSymbol(int symbol) {
  int from = find(symbol);
  if (constants[from] >= 0)
    return symbolFor((constants[from] + 15) / 16 * 16);
  for (int other = 0; other < static_cast<int>(parent.size()); ++other)
    if (find(other) == other && roundedFrom[other] >= 0 && find(roundedFrom[other]) == from)
      return other;
  int result = symbolFor(ShapedType::kDynamic);
  roundedFrom[result] = from;
  return result;
}

void Shapes::define(Value value) {
  SmallVector<int> list;
  for (int64_t extent : extentsOf(value.getType()))
    list.push_back(symbolFor(extent));
  symbols[value] = list;
}

LogicalResult Shapes::unify(Operation *op, int lhs, int rhs, llvm::function_ref<std::string(bool)> name) {
  int a = find(lhs), b = find(rhs);
  if (a == b)
    return success();
  if (constants[a] >= 0 && constants[b] >= 0 && constants[a] != constants[b])
    return op->emitOpError() << "needs " << name(false) << " (" << constants[a] << ") to equal " << name(true) << " ("
                             << constants[b] << ")";
  for (auto [rounded, other] : {std::pair(a, b), std::pair(b, a)})
    for (int from = roundedFrom[rounded]; from >= 0; from = roundedFrom[find(from)])
      if (find(from) == other)
        return op->emitOpError() << "needs " << name(false) << " to equal " << name(true)
                                 << ", but one is the other rounded up to a multiple of 16 by fp4.hadamard: transform both "
                                    "operands, or make the extent static";
  // Extents that are equal after rounding up must be equal before: 17 and 20 tokens are not the same tokens.
  if (roundedFrom[a] >= 0 && roundedFrom[b] >= 0) {
    if (failed(unify(op, roundedFrom[a], roundedFrom[b], name)))
      return failure();
  } else if ((roundedFrom[a] >= 0 && constants[b] >= 0) || (roundedFrom[b] >= 0 && constants[a] >= 0)) {
    return op->emitOpError() << "needs " << name(false) << " to equal " << name(true)
                             << ", one of which is constant and the other known only at run time, rounded up to a "
                                "multiple of 16: make both dynamic or both static";
  }
  // The older symbol represents both, so that dimensions keep the order of the arguments; a rounded one is no dimension.
  if (b < a)
    std::swap(a, b);
  parent[b] = a;
  constants[a] = std::max(constants[a], constants[b]);
  roundedFrom[a] = std::max(roundedFrom[a], roundedFrom[b]);
  return success();
}

LogicalResult Shapes::unify(Operation *op, Value lhs, unsigned lhsDim, Value rhs, unsigned rhsDim) {
  auto name = [&](bool right) {
    return ("dimension " + llvm::Twine(right ? rhsDim : lhsDim) + " of '" + valueName(right ? rhs : lhs) + "'").str();
  };
  return unify(op, symbols[lhs][lhsDim], symbols[rhs][rhsDim], name);
}

LogicalResult Shapes::visit(Operation *op) {
  if (!isa<fp4::Fp4Dialect>(op->getDialect()) && !isa<func::ReturnOp>(op))
    return op->emitOpError("has no meaning in a spec: outside of regions stand fp4 ops only; constants and arithmetic go into the "
                           "region of an fp4.prologue or fp4.epilogue");
  for (Value result : op->getResults())
    define(result);
  auto same = [&](Value lhs, Value rhs) {
    for (unsigned dim = 0; dim < extentsOf(lhs.getType()).size(); ++dim)
      if (failed(unify(op, lhs, dim, rhs, dim)))
        return failure();
    return success();
  };
  auto elementWise = [&](Value source, Value result, ValueRange rows, ValueRange cols, ValueRange full) {
    if (failed(same(source, result)))
      return failure();
    for (Value row : rows)
      if (failed(unify(op, row, 0, source, 1)))
        return failure();
    for (Value column : cols)
      if (failed(unify(op, column, 0, source, 0)))
        return failure();
    for (Value other : full)
      if (failed(same(other, source)))
        return failure();
    return success();
  };
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<fp4::PrologueOp, fp4::EpilogueOp>([&](auto op) {
        return elementWise(op.getInput(), op.getResult(), op.getRows(), op.getCols(), op.getFull());
      })
      .Case([&](fp4::CenterOp op) {
        if (failed(same(op.getInput(), op.getResidual())) || failed(unify(op, op.getMean(), 0, op.getInput(), 1)))
          return failure();
        return op.getMask() ? unify(op, op.getMask(), 0, op.getInput(), 0) : success();
      })
      .Case([&](fp4::HadamardOp op) {
        unsigned axis = op.getAxis();
        symbols[op.getResult()][axis] = roundedSymbol(symbols[op.getInput()][axis]);
        return unify(op, op.getResult(), 1 - axis, op.getInput(), 1 - axis);
      })
      .Case([&](fp4::ReshapeOp op) {
        return unify(op, op.getInput(), cast<RankedTensorType>(op.getInput().getType()).getRank() - 1, op.getResult(),
                     cast<RankedTensorType>(op.getResult().getType()).getRank() - 1);
      })
      .Case([&](fp4::QuantizeOp op) { return same(op.getInput(), op.getResult()); })
      .Case([&](fp4::DequantizeOp op) { return same(op.getInput(), op.getResult()); })
      .Case([&](fp4::MatmulOp op) {
        unsigned axisA = op.getLhsAxis(), axisB = op.getRhsAxis();
        if (failed(unify(op, op.getLhs(), axisA, op.getRhs(), axisB)) ||
            failed(unify(op, op.getResult(), 0, op.getLhs(), 1 - axisA)))
          return failure();
        return unify(op, op.getResult(), 1, op.getRhs(), 1 - axisB);
      })
      .Case([&](fp4::MatvecOp op) {
        unsigned axis = op.getAxis();
        if (failed(unify(op, op.getVector(), 0, op.getMatrix(), axis)))
          return failure();
        return unify(op, op.getResult(), 0, op.getMatrix(), 1 - axis);
      })
      .Case([&](fp4::ColumnSumOp op) {
        if (failed(unify(op, op.getResult(), 0, op.getInput(), 1)))
          return failure();
        return op.getMask() ? unify(op, op.getMask(), 0, op.getInput(), 0) : success();
      })
      // Scales stay inside kernels; the return defines nothing new.
      .Default([](Operation *) { return success(); });
}

LogicalResult Shapes::analyze(func::FuncOp func) { return analyze(func, {}); }

LogicalResult Shapes::analyze(func::FuncOp func, llvm::ArrayRef<Tie> ties) {
  for (Value argument : func.getArguments()) {
    if (!isa<RankedTensorType>(argument.getType()))
      return func.emitOpError() << "argument '" << valueName(argument) << "' of type " << argument.getType()
                                << " cannot be passed; expects a tensor, for a single number one of rank 0 such as tensor<f32>";
    define(argument);
  }
  for (Operation &op : func.front())
    if (failed(visit(&op)))
      return failure();
  for (auto [lhs, rhs] : ties)
    for (unsigned dim = 0; dim < extentsOf(lhs.getType()).size(); ++dim)
      if (failed(unify(func, lhs, dim, rhs, dim)))
        return failure();

  expressions.resize(parent.size());
  std::vector<bool> numbered(parent.size(), false);
  for (Value argument : func.getArguments())
    for (auto [dim, symbol] : llvm::enumerate(symbols[argument])) {
      int root = find(symbol);
      if (numbered[root] || constants[root] >= 0 || roundedFrom[root] >= 0)
        continue;
      numbered[root] = true;
      expressions[root] = plan::Expr::dim(static_cast<int>(dims.size()));
      dims.push_back({(valueName(argument) + " dimension " + llvm::Twine(dim)).str()});
    }
  return success();
}

plan::Expr Shapes::expression(int symbol) const {
  int root = find(symbol);
  if (constants[root] >= 0)
    return constants[root];
  return roundedFrom[root] >= 0 ? plan::ceilDiv(expression(roundedFrom[root]), 16) * 16 : expressions[root];
}

SmallVector<plan::Expr> Shapes::of(Value value) const {
  SmallVector<plan::Expr> sizes;
  for (int symbol : symbols.lookup(value))
    sizes.push_back(expression(symbol));
  return sizes;
}

} // namespace compiler
} // namespace fourfold
