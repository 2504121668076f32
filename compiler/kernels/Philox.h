// Philox4x32-10 inside kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_PHILOX_H
#define FOURFOLD_COMPILER_KERNELS_PHILOX_H

#include "compiler/kernels/KernelBuilder.h"

#include <array>

namespace fourfold {
namespace compiler {

/// Four random words (i32) for a counter of four words and a key (i64): Numerics.h, philox4x32.
std::array<Val, 4> philox4x32(KernelBuilder &k, std::array<Val, 4> counter, Val key);

/// One e2m1 code (i32) of `value`, rounded stochastically with the low 16 bits of `random16`: Numerics.h, encodeE2M1Stochastic, for
/// values that are not NaN.
Val encodeE2M1Stochastic(KernelBuilder &k, Val value, Val random16);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_PHILOX_H
