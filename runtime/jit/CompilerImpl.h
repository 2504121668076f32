// The plug-in behind Compiler and what is prepared with it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H
#define FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H

#include "fourfold/Compiler.h"
#include "plan/CompilerPlugin.h"
#include "runtime/core/SharedLibrary.h"
#include "runtime/jit/Cache.h"

namespace fourfold {

struct Compiler::Impl {
  std::string path, version;
  /// What tells this build of the compiler from others: part of every key.
  std::string identity;
  std::shared_ptr<Cache> cache;

  /// The plug-in's functions; loads it if that has not happened. Thread-safe.
  Status load(const FourfoldCompilerApi **result) const;
  /// Finds what a spec compiles to, or compiles it: "manifest", "ptx" and "warning", or "signature".
  Status compiled(const Spec &spec, const std::string &target, const char *emit, CachedTexts *texts) const;
  /// False for specs that declare functions in CUDA C++: the sources, what they include and NVRTC are in no key. They are compiled
  /// anew each time.
  static bool isCacheable(const Spec &spec);
  CacheKey compiledKey(const Spec &spec, const std::string &target, const char *emit) const;

private:
  friend class Compiler;
  /// Takes a file that says what it is without being loaded.
  bool takeNote(const std::string &file, Status *status);

  mutable std::mutex mutex;
  mutable SharedLibrary library;
  mutable const FourfoldCompilerApi *api = nullptr;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_COMPILERIMPL_H
