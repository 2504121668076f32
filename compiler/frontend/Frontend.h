// Reading specs: parsing, naming values, making region math exact, collecting diagnostics.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_FRONTEND_FRONTEND_H
#define FOURFOLD_COMPILER_FRONTEND_FRONTEND_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>

namespace fourfold {
namespace compiler {

/// A parsed and verified spec.
struct ParsedSpec {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
};

/// Registers the dialects that specs may use: fp4, func, arith, math.
void registerSpecDialects(mlir::DialectRegistry &registry);

/// Collects a context's errors as text, one `file:line:column: error: text` a line with notes after it. While it lives, nothing is
/// printed.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext &context);
  /// What was collected so far, lines ended except for the last.
  const std::string &str() const { return text; }

private:
  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

/// Parses MLIR text or bytecode and finds the function: the one named, or the only one. Every value gets a name: its `fp4.name`, else
/// its name in the source text (`%mu`), else `argN` and `opN`; names of one function are unique. Emits diagnostics on failure.
mlir::FailureOr<ParsedSpec> parseSpec(llvm::StringRef text, llvm::StringRef fileName, mlir::MLIRContext &context,
                                      llvm::StringRef functionName = "");

/// The name of a value of a parsed spec.
llvm::StringRef valueName(mlir::Value value);

/// Rewrites math functions in fp4 regions that IEEE 754 does not define (exp, tanh, erf, ...) into arith and math.fma, so that the
/// evaluator and every kernel compute the same bits. What stays: absf, ceil, copysign, floor, fma, roundeven, sqrt, trunc. Emits a
/// diagnostic naming the op where there is no rewrite.
mlir::LogicalResult expandMath(mlir::func::FuncOp function);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_FRONTEND_FRONTEND_H
