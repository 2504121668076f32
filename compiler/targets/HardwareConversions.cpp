// Conversions by instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/HardwareConversions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

Val hardwareEncodeE2M1Pair(KernelBuilder &k, Val low, Val high) {
  // PTX ISA 9.7.9.21: the first source goes to the high nibble.
  auto format = Float4E2M1FNType::get(k.context());
  return k.zext32(
      k.wrap(NVVM::ConvertF32x2ToF4x2Op::create(k.ir(), k.loc(), k.i8(), high, low, /*relu=*/false, format)));
}

Val hardwareEncodeE4M3(KernelBuilder &k, Val value) {
  auto format = Float8E4M3FNType::get(k.context());
  Val pair = k.wrap(NVVM::ConvertF32x2ToF8x2Op::create(k.ir(), k.loc(), k.i16(), k.cf(0.0f), value,
                                                       NVVM::FPRoundingMode::RN, NVVM::SaturationMode::SATFINITE,
                                                       /*relu=*/false, format));
  return k.zext32(pair) & 0xff;
}

} // namespace compiler
} // namespace fourfold
