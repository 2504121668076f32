// Dependence on calls, forward through the ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/Unchecked.h"

#include "compiler/frontend/Frontend.h"
#include "dialect/Fp4.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

std::vector<UncheckedValue> uncheckedValues(func::FuncOp function) {
  llvm::DenseMap<Value, std::string> callees;
  std::vector<UncheckedValue> found;
  auto reason = [](llvm::StringRef callee) {
    return "it depends on '" + callee.str() + "', CUDA C++ that the evaluator cannot run";
  };
  for (Operation &op : function.front().without_terminator()) {
    std::string callee;
    for (Value operand : op.getOperands())
      if (auto known = callees.find(operand); known != callees.end() && callee.empty())
        callee = known->second;
    op.walk([&](fp4::CallOp call) {
      if (callee.empty())
        callee = call.getCallee().str();
    });
    if (callee.empty())
      continue;
    for (OpResult result : op.getResults()) {
      callees[result] = callee;
      found.push_back({valueName(result).str(), reason(callee), false});
    }
  }
  for (auto [index, value] : llvm::enumerate(function.front().getTerminator()->getOperands()))
    if (auto known = callees.find(value); known != callees.end())
      found.push_back({resultName(function, static_cast<unsigned>(index)), reason(known->second), true});
  return found;
}

} // namespace compiler
} // namespace fourfold
