// Matrices in shared memory as the tensor cores see them: 64-bit descriptors, core matrices and swizzles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_RUNTIME_EMULATOR_SHAREDMATRIX_H
#define FOURFOLD_RUNTIME_EMULATOR_SHAREDMATRIX_H

#include <cstdint>
#include <string>

namespace fourfold {
namespace emulator {

/// A matrix in shared memory as wgmma (PTX ISA 9.7.15.5.1) and tcgen05 (9.7.16.4.1) see it.
struct MatrixDescriptor {
  uint32_t start = 0;         // bytes
  uint32_t leadingOffset = 0; // bytes
  uint32_t strideOffset = 0;  // bytes
  uint32_t baseOffset = 0;    // 0..7: where the pattern starts, in units of 128 bytes
  uint32_t swizzleSpan = 0;   // bytes: 0 (none), 32, 64, 128
  uint32_t swizzleAtom = 16;  // bytes that move together: 32 in the pattern of 128 bytes for transposed tf32

  static MatrixDescriptor ofWgmma(uint64_t bits);
  static MatrixDescriptor ofTcgen05(uint64_t bits);

  /// Where 16 bytes of the matrix stand: K-major, of row `row` the chunk `chunk` along K; otherwise, of K-index `row` the chunk `chunk`
  /// along M or N.
  uint32_t chunkAddress(uint32_t row, uint32_t chunk, bool isKMajor) const;
};

/// What is wrong with a descriptor of tcgen05, "" if nothing: fields that are constant or have values that stand for nothing.
std::string checkTcgen05Descriptor(uint64_t bits);

} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_RUNTIME_EMULATOR_SHAREDMATRIX_H
