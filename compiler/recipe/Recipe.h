// A recipe: the three specs of a linear layer as one function, whose ops run in phases.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_RECIPE_RECIPE_H
#define FOURFOLD_COMPILER_RECIPE_RECIPE_H

#include "compiler/frontend/Frontend.h"

#include "llvm/ADT/DenseMap.h"

namespace fourfold {
namespace compiler {

/// When an op can run, by the arguments it depends on: the weight once an optimizer step, X in the forward pass, the gradient D once for
/// both of its products, then these. What one phase computes and a later one reads, the layer's caller keeps.
enum class Phase { Weights, Forward, Gradient, Dgrad, Wgrad };
inline constexpr int kNumPhases = 5;
/// "weights", "forward", "gradient", "dgrad", "wgrad".
const char *phaseName(Phase phase);

/// The attribute of a linked function, and the one that asks for reductions of statistics over ranks.
inline constexpr llvm::StringLiteral kRecipeAttr = "fourfold.recipe";
inline constexpr llvm::StringLiteral kDistributedAttr = "fourfold.distributed";

/// One of a recipe's specs.
struct RecipeSource {
  std::string text, fileName;
};

/// Merges linear_forward (x, w -> y), linear_dgrad (d, w -> dx) and linear_wgrad (d, x -> dw [, db]) into the function `linear`:
/// arguments of one name become one, equal ops become one (what backward derives from X is then computed in forward), ops are in the
/// order of their phases. `absent` names optional arguments and the result db that the layer does without.
mlir::FailureOr<ParsedSpec> linkRecipe(llvm::ArrayRef<RecipeSource> sources, llvm::ArrayRef<std::string> absent,
                                       bool distributed, mlir::MLIRContext &context);

/// The phase of every op of a linked function; fails where an op needs what no phase before it can give. Empty for other functions.
mlir::FailureOr<llvm::DenseMap<mlir::Operation *, Phase>> phasesOf(mlir::func::FuncOp function);

/// Pairs of values of a linked function that have one shape though no op says so: d and y, dx and x, dw and w.
llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> recipeTies(mlir::func::FuncOp function);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_RECIPE_RECIPE_H
