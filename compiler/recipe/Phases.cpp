// Which phase computes which op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/recipe/Recipe.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

const char *phaseName(Phase phase) {
  static constexpr const char *names[kNumPhases] = {"weights", "forward", "gradient", "dgrad", "wgrad"};
  return names[static_cast<int>(phase)];
}

namespace {

/// The arguments that decide, as bits. Masks, seeds and offsets are there in every phase.
enum Dependence : unsigned { kOnW = 1, kOnX = 2, kOnD = 4, kOnOldGradient = 8 };

unsigned dependenceOf(llvm::StringRef argument) {
  if (argument == "w")
    return kOnW;
  if (argument == "x" || argument == "bias")
    return kOnX;
  if (argument == "d")
    return kOnD;
  return argument == "dw_in" ? unsigned{kOnOldGradient} : 0u;
}

Phase phaseOf(unsigned dependence) {
  if (dependence & kOnOldGradient)
    return Phase::Wgrad;
  if (dependence & kOnD)
    return dependence & kOnX ? Phase::Wgrad : dependence & kOnW ? Phase::Dgrad : Phase::Gradient;
  return dependence & kOnX ? Phase::Forward : Phase::Weights;
}

} // namespace

FailureOr<llvm::DenseMap<Operation *, Phase>> phasesOf(func::FuncOp function) {
  llvm::DenseMap<Operation *, Phase> phases;
  if (!function->hasAttr(kRecipeAttr))
    return phases;
  llvm::DenseMap<Value, unsigned> dependences;
  for (BlockArgument argument : function.getArguments())
    dependences[argument] = dependenceOf(valueName(argument));
  for (Operation &op : function.front()) {
    unsigned dependence = 0;
    Phase latest = Phase::Weights;
    for (Value operand : op.getOperands()) {
      dependence |= dependences.lookup(operand);
      if (Operation *source = operand.getDefiningOp())
        latest = std::max(latest, phases.lookup(source));
    }
    Phase phase = phaseOf(dependence);
    // dgrad and wgrad are calls of their own: neither may wait for the other.
    if (phase == Phase::Wgrad && latest == Phase::Dgrad && !isa<func::ReturnOp>(op))
      return op.emitOpError("of the weight's gradient needs what only the input's gradient computes"), failure();
    phases[&op] = phase;
    for (Value result : op.getResults())
      dependences[result] = dependence;
  }
  return phases;
}

llvm::SmallVector<std::pair<Value, Value>> recipeTies(func::FuncOp function) {
  llvm::SmallVector<std::pair<Value, Value>> ties;
  if (!function->hasAttr(kRecipeAttr))
    return ties;
  Operation *terminator = function.front().getTerminator();
  auto tie = [&](llvm::StringRef argumentName, llvm::StringRef name) {
    for (BlockArgument argument : function.getArguments())
      for (auto [index, value] : llvm::enumerate(terminator->getOperands()))
        if (valueName(argument) == argumentName && resultName(function, index) == name)
          ties.push_back({argument, value});
  };
  tie("d", "y");
  tie("x", "dx");
  tie("w", "dw");
  return ties;
}

} // namespace compiler
} // namespace fourfold
