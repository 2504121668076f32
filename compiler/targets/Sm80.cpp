// sm_80 and sm_90a: every conversion in arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/Sm80.h"

#include "compiler/targets/SoftwareConversions.h"

namespace fourfold {
namespace compiler {

Val Sm80Target::encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const {
  return softwareEncodeE2M1(k, low) | (softwareEncodeE2M1(k, high) << 4);
}

Val Sm80Target::encodeE4M3(KernelBuilder &k, Val value) const { return softwareEncodeE4M3(k, value); }

Val Sm80Target::decodeE4M3(KernelBuilder &k, Val byte) const { return softwareDecodeE4M3(k, byte); }

} // namespace compiler
} // namespace fourfold
