// One block of elements to its scale and codes: what every quantize kernel does once the values are in registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_BLOCKQUANTIZER_H
#define FOURFOLD_COMPILER_KERNELS_BLOCKQUANTIZER_H

#include "compiler/kernels/KernelBuilder.h"
#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// How a matrix is quantized along its contracted dimension K.
struct QuantizeConfig {
  Format format = Format::NVFP4;
  /// Rows that share a scale: 1, or 16 (nvfp4 only).
  int blockRows = 1;
  bool stochastic = false;
  /// Numerics.h, streamOffset.
  int stream = 0;
  /// The 16-point transform along K, with these signs; empty for none.
  llvm::SmallVector<int> hadamardSigns;

  /// Kernel parameters, all pointers: codes, scales, [amax: nvfp4], [seed, offset (i64): stochastic].
  unsigned numParams() const { return 2 + (format == Format::NVFP4 ? 1 : 0) + (stochastic ? 2 : 0); }
};

/// The largest magnitude of `values` as bits; at least 0x7f800000 if one is NaN or infinite.
Val amaxBits(KernelBuilder &k, llvm::ArrayRef<Val> values);

/// The largest finite magnitude as bits, of `amax` and `values`.
Val finiteAmax(KernelBuilder &k, llvm::ArrayRef<Val> values, Val amax);

/// Raises the tensor amax at `pointer` to the warp's largest `amax`, by one atomic where it is not 0: maxima of bits commute, so the
/// result does not depend on the order. All lanes must call it.
void publishAmax(KernelBuilder &k, Val amax, Val pointer);

/// In place: the transform of each group of 16 (Numerics.h, hadamard16).
void applyHadamard(KernelBuilder &k, llvm::MutableArrayRef<Val> values, llvm::ArrayRef<int> signs);

/// Emits the rounding of blocks of a matrix of `rows` by K whose parameters start at `firstParam`.
class BlockQuantizer {
public:
  BlockQuantizer(KernelBuilder &k, const Target &target, const QuantizeConfig &config, unsigned firstParam);

  int blockSize() const { return block; }
  /// Rounds the block of `row` whose elements are `values`, `amax` its magnitude bits (of the 16x16 block where rows share a scale).
  void quantize(llvm::ArrayRef<Val> values, Val amax, Val row, Val kBlock);

  /// The scale byte of the last block, an i32.
  Val scale() const { return scaleByte; }
  /// Stores the codes of the last block under `exists` and inside the row's pitch; K is `sizeK`.
  void storeCodes(Val exists, Val row, Val kBlock, Val sizeK);
  /// Stores `scale` for rows that exist and zero for those that pad. The lanes that differ in `laneMasks` hold `1 << laneMasks.size()`
  /// neighbours along K, which leave as one word.
  void storeScale(Val rowExists, Val row, Val kBlock, Val sizeK, llvm::ArrayRef<int> laneMasks);

private:
  void computeScale(Val amax);
  void drawRandom(Val row, Val kBlock);
  Val encodeEight(llvm::ArrayRef<Val> values, int first);

  KernelBuilder &k;
  const Target &target;
  const QuantizeConfig &config;
  unsigned firstParam;
  int block;
  Val tensorScale, inverseTensorScale, seed, offset;
  Val scaleByte, encodeScale, isNonFinite;
  llvm::SmallVector<Val> random; // one word for two elements
  llvm::SmallVector<Val> words;
};

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_BLOCKQUANTIZER_H
