// One lambda an op: the meaning of scalar arith and math ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/RegionProgram.h"

#include "compiler/evaluate/HostValue.h"
#include "compiler/frontend/Frontend.h"
#include "dialect/Numerics.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;

namespace fourfold {
namespace compiler {

//===----------------------------------------------------------------------===//
// Scalar arithmetic
//===----------------------------------------------------------------------===//

/// IEEE 754-2019 maximum and minimum: NaN wins, -0 is less than +0.
static float maximum(float lhs, float rhs) {
  if (std::isnan(lhs) || std::isnan(rhs))
    return numerics::floatFromBits(0x7fffffffu);
  return lhs == rhs ? (std::signbit(lhs) ? rhs : lhs) : (lhs > rhs ? lhs : rhs);
}
static float minimum(float lhs, float rhs) {
  if (std::isnan(lhs) || std::isnan(rhs))
    return numerics::floatFromBits(0x7fffffffu);
  return lhs == rhs ? (std::signbit(lhs) ? lhs : rhs) : (lhs < rhs ? lhs : rhs);
}

/// maximumNumber and minimumNumber: a number wins over NaN (PTX ISA 9.7.3.12, `max`).
static float maximumNumber(float lhs, float rhs) {
  return std::isnan(lhs) ? rhs : std::isnan(rhs) ? lhs : maximum(lhs, rhs);
}
static float minimumNumber(float lhs, float rhs) {
  return std::isnan(lhs) ? rhs : std::isnan(rhs) ? lhs : minimum(lhs, rhs);
}

static bool compareFloats(arith::CmpFPredicate predicate, float lhs, float rhs) {
  using P = arith::CmpFPredicate;
  bool unordered = std::isnan(lhs) || std::isnan(rhs);
  switch (predicate) {
  case P::AlwaysFalse:
    return false;
  case P::OEQ:
    return !unordered && lhs == rhs;
  case P::OGT:
    return !unordered && lhs > rhs;
  case P::OGE:
    return !unordered && lhs >= rhs;
  case P::OLT:
    return !unordered && lhs < rhs;
  case P::OLE:
    return !unordered && lhs <= rhs;
  case P::ONE:
    return !unordered && lhs != rhs;
  case P::ORD:
    return !unordered;
  case P::UEQ:
    return unordered || lhs == rhs;
  case P::UGT:
    return unordered || lhs > rhs;
  case P::UGE:
    return unordered || lhs >= rhs;
  case P::ULT:
    return unordered || lhs < rhs;
  case P::ULE:
    return unordered || lhs <= rhs;
  case P::UNE:
    return unordered || lhs != rhs;
  case P::UNO:
    return unordered;
  case P::AlwaysTrue:
    return true;
  }
  return false;
}

static unsigned widthOf(Type type) { return type.getIntOrFloatBitWidth(); }

/// The unsigned value of the low `width` bits.
static uint64_t lowBits(int64_t value, unsigned width) {
  return width == 64 ? static_cast<uint64_t>(value) : static_cast<uint64_t>(value) & ((uint64_t{1} << width) - 1);
}

/// Brings a result back to the form of Scalar: sign-extended, i1 as 0 or 1.
static int64_t wrap(uint64_t value, unsigned width) {
  if (width == 1)
    return static_cast<int64_t>(value & 1);
  unsigned shift = 64 - width;
  return static_cast<int64_t>(value << shift) >> shift;
}

static bool compareIntegers(arith::CmpIPredicate predicate, int64_t lhs, int64_t rhs, unsigned width) {
  using P = arith::CmpIPredicate;
  int64_t signedL = width == 1 ? -lhs : lhs, signedR = width == 1 ? -rhs : rhs;
  uint64_t unsignedL = lowBits(lhs, width), unsignedR = lowBits(rhs, width);
  switch (predicate) {
  case P::eq:
    return lhs == rhs;
  case P::ne:
    return lhs != rhs;
  case P::slt:
    return signedL < signedR;
  case P::sle:
    return signedL <= signedR;
  case P::sgt:
    return signedL > signedR;
  case P::sge:
    return signedL >= signedR;
  case P::ult:
    return unsignedL < unsignedR;
  case P::ule:
    return unsignedL <= unsignedR;
  case P::ugt:
    return unsignedL > unsignedR;
  case P::uge:
    return unsignedL >= unsignedR;
  }
  return false;
}

/// `cvt.rzi`: truncates, saturates; NaN gives 0 (PTX ISA 9.7.9.21).
static int64_t floatToInteger(float value, bool isSigned) {
  double low = isSigned ? -2147483648.0 : 0.0, high = isSigned ? 2147483647.0 : 4294967295.0;
  if (std::isnan(value))
    return 0;
  double truncated = std::trunc(static_cast<double>(value));
  return static_cast<int64_t>(truncated < low ? low : truncated > high ? high : truncated);
}

static uint64_t bitsOf(Scalar value, Type type) {
  if (type.isF32())
    return numerics::floatBits(value.f);
  if (type.isBF16())
    return numerics::encodeBF16(value.f);
  if (type.isF16())
    return numerics::encodeF16(value.f);
  return lowBits(value.i, widthOf(type));
}

static Scalar fromBits(uint64_t bits, Type type) {
  Scalar result;
  if (type.isF32())
    result.f = numerics::floatFromBits(static_cast<uint32_t>(bits));
  else if (type.isBF16())
    result.f = numerics::decodeBF16(static_cast<uint16_t>(bits));
  else if (type.isF16())
    result.f = numerics::decodeF16(static_cast<uint16_t>(bits));
  else
    result.i = wrap(bits, widthOf(type));
  return result;
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

int RegionProgram::slotOf(Value value) {
  auto [found, isNew] = slotNumbers.try_emplace(value, static_cast<int>(slots.size()));
  if (isNew)
    slots.emplace_back();
  return found->second;
}

RegionProgram::Step RegionProgram::decodeFloatOp(Operation &op) {
  if (op.getNumResults() != 1 || !isa<FloatType>(op.getResult(0).getType()))
    return {};
  // Rounding an fp32 result of 16-bit operands once more is exact: 24 >= 2 * 11 + 2 bits (Figueroa 1995).
  Element element = *elementOf(op.getResult(0).getType());
  int out = slotOf(op.getResult(0));
  auto unary = [&](auto function) -> Step {
    int in = slotOf(op.getOperand(0));
    return [=](Scalar *slots) { slots[out].f = roundTo(element, function(slots[in].f)); };
  };
  auto binary = [&](auto function) -> Step {
    int lhs = slotOf(op.getOperand(0)), rhs = slotOf(op.getOperand(1));
    return [=](Scalar *slots) { slots[out].f = roundTo(element, function(slots[lhs].f, slots[rhs].f)); };
  };
  return llvm::TypeSwitch<Operation *, Step>(&op)
      .Case([&](arith::AddFOp) { return binary([](float a, float b) { return a + b; }); })
      .Case([&](arith::SubFOp) { return binary([](float a, float b) { return a - b; }); })
      .Case([&](arith::MulFOp) { return binary([](float a, float b) { return a * b; }); })
      .Case([&](arith::DivFOp) { return binary([](float a, float b) { return a / b; }); })
      .Case([&](arith::MaximumFOp) { return binary(maximum); })
      .Case([&](arith::MinimumFOp) { return binary(minimum); })
      .Case([&](arith::MaxNumFOp) { return binary(maximumNumber); })
      .Case([&](arith::MinNumFOp) { return binary(minimumNumber); })
      .Case([&](math::CopySignOp) { return binary([](float a, float b) { return std::copysign(a, b); }); })
      .Case([&](arith::NegFOp) { return unary([](float a) { return -a; }); })
      .Case([&](math::AbsFOp) { return unary([](float a) { return std::fabs(a); }); })
      .Case([&](math::SqrtOp) { return unary([](float a) { return std::sqrt(a); }); })
      .Case([&](math::FloorOp) { return unary([](float a) { return std::floor(a); }); })
      .Case([&](math::CeilOp) { return unary([](float a) { return std::ceil(a); }); })
      .Case([&](math::TruncOp) { return unary([](float a) { return std::trunc(a); }); })
      .Case([&](math::RoundEvenOp) { return unary([](float a) { return std::nearbyint(a); }); })
      .Case([&](math::FmaOp) -> Step {
        int a = slotOf(op.getOperand(0)), b = slotOf(op.getOperand(1)), c = slotOf(op.getOperand(2));
        return [=](Scalar *slots) { slots[out].f = std::fma(slots[a].f, slots[b].f, slots[c].f); };
      })
      .Default([](Operation *) { return Step(); });
}

RegionProgram::Step RegionProgram::decodeIntegerOp(Operation &op) {
  if (op.getNumResults() != 1 || op.getNumOperands() != 2 || !isa<IntegerType>(op.getResult(0).getType()) ||
      !isa<IntegerType>(op.getOperand(0).getType()))
    return {};
  unsigned width = widthOf(op.getOperand(0).getType());
  int out = slotOf(op.getResult(0)), lhs = slotOf(op.getOperand(0)), rhs = slotOf(op.getOperand(1));
  // Unsigned arithmetic wraps; signed would be undefined in C++.
  auto binary = [&](auto function) -> Step {
    return [=](Scalar *slots) {
      slots[out].i = wrap(function(static_cast<uint64_t>(slots[lhs].i), static_cast<uint64_t>(slots[rhs].i)), width);
    };
  };
  auto pick = [&](arith::CmpIPredicate predicate) -> Step {
    return [=](Scalar *slots) {
      int64_t a = slots[lhs].i, b = slots[rhs].i;
      slots[out].i = compareIntegers(predicate, a, b, width) ? a : b;
    };
  };
  // Shifts by the width or more give what PTX gives (ISA 9.7.8.7): nothing left, or the sign.
  auto amount = [=](Scalar *slots) { return lowBits(slots[rhs].i, width); };
  return llvm::TypeSwitch<Operation *, Step>(&op)
      .Case([&](arith::AddIOp) { return binary([](uint64_t a, uint64_t b) { return a + b; }); })
      .Case([&](arith::SubIOp) { return binary([](uint64_t a, uint64_t b) { return a - b; }); })
      .Case([&](arith::MulIOp) { return binary([](uint64_t a, uint64_t b) { return a * b; }); })
      .Case([&](arith::AndIOp) { return binary([](uint64_t a, uint64_t b) { return a & b; }); })
      .Case([&](arith::OrIOp) { return binary([](uint64_t a, uint64_t b) { return a | b; }); })
      .Case([&](arith::XOrIOp) { return binary([](uint64_t a, uint64_t b) { return a ^ b; }); })
      .Case([&](arith::MaxSIOp) { return pick(arith::CmpIPredicate::sgt); })
      .Case([&](arith::MinSIOp) { return pick(arith::CmpIPredicate::slt); })
      .Case([&](arith::MaxUIOp) { return pick(arith::CmpIPredicate::ugt); })
      .Case([&](arith::MinUIOp) { return pick(arith::CmpIPredicate::ult); })
      .Case([&](arith::ShLIOp) -> Step {
        return [=](Scalar *slots) {
          uint64_t by = amount(slots);
          slots[out].i = by >= width ? 0 : wrap(static_cast<uint64_t>(slots[lhs].i) << by, width);
        };
      })
      .Case([&](arith::ShRUIOp) -> Step {
        return [=](Scalar *slots) {
          uint64_t by = amount(slots);
          slots[out].i = by >= width ? 0 : wrap(lowBits(slots[lhs].i, width) >> by, width);
        };
      })
      .Case([&](arith::ShRSIOp) -> Step {
        return [=](Scalar *slots) {
          int64_t value = width == 1 ? -slots[lhs].i : slots[lhs].i;
          slots[out].i = wrap(static_cast<uint64_t>(value >> std::min<uint64_t>(amount(slots), 63)), width);
        };
      })
      .Case([&](arith::CmpIOp compare) -> Step {
        arith::CmpIPredicate predicate = compare.getPredicate();
        return [=](Scalar *slots) { slots[out].i = compareIntegers(predicate, slots[lhs].i, slots[rhs].i, width); };
      })
      .Default([](Operation *) { return Step(); });
}

RegionProgram::Step RegionProgram::decodeConversion(Operation &op) {
  Type from = op.getOperand(0).getType(), to = op.getResult(0).getType();
  int in = slotOf(op.getOperand(0)), out = slotOf(op.getResult(0));
  unsigned width = widthOf(from), toWidth = widthOf(to);
  return llvm::TypeSwitch<Operation *, Step>(&op)
      .Case([&](arith::ExtFOp) -> Step { return [=](Scalar *slots) { slots[out].f = slots[in].f; }; })
      .Case([&](arith::TruncFOp) -> Step {
        Element element = *elementOf(to);
        return [=](Scalar *slots) { slots[out].f = roundTo(element, slots[in].f); };
      })
      .Case([&](arith::BitcastOp) -> Step {
        return [=](Scalar *slots) { slots[out] = fromBits(bitsOf(slots[in], from), to); };
      })
      .Case([&](arith::SIToFPOp) -> Step {
        return [=](Scalar *slots) { slots[out].f = static_cast<float>(width == 1 ? -slots[in].i : slots[in].i); };
      })
      .Case([&](arith::UIToFPOp) -> Step {
        return [=](Scalar *slots) { slots[out].f = static_cast<float>(lowBits(slots[in].i, width)); };
      })
      .Case<arith::FPToSIOp, arith::FPToUIOp>([&](auto convert) -> Step {
        bool isSigned = isa<arith::FPToSIOp>(convert.getOperation());
        return [=](Scalar *slots) {
          slots[out].i = wrap(static_cast<uint64_t>(floatToInteger(slots[in].f, isSigned)), toWidth);
        };
      })
      .Case([&](arith::ExtSIOp) -> Step {
        return [=](Scalar *slots) {
          slots[out].i = wrap(static_cast<uint64_t>(width == 1 ? -slots[in].i : slots[in].i), toWidth);
        };
      })
      .Case([&](arith::ExtUIOp) -> Step {
        return [=](Scalar *slots) { slots[out].i = wrap(lowBits(slots[in].i, width), toWidth); };
      })
      .Case([&](arith::TruncIOp) -> Step {
        return [=](Scalar *slots) { slots[out].i = wrap(static_cast<uint64_t>(slots[in].i), toWidth); };
      })
      .Default([](Operation *) { return Step(); });
}

RegionProgram::Step RegionProgram::decodeOp(Operation &op) {
  if (isa<fp4::CallOp>(op)) {
    // CUDA C++ cannot be run here. NaN is no answer, and what depends on it is never compared (Evaluate.cpp).
    int out = slotOf(op.getResult(0));
    return [=](Scalar *slots) { slots[out].f = std::numeric_limits<float>::quiet_NaN(); };
  }
  if (!isExactRegionOp(&op))
    return {};
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    Type type = constant.getType();
    Scalar value;
    if (auto number = dyn_cast<FloatAttr>(constant.getValue()))
      value = fromBits(number.getValue().bitcastToAPInt().getZExtValue(), type);
    else
      value.i = wrap(cast<IntegerAttr>(constant.getValue()).getValue().getZExtValue(), widthOf(type));
    int out = slotOf(op.getResult(0));
    return [=](Scalar *slots) { slots[out] = value; };
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    int condition = slotOf(select.getCondition()), yes = slotOf(select.getTrueValue()),
        no = slotOf(select.getFalseValue());
    int out = slotOf(select.getResult());
    return [=](Scalar *slots) { slots[out] = slots[condition].i ? slots[yes] : slots[no]; };
  }
  if (auto compare = dyn_cast<arith::CmpFOp>(op)) {
    int lhs = slotOf(compare.getLhs()), rhs = slotOf(compare.getRhs()), out = slotOf(compare.getResult());
    arith::CmpFPredicate predicate = compare.getPredicate();
    return [=](Scalar *slots) { slots[out].i = compareFloats(predicate, slots[lhs].f, slots[rhs].f); };
  }
  if (op.getNumOperands() == 1)
    if (Step step = decodeConversion(op))
      return step;
  if (Step step = decodeFloatOp(op))
    return step;
  return decodeIntegerOp(op);
}

FailureOr<RegionProgram> RegionProgram::decode(Block &block) {
  RegionProgram program;
  for (BlockArgument argument : block.getArguments()) {
    program.slotOf(argument);
    program.isInteger.push_back(isa<IntegerType>(argument.getType()));
  }
  for (Operation &op : block.without_terminator()) {
    Step step = program.decodeOp(op);
    if (!step)
      return op.emitOpError("cannot be evaluated: expand region math first"), failure();
    program.steps.push_back(std::move(step));
  }
  program.resultSlot = program.slotOf(block.getTerminator()->getOperand(0));
  return program;
}

float RegionProgram::run(llvm::ArrayRef<float> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i)
    if (isInteger[i])
      slots[i].i = static_cast<int64_t>(arguments[i]);
    else
      slots[i].f = arguments[i];
  for (const Step &step : steps)
    step(slots.data());
  return slots[static_cast<size_t>(resultSlot)].f;
}

} // namespace compiler
} // namespace fourfold
