// fourfold-opt: reads a spec, verifies it, runs passes, prints it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/tools/ToolDialects.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

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

/// Reads the input; bytecode becomes text in a child process, whose crash is an error here.
static std::unique_ptr<llvm::MemoryBuffer> readInput(llvm::StringRef name, const DialectRegistry &registry) {
  std::string error, text;
  std::unique_ptr<llvm::MemoryBuffer> input = openInputFile(name, &error);
  if (!input) {
    llvm::errs() << error << "\n";
    return nullptr;
  }
  if (!fourfold::compiler::isBytecodeText(input->getBuffer()))
    return input;
  if (fourfold::compiler::guardedBytecodeToText(input->getBuffer(), input->getBufferIdentifier(), registry, &text))
    return llvm::MemoryBuffer::getMemBufferCopy(text, input->getBufferIdentifier());
  llvm::errs() << text << "\n";
  return nullptr;
}

static LogicalResult run(llvm::StringRef inputName, llvm::StringRef outputName, DialectRegistry &registry,
                         const MlirOptMainConfig &config) {
  std::unique_ptr<llvm::MemoryBuffer> input = readInput(inputName, registry);
  if (!input)
    return failure();
  MLIRContext context;
  if (failed(fourfold::compiler::checkNesting(input->getBuffer(), input->getBufferIdentifier(), context)))
    return failure();
  std::string error;
  std::unique_ptr<llvm::ToolOutputFile> output = openOutputFile(outputName, &error);
  if (!output)
    return llvm::errs() << error << "\n", failure();
  if (failed(MlirOptMain(output->os(), std::move(input), registry, config)))
    return failure();
  output->keep();
  return success();
}

int main(int argc, char **argv) {
  DialectRegistry registry;
  fourfold::compiler::registerToolDialects(registry);
  registerTransformsPasses();
  PassRegistration<ExpandMathPass>();
  auto [inputName, outputName] = registerAndParseCLIOptions(argc, argv, "Fourfold spec tool\n", registry);
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return asMainReturnCode(MlirOptMain(argc, argv, inputName, outputName, registry));
  llvm::InitLLVM init(argc, argv);
  return asMainReturnCode(run(inputName, outputName, registry, config));
}
