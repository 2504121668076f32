// gpu.module -> LLVM dialect -> LLVM IR -> PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/codegen/Ptx.h"

#include "compiler/codegen/BackEnd.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"

#include "llvm/Support/ThreadPool.h"

#include <atomic>

using namespace mlir;

namespace fourfold {
namespace compiler {

void registerKernelDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect, gpu::GPUDialect, LLVM::LLVMDialect, math::MathDialect,
                  NVVM::NVVMDialect, scf::SCFDialect>();
  registerBuiltinDialectTranslation(registry);
  registerGPUDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

namespace {

/// Lowers scf, arith and math inside the module to the LLVM dialect, in place. Numerics: bit-exact.
LogicalResult lowerToLLVMDialect(gpu::GPUModuleOp module) {
  MLIRContext *context = module.getContext();
  {
    RewritePatternSet patterns(context);
    populateSCFToControlFlowConversionPatterns(patterns);
    ConversionTarget target(*context);
    target.addIllegalDialect<scf::SCFDialect>();
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    if (failed(applyPartialConversion(module, target, std::move(patterns))))
      return module.emitError("cannot lower structured control flow of the kernels");
  }
  RewritePatternSet patterns(context);
  LowerToLLVMOptions options(context);
  options.overrideIndexBitwidth(32);
  LLVMTypeConverter types(context, options);
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  arith::populateExpandBFloat16Patterns(patterns);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  populateMathToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect, math::MathDialect>();
  target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
  if (failed(applyPartialConversion(module, target, std::move(patterns))))
    return module.emitError("cannot lower the kernels to the LLVM dialect");
  return success();
}

/// A module for each kernel, each with the declarations that it uses, in the order of the kernels. One kernel's code never depends on
/// another's, and this lets them be compiled at once. The kernels leave `module`.
llvm::SmallVector<OwningOpRef<gpu::GPUModuleOp>> splitKernels(gpu::GPUModuleOp module) {
  llvm::SmallVector<OwningOpRef<gpu::GPUModuleOp>> parts;
  OpBuilder builder(module.getContext());
  for (auto kernel : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>())) {
    if (kernel.isExternal())
      continue;
    auto part = gpu::GPUModuleOp::create(builder, module.getLoc(), module.getName());
    builder.setInsertionPointToStart(part.getBody());
    for (Operation &op : module.getBody()->getOperations())
      if (!isa<LLVM::LLVMFuncOp>(op) || cast<LLVM::LLVMFuncOp>(op).isExternal())
        if (!SymbolTable::symbolKnownUseEmpty(cast<SymbolOpInterface>(op).getNameAttr(), kernel))
          builder.clone(op);
    builder.clearInsertionPoint();
    kernel->moveBefore(part.getBody(), part.getBody()->end());
    parts.emplace_back(part);
  }
  return parts;
}

/// In this order threads end at about the same time.
llvm::SmallVector<size_t> largestFirst(llvm::ArrayRef<OwningOpRef<gpu::GPUModuleOp>> parts) {
  llvm::SmallVector<std::pair<int64_t, size_t>> sizes;
  for (auto [i, part] : llvm::enumerate(parts)) {
    int64_t operations = 0;
    (*part)->walk([&](Operation *) { ++operations; });
    sizes.emplace_back(-operations, i);
  }
  llvm::sort(sizes);
  return llvm::to_vector(llvm::make_second_range(sizes));
}

/// The module's kernels in the LLVM dialect, in place, and then in LLVM IR.
LogicalResult lowerToIr(gpu::GPUModuleOp module, KernelIr *ir) {
  if (failed(lowerToLLVMDialect(module)))
    return failure();
  ir->module = translateModuleToLLVMIR(module, ir->context, "fourfold");
  return ir->module ? success() : LogicalResult(module.emitError("cannot translate the kernels to LLVM IR"));
}

} // namespace

FailureOr<std::string> translateModule(gpu::GPUModuleOp module, const Target &target, bool ptx) {
  std::string text, error;
  MLIRContext *context = module.getContext();
  context->loadDialect<cf::ControlFlowDialect>(); // which the lowering makes, and threads cannot load
  if (!ptx) {
    KernelIr ir;
    if (failed(lowerToIr(module, &ir)))
      return failure();
    if (!optimizedIr(ir, target, &text, &error))
      return module.emitError(error), failure();
    return text;
  }
  llvm::SmallVector<OwningOpRef<gpu::GPUModuleOp>> parts = splitKernels(module);
  std::vector<std::string> texts(parts.size()), errors(parts.size());
  auto emit = [&](size_t i) {
    KernelIr ir;
    if (failed(lowerToIr(*parts[i], &ir)))
      return failure();
    if (!emitPtx(ir, target, &texts[i], &errors[i]))
      return parts[i]->emitError(errors[i]), failure();
    return success();
  };
  // A thread for each kernel, as far as there are cores: of this call alone, as a host may fork after it.
  llvm::ThreadPoolStrategy strategy = llvm::hardware_concurrency(static_cast<unsigned>(parts.size()));
  strategy.Limit = true;
  llvm::DefaultThreadPool pool(strategy);
  std::atomic<bool> anyFailed = false;
  context->setThreadPool(pool);
  for (size_t i : largestFirst(parts))
    pool.async([&, i] {
      if (failed(emit(i)))
        anyFailed = true;
    });
  pool.wait();
  context->disableMultithreading();
  if (anyFailed)
    return failure();
  return joinPtx(texts);
}

} // namespace compiler
} // namespace fourfold
