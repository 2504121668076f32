// Matrices in shared memory as the tensor cores see them: 64-bit descriptors, core matrices and swizzles.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "SharedMatrix.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

uint32_t field(uint64_t bits, int low, int width) { return static_cast<uint32_t>(bits >> low & ((uint64_t{1} << width) - 1)); }

/// What both generations have in common.
MatrixDescriptor common(uint64_t bits) {
  MatrixDescriptor matrix;
  matrix.start = field(bits, 0, 14) << 4;
  matrix.leadingOffset = field(bits, 16, 14) << 4;
  matrix.strideOffset = field(bits, 32, 14) << 4;
  matrix.baseOffset = field(bits, 49, 3);
  return matrix;
}

/// By the three bits of the swizzle mode of tcgen05; 1: none of these.
constexpr uint32_t kSpans[8] = {0, 128, 128, 1, 64, 1, 32, 1};

} // namespace

MatrixDescriptor MatrixDescriptor::ofWgmma(uint64_t bits) {
  static const uint32_t spans[] = {0, 128, 64, 32};
  MatrixDescriptor matrix = common(bits);
  matrix.swizzleSpan = spans[bits >> 62];
  return matrix;
}

MatrixDescriptor MatrixDescriptor::ofTcgen05(uint64_t bits) {
  MatrixDescriptor matrix = common(bits);
  matrix.swizzleSpan = kSpans[bits >> 61];
  matrix.swizzleAtom = bits >> 61 == 1 ? 32 : 16;
  return matrix;
}

uint32_t MatrixDescriptor::chunkAddress(uint32_t row, uint32_t chunk, bool isKMajor) const {
  if (swizzleSpan == 0) // 8 x 16 bytes stand together
    return start + row % 8 * 16 + (isKMajor ? row / 8 * strideOffset + chunk * leadingOffset : row / 8 * leadingOffset + chunk * strideOffset);
  uint32_t chunksASpan = swizzleSpan / 16, rowsAPattern = swizzleAtom == 32 ? 4 : 8;
  uint32_t address = start + row / rowsAPattern * strideOffset + row % rowsAPattern * swizzleSpan +
                     (isKMajor ? chunk * 16 : chunk / chunksASpan * leadingOffset + chunk % chunksASpan * 16);
  // The chunk of 128 bytes moves by the number of the 128 bytes among the eight, four or two of the pattern.
  uint32_t number = (address >> 7) - baseOffset;
  return swizzleAtom == 32 ? address ^ (number & 3) << 5 : address ^ (number & (chunksASpan - 1)) << 4;
}

std::string checkTcgen05Descriptor(uint64_t bits) {
  if (field(bits, 46, 3) != 1)
    return fmt::format("bits 46 to 48 are {:#05b}: they are 0b001 on this architecture", field(bits, 46, 3));
  if (kSpans[bits >> 61] == 1)
    return fmt::format("the swizzle mode (bits 61 to 63) is {}: it is 0 (none), 1 (128 bytes, of 32), 2 (128 bytes), 4 (64 bytes) or 6 (32 bytes)",
                       bits >> 61);
  if (field(bits, 52, 1))
    return "the mode of the leading dimension (bit 52) is 1, which takes sm_103a";
  for (auto [low, width] : {std::pair{14, 2}, std::pair{30, 2}, std::pair{53, 8}})
    if (field(bits, low, width))
      return fmt::format("bits {} to {} are {:#x}: they are 0", low, low + width - 1, field(bits, low, width));
  return "";
}

} // namespace emulator
} // namespace fourfold
