// Parsing a spec and picking its function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/Names.h"
#include "dialect/Fp4.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

void registerSpecDialects(DialectRegistry &registry) {
  registry.insert<fp4::Fp4Dialect, func::FuncDialect, arith::ArithDialect, math::MathDialect, tensor::TensorDialect>();
}

static FailureOr<func::FuncOp> pickFunction(ModuleOp module, llvm::StringRef wanted) {
  auto functions = llvm::to_vector(module.getOps<func::FuncOp>());
  std::string known;
  for (func::FuncOp function : functions) {
    if (!wanted.empty() && function.getName() == wanted)
      return function;
    known += (known.empty() ? "" : ", ") + function.getName().str();
  }
  if (functions.empty())
    return module.emitError() << "expects a func.func, but the module has none", failure();
  if (!wanted.empty())
    return module.emitError() << "has no function '" << wanted << "'; it has " << known, failure();
  if (functions.size() > 1)
    return module.emitError() << "has " << functions.size() << " functions, " << known << ": say which one, --function NAME in the tool", failure();
  return functions.front();
}

static LogicalResult checkFunction(func::FuncOp function) {
  if (function.isExternal())
    return function.emitOpError() << "'" << function.getName() << "' has no body";
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitOpError() << "'" << function.getName() << "' expects one block, but has "
                                  << function.getBody().getBlocks().size();
  return success();
}

FailureOr<ParsedSpec> parseSpec(llvm::StringRef text, llvm::StringRef fileName, MLIRContext &context,
                                llvm::StringRef function) {
  llvm::StringRef name = fileName.empty() ? llvm::StringRef("<spec>") : fileName;
  auto location = FileLineColLoc::get(&context, name, /*line=*/1, /*column=*/1);
  if (isBytecodeText(text))
    return emitError(location) << "is MLIR bytecode, which is not read here: LLVM's reader of it can corrupt memory when bytes are damaged. "
                                  "Give its text, which 'fourfold-opt' prints",
           failure();
  if (failed(checkNesting(text, name, context)))
    return failure();
  // The parser reads up to a terminating NUL, which `text` need not have.
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name), llvm::SMLoc());

  ParserConfig config(&context);
  Block block;
  AsmParserState state;
  if (failed(parseAsmSourceFile(sources, &block, config, &state)))
    return failure();
  ParsedSpec result;
  result.module = detail::constructContainerOpForParserIfNecessary<ModuleOp>(&block, &context, location);
  if (!result.module)
    return failure();
  FailureOr<func::FuncOp> picked = pickFunction(*result.module, function);
  if (failed(picked) || failed(checkFunction(*picked)) || failed(nameValues(*picked, &state)))
    return failure();
  result.function = *picked;
  return result;
}

} // namespace compiler
} // namespace fourfold
