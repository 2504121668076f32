// From a spec to a kernel plan: what fuses into which kernel, the buffers between them, the order of launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_PLANNER_PLANNER_H
#define FOURFOLD_COMPILER_PLANNER_PLANNER_H

#include "compiler/targets/Target.h"
#include "plan/Plan.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace fourfold {
namespace compiler {

/// A plan and the kernels it launches. The plan alone needs no target code to be built or tested.
struct PlannedSpec {
  plan::Plan plan;
  mlir::OwningOpRef<mlir::gpu::GPUModuleOp> kernels;
};

/// Plans `func`, whose values are named (compiler/frontend) and whose regions hold only arith and exact math ops.
///
/// Fuses: prologue, centring and Hadamard into the kernels that read their result; an epilogue into the matmul that feeds it;
/// column statistics of one source into one read. `mode` matters to targets without FP4 tensor cores. Of the plan's kernels all are built, or
/// the one that `only` names, if the plan has it. Emits a diagnostic on the op for what has no kernel.
mlir::FailureOr<PlannedSpec> planSpec(mlir::func::FuncOp func, const Target &target,
                                      MatmulMode mode = MatmulMode::Fast, llvm::StringRef only = {});

/// What callers pass and get back, without kernels: a plan with dimensions, inputs and those outputs that are plain tensors. It
/// exists for every spec, also for those that no target has kernels for yet.
mlir::FailureOr<plan::Plan> signatureOf(mlir::func::FuncOp func);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_PLANNER_PLANNER_H
