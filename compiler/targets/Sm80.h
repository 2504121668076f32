// sm_80 (A100, RTX 30 and 40, L4) and sm_90a (H100): FP4 formats without FP4 instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_SM80_H
#define FOURFOLD_COMPILER_TARGETS_SM80_H

#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// Conversions in arithmetic; matrix products by bf16 or 8-bit integer steps (compiler/kernels/MatmulStage.h).
class Sm80Target : public Target {
public:
  Sm80Target(llvm::StringRef name, llvm::StringRef feature, llvm::StringRef version, int sharedBytes, bool hasWarpgroups)
      : targetName(name), feature(feature), version(version), sharedBytes(sharedBytes), hasWarpgroups(hasWarpgroups) {}

  llvm::StringRef name() const override { return targetName; }
  llvm::StringRef ptxFeature() const override { return feature; }
  llvm::StringRef ptxVersion() const override { return version; }
  int maxSharedBytes() const override { return sharedBytes; }
  bool hasWarpgroupStep() const override { return hasWarpgroups; }

  Val encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const override;
  Val encodeE4M3(KernelBuilder &k, Val value) const override;
  Val decodeE4M3(KernelBuilder &k, Val byte) const override;

private:
  llvm::StringRef targetName, feature, version;
  int sharedBytes;
  bool hasWarpgroups;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_SM80_H
