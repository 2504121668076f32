// Making region math exact: every op left has bits that IEEE 754 or integer arithmetic defines.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/FunctionPatterns.h"
#include "dialect/Fp4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "llvm/ADT/StringSwitch.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

/// f32, bf16, f16, and integers that registers hold.
static bool isExactType(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return integer.isSignless() && (integer.getWidth() == 1 || integer.getWidth() == 8 || integer.getWidth() == 16 ||
                                    integer.getWidth() == 32 || integer.getWidth() == 64);
  return type.isF32() || type.isBF16() || type.isF16();
}

bool isExactRegionOp(Operation *op) {
  if (!llvm::all_of(op->getOperandTypes(), isExactType) || !llvm::all_of(op->getResultTypes(), isExactType))
    return false;
  // A rounding mode other than nearest even is not what kernels emit.
  if (auto truncate = dyn_cast<arith::TruncFOp>(op))
    if (truncate.getRoundingmode() && *truncate.getRoundingmode() != arith::RoundingMode::to_nearest_even)
      return false;
  if (isa<math::FmaOp>(op))
    return op->getResult(0).getType().isF32(); // in 16 bits it would be rounded twice
  // Other widths saturate differently on different targets; a second rounding to 16 bits is not what kernels emit.
  if (isa<arith::FPToSIOp, arith::FPToUIOp>(op) && !op->getResult(0).getType().isInteger(32))
    return false;
  if (isa<arith::SIToFPOp, arith::UIToFPOp>(op) && !op->getResult(0).getType().isF32())
    return false;
  return isa<arith::ConstantOp, arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::NegFOp,
             arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp, arith::MinNumFOp, arith::CmpFOp, arith::SelectOp,
             arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::UIToFPOp, arith::FPToSIOp, arith::FPToUIOp,
             arith::BitcastOp, arith::AddIOp, arith::SubIOp, arith::MulIOp, arith::AndIOp, arith::OrIOp, arith::XOrIOp,
             arith::ShLIOp, arith::ShRSIOp, arith::ShRUIOp, arith::MaxSIOp, arith::MaxUIOp, arith::MinSIOp,
             arith::MinUIOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp, arith::CmpIOp, math::AbsFOp, math::SqrtOp,
             math::FloorOp, math::CeilOp, math::TruncOp, math::RoundEvenOp, math::CopySignOp>(op);
}

/// Functions that MLIR approximates by polynomials in f32, well enough (tests/dialect/MathTest.cpp).
static bool isApproximated(llvm::StringRef name) {
  name.consume_front("math.");
  return llvm::StringSwitch<bool>(name)
      .Cases({"acos", "asin", "atan2", "cbrt", "erf", "erfc", "expm1", "log", "log1p", "log2", "tanh"}, true)
      .Default(false);
}

/// Functions that MLIR writes in terms of those.
static bool isExpanded(llvm::StringRef name) {
  name.consume_front("math.");
  return llvm::StringSwitch<bool>(name).Cases({"clampf", "fpowi", "ipowi", "rsqrt"}, true).Default(false);
}

/// Functions that FunctionPatterns.cpp writes out.
static bool isOwn(llvm::StringRef name) {
  name.consume_front("math.");
  return llvm::StringSwitch<bool>(name)
      .Cases({"acosh", "asinh", "atan", "atanh", "cos", "cosh", "exp", "exp2", "log10", "powf", "round", "sin", "sinh", "tan"},
             true)
      .Default(false);
}

namespace {

/// 16-bit operands of functions go through f32: approximations are written for it.
struct WidenFunction : RewritePattern {
  explicit WidenFunction(MLIRContext *context) : RewritePattern(MatchAnyOpTypeTag(), /*benefit=*/10, context) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    llvm::StringRef name = op->getName().getStringRef();
    bool isFunction = isApproximated(name) || isExpanded(name) || isOwn(name);
    if (!isFunction || op->getNumResults() != 1 || !isa<BFloat16Type, Float16Type>(op->getResult(0).getType()))
      return rewriter.notifyMatchFailure(op, "not a function of 16-bit floats");
    Type narrow = op->getResult(0).getType(), f32 = rewriter.getF32Type();
    OperationState state(op->getLoc(), op->getName());
    for (Value operand : op->getOperands())
      state.operands.push_back(operand.getType() == narrow ? arith::ExtFOp::create(rewriter, op->getLoc(), f32, operand)
                                                           : operand);
    state.addTypes(f32);
    Operation *wide = rewriter.create(state);
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, narrow, wide->getResult(0));
    return success();
  }
};

} // namespace

/// Conversions of numbers that the integer cannot hold, and of NaN, saturate and give 0 (PTX ISA 9.7.9.21), which LLVM leaves undefined.
static void defineConversion(Operation *op) {
  OpBuilder b(op);
  Location loc = op->getLoc();
  bool isSigned = isa<arith::FPToSIOp>(op);
  Value x = op->getOperand(0);
  if (!x.getType().isF32())
    x = arith::ExtFOp::create(b, loc, b.getF32Type(), x);
  auto number = [&](float value) -> Value { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(value)); };
  auto integer = [&](int32_t value) -> Value { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); };
  // The largest numbers below 2^31 and 2^32.
  Value inside = arith::MinNumFOp::create(b, loc, x, number(isSigned ? 0x1.fffffep30f : 0x1.fffffep31f));
  inside = arith::MaxNumFOp::create(b, loc, inside, number(isSigned ? -0x1p31f : 0.0f));
  Value result = isSigned ? Value(arith::FPToSIOp::create(b, loc, b.getI32Type(), inside))
                          : Value(arith::FPToUIOp::create(b, loc, b.getI32Type(), inside));
  Value isLarge = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGE, x, number(isSigned ? 0x1p31f : 0x1p32f));
  result = arith::SelectOp::create(b, loc, isLarge, integer(isSigned ? std::numeric_limits<int32_t>::max() : -1), result);
  Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  op->getResult(0).replaceAllUsesWith(arith::SelectOp::create(b, loc, isNaN, integer(0), result));
  op->erase();
}

/// Shifts by the width or more leave nothing, or the sign (PTX ISA 9.7.8.7), which LLVM leaves undefined: it takes x >> x for 0.
static void defineShift(Operation *op) {
  Value amount = op->getOperand(1);
  Type type = amount.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  if (auto constant = amount.getDefiningOp<arith::ConstantOp>())
    if (cast<IntegerAttr>(constant.getValue()).getValue().ult(width))
      return;
  OpBuilder b(op);
  Location loc = op->getLoc();
  auto integer = [&](unsigned value) -> Value { return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, APInt(width, value))); };
  if (isa<arith::ShRSIOp>(op)) {
    op->setOperand(1, arith::MinUIOp::create(b, loc, amount, integer(width - 1)));
    return;
  }
  Value isInside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, amount, integer(width)), zero = integer(0);
  op->setOperand(1, arith::SelectOp::create(b, loc, isInside, amount, zero));
  b.setInsertionPointAfter(op);
  auto result = arith::SelectOp::create(b, loc, isInside, op->getResult(0), zero);
  op->getResult(0).replaceAllUsesExcept(result, result);
}

/// Gives ops that LLVM leaves undefined on some operands the meaning that the evaluator has.
static void defineEverywhere(func::FuncOp function) {
  llvm::SmallVector<Operation *> conversions, shifts;
  function.walk([&](Operation *op) {
    if (!isa<fp4::PrologueOp, fp4::EpilogueOp>(op->getParentOp()) || !isExactRegionOp(op))
      return;
    if (isa<arith::FPToSIOp, arith::FPToUIOp>(op))
      conversions.push_back(op);
    if (isa<arith::ShLIOp, arith::ShRSIOp, arith::ShRUIOp>(op))
      shifts.push_back(op);
  });
  llvm::for_each(conversions, defineConversion);
  llvm::for_each(shifts, defineShift);
}

LogicalResult expandMath(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  // The approximations look for vector types and create constants of them.
  context->loadDialect<arith::ArithDialect, math::MathDialect, vector::VectorDialect>();
  // First: what functions expand to keeps within bounds.
  defineEverywhere(function);
  auto isInRegion = [](Operation *op) { return isa<fp4::PrologueOp, fp4::EpilogueOp>(op->getParentOp()); };

  llvm::SmallVector<Operation *> ops;
  function.walk([&](Operation *op) {
    if (!isInRegion(op))
      return;
    if (auto fast = dyn_cast<arith::ArithFastMathInterface>(op))
      op->setAttr(fast.getFastMathAttrName(), arith::FastMathFlagsAttr::get(context, arith::FastMathFlags::none));
    ops.push_back(op);
  });

  RewritePatternSet patterns(context);
  patterns.add<WidenFunction>(context);
  populateFunctionPatterns(patterns);
  math::populateExpansionPatterns(patterns, {"clampf", "fpowi", "ipowi", "rsqrt"});
  populateMathPolynomialApproximationPatterns(patterns, isApproximated);
  // Folding would evaluate functions of constants with the host's libm, whose bits differ between machines.
  GreedyRewriteConfig config;
  config.enableFolding(false).enableConstantCSE(false).setStrictness(GreedyRewriteStrictness::ExistingAndNewOps);
  // Only the ops in regions: the driver erases what has no use, and a value that nobody uses may still be asked for by
  // name.
  if (failed(applyOpPatternsGreedily(ops, std::move(patterns), config)))
    return function.emitOpError("has region math that does not settle into exact ops");

  LogicalResult result = success();
  function.walk([&](Operation *op) {
    if (!isInRegion(op) || isa<fp4::YieldOp, fp4::CallOp>(op) || isExactRegionOp(op))
      return;
    InFlightDiagnostic error = op->emitOpError() << "has no exact definition on these types:";
    for (Type type : op->getOperandTypes())
      error << " " << type;
    error
        << "; regions take IEEE arithmetic, comparisons, integer bit operations and the functions that expand to them";
    result = failure();
  });
  return result;
}

} // namespace compiler
} // namespace fourfold
