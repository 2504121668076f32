// What the evaluator cannot know: values that depend on CUDA C++.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_EVALUATE_UNCHECKED_H
#define FOURFOLD_COMPILER_EVALUATE_UNCHECKED_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <string>
#include <vector>

namespace fourfold {
namespace compiler {

struct UncheckedValue {
  /// As `evaluate` reports it.
  std::string name;
  /// "it depends on 'gelu', CUDA C++ that the evaluator cannot run".
  std::string reason;
  /// A result of the function.
  bool isResult = false;
};

/// Every named value and every result that depends on an `fp4.call`, in the order of the source.
std::vector<UncheckedValue> uncheckedValues(mlir::func::FuncOp function);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_EVALUATE_UNCHECKED_H
