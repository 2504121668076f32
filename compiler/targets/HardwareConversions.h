// Conversions to e2m1 and e4m3 by the instructions that Blackwell has, data centre and consumer alike.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_HARDWARECONVERSIONS_H
#define FOURFOLD_COMPILER_TARGETS_HARDWARECONVERSIONS_H

#include "compiler/kernels/KernelBuilder.h"

namespace fourfold {
namespace compiler {

/// Two f32 to e2m1, nearest even, saturating, as a byte in an i32; `low` in the low nibble.
Val hardwareEncodeE2M1Pair(KernelBuilder &k, Val low, Val high);

/// f32 to the e4m3 byte in an i32: nearest even, saturating, NaN to 0x7f.
Val hardwareEncodeE4M3(KernelBuilder &k, Val value);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_HARDWARECONVERSIONS_H
