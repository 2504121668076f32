// The opened plug-in behind Compiler and what is prepared with it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H
#define FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H

#include "fourfold/Compiler.h"
#include "plan/CompilerPlugin.h"
#include "runtime/core/SharedLibrary.h"

namespace fourfold {

struct Compiler::Impl {
  SharedLibrary library;
  const FourfoldCompilerApi *api = nullptr;
  std::string path;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H
