// The block-scaled FP4 step of a whole warp, vectorised; bit for bit dialect/MmaModel.h.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_MMAFP4_H
#define FOURFOLD_RUNTIME_EMULATOR_MMAFP4_H

#include "dialect/MmaModel.h"

#include <cstdint>

namespace fourfold {
namespace emulator {

/// The operands of one m16n8k64 step out of their fragments.
struct Fp4Tile {
  /// Codes in memory order, two a byte, the lower k in the low nibble: 16 rows of A, 8 columns of B, 32 bytes each.
  alignas(64) uint8_t a[16][32];
  alignas(64) uint8_t b[8][32];
  /// One scale byte for each 16 of K.
  uint8_t scaleA[16][4];
  uint8_t scaleB[8][4];
  alignas(64) float c[16][8];
  alignas(64) float d[16][8];
};

/// d = a * b + c for all 128 elements.
void mmaFp4(Fp4Tile &tile, numerics::ScaleFormat format);

/// The code paths of `mmaFp4`: plain C++, and 16 (AVX-512) or 8 rows (AVX2) side by side in vectors, null where the processor lacks them.
using Fp4Step = void (*)(Fp4Tile &, numerics::ScaleFormat);
void mmaFp4Portable(Fp4Tile &tile, numerics::ScaleFormat format);
Fp4Step mmaFp4Avx512();
Fp4Step mmaFp4Avx2();

/// The same by `numerics::mmaStep`, element by element: the reference.
void mmaFp4Reference(Fp4Tile &tile, numerics::ScaleFormat format);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_MMAFP4_H
