// Instructions from the scalar ops of a region; slots are reused where a value has no use any more.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "compiler/host/Lower.h"
#include "dialect/Fp4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace fourfold {
namespace host {

static RegionFloat floatOf(Type type) {
  return type.isBF16() ? RegionFloat::BF16 : type.isF16() ? RegionFloat::F16 : RegionFloat::F32;
}
/// 0 for floats.
static uint8_t widthOf(Type type) {
  return isa<IntegerType>(type) ? static_cast<uint8_t>(type.getIntOrFloatBitWidth()) : uint8_t{0};
}

static uint8_t predicateOf(arith::CmpFPredicate predicate) {
  using P = arith::CmpFPredicate;
  switch (predicate) {
  case P::AlwaysFalse:
    return 0;
  case P::OEQ:
    return kEqual;
  case P::OGT:
    return kGreater;
  case P::OGE:
    return kGreater | kEqual;
  case P::OLT:
    return kLess;
  case P::OLE:
    return kLess | kEqual;
  case P::ONE:
    return kLess | kGreater;
  case P::ORD:
    return kLess | kEqual | kGreater;
  case P::UEQ:
    return kUnordered | kEqual;
  case P::UGT:
    return kUnordered | kGreater;
  case P::UGE:
    return kUnordered | kGreater | kEqual;
  case P::ULT:
    return kUnordered | kLess;
  case P::ULE:
    return kUnordered | kLess | kEqual;
  case P::UNE:
    return kUnordered | kLess | kGreater;
  case P::UNO:
    return kUnordered;
  case P::AlwaysTrue:
    return kUnordered | kLess | kEqual | kGreater;
  }
  return 0;
}

static uint8_t predicateOf(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return kEqual;
  case P::ne:
    return kLess | kGreater;
  case P::slt:
    return kLess;
  case P::sle:
    return kLess | kEqual;
  case P::sgt:
    return kGreater;
  case P::sge:
    return kGreater | kEqual;
  case P::ult:
    return kUnsignedCompare | kLess;
  case P::ule:
    return kUnsignedCompare | kLess | kEqual;
  case P::ugt:
    return kUnsignedCompare | kGreater;
  case P::uge:
    return kUnsignedCompare | kGreater | kEqual;
  }
  return 0;
}

static std::optional<RegionOp> kindOf(Operation *op) {
  using R = std::optional<RegionOp>;
  return llvm::TypeSwitch<Operation *, R>(op)
      .Case([](arith::AddFOp) { return R(RegionOp::Add); })
      .Case([](arith::SubFOp) { return R(RegionOp::Subtract); })
      .Case([](arith::MulFOp) { return R(RegionOp::Multiply); })
      .Case([](arith::DivFOp) { return R(RegionOp::Divide); })
      .Case([](arith::MaximumFOp) { return R(RegionOp::Maximum); })
      .Case([](arith::MinimumFOp) { return R(RegionOp::Minimum); })
      .Case([](arith::MaxNumFOp) { return R(RegionOp::MaximumNumber); })
      .Case([](arith::MinNumFOp) { return R(RegionOp::MinimumNumber); })
      .Case([](math::CopySignOp) { return R(RegionOp::CopySign); })
      .Case([](arith::NegFOp) { return R(RegionOp::Negate); })
      .Case([](math::AbsFOp) { return R(RegionOp::Absolute); })
      .Case([](math::SqrtOp) { return R(RegionOp::SquareRoot); })
      .Case([](math::FloorOp) { return R(RegionOp::Floor); })
      .Case([](math::CeilOp) { return R(RegionOp::Ceil); })
      .Case([](math::TruncOp) { return R(RegionOp::Truncate); })
      .Case([](math::RoundEvenOp) { return R(RegionOp::RoundEven); })
      .Case([](math::FmaOp) { return R(RegionOp::MultiplyAdd); })
      .Case([](arith::AddIOp) { return R(RegionOp::AddInteger); })
      .Case([](arith::SubIOp) { return R(RegionOp::SubtractInteger); })
      .Case([](arith::MulIOp) { return R(RegionOp::MultiplyInteger); })
      .Case([](arith::AndIOp) { return R(RegionOp::And); })
      .Case([](arith::OrIOp) { return R(RegionOp::Or); })
      .Case([](arith::XOrIOp) { return R(RegionOp::Xor); })
      .Case([](arith::MaxSIOp) { return R(RegionOp::MaxSigned); })
      .Case([](arith::MinSIOp) { return R(RegionOp::MinSigned); })
      .Case([](arith::MaxUIOp) { return R(RegionOp::MaxUnsigned); })
      .Case([](arith::MinUIOp) { return R(RegionOp::MinUnsigned); })
      .Case([](arith::ShLIOp) { return R(RegionOp::ShiftLeft); })
      .Case([](arith::ShRUIOp) { return R(RegionOp::ShiftRightUnsigned); })
      .Case([](arith::ShRSIOp) { return R(RegionOp::ShiftRightSigned); })
      .Case([](arith::SelectOp) { return R(RegionOp::Select); })
      .Case([](arith::CmpFOp) { return R(RegionOp::CompareFloats); })
      .Case([](arith::CmpIOp) { return R(RegionOp::CompareIntegers); })
      .Case([](arith::ConstantOp) { return R(RegionOp::Constant); })
      .Case([](arith::ExtFOp) { return R(RegionOp::Move); })
      .Case([](arith::TruncFOp) { return R(RegionOp::RoundFloat); })
      .Case([](arith::SIToFPOp) { return R(RegionOp::SignedToFloat); })
      .Case([](arith::UIToFPOp) { return R(RegionOp::UnsignedToFloat); })
      .Case([](arith::FPToSIOp) { return R(RegionOp::FloatToSigned); })
      .Case([](arith::FPToUIOp) { return R(RegionOp::FloatToUnsigned); })
      .Case([](arith::ExtSIOp) { return R(RegionOp::ExtendSigned); })
      .Case([](arith::ExtUIOp) { return R(RegionOp::ExtendUnsigned); })
      .Case([](arith::TruncIOp) { return R(RegionOp::TruncateInteger); })
      .Case([](arith::BitcastOp op) {
        return R(isa<IntegerType>(op.getType()) ? RegionOp::BitcastToInteger : RegionOp::BitcastToFloat);
      })
      .Default([](Operation *) { return R(); });
}

namespace {

class RegionLowering {
public:
  FailureOr<Region> run(Block &block);

private:
  uint16_t take() {
    if (!free.empty())
      return free.pop_back_val();
    return region.numSlots++;
  }
  LogicalResult addOp(Operation &op);

  Region region;
  llvm::DenseMap<mlir::Value, uint16_t> slots;
  llvm::DenseMap<mlir::Value, unsigned> uses;
  llvm::SmallVector<uint16_t> free;
};

} // namespace

LogicalResult RegionLowering::addOp(Operation &op) {
  std::optional<RegionOp> kind = compiler::isExactRegionOp(&op) ? kindOf(&op) : std::nullopt;
  if (auto call = dyn_cast<fp4::CallOp>(op))
    return call.emitOpError() << "cannot run CUDA C++ ('" << call.getCallee() << "') on the host: run the spec on a device";
  if (!kind)
    return op.emitOpError("cannot be run on the host: expand region math first");
  Type type = op.getResult(0).getType();
  RegionCode code;
  code.op = *kind;
  code.type = floatOf(type);
  code.toWidth = widthOf(type);
  code.width = op.getNumOperands() ? widthOf(op.getOperand(op.getNumOperands() - 1).getType()) : widthOf(type);
  std::optional<uint16_t> scratch;
  uint16_t *operands[] = {&code.a, &code.b, &code.c};
  for (auto [index, operand] : llvm::enumerate(op.getOperands()))
    *operands[index] = slots.lookup(operand);
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    if (auto number = dyn_cast<FloatAttr>(constant.getValue())) {
      llvm::APFloat value = number.getValue();
      bool losesInfo = false;
      value.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      code.constant = static_cast<int64_t>(value.bitcastToAPInt().getZExtValue());
    } else {
      llvm::APInt value = cast<IntegerAttr>(constant.getValue()).getValue();
      code.constant = value.getBitWidth() == 1 ? static_cast<int64_t>(value.getZExtValue()) : value.getSExtValue();
    }
  }
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    code.predicate = predicateOf(compare.getPredicate());
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    code.predicate = predicateOf(compare.getPredicate());
  if (auto cast = dyn_cast<arith::BitcastOp>(op)) {
    Type from = cast.getIn().getType();
    bool fromInteger = isa<IntegerType>(from), toInteger = isa<IntegerType>(type);
    if (fromInteger && toInteger)
      code.op = RegionOp::TruncateInteger;
    else if (!fromInteger && !toInteger && from == type)
      code.op = RegionOp::Move;
    else if (!fromInteger && !toInteger) {
      // bf16 to f16 or back: through their bits.
      RegionCode bits = code;
      bits.op = RegionOp::BitcastToInteger;
      bits.type = floatOf(from);
      bits.toWidth = 16;
      bits.out = take();
      region.codes.push_back(bits);
      code.op = RegionOp::BitcastToFloat;
      code.a = bits.out;
      scratch = bits.out;
    } else {
      code.type = floatOf(toInteger ? from : type);
    }
  }
  // The result never takes an operand's slot: floats and integers of one slot overlap.
  code.out = take();
  slots[op.getResult(0)] = code.out;
  region.codes.push_back(code);
  for (mlir::Value operand : op.getOperands())
    if (--uses[operand] == 0)
      free.push_back(slots.lookup(operand));
  if (scratch)
    free.push_back(*scratch);
  if (op.getResult(0).use_empty())
    free.push_back(code.out);
  return success();
}

FailureOr<Region> RegionLowering::run(Block &block) {
  auto count = [&](mlir::Value value) {
    uses[value] = static_cast<unsigned>(std::distance(value.use_begin(), value.use_end()));
  };
  for (BlockArgument argument : block.getArguments()) {
    slots[argument] = region.numSlots++;
    count(argument);
  }
  for (Operation &op : block.without_terminator()) {
    count(op.getResult(0));
    if (failed(addOp(op)))
      return failure();
  }
  region.resultSlot = slots.lookup(block.getTerminator()->getOperand(0));
  return std::move(region);
}

FailureOr<Region> lowerRegion(Block &block) { return RegionLowering().run(block); }

} // namespace host
} // namespace fourfold
