// From a gpu.module of kernels to PTX text, in process.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_CODEGEN_PTX_H
#define FOURFOLD_COMPILER_CODEGEN_PTX_H

#include "compiler/targets/Target.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/DialectRegistry.h"

#include <string>

namespace fourfold {
namespace compiler {

/// Registers the dialects and translations that kernels and their lowering use.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Lowers the kernels of a module, in place, and returns them as optimized LLVM IR (`ptx` false) or as PTX, for which each kernel is
/// compiled on a thread of its own; the text does not depend on how many there are. On failure emits a diagnostic on the module; LLVM's
/// own abort is never reached for targets of findTarget().
mlir::FailureOr<std::string> translateModule(mlir::gpu::GPUModuleOp module, const Target &target, bool ptx);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_CODEGEN_PTX_H
