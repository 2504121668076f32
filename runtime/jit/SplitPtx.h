// PTX of several kernels as modules of their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_SPLITPTX_H
#define FOURFOLD_RUNTIME_JIT_SPLITPTX_H

#include <string>
#include <vector>

namespace fourfold {

/// A kernel's name, and a module of it alone.
struct KernelPtx {
  std::string name, ptx;
};

/// The kernels of a module that the compiler wrote, each with the module's header and declarations. Empty where kernels share more than
/// declarations of dynamic shared memory: functions and variables stay with all of them.
std::vector<KernelPtx> splitKernels(const std::string &ptx);

/// The same kernels in at most `parts` modules whose texts are about as long as each other's; the module itself where it cannot be split.
std::vector<std::string> splitPtx(const std::string &ptx, size_t parts);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_SPLITPTX_H
