// PTX of kernels that a test builds itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_TARGETS_KERNELTEXT_H
#define FOURFOLD_TESTS_TARGETS_KERNELTEXT_H

#include "compiler/codegen/Ptx.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/MLIRContext.h"

#include <functional>
#include <gtest/gtest.h>

namespace fourfold {
namespace tests {

/// The PTX of what `build` puts into a module, for the target of that name.
inline std::string kernelText(const char *targetName,
                              const std::function<void(mlir::gpu::GPUModuleOp, const compiler::Target &)> &build) {
  mlir::DialectRegistry registry;
  compiler::registerKernelDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  std::string why;
  const compiler::Target *target = compiler::findTarget(targetName, &why);
  EXPECT_NE(target, nullptr) << why;
  mlir::OpBuilder builder(&context);
  mlir::OwningOpRef<mlir::gpu::GPUModuleOp> module =
      mlir::gpu::GPUModuleOp::create(builder, builder.getUnknownLoc(), "kernels");
  build(*module, *target);
  mlir::FailureOr<std::string> text = compiler::translateModule(*module, *target, /*ptx=*/true);
  EXPECT_TRUE(mlir::succeeded(text));
  return mlir::succeeded(text) ? *text : "";
}

} // namespace tests
} // namespace fourfold

#endif // FOURFOLD_TESTS_TARGETS_KERNELTEXT_H
