// From FP4 codes and block scales to bf16, exactly.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// e2m1 times its block scale is exact in bf16, so all products are those of FP4 tensor cores; only the accumulation differs.
//
// Eight codes of a register become four bf16 pairs. Shifted so that its exponent and mantissa meet those of bf16, a code is its value times
// 2^-126, subnormals included; one fma by the scale makes it whole. Codes i and i + 4 are pair i.

#ifndef FOURFOLD_COMPILER_KERNELS_CODEDEQUANTIZER_H
#define FOURFOLD_COMPILER_KERNELS_CODEDEQUANTIZER_H

#include "compiler/targets/Target.h"

#include <utility>

namespace fourfold {
namespace compiler {

class CodeDequantizer {
public:
  CodeDequantizer(KernelBuilder &k, Format format) : k(k), isNVFP4(format == Format::NVFP4) {}

  /// The factors of two blocks of a row as bf16 pairs (both halves alike), from its word of scales. nvfp4: those of bytes 0 and 2, of the
  /// first and second 32 of K; mxfp4: the two bytes of step 0 or 1 of K = 64.
  std::pair<Val, Val> factors(Val word, Val step);
  /// The same for lane 4 g + t of a fragment, whose registers hold codes 8 t to 8 t + 7 of the first and of the second 32 of K.
  std::pair<Val, Val> laneFactors(Val word, Val lane, Val step);
  /// The four pairs of a register of codes, times a factor.
  llvm::SmallVector<Val> pairs(Val codes, Val factor);
  /// What factors lack of the scales, to multiply sums by; null where they lack nothing.
  Val sumFactor() const { return isNVFP4 ? k.cf(65536.0f) : Val(); }

private:
  Val multiply(Val x, Val y);

  KernelBuilder &k;
  bool isNVFP4;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_CODEDEQUANTIZER_H
