// The inner loops of the host program: a table of functions for each instruction set, all with the same bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every function computes element by element what dialect/Numerics.h defines, in exactly rounded operations; only how many elements
// stand side by side differs between instruction sets, so results do not depend on the machine.

#ifndef FOURFOLD_COMPILER_HOST_KERNELS_H
#define FOURFOLD_COMPILER_HOST_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace fourfold {
namespace host {

/// A tile of a matrix in fp32: what loops work on. 16 rows, so that a block of 16x16, a block along either axis and the Hadamard
/// transform of either axis lie inside of one.
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileColumns = 256;

/// Instruction sets, the later the wider. AVX512 includes BW, DQ, VL and VNNI.
enum class Isa { Generic, AVX2, AVX512 };

struct RegionCode;
union RegionSlot;

struct Kernels {
  // Conversions of `count` elements; exact or nearest even.
  void (*decodeBF16)(const uint16_t *source, float *target, size_t count);
  void (*decodeF16)(const uint16_t *source, float *target, size_t count);
  void (*encodeBF16)(const float *source, uint16_t *target, size_t count);
  void (*encodeF16)(const float *source, uint16_t *target, size_t count);

  /// The largest bits of a magnitude in each block of 16; NaN and infinities count as they are, so the result is that of a non-finite
  /// value where the block has one. `finite` gets the largest bits of a finite magnitude, itself included.
  void (*blockMaxima)(const float *source, uint32_t *maxima, size_t blocks, uint32_t *finite);
  /// The same by columns: both arrays, of `count`, are raised by one row.
  void (*raiseMaxima)(const float *row, uint32_t *maxima, uint32_t *finite, size_t count);

  /// Codes of `count` elements, factor i for element i.
  void (*quantizeNearest)(const float *source, const float *factors, uint8_t *codes, size_t count);
  /// `shift`: element i has bits shift..shift+15 of random[i].
  void (*quantizeStochastic)(const float *source, const float *factors, const uint32_t *random, unsigned shift,
                             uint8_t *codes, size_t count);
  /// Codes of blocks of 16, factor b >> factorShift for block b: blocks of 16, or of 32 for a shift of 1.
  void (*quantizeBlocksNearest)(const float *source, const float *factors, unsigned factorShift, uint8_t *codes,
                                size_t blocks);
  /// `random` holds 16 bits an element, in order.
  void (*quantizeBlocksStochastic)(const float *source, const float *factors, unsigned factorShift,
                                   const uint16_t *random, uint8_t *codes, size_t blocks);

  /// The random words of `groups` neighbours of eight along a row: four words each, so 16 bits an element in order.
  void (*randomRow)(uint64_t seed, uint64_t offset, uint32_t row, uint32_t group, size_t groups, uint32_t *words);
  /// The random words of one group of eight in each of `count` rows: words[w * count + i].
  void (*randomColumn)(uint64_t seed, uint64_t offset, uint32_t row, uint32_t group, size_t count, uint32_t *words);

  void (*add)(float *target, const float *source, size_t count);
  void (*subtract)(float *target, const float *source, size_t count);
  /// target[i] = fma(source[i], factor, target[i])
  void (*multiplyAdd)(float *target, const float *source, float factor, size_t count);
  /// Partial sums of a dot product, 32 lanes, over `steps` times 256 elements: element j belongs to lane (j / 8) % 32.
  void (*dotLanes)(float *lanes, const float *lhs, const float *rhs, size_t steps);
  /// The 16-point transform in place, across 16 rows of `pitch` for `count` columns, and of `groups` neighbours of 16.
  void (*hadamardRows)(float *tile, int64_t pitch, const int *signs, size_t count);
  void (*hadamardGroups)(float *row, const int *signs, size_t groups);

  /// Runs a region on `count` (at most kRegionChunk) elements; slots are those of the region.
  void (*runRegion)(const RegionCode *code, size_t numCodes, RegionSlot *slots, size_t count);
};

/// The best instruction set of this machine.
Isa detectIsa();
/// True if this machine has it.
bool supportsIsa(Isa isa);
const Kernels &kernelsFor(Isa isa);
/// Those of `detectIsa`.
const Kernels &kernels();

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_KERNELS_H
