// The vocabulary for writing kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/KernelBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

namespace {

template <typename IntOp, typename FloatOp> Val binary(Val lhs, Val rhs) {
  KernelBuilder &k = lhs.builder();
  if (isa<FloatType>(lhs.type()))
    return k.wrap(FloatOp::create(k.ir(), k.loc(), lhs, rhs));
  return k.wrap(IntOp::create(k.ir(), k.loc(), lhs, rhs));
}

template <typename IntOp> Val integer(Val lhs, Val rhs) {
  KernelBuilder &k = lhs.builder();
  return k.wrap(IntOp::create(k.ir(), k.loc(), lhs, rhs));
}

Val constantLike(Val model, int64_t value) {
  KernelBuilder &k = model.builder();
  if (model.type().isF32())
    return k.cf(static_cast<float>(value));
  return model.type().isInteger(64) ? k.c64(value) : k.c32(value);
}

Val compare(Val lhs, Val rhs, arith::CmpIPredicate intPredicate, arith::CmpFPredicate floatPredicate) {
  KernelBuilder &k = lhs.builder();
  if (isa<FloatType>(lhs.type()))
    return k.wrap(arith::CmpFOp::create(k.ir(), k.loc(), floatPredicate, lhs, rhs));
  return k.wrap(arith::CmpIOp::create(k.ir(), k.loc(), intPredicate, lhs, rhs));
}

} // namespace

Val operator+(Val lhs, Val rhs) { return binary<arith::AddIOp, arith::AddFOp>(lhs, rhs); }
Val operator-(Val lhs, Val rhs) { return binary<arith::SubIOp, arith::SubFOp>(lhs, rhs); }
Val operator*(Val lhs, Val rhs) { return binary<arith::MulIOp, arith::MulFOp>(lhs, rhs); }
Val operator/(Val lhs, Val rhs) { return binary<arith::DivUIOp, arith::DivFOp>(lhs, rhs); }
Val operator%(Val lhs, Val rhs) { return integer<arith::RemUIOp>(lhs, rhs); }
Val operator&(Val lhs, Val rhs) { return integer<arith::AndIOp>(lhs, rhs); }
Val operator|(Val lhs, Val rhs) { return integer<arith::OrIOp>(lhs, rhs); }
Val operator^(Val lhs, Val rhs) { return integer<arith::XOrIOp>(lhs, rhs); }
Val operator<<(Val lhs, Val rhs) { return integer<arith::ShLIOp>(lhs, rhs); }
Val operator>>(Val lhs, Val rhs) { return integer<arith::ShRUIOp>(lhs, rhs); }
Val operator+(Val lhs, int64_t rhs) { return lhs + constantLike(lhs, rhs); }
Val operator-(Val lhs, int64_t rhs) { return lhs - constantLike(lhs, rhs); }
Val operator*(Val lhs, int64_t rhs) { return lhs * constantLike(lhs, rhs); }
Val operator/(Val lhs, int64_t rhs) { return lhs / constantLike(lhs, rhs); }
Val operator%(Val lhs, int64_t rhs) { return lhs % constantLike(lhs, rhs); }
Val operator&(Val lhs, int64_t rhs) { return lhs & constantLike(lhs, rhs); }
Val operator|(Val lhs, int64_t rhs) { return lhs | constantLike(lhs, rhs); }
Val operator^(Val lhs, int64_t rhs) { return lhs ^ constantLike(lhs, rhs); }
Val operator<<(Val lhs, int64_t rhs) { return lhs << constantLike(lhs, rhs); }
Val operator>>(Val lhs, int64_t rhs) { return lhs >> constantLike(lhs, rhs); }
Val operator<(Val lhs, Val rhs) { return compare(lhs, rhs, arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT); }
Val operator<(Val lhs, int64_t rhs) { return lhs < constantLike(lhs, rhs); }
Val operator>=(Val lhs, Val rhs) { return compare(lhs, rhs, arith::CmpIPredicate::sge, arith::CmpFPredicate::OGE); }
Val operator>=(Val lhs, int64_t rhs) { return lhs >= constantLike(lhs, rhs); }
Val equals(Val lhs, int64_t rhs) {
  return compare(lhs, constantLike(lhs, rhs), arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ);
}
Val umax(Val lhs, Val rhs) { return integer<arith::MaxUIOp>(lhs, rhs); }
Val umin(Val lhs, Val rhs) { return integer<arith::MinUIOp>(lhs, rhs); }

Type globalPointerType(MLIRContext *context) { return LLVM::LLVMPointerType::get(context, 1); }

KernelBuilder::KernelBuilder(KernelModule module, llvm::StringRef name, llvm::ArrayRef<Type> params, int numThreads)
    : builder(module->getContext()), location(module->getLoc()), module(module) {
  builder.setInsertionPointToEnd(cast<gpu::GPUModuleOp>(module).getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context()), params);
  auto kernel = LLVM::LLVMFuncOp::create(builder, location, name, type);
  function = kernel;
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(), builder.getDenseI32ArrayAttr({numThreads}));
  // Every buffer is its own allocation: without this each store would order all later loads.
  for (unsigned i = 0; i < params.size(); ++i)
    if (isa<LLVM::LLVMPointerType>(params[i]))
      kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
  builder.setInsertionPointToStart(kernel.addEntryBlock(builder));
}

void KernelBuilder::mayAlias(unsigned param) {
  cast<LLVM::LLVMFuncOp>(function).removeArgAttr(param, LLVM::LLVMDialect::getNoAliasAttrName());
}

void KernelBuilder::finish() { LLVM::ReturnOp::create(builder, location, ValueRange()); }

Type KernelBuilder::globalPtr() { return globalPointerType(context()); }
Type KernelBuilder::sharedPtr() { return LLVM::LLVMPointerType::get(context(), 3); }

Val KernelBuilder::param(unsigned index) { return wrap(cast<LLVM::LLVMFuncOp>(function).getArgument(index)); }

Val KernelBuilder::c32(int64_t value) {
  return wrap(arith::ConstantOp::create(builder, location, builder.getI32IntegerAttr(static_cast<int32_t>(value))));
}
Val KernelBuilder::c64(int64_t value) {
  return wrap(arith::ConstantOp::create(builder, location, builder.getI64IntegerAttr(value)));
}
Val KernelBuilder::c16(int64_t value) {
  return wrap(arith::ConstantOp::create(builder, location, builder.getI16IntegerAttr(static_cast<int16_t>(value))));
}
Val KernelBuilder::cf(float value) {
  return wrap(arith::ConstantOp::create(builder, location, builder.getF32FloatAttr(value)));
}
Val KernelBuilder::cbool(bool value) {
  return wrap(arith::ConstantOp::create(builder, location, builder.getBoolAttr(value)));
}

Val KernelBuilder::threadId() { return wrap(NVVM::ThreadIdXOp::create(builder, location, i32())); }

Val KernelBuilder::blockId(int axis) {
  if (axis == 0)
    return wrap(NVVM::BlockIdXOp::create(builder, location, i32()));
  if (axis == 1)
    return wrap(NVVM::BlockIdYOp::create(builder, location, i32()));
  return wrap(NVVM::BlockIdZOp::create(builder, location, i32()));
}

Val KernelBuilder::shared(unsigned alignment) {
  constexpr llvm::StringLiteral name = "fourfold_shared";
  auto kernels = cast<gpu::GPUModuleOp>(module);
  auto global = kernels.lookupSymbol<LLVM::GlobalOp>(name);
  if (!global) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(kernels.getBody());
    global = LLVM::GlobalOp::create(builder, location, LLVM::LLVMArrayType::get(i8(), 0), /*isConstant=*/false,
                                    LLVM::Linkage::External, name, Attribute(), alignment, /*addrSpace=*/3);
  }
  if (global.getAlignment().value_or(0) < alignment)
    global.setAlignment(alignment);
  return wrap(LLVM::AddressOfOp::create(builder, location, sharedPtr(), name));
}

Val KernelBuilder::toI64(Val value) { return wrap(arith::ExtSIOp::create(builder, location, i64(), value)); }
Val KernelBuilder::truncate32(Val value) { return wrap(arith::TruncIOp::create(builder, location, i32(), value)); }
Val KernelBuilder::zext32(Val value) { return wrap(arith::ExtUIOp::create(builder, location, i32(), value)); }
Val KernelBuilder::zext64(Val value) { return wrap(arith::ExtUIOp::create(builder, location, i64(), value)); }
Val KernelBuilder::asFloat(Val bits) { return wrap(arith::BitcastOp::create(builder, location, f32(), bits)); }
Val KernelBuilder::asBits(Val value) { return wrap(arith::BitcastOp::create(builder, location, i32(), value)); }
Val KernelBuilder::intToFloat(Val value) { return wrap(arith::SIToFPOp::create(builder, location, f32(), value)); }
Val KernelBuilder::select(Val condition, Val yes, Val no) {
  return wrap(arith::SelectOp::create(builder, location, condition, yes, no));
}
Val KernelBuilder::absolute(Val value) { return asFloat(asBits(value) & 0x7fffffff); }
Val KernelBuilder::minimum(Val lhs, Val rhs) { return wrap(arith::MinNumFOp::create(builder, location, lhs, rhs)); }
Val KernelBuilder::maximum(Val lhs, Val rhs) { return wrap(arith::MaxNumFOp::create(builder, location, lhs, rhs)); }
Val KernelBuilder::multiplyInDouble(Val value, double factor) {
  Value wide = arith::ExtFOp::create(builder, location, Type(builder.getF64Type()), Value(value));
  Value by = arith::ConstantOp::create(builder, location, builder.getF64FloatAttr(factor));
  Value product = arith::MulFOp::create(builder, location, wide, by);
  return wrap(arith::TruncFOp::create(builder, location, Type(builder.getF32Type()), product));
}

Val KernelBuilder::fma(Val a, Val b, Val c) { return wrap(math::FmaOp::create(builder, location, a, b, c)); }
Val KernelBuilder::logicalAnd(Val lhs, Val rhs) { return wrap(arith::AndIOp::create(builder, location, lhs, rhs)); }

Val KernelBuilder::int64ToFloatRZ(Val value) {
  auto name = builder.getStringAttr("llvm.nvvm.ll2f.rz");
  return wrap(LLVM::CallIntrinsicOp::create(builder, location, f32(), name, ValueRange{value}).getResult(0));
}
Val KernelBuilder::permuteBytes(Val low, Val high, Val selector) {
  return wrap(
      NVVM::PermuteOp::create(builder, location, i32(), low, high, selector, NVVM::PermuteMode::DEFAULT));
}
Val KernelBuilder::fmaBF16x2(Val a, Val b, Val c) {
  Type pair = vec(2, builder.getBF16Type());
  auto cast = [&](Value value) -> Value { return LLVM::BitcastOp::create(builder, location, pair, value); };
  auto name = builder.getStringAttr("llvm.nvvm.fma.rn.bf16x2");
  auto call = LLVM::CallIntrinsicOp::create(builder, location, pair, name, ValueRange{cast(a), cast(b), cast(c)});
  return wrap(LLVM::BitcastOp::create(builder, location, i32(), call.getResult(0)));
}

Val KernelBuilder::offset(Val pointer, Val bytes) {
  return wrap(LLVM::GEPOp::create(builder, location, pointer.type(), i8(), pointer, ValueRange{bytes}));
}
Val KernelBuilder::offset(Val pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return wrap(LLVM::GEPOp::create(builder, location, pointer.type(), i8(), pointer,
                                  llvm::ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)}));
}
Val KernelBuilder::load(Type type, Val pointer, int alignment) {
  return wrap(LLVM::LoadOp::create(builder, location, type, pointer, alignment));
}
void KernelBuilder::store(Val value, Val pointer, int alignment) {
  LLVM::StoreOp::create(builder, location, value, pointer, alignment);
}
Val KernelBuilder::extract(Val vector, int index) {
  return wrap(LLVM::ExtractElementOp::create(builder, location, vector, c32(index)));
}
Val KernelBuilder::pack(llvm::ArrayRef<Val> elements) {
  Type type = vec(static_cast<int>(elements.size()), elements[0].type());
  Value vector = LLVM::UndefOp::create(builder, location, type);
  for (auto [index, element] : llvm::enumerate(elements))
    vector = LLVM::InsertElementOp::create(builder, location, vector, element, c32(static_cast<int64_t>(index)));
  return wrap(vector);
}
void KernelBuilder::atomicMaxU32(Val pointer, Val value) {
  LLVM::AtomicRMWOp::create(builder, location, LLVM::AtomicBinOp::umax, pointer, value,
                            LLVM::AtomicOrdering::monotonic);
}

void KernelBuilder::barrier() { NVVM::BarrierOp::create(builder, location); }
void KernelBuilder::warpSync() { NVVM::SyncWarpOp::create(builder, location, c32(-1)); }
Val KernelBuilder::shuffleXor(Val value, int laneMask) {
  return wrap(NVVM::ShflOp::create(builder, location, value.type(), c32(-1), value, c32(laneMask), c32(31),
                                   NVVM::ShflKind::bfly, UnitAttr()));
}
void KernelBuilder::copyAsync16(Val sharedTo, Val globalFrom, Val sizeBytes) {
  NVVM::CpAsyncOp::create(builder, location, sharedTo, globalFrom, 16, NVVM::LoadCacheModifierKind::CG,
                          sizeBytes ? Value(sizeBytes) : Value());
}
void KernelBuilder::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(builder, location); }
void KernelBuilder::waitCopies(int groupsLeft) { NVVM::CpAsyncWaitGroupOp::create(builder, location, groupsLeft); }

llvm::SmallVector<Val> KernelBuilder::loadMatrixX4(Val sharedRow, bool transpose) {
  auto type = LLVM::LLVMStructType::getLiteral(context(), {i32(), i32(), i32(), i32()});
  auto shape = NVVM::LdStMatrixShapeAttr::get(context(), 8, 8);
  Value all = NVVM::LdMatrixOp::create(builder, location, type, sharedRow, 4,
                                       transpose ? NVVM::MMALayout::col : NVVM::MMALayout::row, shape,
                                       NVVM::LdStMatrixEltType::B16);
  llvm::SmallVector<Val> registers;
  for (int64_t i = 0; i < 4; ++i)
    registers.push_back(wrap(LLVM::ExtractValueOp::create(builder, location, all, i)));
  return registers;
}

llvm::SmallVector<Val> KernelBuilder::matrixStep(NVVM::MMATypes type, int stepK, llvm::ArrayRef<Val> a,
                                                 llvm::ArrayRef<Val> b, llvm::ArrayRef<Val> c) {
  bool isInteger = type == NVVM::MMATypes::s8;
  auto operands = [&](llvm::ArrayRef<Val> list) {
    llvm::SmallVector<Value> values(list.begin(), list.end());
    if (type == NVVM::MMATypes::f16)
      for (Value &value : values)
        value = LLVM::BitcastOp::create(builder, location, vec(2, builder.getF16Type()), value);
    return values;
  };
  Type sum = isInteger ? i32() : f32();
  auto resultType = LLVM::LLVMStructType::getLiteral(context(), {sum, sum, sum, sum});
  std::optional<NVVM::MMAIntOverflow> overflow;
  if (isInteger)
    overflow = NVVM::MMAIntOverflow::wrapped;
  Value d = NVVM::MmaOp::create(builder, location, resultType, operands(a), operands(b),
                                llvm::SmallVector<Value>(c.begin(), c.end()), {16, 8, stepK}, std::nullopt, overflow,
                                std::array{type, type}, std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
  llvm::SmallVector<Val> results;
  for (int64_t i = 0; i < 4; ++i)
    results.push_back(wrap(LLVM::ExtractValueOp::create(builder, location, d, i)));
  return results;
}

void KernelBuilder::ifThen(Val condition, const std::function<void()> &then) {
  auto op = scf::IfOp::create(builder, location, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  then();
}

llvm::SmallVector<Val> KernelBuilder::ifElse(Val condition, TypeRange types, const Body &then, const Body &otherwise) {
  auto op = scf::IfOp::create(builder, location, types, condition, /*withElseRegion=*/true);
  {
    OpBuilder::InsertionGuard guard(builder);
    for (auto [block, body] : {std::pair(op.thenBlock(), &then), std::pair(op.elseBlock(), &otherwise)}) {
      builder.setInsertionPointToStart(block);
      llvm::SmallVector<Val> yielded = (*body)();
      llvm::SmallVector<Value> results(yielded.begin(), yielded.end());
      if (!results.empty())
        scf::YieldOp::create(builder, location, results);
    }
  }
  llvm::SmallVector<Val> results;
  for (Value result : op.getResults())
    results.push_back(wrap(result));
  return results;
}

llvm::SmallVector<Val>
KernelBuilder::forLoop(Val from, Val to, Val step, llvm::ArrayRef<Val> initial,
                       const std::function<llvm::SmallVector<Val>(Val, llvm::ArrayRef<Val>)> &body, Unroll unroll) {
  llvm::SmallVector<Value> initialValues(initial.begin(), initial.end());
  auto op = scf::ForOp::create(builder, location, from, to, step, initialValues);
  if (unroll == Unroll::Rolled) { // `.pragma "nounroll"` at the loop's head (PTX ISA 12.1)
    auto never = LLVM::LoopUnrollAttr::get(context(), builder.getBoolAttr(true), {}, {}, {}, {}, {}, {});
    op->setAttr("loop_annotation", LLVM::LoopAnnotationAttr::get(context(), {}, {}, {}, never, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}));
  }
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(op.getBody());
    llvm::SmallVector<Val> carried;
    for (Value argument : op.getRegionIterArgs())
      carried.push_back(wrap(argument));
    llvm::SmallVector<Val> yielded = body(wrap(op.getInductionVar()), carried);
    llvm::SmallVector<Value> results(yielded.begin(), yielded.end());
    if (!results.empty())
      scf::YieldOp::create(builder, location, results);
  }
  llvm::SmallVector<Val> results;
  for (Value result : op.getResults())
    results.push_back(wrap(result));
  return results;
}

} // namespace compiler
} // namespace fourfold
