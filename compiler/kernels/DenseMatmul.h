// The matmul kernel for bf16 and f16 operands.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_DENSEMATMUL_H
#define FOURFOLD_COMPILER_KERNELS_DENSEMATMUL_H

#include "compiler/kernels/MatmulEpilogue.h"

#include <algorithm>

namespace fourfold {
namespace compiler {

/// A tile shape: the block computes tileM x tileN with warpsM x warpsN warps of (tileM / warpsM) x 32.
struct DenseTile {
  int tileM, tileN;
  int warpsM, warpsN;
  int stages;

  int numThreads() const { return 32 * warpsM * warpsN; }
  /// Bytes of one stage: 32 elements of K a row.
  int stageBytes() const { return (tileM + tileN) * 64; }
  /// Dynamic shared memory of the kernel.
  int sharedBytes() const { return std::max(stages * stageBytes(), scratchBytes(tileM, tileN)); }
};

/// The tile shapes, in the order in which a plan tries them.
llvm::ArrayRef<DenseTile> denseTiles();

/// out[m, n] = epilogue(sum_k a(m, k) b(n, k)), accumulated in fp32 by mma.sync m16n8k16 (sm_80 and later). An operand contracted along
/// axis 1 is stored rows by K, one contracted along axis 0 K by rows.
///
/// Parameters: A, B (`elementType`), out, M, N, K (i32), then one pointer for each epilogue operand.
/// Grid: ceil(M / tileM) * ceil(N / tileN) blocks.
void buildDenseMatmul(KernelModule module, llvm::StringRef name, mlir::Type elementType, int axisA, int axisB,
                      const DenseTile &tile, const ElementRegion &epilogue);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_DENSEMATMUL_H
