// What a matrix step of a warpgroup computes: a warp's 16 of its 64 rows (PTX ISA 9.7.15.5.2).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ElementFormat.h"
#include "MmaDense.h"
#include "Wgmma.h"

#include "dialect/Numerics.h"

#include <climits>
#include <cstring>

namespace fourfold {
namespace emulator {

namespace {

constexpr size_t kRowBytes = 32;

/// Element i of a row of K.
float floatAt(const uint8_t *row, int i, ElementFormat format) {
  size_t bytes = format == ElementFormat::TF32 ? 4 : isSmallFloat(format) ? 1 : 2;
  uint32_t bits = 0;
  std::memcpy(&bits, row + bytes * static_cast<size_t>(i), bytes);
  return decodeElement(format, bits);
}

int32_t integerAt(const uint8_t *row, int i, bool isSigned) { return isSigned ? static_cast<int8_t>(row[i]) : row[i]; }

} // namespace

void WgmmaState::multiply(Warp &warp, const Step &step, const std::vector<uint8_t> &bytesA, const std::vector<uint8_t> &bytesB) {
  const Instr &in = *step.in;
  ElementFormat type = static_cast<ElementFormat>(in.variant), typeB = static_cast<ElementFormat>(in.bytes);
  // A's 16 rows in the order of K, from shared memory or from fragments: register r of lane 4 g + t holds four bytes of row g + 8 (r & 1)
  // from byte 4 (t + 4 (r >> 1)) on, as for mma.sync.
  uint8_t rowsA[16][kRowBytes];
  if (in.flags & kWgmmaRegistersA) {
    for (int r = 0; r < 4; ++r)
      for (int lane = 0; lane < kLanes; ++lane)
        std::memcpy(&rowsA[lane / 4 + 8 * (r & 1)][4 * (lane % 4 + 4 * (r >> 1))], &step.registersA[static_cast<size_t>(r * kLanes + lane)], 4);
  } else {
    std::memcpy(rowsA, bytesA.data(), sizeof(rowsA));
  }

  bool isIntegers = isInteger(type), isHalf = in.flags & kWgmmaHalfResult;
  bool isFP8 = isSmallFloat(type);
  int k = isIntegers || isFP8 ? 32 : type == ElementFormat::TF32 ? 8 : 16;
  static thread_local float a[16][64], b[8][64];
  float signA = in.flags & kWgmmaNegatedA ? -1.0f : 1.0f, signB = in.flags & kWgmmaNegatedB ? -1.0f : 1.0f;
  for (int row = 0; row < 16 && !isIntegers; ++row)
    for (int i = 0; i < k; ++i)
      a[row][i] = signA * floatAt(rowsA[row], i, type);
  // MMA-Sim (arXiv 2511.10909): Hopper's steps keep 25 fractional bits, those of 8-bit floats 13, also of an fp32 result.
  DotModel model{isFP8 ? 13 : 25, isHalf ? -21 : -133, smallestExponent(type), isHalf ? -14 : -126, smallestExponent(typeB)};
  static thread_local FusedRows fused;

  for (int tile = 0; tile < in.variant2; ++tile) {
    const uint8_t *rowsB = &bytesB[static_cast<size_t>(tile) * 8 * kRowBytes];
    for (int column = 0; column < 8 && !isIntegers; ++column)
      for (int i = 0; i < k; ++i)
        b[column][i] = signB * floatAt(rowsB + column * static_cast<int>(kRowBytes), i, typeB);
    bool isPlain = !isIntegers && !isHalf && !isFP8 && fused.load(a, b, k, model);
    for (int row = 0; row < 16; ++row) {
      auto word = [&](int column) -> uint32_t & {
        size_t r = isHalf ? static_cast<size_t>(2 * tile + row / 8) : static_cast<size_t>(4 * tile + 2 * (row / 8) + column % 2);
        return warp.reg<uint32_t>(in.list[r])[4 * (row % 8) + column / 2];
      };
      if (isPlain) {
        float c[8], sums[8];
        for (int column = 0; column < 8; ++column)
          c[column] = step.accumulates ? numerics::floatFromBits(word(column)) : 0.0f;
        if (fused.row(row, c, sums)) {
          for (int column = 0; column < 8; ++column)
            word(column) = numerics::floatBits(sums[column]);
          continue;
        }
      }
      for (int column = 0; column < 8; ++column) {
        uint32_t &bits = word(column);
        if (isIntegers) {
          int64_t sum = step.accumulates ? static_cast<int32_t>(bits) : 0;
          for (int i = 0; i < k; ++i)
            sum += integerAt(rowsA[row], i, type == ElementFormat::S8) *
                   integerAt(rowsB + column * static_cast<int>(kRowBytes), i, typeB == ElementFormat::S8);
          if (in.flags & kWgmmaSaturated)
            sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
          bits = static_cast<uint32_t>(sum);
        } else if (isHalf) {
          int shift = 16 * (column % 2);
          float c = step.accumulates ? numerics::decodeF16(static_cast<uint16_t>(bits >> shift)) : 0.0f;
          uint32_t result = dotToHalf(fusedDot(a[row], b[column], k, c, model));
          bits = (bits & ~(0xffffu << shift)) | result << shift;
        } else {
          float c = step.accumulates ? numerics::floatFromBits(bits) : 0.0f;
          bits = numerics::floatBits(dotToFloat(fusedDot(a[row], b[column], k, c, model)));
          if (isFP8)
            bits &= ~0u << 10;
        }
      }
    }
  }
}

} // namespace emulator
} // namespace fourfold
