// sm_120a and sm_121a (RTX 50, RTX PRO, GB10): block-scaled mma.sync on FP4 registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_SM120_H
#define FOURFOLD_COMPILER_TARGETS_SM120_H

#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

class Sm120Target : public Target {
public:
  Sm120Target(llvm::StringRef name, llvm::StringRef feature, llvm::StringRef version)
      : targetName(name), feature(feature), version(version) {}

  llvm::StringRef name() const override { return targetName; }
  llvm::StringRef ptxFeature() const override { return feature; }
  llvm::StringRef ptxVersion() const override { return version; }
  int maxSharedBytes() const override { return 99 * 1024; }

  Val encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const override;
  Val encodeE4M3(KernelBuilder &k, Val value) const override;
  Val decodeE4M3(KernelBuilder &k, Val byte) const override;
  bool hasBlockScaledStep() const override { return true; }
  llvm::SmallVector<Val> matrixStep(KernelBuilder &k, Format format, llvm::ArrayRef<Val> a, llvm::ArrayRef<Val> b,
                                    llvm::ArrayRef<Val> c, Val scaleA, Val scaleB,
                                    ScaleSelectors selectors) const override;

private:
  llvm::StringRef targetName, feature, version;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_SM120_H
