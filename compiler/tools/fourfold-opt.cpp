// fourfold-opt: reads a spec, verifies it, runs passes, prints it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/tools/ToolDialects.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace {

/// `expandMath` as a pass, so that people can see what a region becomes.
struct ExpandMathPass : PassWrapper<ExpandMathPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)

  llvm::StringRef getArgument() const override { return "fp4-expand-math"; }
  llvm::StringRef getDescription() const override { return "Rewrite math functions in fp4 regions to exact ops"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, math::MathDialect, vector::VectorDialect>();
  }
  void runOnOperation() override {
    if (failed(fourfold::compiler::expandMath(getOperation())))
      signalPassFailure();
  }
};

} // namespace

int main(int argc, char **argv) {
  DialectRegistry registry;
  fourfold::compiler::registerToolDialects(registry);
  registerTransformsPasses();
  PassRegistration<ExpandMathPass>();
  return asMainReturnCode(MlirOptMain(argc, argv, "Fourfold spec tool\n", registry));
}
