// The dialects that the tools know: those of specs and those of kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TOOLS_TOOLDIALECTS_H
#define FOURFOLD_COMPILER_TOOLS_TOOLDIALECTS_H

#include "compiler/frontend/Frontend.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/Extensions/InlinerExtension.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace fourfold {
namespace compiler {

/// Registers what a spec may hold and what `--emit=kernels` prints.
inline void registerToolDialects(mlir::DialectRegistry &registry) {
  registerSpecDialects(registry);
  registry.insert<mlir::scf::SCFDialect, mlir::cf::ControlFlowDialect, mlir::gpu::GPUDialect, mlir::NVVM::NVVMDialect,
                  mlir::LLVM::LLVMDialect, mlir::vector::VectorDialect>();
  mlir::func::registerInlinerExtension(registry);
}

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TOOLS_TOOLDIALECTS_H
