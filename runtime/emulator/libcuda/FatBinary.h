// PTX out of what programs pass to cuModuleLoadData: text, or a fat binary as nvcc, fatbinary and cuobjdump lay it out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_FATBINARY_H
#define FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_FATBINARY_H

#include <string>

namespace fourfold {
namespace libcuda {

/// The PTX of an image for a device of compute capability `capability` (90 for 9.0): of a fat binary the newest that the device takes.
/// On failure `*why` says what the image is and how to make one with PTX in it.
bool ptxOfImage(const void *image, int capability, std::string *ptx, std::string *why);

} // namespace libcuda
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_LIBCUDA_FATBINARY_H
