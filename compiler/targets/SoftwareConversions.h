// Conversions to and from e2m1 and e4m3 in integer and float arithmetic, for targets without the instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_SOFTWARECONVERSIONS_H
#define FOURFOLD_COMPILER_TARGETS_SOFTWARECONVERSIONS_H

#include "compiler/kernels/KernelBuilder.h"

namespace fourfold {
namespace compiler {

/// f32 to the e2m1 code in the low four bits of an i32: nearest even, saturating, NaN to 7 (+6), as cvt.rn.satfinite.e2m1x2.f32.
/// Ten instructions.
Val softwareEncodeE2M1(KernelBuilder &k, Val value);

/// f32 to the e4m3 byte in an i32: nearest even, saturating, NaN to 0x7f, as cvt.rn.satfinite.e4m3x2.f32.
Val softwareEncodeE4M3(KernelBuilder &k, Val value);

/// The f32 value of a non-negative e4m3 byte that is not NaN, in an i32.
Val softwareDecodeE4M3(KernelBuilder &k, Val byte);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_SOFTWARECONVERSIONS_H
