// Which driver understands which version of PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_DEVICE_PTXVERSION_H
#define FOURFOLD_RUNTIME_DEVICE_PTXVERSION_H

#include <string>

namespace fourfold {
namespace device {

/// A version as CUDA numbers it: 12080 for CUDA 12.8; 0 if the text is none.
int parseVersion(const std::string &text);
/// "12.8" for 12080.
std::string versionText(int version);
/// The first CUDA version whose driver takes PTX of a version such as "8.7": 12080; 0 if that is not known.
int cudaForPtx(const std::string &ptx);
/// The newest PTX that a driver of a CUDA version takes: "8.7" for 12080.
std::string ptxForCuda(int cuda);

} // namespace device
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_DEVICE_PTXVERSION_H
