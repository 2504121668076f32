// MLIR bytecode to text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "plan/ChildProcess.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

bool isBytecodeText(llvm::StringRef bytes) { return isBytecode(llvm::MemoryBufferRef(bytes, "")); }

/// Text cannot say it, damaged bytecode can: an extent below 0 that is not `?`.
static LogicalResult checkExtents(ModuleOp module) {
  auto check = [](Operation *op, Type type) -> LogicalResult {
    if (auto shaped = dyn_cast<ShapedType>(type); shaped && shaped.hasRank())
      for (int64_t extent : shaped.getShape())
        if (extent < 0 && !ShapedType::isDynamic(extent))
          return op->emitOpError() << "has a type with the extent " << extent << "; the bytecode is damaged";
    return success();
  };
  WalkResult walked = module.walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (failed(check(op, type)))
        return WalkResult::interrupt();
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Type type : block.getArgumentTypes())
          if (failed(check(op, type)))
            return WalkResult::interrupt();
    return WalkResult::advance();
  });
  return failure(walked.wasInterrupted());
}

FailureOr<std::string> bytecodeToText(llvm::StringRef bytes, llvm::StringRef fileName, MLIRContext &context) {
  // A copy: the reader wants alignment.
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(bytes, fileName);
  ParserConfig config(&context);
  Block block;
  if (failed(readBytecodeFile(buffer->getMemBufferRef(), &block, config)))
    return failure();
  auto location = FileLineColLoc::get(&context, fileName, /*line=*/1, /*column=*/1);
  OwningOpRef<ModuleOp> module = detail::constructContainerOpForParserIfNecessary<ModuleOp>(&block, &context, location);
  if (!module || failed(checkExtents(*module)) || failed(verify(*module)))
    return failure();
  std::string text;
  llvm::raw_string_ostream stream(text);
  // With locations: what is wrong further down is reported where the user wrote it.
  module->print(stream, OpPrintingFlags().enableDebugInfo());
  stream << "\n";
  return text;
}

bool guardedBytecodeToText(llvm::StringRef bytes, llvm::StringRef fileName, const DialectRegistry &registry, std::string *text) {
  ChildEnd end = runInChild(
      [&](std::string *result) {
        MLIRContext context(registry, MLIRContext::Threading::DISABLED);
        DiagnosticCollector diagnostics(context);
        FailureOr<std::string> printed = bytecodeToText(bytes, fileName, context);
        *result = succeeded(printed) ? std::move(*printed) : diagnostics.str();
        return succeeded(printed);
      },
      text);
  if (end == ChildEnd::Crash)
    *text = (fileName + ": error: the bytecode is damaged: its reader " + *text).str();
  else if (end == ChildEnd::Failure && text->empty())
    *text = (fileName + ": error: the bytecode is damaged").str();
  return end == ChildEnd::Success;
}

} // namespace compiler
} // namespace fourfold
