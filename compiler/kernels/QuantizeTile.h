// Quantization along the columns of a source, or along its rows and columns from one read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_KERNELS_QUANTIZETILE_H
#define FOURFOLD_COMPILER_KERNELS_QUANTIZETILE_H

#include "compiler/kernels/BlockQuantizer.h"
#include "compiler/kernels/RowSource.h"

#include <optional>

namespace fourfold {
namespace compiler {

/// The source's rows and columns that one block takes.
inline constexpr int kQuantizeTileRows = 128, kQuantizeTileColumns = 64;
/// Dynamic shared memory: the tile in fp32, then the magnitudes of its 16x16 blocks.
inline constexpr int kQuantizeTileBytes = kQuantizeTileRows * (kQuantizeTileColumns + 4) * 4 + 32 * 4;

/// Rounds a row source along its columns: a matrix with a row for each column of the source, K being the source's rows. With `rows` also
/// along its rows, both from one read.
///
/// Parameters: the source's, those of `rows` if there, those of `columns`. 256 threads. Grid: 2 ceil(columns / 128) x
/// ceil(rows / 128), so that padding is written too.
///
/// Blocks of 16x16 along the columns exclude a transform there: their magnitudes are those of the tile.
void buildQuantizeTile(KernelModule module, llvm::StringRef name, const Target &target, const RowSource &source,
                       const std::optional<QuantizeConfig> &rows, const QuantizeConfig &columns);

/// The largest finite magnitude of the transform along the columns of a row source (fp4.hadamard, axis 0), and with `plain` also that of
/// the source itself: one read for both.
///
/// Parameters: the source's, then the transform's amax, [the source's], zero before. Shared memory and grid: as buildQuantizeTile.
void buildAmaxColumns(KernelModule module, llvm::StringRef name, const RowSource &source,
                      llvm::ArrayRef<int> hadamardSigns, bool plain);

/// Stores the transform along the columns of a row source as f32, its rows padded to 16.
///
/// Parameters: the source's, then the destination. Shared memory and grid: as buildQuantizeTile.
void buildStoreColumns(KernelModule module, llvm::StringRef name, const RowSource &source,
                       llvm::ArrayRef<int> hadamardSigns);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_KERNELS_QUANTIZETILE_H
