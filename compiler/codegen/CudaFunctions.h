// Functions in CUDA C++ that a spec calls: found, compiled by NVRTC, merged into the kernels' PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_CODEGEN_CUDAFUNCTIONS_H
#define FOURFOLD_COMPILER_CODEGEN_CUDAFUNCTIONS_H

#include "compiler/targets/Target.h"
#include "dialect/Fp4.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>

namespace fourfold {
namespace compiler {

/// The declarations that the regions of a spec call, each once, in the order of their first call.
llvm::SmallVector<mlir::fp4::CudaOp> calledFunctions(mlir::func::FuncOp function);

/// Merges what `calledFunctions` finds into `*ptx` and sets `*ptxVersion` to the module's, which may be NVRTC's newer one; nothing
/// changes where there are none. Failures are diagnostics: no NVRTC, a file
/// that cannot be read, errors of the C++ compiler at their file and line, a missing function, another signature.
mlir::LogicalResult addCudaFunctions(mlir::func::FuncOp function, const Target &target, std::string *ptx,
                                     std::string *ptxVersion);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_CODEGEN_CUDAFUNCTIONS_H
