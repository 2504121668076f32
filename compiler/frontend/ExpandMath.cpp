// Math functions as fixed sequences of exact operations.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/frontend/Frontend.h"

#include "dialect/Fp4.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

/// Functions that IEEE 754 defines to the bit, and that every target has.
static bool isExact(llvm::StringRef name) {
  static const llvm::StringSet<> exact = {"math.absf",      "math.absi", "math.ceil", "math.copysign", "math.floor",
                                          "math.fma",       "math.sqrt", "math.trunc", "math.roundeven"};
  return exact.contains(name);
}

LogicalResult expandMath(func::FuncOp function) {
  bool needed = false;
  function.walk([&](Operation *op) {
    needed |= isa<math::MathDialect>(op->getDialect()) && !isExact(op->getName().getStringRef());
  });
  if (!needed)
    return success();

  // The rewrites of scalars pass through vector ops on some paths.
  function.getContext()->getOrLoadDialect<vector::VectorDialect>();
  RewritePatternSet patterns(function.getContext());
  math::populateExpansionPatterns(patterns, {"rsqrt", "sinh", "cosh", "tan", "asinh", "acosh", "atanh", "powf", "fpowi",
                                             "exp2", "round", "clampf"});
  auto viaPolynomial = [](llvm::StringRef name) { return !isExact(name); };
  populateMathF32ExpansionPatterns(patterns, viaPolynomial);
  populateMathPolynomialApproximationPatterns(patterns, viaPolynomial);
  if (failed(applyPatternsGreedily(function, std::move(patterns))))
    return function.emitError("cannot rewrite the math functions of its regions");

  LogicalResult result = success();
  function.walk([&](Operation *op) {
    if (!isa<math::MathDialect>(op->getDialect()) || isExact(op->getName().getStringRef()))
      return;
    result = op->emitError() << "'" << op->getName()
                             << "' has no rewrite into exact operations, so targets would disagree about its bits";
  });
  return result;
}

} // namespace compiler
} // namespace fourfold
