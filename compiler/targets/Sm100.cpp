// sm_100a and sm_103a: conversions in hardware. Their stochastic rounding (cvt.rs) is not used: which random bits go where is not published,
// and codes are the same on all targets.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/Sm100.h"

#include "compiler/targets/HardwareConversions.h"
#include "compiler/targets/SoftwareConversions.h"

namespace fourfold {
namespace compiler {

Val Sm100Target::encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const { return hardwareEncodeE2M1Pair(k, low, high); }

Val Sm100Target::encodeE4M3(KernelBuilder &k, Val value) const { return hardwareEncodeE4M3(k, value); }

Val Sm100Target::decodeE4M3(KernelBuilder &k, Val byte) const { return softwareDecodeE4M3(k, byte); }

} // namespace compiler
} // namespace fourfold
