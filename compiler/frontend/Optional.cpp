// Arguments that a caller leaves out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "dialect/Fp4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

/// What an absent operand of a region reads as: a full mask, or the neutral element of addition, which is -0.0 (x + 0.0 would turn
/// -0.0 into 0.0).
static TypedAttr neutralElement(Type type) {
  if (isa<IntegerType>(type))
    return IntegerAttr::get(type, 1);
  return FloatAttr::get(type, -0.0);
}

/// Drops one operand of a prologue or epilogue; its region sees the neutral element.
template <typename OpTy>
static void dropRegionOperand(OpTy op, unsigned operandNumber) {
  Block &block = op.getBody().front();
  BlockArgument argument = block.getArgument(operandNumber);
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  Value neutral = arith::ConstantOp::create(builder, op.getLoc(), neutralElement(argument.getType()));
  argument.replaceAllUsesWith(neutral);
  block.eraseArgument(operandNumber);
  unsigned position = operandNumber - 1;
  for (auto group : {op.getRowsMutable(), op.getColsMutable(), op.getFullMutable(), op.getScalarsMutable()}) {
    if (position < group.size()) {
      group.erase(position);
      return;
    }
    position -= group.size();
  }
}

/// Drops one use of an absent argument; false where the op cannot do without.
static bool dropUse(OpOperand &use) {
  Operation *op = use.getOwner();
  unsigned number = use.getOperandNumber();
  if (auto center = dyn_cast<fp4::CenterOp>(op); center && center.getMask() == use.get()) {
    center.getMaskMutable().clear();
    return true;
  }
  if (auto sum = dyn_cast<fp4::ColumnSumOp>(op); sum && sum.getMask() == use.get()) {
    sum.getMaskMutable().clear();
    return true;
  }
  if (number == 0)
    return false;
  if (auto prologue = dyn_cast<fp4::PrologueOp>(op))
    return dropRegionOperand(prologue, number), true;
  if (auto epilogue = dyn_cast<fp4::EpilogueOp>(op))
    return dropRegionOperand(epilogue, number), true;
  return false;
}

static InFlightDiagnostic unknownName(func::FuncOp function, llvm::StringRef name) {
  llvm::SmallVector<llvm::StringRef> optional;
  for (BlockArgument argument : function.getArguments())
    if (function.getArgAttr(argument.getArgNumber(), fp4::kOptionalAttr))
      optional.push_back(valueName(argument));
  return function.emitOpError() << "has no argument '" << name << "' to leave out; "
                                << (optional.empty() ? "none of its arguments is optional" : "optional: " + llvm::join(optional, ", "));
}

LogicalResult dropAbsent(func::FuncOp function, llvm::ArrayRef<std::string> absent) {
  function.getContext()->loadDialect<arith::ArithDialect>();
  for (const std::string &name : absent) {
    unsigned index = 0;
    std::string optional;
    while (index < function.getNumArguments() && valueName(function.getArgument(index)) != name)
      ++index;
    if (index == function.getNumArguments())
      return unknownName(function, name);
    if (!function.getArgAttr(index, fp4::kOptionalAttr))
      return function.emitOpError() << "needs argument '" << name << "'; only arguments with '" << fp4::kOptionalAttr
                                    << "' may be left out";
    Value argument = function.getArgument(index);
    while (!argument.use_empty()) {
      OpOperand &use = *argument.use_begin();
      if (!dropUse(use))
        return use.getOwner()->emitOpError()
               << "cannot do without '" << name
               << "': an argument that may be left out is a mask, or an operand of a prologue's or epilogue's region";
    }
    if (failed(function.eraseArgument(index)))
      return failure();
  }
  return success();
}

} // namespace compiler
} // namespace fourfold
