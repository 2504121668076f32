// Reading specs: text to a verified function whose values have names; bytecode to text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_FRONTEND_FRONTEND_H
#define FOURFOLD_COMPILER_FRONTEND_FRONTEND_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace fourfold {
namespace compiler {

/// Registers exactly what a spec may be written in: fp4, func, arith, math, tensor.
void registerSpecDialects(mlir::DialectRegistry &registry);

/// While alive, turns every diagnostic of a context into text instead of printing it.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);

  /// One string a diagnostic, its notes on lines of their own: `file:line:column: error: text`.
  const std::vector<std::string> &messages() const { return collected; }
  /// All messages, a newline between two.
  std::string str() const;

private:
  std::vector<std::string> collected;
  mlir::ScopedDiagnosticHandler handler;
};

/// A spec ready to plan or evaluate; the module owns the function.
struct ParsedSpec {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
};

/// Parses and verifies `text`, which must not be bytecode, picks `function` (empty: the only one of the module), checks
/// that it is a spec (one block, a body, a return) and names its values. Failures are diagnostics of the context.
mlir::FailureOr<ParsedSpec> parseSpec(llvm::StringRef text, llvm::StringRef fileName, mlir::MLIRContext &context,
                                      llvm::StringRef function);

/// Fails, at its line, for a text whose brackets are nested so deep, or whose affine maps are so long, that LLVM's parser, which calls itself
/// for each level, could run out of stack and end the process. `parseSpec` asks it.
mlir::LogicalResult checkNesting(llvm::StringRef text, llvm::StringRef fileName, mlir::MLIRContext &context);

/// True for bytes that begin as MLIR bytecode does.
bool isBytecodeText(llvm::StringRef bytes);
/// Reads and verifies bytecode, and prints it with its locations. LLVM's reader can crash, and corrupt memory, on damaged bytes: in this
/// process it is for bytes from somebody who is trusted. Failures are diagnostics of the context.
mlir::FailureOr<std::string> bytecodeToText(llvm::StringRef bytes, llvm::StringRef fileName, mlir::MLIRContext &context);
/// The same in a child process (see runInChild), for any bytes: true and the text, or false and an error.
bool guardedBytecodeToText(llvm::StringRef bytes, llvm::StringRef fileName, const mlir::DialectRegistry &registry, std::string *text);

/// The name of an argument or of an op's result in a spec that `parseSpec` made; "" for values inside regions.
///
/// In order: an argument's `fp4.name`; the `fp4.name` of the function result that the value is returned as; `fp4.names`
/// of its op; the SSA name in the source text; `arg0`, `center.0`. Names are unique: a later value that would repeat
/// one gets `_1`, `_2`, ...
llvm::StringRef valueName(mlir::Value value);

/// The name under which function result `index` is handed out: its `fp4.name`, else the name of the value, else
/// `result0`.
std::string resultName(mlir::func::FuncOp function, unsigned index);

/// Removes arguments that the caller leaves out. Each must carry `fp4.optional` and be a mask, or an operand of a region, which then
/// reads a full mask or -0.0. A name that the function does not have is an error, which lists those that it could be.
mlir::LogicalResult dropAbsent(mlir::func::FuncOp function, llvm::ArrayRef<std::string> absent);

/// Rewrites `math` functions inside fp4 regions to arith, math.fma and the other ops that IEEE 754 defines, so that the
/// evaluator and every kernel compute the same bits, and drops fast-math flags, which would permit others. Fails with a
/// diagnostic that names the op where no such rewriting exists.
mlir::LogicalResult expandMath(mlir::func::FuncOp function);

/// True for the arith and math ops whose every bit is defined: what `expandMath` leaves and the evaluator computes.
bool isExactRegionOp(mlir::Operation *op);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_FRONTEND_FRONTEND_H
