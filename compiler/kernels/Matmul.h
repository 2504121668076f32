// The block-scaled matmul kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_MATMUL_H
#define FOURFOLD_COMPILER_KERNELS_MATMUL_H

#include "compiler/kernels/ElementRegion.h"
#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// A tile shape: the block computes tileM x tileN with warpsM x warpsN warps.
struct MatmulTile {
  int tileM, tileN;
  int warpsM, warpsN;
  int stages;
  /// Steps of whole warpgroups (wgmma), which take B from shared memory as bf16; then warps are of 16 x tileN.
  bool isWarpgroup = false;

  int numThreads() const { return 32 * warpsM * warpsN; }
  /// Bytes of one stage: codes of A and B (128 elements of K a row), their scale tiles.
  int stageBytes(Format format) const;
  /// Bytes before the stages: B dequantized, three steps of K = 64.
  int operandBytes() const { return isWarpgroup ? 3 * tileN * 128 : 0; }
  /// Dynamic shared memory of the kernel.
  int sharedBytes(Format format) const { return operandBytes() + stages * stageBytes(format); }
};

/// The tile shapes, in the order in which a plan tries them.
llvm::ArrayRef<MatmulTile> matmulTiles(const Target &target, MatmulMode mode);

/// out[m, n] = epilogue(alpha * sum_k a[m, k] b[n, k]), both operands stored rows by K (Numerics.h, storage).
///
/// Parameters: codes and scales of A, codes and scales of B, [amax of A, amax of B: nvfp4], out, M, N, K (i32), then one pointer
/// for each epilogue operand. Grid: ceil(M / tileM) * ceil(N / tileN) blocks.
void buildMatmul(KernelModule module, llvm::StringRef name, const Target &target, Format format,
                 const MatmulTile &tile, const ElementRegion &epilogue, MatmulMode mode);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATMUL_H
