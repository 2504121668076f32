// Parsing a spec and picking its function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"
#include "compiler/frontend/Names.h"
#include "dialect/Fp4.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Bytecode/BytecodeReader.h"
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
    return module.emitError() << "has " << functions.size() << " functions, " << known << ": say which one", failure();
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

FailureOr<ParsedSpec> parseSpec(llvm::StringRef text, llvm::StringRef fileName, MLIRContext &context,
                                llvm::StringRef function) {
  llvm::StringRef name = fileName.empty() ? llvm::StringRef("<spec>") : fileName;
  // The parser reads up to a terminating NUL, which `text` need not have.
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name), llvm::SMLoc());
  llvm::MemoryBufferRef buffer = sources.getMemoryBuffer(sources.getMainFileID())->getMemBufferRef();

  ParserConfig config(&context);
  Block block;
  AsmParserState state;
  bool isText = !isBytecode(buffer);
  if (failed(isText ? parseAsmSourceFile(sources, &block, config, &state) : readBytecodeFile(buffer, &block, config)))
    return failure();
  auto location = FileLineColLoc::get(&context, name, /*line=*/1, /*column=*/1);
  ParsedSpec result;
  result.module = detail::constructContainerOpForParserIfNecessary<ModuleOp>(&block, &context, location);
  if (!result.module)
    return failure();
  if (!isText && failed(checkExtents(*result.module)))
    return failure();
  FailureOr<func::FuncOp> picked = pickFunction(*result.module, function);
  if (failed(picked) || failed(checkFunction(*picked)) || failed(nameValues(*picked, isText ? &state : nullptr)))
    return failure();
  result.function = *picked;
  return result;
}

} // namespace compiler
} // namespace fourfold
