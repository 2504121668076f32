// Functions in terms of IEEE arithmetic, fused multiply-add and one another.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/FunctionPatterns.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

/// Writes f32 and i32 expressions.
class Writer {
public:
  Writer(Location loc, OpBuilder &builder) : b(loc, builder) {}

  Value number(float value) { return arith::ConstantOp::create(b, b.getF32FloatAttr(value)); }
  Value integer(int32_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value neg(Value x) { return arith::NegFOp::create(b, x); }
  Value fma(Value x, Value y, Value z) { return math::FmaOp::create(b, x, y, z); }
  Value fma(Value x, Value y, float z) { return fma(x, y, number(z)); }
  Value fma(Value x, float y, Value z) { return fma(x, number(y), z); }
  Value less(Value x, Value y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, y); }
  Value unordered(Value x, Value y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, y); }
  Value equal(Value x, Value y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y); }
  Value select(Value condition, Value x, Value y) { return arith::SelectOp::create(b, condition, x, y); }
  Value toInteger(Value x) { return arith::FPToSIOp::create(b, b.getI32Type(), x); }
  Value asFloat(Value bits) { return arith::BitcastOp::create(b, b.getF32Type(), bits); }
  Value hasBit(Value x, int32_t bit) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, x, integer(bit)), integer(0));
  }
  template <typename OpTy>
  Value integerOp(Value x, Value y) {
    return OpTy::create(b, x, y);
  }
  /// A math function of one operand; expanded in turn where it is not exact.
  template <typename OpTy>
  Value call(Value x) {
    return OpTy::create(b, x);
  }
  Value copySign(Value x, Value sign) { return math::CopySignOp::create(b, x, sign); }

  /// The polynomial with these coefficients, highest power first.
  Value polynomial(Value x, llvm::ArrayRef<float> coefficients) {
    Value result = number(coefficients.front());
    for (float coefficient : coefficients.drop_front())
      result = fma(result, x, coefficient);
    return result;
  }
  /// x, but not less than `low` and not more than `high`; NaN stays.
  Value clamp(Value x, float low, float high) {
    Value lower = number(low), upper = number(high);
    x = select(less(x, lower), lower, x);
    return select(less(upper, x), upper, x);
  }

private:
  ImplicitLocOpBuilder b;
};

/// A pattern on f32 that replaces the op with what `write` returns.
template <typename OpTy>
struct FunctionPattern : OpRewritePattern<OpTy> {
  using Write = Value (*)(Writer &, OpTy);
  FunctionPattern(MLIRContext *context, Write write) : OpRewritePattern<OpTy>(context, /*benefit=*/10), write(write) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (!op->getOperand(0).getType().isF32())
      return rewriter.notifyMatchFailure(op, "not f32");
    Writer writer(op.getLoc(), rewriter);
    rewriter.replaceOp(op, write(writer, op));
    return success();
  }

  Write write;
};

/// Marks a function whose operand a wrapper below has prepared: MLIR's polynomial takes it as it is.
constexpr llvm::StringLiteral kPrepared = "fp4.prepared";

/// A pattern around a function that MLIR approximates: `write` gets the function, to be called once on another operand.
template <typename OpTy>
struct WrapperPattern : OpRewritePattern<OpTy> {
  using Write = Value (*)(Writer &, Value, llvm::function_ref<Value(Value)>);
  WrapperPattern(MLIRContext *context, Write write) : OpRewritePattern<OpTy>(context, /*benefit=*/10), write(write) {}

  LogicalResult matchAndRewrite(OpTy op, PatternRewriter &rewriter) const override {
    if (op->hasAttr(kPrepared) || !op.getOperand().getType().isF32())
      return rewriter.notifyMatchFailure(op, "not f32, or wrapped already");
    Writer writer(op.getLoc(), rewriter);
    auto function = [&](Value x) -> Value {
      auto inner = OpTy::create(rewriter, op.getLoc(), x);
      inner->setAttr(kPrepared, rewriter.getUnitAttr());
      return inner;
    };
    rewriter.replaceOp(op, write(writer, op.getOperand(), function));
    return success();
  }

  Write write;
};

} // namespace

/// The smallest normal number.
static constexpr float kMinNormal = 0x1p-126f;

//===----------------------------------------------------------------------===//
// Exponentials and powers
//===----------------------------------------------------------------------===//

/// exp(r) * 2^n for |r| <= ln2/2 (Cephes' expf) and whole -151 <= n <= 129, through the subnormals to 0 and to
/// infinity.
static Value writeScaledExp(Writer &w, Value r, Value n) {
  Value p = w.polynomial(
      r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f});
  p = w.add(w.fma(p, w.mul(r, r), r), w.number(1.0f));
  // 2^n as two normal factors.
  Value exponent = w.toInteger(n);
  Value half = w.integerOp<arith::ShRSIOp>(exponent, w.integer(1));
  for (Value part : {half, w.integerOp<arith::SubIOp>(exponent, half)}) {
    Value biased = w.integerOp<arith::AddIOp>(part, w.integer(127));
    p = w.mul(p, w.asFloat(w.integerOp<arith::ShLIOp>(biased, w.integer(23))));
  }
  return p;
}

static Value writeExp(Writer &w, math::ExpOp op) {
  Value x = w.clamp(op.getOperand(), -104.0f, 89.0f); // 0 and infinity beyond
  Value n = w.call<math::FloorOp>(w.fma(x, 1.44269504088896341f, w.number(0.5f)));
  Value r = w.fma(n, -0.693359375f, x); // ln 2 in two parts, the first of 9 bits
  return writeScaledExp(w, w.fma(n, 2.12194440e-4f, r), n);
}

static Value writeExp2(Writer &w, math::Exp2Op op) {
  Value x = w.clamp(op.getOperand(), -151.0f, 129.0f);
  Value n = w.call<math::FloorOp>(w.add(x, w.number(0.5f)));
  return writeScaledExp(w, w.mul(w.sub(x, n), w.number(0.693147180559945f)), n); // x - n is exact
}

/// MLIR's logarithm takes subnormals for the smallest normal number: they are scaled by 2^23, which is exact, and `shift` is 23 in the
/// logarithm's base.
static Value writeScaledLog(Writer &w, Value x, float shift, llvm::function_ref<Value(Value)> log) {
  Value isSmall = w.less(x, w.number(kMinNormal));
  Value result = log(w.select(isSmall, w.mul(x, w.number(0x1p23f)), x));
  return w.select(isSmall, w.sub(result, w.number(shift)), result);
}

static Value writeLog(Writer &w, Value x, llvm::function_ref<Value(Value)> log) {
  return writeScaledLog(w, x, 15.9423847198486328125f, log); // 23 ln 2
}

static Value writeLog2(Writer &w, Value x, llvm::function_ref<Value(Value)> log) { return writeScaledLog(w, x, 23.0f, log); }

/// MLIR's has no exponents for subnormals, and none for infinity.
static Value writeCbrt(Writer &w, Value x, llvm::function_ref<Value(Value)> cbrt) {
  Value magnitude = w.call<math::AbsFOp>(x), isSmall = w.less(magnitude, w.number(kMinNormal));
  Value root = cbrt(w.select(isSmall, w.mul(x, w.number(0x1p24f)), x));
  root = w.select(isSmall, w.mul(root, w.number(0x1p-8f)), root);
  return w.select(w.equal(magnitude, w.number(std::numeric_limits<float>::infinity())), x, root);
}

/// An odd function: MLIR's loses the sign of -0.
static Value writeErf(Writer &w, Value x, llvm::function_ref<Value(Value)> erf) { return w.copySign(erf(x), x); }

static Value writeLog10(Writer &w, math::Log10Op op) {
  return w.mul(w.call<math::Log2Op>(op.getOperand()), w.number(0.30102999566398119521f));
}

/// |x|^y = 2^(y log2 |x|), then the sign of a negative base: that of odd y; NaN where y is not whole.
static Value writePow(Writer &w, math::PowFOp op) {
  Value x = op.getLhs(), y = op.getRhs(), zero = w.number(0.0f), one = w.number(1.0f);
  Value magnitude = w.call<math::AbsFOp>(x);
  Value result = w.call<math::Exp2Op>(w.mul(y, w.call<math::Log2Op>(magnitude)));
  Value isWhole = w.equal(w.call<math::FloorOp>(y), y);
  Value half = w.mul(y, w.number(0.5f));
  Value isEven = w.equal(w.call<math::FloorOp>(half), half);
  // The sign is copied, not compared: -0 to an odd power is -0 or -infinity.
  Value odd = w.select(isWhole, w.copySign(result, x), result);
  result = w.select(isEven, result, odd);
  Value nan = w.number(std::numeric_limits<float>::quiet_NaN());
  result = w.select(w.less(x, zero), w.select(isWhole, result, nan), result);
  // 1 to any power and anything to the power 0 are 1, NaN included (IEEE 754-2019, 9.2.1).
  result = w.select(w.equal(x, one), one, result);
  return w.select(w.equal(y, zero), one, result);
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions: through expm1 and log1p, which do not cancel near 0
//===----------------------------------------------------------------------===//

/// With t = e^|x| - 1: sinh |x| = (t + t / (t + 1)) / 2.
static Value writeSinh(Writer &w, math::SinhOp op) {
  Value x = op.getOperand(), magnitude = w.call<math::AbsFOp>(x), half = w.number(0.5f);
  Value t = w.call<math::ExpM1Op>(magnitude);
  Value small = w.mul(half, w.add(t, w.div(t, w.add(t, w.number(1.0f)))));
  // From 10 on e^-x is below half a unit; e^(x/2) twice keeps sinh finite where e^x is not.
  Value root = w.call<math::ExpOp>(w.mul(half, magnitude));
  Value large = w.mul(w.mul(half, root), root);
  return w.copySign(w.select(w.less(magnitude, w.number(10.0f)), small, large), x);
}

static Value writeCosh(Writer &w, math::CoshOp op) {
  Value magnitude = w.call<math::AbsFOp>(op.getOperand()), half = w.number(0.5f);
  Value power = w.call<math::ExpOp>(magnitude);
  Value small = w.mul(half, w.add(power, w.div(w.number(1.0f), power)));
  // As in sinh.
  Value root = w.call<math::ExpOp>(w.mul(half, magnitude));
  Value large = w.mul(w.mul(half, root), root);
  return w.select(w.less(magnitude, w.number(10.0f)), small, large);
}

static Value writeAsinh(Writer &w, math::AsinhOp op) {
  Value x = op.getOperand(), magnitude = w.call<math::AbsFOp>(x), one = w.number(1.0f);
  Value square = w.mul(magnitude, magnitude);
  Value root = w.call<math::SqrtOp>(w.add(square, one));
  Value small = w.call<math::Log1pOp>(w.add(magnitude, w.div(square, w.add(one, root))));
  // Where 1 no longer matters beside x^2, before x^2 overflows.
  Value large = w.add(w.call<math::LogOp>(magnitude), w.number(0.693147180559945f));
  return w.copySign(w.select(w.less(magnitude, w.number(1.0e8f)), small, large), x);
}

static Value writeAcosh(Writer &w, math::AcoshOp op) {
  Value x = op.getOperand(), one = w.number(1.0f), t = w.sub(x, one);
  Value small = w.call<math::Log1pOp>(w.add(t, w.call<math::SqrtOp>(w.fma(t, t, w.add(t, t)))));
  Value large = w.add(w.call<math::LogOp>(x), w.number(0.693147180559945f));
  Value result = w.select(w.less(w.number(1.0e8f), x), large, small);
  // Far below 1 the argument of log1p rounds to -1, and further down to anything.
  return w.select(w.less(x, one), w.number(std::numeric_limits<float>::quiet_NaN()), result);
}

static Value writeAtanh(Writer &w, math::AtanhOp op) {
  Value x = op.getOperand(), magnitude = w.call<math::AbsFOp>(x);
  Value quotient = w.div(w.add(magnitude, magnitude), w.sub(w.number(1.0f), magnitude));
  return w.copySign(w.mul(w.number(0.5f), w.call<math::Log1pOp>(quotient)), x);
}

//===----------------------------------------------------------------------===//
// Circular functions
//===----------------------------------------------------------------------===//

/// From here on the reduction below has too few digits.
static constexpr float kMaxAngle = 0x1p21f;

/// Sine and cosine of x, which is q pi/2 + r: pi/2 in three parts (Cody and Waite), the first its nearest number: r is then exact after
/// the first step for all |x| < 2^21. NaN beyond.
static std::pair<Value, Value> writeSinCos(Writer &w, Value x) {
  Value q = w.call<math::FloorOp>(w.fma(x, 0.636619772f, w.number(0.5f)));
  Value r = w.fma(q, -0x1.921fb6p+0f, x);
  r = w.fma(q, 0x1.777a5cp-25f, r);
  r = w.fma(q, 0x1.ee59dap-50f, r);
  Value s = w.mul(r, r);
  Value sine =
      w.fma(w.polynomial(s, {2.86567956e-6f, -1.98559923e-4f, 8.33338592e-3f, -1.66666672e-1f}), w.mul(r, s), r);
  Value cosine = w.polynomial(s, {2.44677067e-5f, -1.38877297e-3f, 4.16666567e-2f, -5.00000000e-1f, 1.0f});
  Value quadrant = w.toInteger(q);
  Value isOdd = w.hasBit(quadrant, 1);
  Value sinX = w.select(isOdd, cosine, sine), cosX = w.select(isOdd, sine, cosine);
  sinX = w.select(w.hasBit(quadrant, 2), w.neg(sinX), sinX);
  cosX = w.select(w.hasBit(w.integerOp<arith::AddIOp>(quadrant, w.integer(1)), 2), w.neg(cosX), cosX);
  // The polynomial of -0 is +0.
  sinX = w.select(w.equal(x, w.number(0.0f)), x, sinX);
  Value isReduced = w.less(w.call<math::AbsFOp>(x), w.number(kMaxAngle)), nan = w.number(std::numeric_limits<float>::quiet_NaN());
  return {w.select(isReduced, sinX, nan), w.select(isReduced, cosX, nan)};
}

static Value writeSin(Writer &w, math::SinOp op) { return writeSinCos(w, op.getOperand()).first; }
static Value writeCos(Writer &w, math::CosOp op) { return writeSinCos(w, op.getOperand()).second; }
static Value writeTan(Writer &w, math::TanOp op) {
  auto [sine, cosine] = writeSinCos(w, op.getOperand());
  return w.div(sine, cosine);
}

/// A polynomial on [0, 1], pi/2 - atan(1/x) beyond.
static Value writeAtan(Writer &w, math::AtanOp op) {
  Value x = op.getOperand(), magnitude = w.call<math::AbsFOp>(x), one = w.number(1.0f);
  Value isLarge = w.less(one, magnitude);
  Value a = w.select(isLarge, w.div(one, magnitude), magnitude), s = w.mul(a, a);
  Value p = w.polynomial(s, {0x1.7ed1ccp-9f, -0x1.0c2c08p-6f, 0x1.61fdd0p-5f, -0x1.3556b2p-4f, 0x1.b4e128p-4f,
                             -0x1.230ad2p-3f, 0x1.9978ecp-3f, -0x1.5554dcp-2f});
  Value result = w.fma(w.mul(p, s), a, a);
  return w.copySign(w.select(isLarge, w.sub(w.number(1.57079637f), result), result), x);
}

//===----------------------------------------------------------------------===//
// Rounding and classes
//===----------------------------------------------------------------------===//

/// Half away from zero. Adding a half before truncating would carry the float below 0.5 up to 1.
static Value writeRound(Writer &w, math::RoundOp op) {
  Value x = op.getOperand(), whole = w.call<math::TruncOp>(x);
  Value fraction = w.call<math::AbsFOp>(w.sub(x, whole));
  Value result = w.select(w.less(fraction, w.number(0.5f)), whole, w.add(whole, w.copySign(w.number(1.0f), x)));
  // Infinity minus itself is NaN; a large x is whole.
  return w.copySign(w.select(w.equal(x, whole), x, result), x);
}

static Value writeIsNaN(Writer &w, math::IsNaNOp op) { return w.unordered(op.getOperand(), op.getOperand()); }
static Value writeIsInf(Writer &w, math::IsInfOp op) {
  return w.equal(w.call<math::AbsFOp>(op.getOperand()), w.number(std::numeric_limits<float>::infinity()));
}
static Value writeIsFinite(Writer &w, math::IsFiniteOp op) {
  return w.less(w.call<math::AbsFOp>(op.getOperand()), w.number(std::numeric_limits<float>::infinity()));
}

void populateFunctionPatterns(RewritePatternSet &patterns) {
  MLIRContext *context = patterns.getContext();
  patterns.add<FunctionPattern<math::ExpOp>>(context, writeExp);
  patterns.add<FunctionPattern<math::Exp2Op>>(context, writeExp2);
  patterns.add<FunctionPattern<math::Log10Op>>(context, writeLog10);
  patterns.add<FunctionPattern<math::PowFOp>>(context, writePow);
  patterns.add<FunctionPattern<math::SinhOp>>(context, writeSinh);
  patterns.add<FunctionPattern<math::CoshOp>>(context, writeCosh);
  patterns.add<WrapperPattern<math::LogOp>>(context, writeLog);
  patterns.add<WrapperPattern<math::Log2Op>>(context, writeLog2);
  patterns.add<WrapperPattern<math::CbrtOp>>(context, writeCbrt);
  patterns.add<WrapperPattern<math::ErfOp>>(context, writeErf);
  patterns.add<FunctionPattern<math::AsinhOp>>(context, writeAsinh);
  patterns.add<FunctionPattern<math::AcoshOp>>(context, writeAcosh);
  patterns.add<FunctionPattern<math::AtanhOp>>(context, writeAtanh);
  patterns.add<FunctionPattern<math::SinOp>>(context, writeSin);
  patterns.add<FunctionPattern<math::CosOp>>(context, writeCos);
  patterns.add<FunctionPattern<math::TanOp>>(context, writeTan);
  patterns.add<FunctionPattern<math::AtanOp>>(context, writeAtan);
  patterns.add<FunctionPattern<math::RoundOp>>(context, writeRound);
  patterns.add<FunctionPattern<math::IsNaNOp>>(context, writeIsNaN);
  patterns.add<FunctionPattern<math::IsInfOp>>(context, writeIsInf);
  patterns.add<FunctionPattern<math::IsFiniteOp>>(context, writeIsFinite);
}

} // namespace compiler
} // namespace fourfold
