// PTX of several compilers as one module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_CUDA_PTXMERGE_H
#define FOURFOLD_CUDA_PTXMERGE_H

#include <string>

namespace fourfold {
namespace cuda {

/// Puts the functions and variables of `library` before the kernels of `kernels`, whose `.extern` declarations of these functions
/// go. The header is the kernels', with the higher of the two versions. Fails where the two are for different targets or address sizes,
/// or where a function that the kernels declare is not in the library with the same parameters; `*error` says which.
///
/// Text alone is merged, so that the result is one module for any driver, for nvJitLink, for ptxas and for the emulated device.
bool mergePtx(const std::string &kernels, const std::string &library, std::string *merged, std::string *error);

} // namespace cuda
} // namespace fourfold

#endif // FOURFOLD_CUDA_PTXMERGE_H
