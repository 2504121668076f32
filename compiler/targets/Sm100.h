// sm_100a and sm_103a (B200, B300): block-scaled tcgen05 steps on tensor memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_SM100_H
#define FOURFOLD_COMPILER_TARGETS_SM100_H

#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// Conversions in hardware; FP4 products by tcgen05.mma (compiler/kernels/MatmulTensorMemory.cpp), others by mma.sync.
class Sm100Target : public Target {
public:
  Sm100Target(llvm::StringRef name, llvm::StringRef feature, llvm::StringRef version)
      : targetName(name), feature(feature), version(version) {}

  llvm::StringRef name() const override { return targetName; }
  llvm::StringRef ptxFeature() const override { return feature; }
  llvm::StringRef ptxVersion() const override { return version; }
  int maxSharedBytes() const override { return 227 * 1024; }
  bool hasBlockScaledStep() const override { return true; }
  bool hasTensorMemory() const override { return true; }

  Val encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const override;
  Val encodeE4M3(KernelBuilder &k, Val value) const override;
  Val decodeE4M3(KernelBuilder &k, Val byte) const override;

private:
  llvm::StringRef targetName, feature, version;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_SM100_H
