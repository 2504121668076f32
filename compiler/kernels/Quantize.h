// The quantize kernel, and its two relatives that share the front: tensor amax, and storing a transformed tensor.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_QUANTIZE_H
#define FOURFOLD_COMPILER_KERNELS_QUANTIZE_H

#include "compiler/kernels/BlockQuantizer.h"
#include "compiler/kernels/RowSource.h"
#include "compiler/targets/Target.h"

namespace fourfold {
namespace compiler {

/// Threads of a block of the row kernels.
inline constexpr int kRowThreads = 256;

/// Rounds each block of a row source: block scale, codes, packed; scales in 128x4 tiles (Numerics.h, storage).
///
/// Parameters: the source's, then the config's. Grid: one thread a block of rows padded to 128 by K-blocks padded to 4, `kRowThreads`
/// a block.
void buildQuantize(KernelModule module, llvm::StringRef name, const Target &target, const RowSource &source,
                   const QuantizeConfig &config);

/// The largest finite magnitude of a row source, by atomic maximum on the bits of `amax`, which is zero before.
///
/// Parameters: the source's, then amax. Grid: one thread for each 16 elements of K padded to 16 and row, `kRowThreads` a block.
void buildAmax(KernelModule module, llvm::StringRef name, const RowSource &source,
               llvm::ArrayRef<int> hadamardSigns);

/// Stores a row source as a tensor of `elementType` (f32, bf16, f16). With a transform the columns of the result are padded to 16.
///
/// Parameters: the source's, then the destination. Grid: as buildAmax.
void buildStoreRows(KernelModule module, llvm::StringRef name, const RowSource &source,
                    llvm::ArrayRef<int> hadamardSigns, mlir::Type elementType);

/// Copies elements of `bytes` bytes, 1 to 8.
///
/// Parameters: from, to, count (i64). Grid: one thread an element, `kRowThreads` a block.
void buildCopy(KernelModule module, llvm::StringRef name, int bytes);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_QUANTIZE_H
