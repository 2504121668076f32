// From PTX to machine code, by the CUDA toolkit where one is installed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_JIT_CUBIN_H
#define FOURFOLD_RUNTIME_JIT_CUBIN_H

#include "fourfold/Status.h"
#include "runtime/jit/Cache.h"

#include <cstdint>
#include <vector>

namespace fourfold {

/// The tools of a CUDA toolkit that assemble PTX; empty paths where there are none.
struct CudaTools {
  std::string nvJitLink, ptxas;
  /// "13.0", "" if unknown.
  std::string nvJitLinkVersion, ptxasVersion;
};

/// Looks in CUDA_HOME (/usr/local/cuda unless set), then where the system looks.
CudaTools findCudaTools();

/// Assembles PTX in process by nvJitLink, its kernels shared out over the cores: `texts` gets a module "cubin.0", "cubin.1" ... for
/// each. NotFound: there is no nvJitLink. Kept in the cache, as below.
Status linkCubins(const std::string &ptx, const std::string &target, CachedTexts *texts);

/// Assembles PTX by ptxas: `texts` gets "cubin" and "log", with what it says of registers and spills. NotFound: there is none.
Status assembleVerbosely(const std::string &ptx, const std::string &target, CachedTexts *texts);

/// Assembles PTX as one module: in process by nvJitLink, or by ptxas. Errors carry the assembler's log.
Status assembleCubin(const std::string &ptx, const std::string &target, std::vector<uint8_t> *cubin);

} // namespace fourfold

#endif // FOURFOLD_RUNTIME_JIT_CUBIN_H
