// What the files of cvt share.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_CONVERT_H
#define FOURFOLD_RUNTIME_EMULATOR_CONVERT_H

#include "Decoder.h"

namespace fourfold {
namespace emulator {

/// Bits of Instr::flags of a conversion; Instr::variant2 is the rounding.
inline constexpr uint32_t kFlush = 1, kSaturate = 2, kSatFinite = 4, kRelu = 8, kToInteger = 16, kWideSource = 32, kWideResult = 64;

/// Whether the type is a pair of floats in one register.
bool isPackedFloat(Type type);
/// A conversion to or from such a pair; called with all modifiers taken.
bool decodePackedConversion(Decoder &decoder, Type to, Type from);
/// cvt.pack; called with `.pack` taken.
bool decodeIntegerPack(Decoder &decoder);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_CONVERT_H
