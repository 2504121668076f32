// LLVM's NVPTX back end: from the LLVM IR of kernels to PTX. Sees no MLIR.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_CODEGEN_BACKEND_H
#define FOURFOLD_COMPILER_CODEGEN_BACKEND_H

#include "compiler/targets/Target.h"

#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"

#include <memory>
#include <string>
#include <vector>

namespace fourfold {
namespace compiler {

/// A module in a context of its own, so that any thread can work on it.
struct KernelIr {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;
};

/// Optimizes a module and prints it. On failure `*error` says what was wrong.
bool optimizedIr(KernelIr &ir, const Target &target, std::string *text, std::string *error);

/// Optimizes a module and compiles it. On failure `*error` says what was wrong.
bool emitPtx(KernelIr &ir, const Target &target, std::string *ptx, std::string *error);

/// Joins modules that emitPtx wrote, in their order: one header, each declaration once.
std::string joinPtx(const std::vector<std::string> &parts);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_CODEGEN_BACKEND_H
