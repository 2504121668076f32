// The block-scaled matmul kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_MATMUL_H
#define FOURFOLD_COMPILER_KERNELS_MATMUL_H

#include "compiler/kernels/MatmulEpilogue.h"
#include "compiler/targets/Target.h"

#include <algorithm>

namespace fourfold {
namespace compiler {

/// A tile shape: the block computes tileM x tileN with warpsM x warpsN warps.
struct MatmulTile {
  int tileM, tileN;
  int warpsM, warpsN;
  int stages;
  /// Steps of whole warpgroups (wgmma), which take B from shared memory as bf16; then warps are of 16 x tileN.
  bool isWarpgroup = false;
  /// Steps of the whole tile with accumulators in tensor memory (tcgen05); warps are of 32 x tileN / warpsN in the epilogue.
  bool isTensorMemory = false;

  int numThreads() const { return 32 * warpsM * warpsN; }
  /// Elements of K in a stage, and bytes of their codes: in tensor memory's tiles the rows of the 128-byte swizzle.
  int stageK() const { return isTensorMemory ? 256 : 128; }
  int rowBytes() const { return stageK() / 2; }
  /// Scale tiles side by side along K in a stage.
  int scaleTilesPerStage(Format format) const;
  /// Bytes of one stage: codes of A and B, their scale tiles.
  int stageBytes(Format format) const;
  /// Bytes before the stages: B dequantized, three steps of K = 64; or mbarriers and the address of tensor memory, in one swizzle pattern.
  int headBytes() const { return isTensorMemory ? 1024 : isWarpgroup ? 3 * tileN * 128 : 0; }
  /// Dynamic shared memory of the kernel: the ring, and in its place the sums of the tile's epilogue.
  int sharedBytes(Format format) const { return std::max(headBytes() + stages * stageBytes(format), scratchBytes(tileM, tileN)); }
};

/// A matmul kernel's parameters, in the order of `buildMatmul`.
struct MatmulParams {
  MatmulParams(KernelBuilder &k, Format format);
  /// The factor of the accumulators; null where there is none (mxfp4).
  Val loadAlpha(KernelBuilder &k) const;

  Val codesA, scalesA, codesB, scalesB, amaxA, amaxB, out, sizeM, sizeN, sizeK;
  unsigned firstEpilogueParam;
};

/// The tile shapes, in the order in which a plan tries them; the last serves every size.
llvm::ArrayRef<MatmulTile> matmulTiles(const Target &target, MatmulMode mode);

/// out[m, n] = epilogue(alpha * sum_k a[m, k] b[n, k]), both operands stored rows by K (Numerics.h, storage).
///
/// Parameters: codes and scales of A, codes and scales of B, [amax of A, amax of B: nvfp4], out, M, N, K (i32), then one pointer
/// for each epilogue operand. Grid: ceil(M / tileM) * ceil(N / tileN) blocks.
void buildMatmul(KernelModule module, llvm::StringRef name, const Target &target, Format format,
                 const MatmulTile &tile, const ElementRegion &epilogue, MatmulMode mode);

/// The body of the kernel for a tile with `isTensorMemory`.
void buildTensorMemoryMatmul(KernelBuilder &k, Format format, const MatmulTile &tile, const ElementRegion &epilogue);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_MATMUL_H
