// Element-wise regions inside kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/kernels/ElementRegion.h"

#include "dialect/Fp4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

Type ElementRegion::resultType(MLIRContext *context) const {
  return region ? region->front().getTerminator()->getOperand(0).getType() : Float32Type::get(context);
}

/// A call of a function that is compiled elsewhere and merged into the PTX. It is pure, so that equal calls are one.
static void callCuda(KernelBuilder &k, fp4::CallOp call, IRMapping &mapping) {
  auto module = k.ir().getInsertionBlock()->getParentOp()->getParentOfType<gpu::GPUModuleOp>();
  auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(call.getCallee());
  if (!callee) {
    OpBuilder::InsertionGuard guard(k.ir());
    k.ir().setInsertionPointToStart(module.getBody());
    auto type = LLVM::LLVMFunctionType::get(call.getType(), llvm::to_vector(call.getOperandTypes()));
    callee = LLVM::LLVMFuncOp::create(k.ir(), call.getLoc(), call.getCallee(), type);
    callee.setNoUnwind(true);
    callee.setWillReturn(true);
    using LLVM::ModRefInfo;
    callee.setMemoryEffectsAttr(LLVM::MemoryEffectsAttr::get(
        k.ir().getContext(), ArrayRef<ModRefInfo>(llvm::SmallVector<ModRefInfo>(6, ModRefInfo::NoModRef))));
  }
  llvm::SmallVector<Value> arguments;
  for (Value argument : call.getArguments())
    arguments.push_back(mapping.lookupOrDefault(argument));
  mapping.map(call.getResult(), LLVM::CallOp::create(k.ir(), call.getLoc(), callee, arguments).getResult());
}

Val inlineRegion(KernelBuilder &k, const ElementRegion &region, llvm::ArrayRef<Val> arguments) {
  if (!region.region)
    return arguments.front();
  Block &block = region.region->front();
  IRMapping mapping;
  for (auto [argument, value] : llvm::zip_equal(block.getArguments(), arguments))
    mapping.map(argument, static_cast<Value>(value));
  for (Operation &op : block.without_terminator()) {
    if (auto call = dyn_cast<fp4::CallOp>(op))
      callCuda(k, call, mapping);
    else
      k.ir().clone(op, mapping);
  }
  return k.wrap(mapping.lookupOrDefault(block.getTerminator()->getOperand(0)));
}

int elementBytes(Type type) { return static_cast<int>((type.getIntOrFloatBitWidth() + 7) / 8); }

Val zeroOf(KernelBuilder &k, Type type) {
  return k.wrap(arith::ConstantOp::create(k.ir(), k.loc(), k.ir().getZeroAttr(type)));
}

Val toF32(KernelBuilder &k, Val value) {
  if (value.type().isF32())
    return value;
  return k.wrap(arith::ExtFOp::create(k.ir(), k.loc(), k.f32(), static_cast<Value>(value)));
}

llvm::SmallVector<Val> loadElements(KernelBuilder &k, Type elementType, Val pointer, Val index, int count, Val full,
                                    Val valid) {
  int bytes = elementBytes(elementType);
  Val base = k.offset(pointer, index * bytes);
  llvm::SmallVector<Type> types(count, elementType);
  return k.ifElse(
      full, types,
      [&] {
        // At most 16 bytes a load.
        int width = std::min(count, 16 / bytes);
        llvm::SmallVector<Val> values;
        for (int first = 0; first < count; first += width) {
          Val vector = k.load(k.vec(width, elementType), k.offset(base, first * bytes), std::min(16, width * bytes));
          for (int i = 0; i < width; ++i)
            values.push_back(k.extract(vector, i));
        }
        return values;
      },
      [&] {
        llvm::SmallVector<Val> values;
        for (int i = 0; i < count; ++i) {
          auto one = k.ifElse(
              k.c32(i) < valid, elementType,
              [&] { return llvm::SmallVector<Val>{k.load(elementType, k.offset(base, i * bytes), bytes)}; },
              [&] { return llvm::SmallVector<Val>{zeroOf(k, elementType)}; });
          values.push_back(one[0]);
        }
        return values;
      });
}

void storeElements(KernelBuilder &k, Val pointer, Val index, llvm::ArrayRef<Val> values, Val full, Val valid) {
  Type elementType = values[0].type();
  int bytes = elementBytes(elementType), count = static_cast<int>(values.size());
  Val base = k.offset(pointer, index * bytes);
  k.ifElse(
      full, TypeRange(),
      [&] {
        int width = std::min(count, 16 / bytes);
        for (int first = 0; first < count; first += width)
          k.store(k.pack(values.slice(first, width)), k.offset(base, first * bytes), std::min(16, width * bytes));
        return llvm::SmallVector<Val>();
      },
      [&] {
        for (int i = 0; i < count; ++i)
          k.ifThen(k.c32(i) < valid, [&] { k.store(values[i], k.offset(base, i * bytes), bytes); });
        return llvm::SmallVector<Val>();
      });
}

} // namespace compiler
} // namespace fourfold
