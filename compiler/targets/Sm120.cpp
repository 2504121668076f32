// sm_120a: conversions in hardware, matrix steps by mma.sync ... block_scale.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/targets/Sm120.h"

#include "compiler/targets/SoftwareConversions.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace fourfold {
namespace compiler {

Val Sm120Target::encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const {
  // PTX ISA 9.7.9.21: the first source goes to the high nibble.
  auto format = Float4E2M1FNType::get(k.context());
  return k.zext32(
      k.wrap(NVVM::ConvertF32x2ToF4x2Op::create(k.ir(), k.loc(), k.i8(), high, low, /*relu=*/false, format)));
}

Val Sm120Target::encodeE4M3(KernelBuilder &k, Val value) const {
  auto format = Float8E4M3FNType::get(k.context());
  Val pair = k.wrap(NVVM::ConvertF32x2ToF8x2Op::create(k.ir(), k.loc(), k.i16(), k.cf(0.0f), value,
                                                       NVVM::FPRoundingMode::RN, NVVM::SaturationMode::SATFINITE,
                                                       /*relu=*/false, format));
  return k.zext32(pair) & 0xff;
}

Val Sm120Target::decodeE4M3(KernelBuilder &k, Val byte) const {
  return softwareDecodeE4M3(k, byte);
}

llvm::SmallVector<Val> Sm120Target::matrixStep(KernelBuilder &k, Format format, llvm::ArrayRef<Val> a,
                                               llvm::ArrayRef<Val> b, llvm::ArrayRef<Val> c, Val scaleA, Val scaleB,
                                               ScaleSelectors selectors) const {
  auto values = [](llvm::ArrayRef<Val> list) { return llvm::SmallVector<Value>(list.begin(), list.end()); };
  auto resultType = LLVM::LLVMStructType::getLiteral(k.context(), {k.f32(), k.f32(), k.f32(), k.f32()});
  bool isNVFP4 = format == Format::NVFP4;
  Val byte = k.c16(selectors.byte);
  Value d = NVVM::MmaBlockScaleOp::create(
      k.ir(), k.loc(), resultType, values(a), values(b), values(c), scaleA, byte, k.c16(selectors.threadA), scaleB, byte,
      k.c16(selectors.threadB), {16, 8, 64}, std::array{NVVM::MMATypes::e2m1, NVVM::MMATypes::e2m1},
      isNVFP4 ? NVVM::ScaleVecSize::X4 : NVVM::ScaleVecSize::X2,
      isNVFP4 ? NVVM::BlockScaleFormat::UE4M3 : NVVM::BlockScaleFormat::UE8M0, NVVM::MMABlockScaleKind::MXF4NVF4);
  llvm::SmallVector<Val> results;
  for (int64_t i = 0; i < 4; ++i)
    results.push_back(k.wrap(LLVM::ExtractValueOp::create(k.ir(), k.loc(), d, i)));
  return results;
}

} // namespace compiler
} // namespace fourfold
