// From a gpu.module of kernels to PTX text, in process.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_CODEGEN_PTX_H
#define FOURFOLD_COMPILER_CODEGEN_PTX_H

#include "compiler/targets/Target.h"

#include "mlir/IR/DialectRegistry.h"

#include <string>

namespace fourfold {
namespace compiler {

/// Registers the dialects and translations that kernels and their lowering use.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Lowers scf, arith and math inside the module to the LLVM dialect, in place. Numerics: bit-exact.
mlir::LogicalResult lowerToLLVMDialect(mlir::gpu::GPUModuleOp module);

/// Translates a lowered module to LLVM IR, optimizes it and returns the IR as text (`ptx` false) or the PTX. On failure emits a
/// diagnostic on the module; LLVM's own abort is never reached for targets of findTarget().
mlir::FailureOr<std::string> translateModule(mlir::gpu::GPUModuleOp module, const Target &target, bool ptx);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_CODEGEN_PTX_H
