// Verifiers of the ops that declare and call functions written in CUDA C++.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Fp4.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::fp4;

LogicalResult CudaOp::verify() {
  llvm::StringRef name = getSymName();
  if (name.empty() || llvm::isDigit(name.front()) || // cuda_c1
      !llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; }))
    return emitOpError() << "expects a name that is a C identifier, but got '" << name << "'";
  FunctionType type = getFunctionType();
  auto isPassed = [](Type type) { return type.isF32() || type.isSignlessInteger(32); };
  if (type.getNumResults() != 1 || !type.getResult(0).isF32() || !llvm::all_of(type.getInputs(), isPassed)) // cuda_c2
    return emitOpError() << "'" << name << "' expects arguments of f32 or i32 and one result of f32, but got " << type;
  if (getFile().has_value() == getSource().has_value()) // cuda_c3
    return emitOpError() << "'" << name << "' expects either file = \"...\" or source = \"...\", but got "
                         << (getFile() ? "both" : "neither");
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto callee = symbols.lookupNearestSymbolFrom<CudaOp>(*this, getCalleeAttr());
  if (!callee) // call_c1
    return emitOpError() << "calls '" << getCallee() << "', but the module has no fp4.cuda of that name";
  auto type = FunctionType::get(getContext(), getOperandTypes(), getResult().getType());
  if (type == callee.getFunctionType()) // call_c2
    return success();
  InFlightDiagnostic error = emitOpError() << "calls '" << getCallee() << "' as " << type << ", but it is declared as "
                                           << callee.getFunctionType();
  error.attachNote(callee.getLoc()) << "it is declared here";
  return error;
}
