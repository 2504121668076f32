// Functions whose MLIR expansions are not accurate enough, or wrong at their limits, written out anew.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_FRONTEND_FUNCTIONPATTERNS_H
#define FOURFOLD_COMPILER_FRONTEND_FUNCTIONPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace fourfold {
namespace compiler {

/// Adds f32 patterns for acosh, asinh, atan, atanh, cos, exp, exp2, log10, powf, round, sin, sinh, tan and the tests
/// isnan, isinf, isfinite.
void populateFunctionPatterns(mlir::RewritePatternSet &patterns);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_FRONTEND_FUNCTIONPATTERNS_H
