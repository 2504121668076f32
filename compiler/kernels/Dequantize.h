// The values of codes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_DEQUANTIZE_H
#define FOURFOLD_COMPILER_KERNELS_DEQUANTIZE_H

#include "compiler/kernels/KernelBuilder.h"
#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

inline constexpr int kDequantizeThreads = 256;

/// out[row, k] = value of the code (Numerics.h, nvfp4Decode, mxfp4Decode) of a matrix stored rows by K; with `axis` 0 out[k, row].
///
/// Parameters: codes, scales, [amax: nvfp4], out (f32), rows, K (i32). Grid: one thread a block of a row.
void buildDequantize(KernelModule module, llvm::StringRef name, const Target &target, Format format, int axis);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_DEQUANTIZE_H
