// nvJitLink of a CUDA toolkit, opened at run time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_NVJITLINK_H
#define FOURFOLD_RUNTIME_JIT_NVJITLINK_H

#include "fourfold/Status.h"

#include <cstdint>
#include <memory>

namespace fourfold {

class NvJitLink {
public:
  /// That of FOURFOLD_NVJITLINK, of CUDA_HOME, or where the system looks; null if there is none. Looked for once; a file is not loaded
  /// before something is assembled.
  static std::shared_ptr<const NvJitLink> find();
  ~NvJitLink();

  const std::string &path() const;
  /// What tells this build from others: part of the cache's keys.
  const std::string &identity() const;
  /// "13.0"; "" if it cannot be loaded.
  std::string version() const;
  /// PTX -> machine code for "sm_120a". Unsupported: it cannot be loaded, or is too old for the target. Thread-safe.
  Status assemble(const std::string &ptx, const std::string &target, std::string *cubin) const;

private:
  struct Impl;
  explicit NvJitLink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_NVJITLINK_H
