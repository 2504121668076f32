// What differs between GPU targets: the conversions and the matrix step. One implementation a target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_TARGETS_TARGET_H
#define FOURFOLD_COMPILER_TARGETS_TARGET_H

#include "compiler/kernels/KernelBuilder.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace fourfold {
namespace compiler {

/// Number format of a quantized operand.
enum class Format { NVFP4, MXFP4 };

/// "nvfp4" or "mxfp4".
llvm::StringRef formatName(Format format);
/// Elements of K that share a scale: 16 or 32.
int formatBlockSize(Format format);

/// How block-scaled products are summed on targets without FP4 tensor cores. Fast: operands dequantized to bf16, where all products are
/// exact, and fp32 accumulation. Faithful: the bits of an FP4 tensor core as dialect/MmaModel.h has it. Where tensor cores take FP4 there
/// is one way to sum, which is what faithful means, and both modes give the same kernels.
enum class MatmulMode { Fast, Faithful };

/// "fast" or "faithful".
llvm::StringRef modeName(MatmulMode mode);
/// The mode of that name; "" is fast. None for anything else.
std::optional<MatmulMode> parseMode(llvm::StringRef name);

/// Which of the lanes' scale registers one matrix step reads (PTX ISA 9.7.14.3): lanes of A are chosen by `threadA` (0..1), lanes
/// of B by `threadB` (0..3), the first byte of the register by `byte` (0 for four scales, 0 or 2 for two).
struct ScaleSelectors {
  int byte;
  int threadA;
  int threadB;
};

/// A GPU target.
class Target {
public:
  virtual ~Target() = default;

  /// "sm_120a": also the emulated device's suffix and ptxas' -arch.
  virtual llvm::StringRef name() const = 0;
  /// The lowest PTX version that has what our kernels use, as LLVM's feature ("+ptx87").
  virtual llvm::StringRef ptxFeature() const = 0;
  /// The same for people: "8.7".
  virtual llvm::StringRef ptxVersion() const = 0;
  /// Dynamic shared memory a block may have, in bytes.
  virtual int maxSharedBytes() const = 0;

  /// Two f32 rounded to e2m1, nearest even, saturating: a byte in an i32, `low` in the low nibble.
  virtual Val encodeE2M1Pair(KernelBuilder &k, Val low, Val high) const = 0;
  /// f32 rounded to e4m3, nearest even, saturating: a byte in an i32. The input is not NaN.
  virtual Val encodeE4M3(KernelBuilder &k, Val value) const = 0;
  /// The f32 value of a non-negative e4m3 byte in an i32.
  virtual Val decodeE4M3(KernelBuilder &k, Val byte) const = 0;

  /// Whether the tensor cores take FP4 and block scales; where not, matmuls are made of other steps, in one of two modes.
  virtual bool hasBlockScaledStep() const { return false; }
  /// Whether matrix steps of whole warpgroups exist (wgmma).
  virtual bool hasWarpgroupStep() const { return false; }
  /// One step of 16 x 8 x 64 on FP4 fragments: A in 4, B in 2, C in 4 registers; returns D. Only where `hasBlockScaledStep` and not
  /// `hasTensorMemory`.
  virtual llvm::SmallVector<Val> matrixStep(KernelBuilder &k, Format format, llvm::ArrayRef<Val> a,
                                            llvm::ArrayRef<Val> b, llvm::ArrayRef<Val> c, Val scaleA, Val scaleB,
                                            ScaleSelectors selectors) const;
  /// Whether block-scaled steps take their operands from shared memory and accumulate in tensor memory (tcgen05), not in registers.
  virtual bool hasTensorMemory() const { return false; }
};

/// The target of that name, or null with `*why` set: unknown (with the known names), or known but without kernels yet.
const Target *findTarget(llvm::StringRef name, std::string *why);

/// Name, whether it has kernels, and why not.
struct TargetStatus {
  llvm::StringRef name;
  bool supported;
  llvm::StringRef reason;
};
llvm::ArrayRef<TargetStatus> targetStatuses();

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_TARGETS_TARGET_H
