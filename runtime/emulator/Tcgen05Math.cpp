// What tcgen05.mma computes, in tiles of 16 rows and 8 columns as for mma.sync (PTX ISA 9.7.16.10).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums follow MMA-Sim (arXiv 2511.10909) for Blackwell: 25 fractional bits over a whole step of 32 bytes of K, truncated to fp32 or rounded to
// f16; block-scaled FP4 as dialect/MmaModel.h.

#include "MmaDense.h"
#include "MmaFp4.h"
#include "TensorMemory.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kRowBytes = 32, kTileRows = 16, kTileColumns = 8, kMaxRows = 256;

using Rows = uint8_t (*)[kRowBytes];

/// An operand in shared memory, as rows of K; `chunk` goes through the addresses in the order of addChunks.
void readShared(const SharedMemory &shared, const uint32_t *&chunk, uint32_t rows, bool isKMajor, uint32_t elementBytes, Rows out) {
  if (isKMajor) {
    for (uint32_t row = 0; row < rows; ++row)
      for (uint32_t i = 0; i < 2; ++i)
        std::memcpy(&out[row][16 * i], &shared.data[*chunk++], 16);
    return;
  }
  uint32_t perChunk = 16 / elementBytes;
  for (uint32_t k = 0; k < kRowBytes / elementBytes; ++k)
    for (uint32_t first = 0; first < rows; first += perChunk) {
      const uint8_t *from = &shared.data[*chunk++];
      for (uint32_t i = 0; i < perChunk; ++i)
        std::memcpy(&out[first + i][k * elementBytes], from + i * elementBytes, elementBytes);
    }
}

struct Operands {
  alignas(64) uint8_t a[128][kRowBytes], b[kMaxRows][kRowBytes];
};

void readOperands(TensorMemory &memory, const SharedMemory &shared, const TensorOperation &operation, Operands &operands) {
  const TensorStep &step = operation.step;
  uint32_t elementBytes = std::max(step.elementBytes(), 1u);
  const uint32_t *chunk = operation.chunks.data();
  if (!step.hasTensorA)
    readShared(shared, chunk, step.m, step.isKMajorA, elementBytes, operands.a);
  for (uint32_t row = 0; row < step.m && step.hasTensorA; ++row)
    std::memcpy(operands.a[row], &memory.cell(step.laneOf(row), step.columnA), kRowBytes);
  readShared(shared, chunk, step.n, step.isKMajorB, elementBytes, operands.b);
}

/// Element i of a row of K. Sixteen elements of 6 or 4 bits stand packed at the start of 16 bytes (PTX ISA 9.7.16.10.4.6).
float elementAt(const uint8_t *row, uint32_t i, ElementFormat format) {
  uint32_t bits = 0;
  switch (format) {
  case ElementFormat::TF32:
    std::memcpy(&bits, row + 4 * i, 4);
    break;
  case ElementFormat::BF16:
  case ElementFormat::F16:
    std::memcpy(&bits, row + 2 * i, 2);
    break;
  case ElementFormat::E2M1:
    bits = (row[16 * (i / 16) + i % 16 / 2] >> (4 * (i % 2)) & 15) << 2;
    break;
  case ElementFormat::E3M2:
  case ElementFormat::E2M3: {
    uint32_t at = 6 * (i % 16);
    const uint8_t *from = row + 16 * (i / 16) + at / 8;
    bits = (from[0] | static_cast<uint32_t>(from[1]) << 8) >> (at % 8) & 63; // the byte after the last is padding
    break;
  }
  default:
    bits = row[i];
  }
  return decodeElement(format, bits);
}

/// The scale bytes of 32 rows each a column of tensor memory; all four warps have a copy.
uint32_t scaleWord(TensorMemory &memory, uint32_t column, uint32_t row) { return memory.cell(row % 32, column + row / 32); }

class Product {
public:
  Product(TensorMemory &memory, const TensorOperation &operation, Operands &operands)
      : memory(memory), step(operation.step), operands(operands) {}

  void run() {
    switch (step.kind) {
    case StepKind::I8:
      return integers();
    case StepKind::MxF4:
    case StepKind::MxF4Nvf4:
      return packed();
    default:
      return floats();
    }
  }

private:
  uint32_t &cell(uint32_t row, uint32_t column) { return memory.cell(step.laneOf(row), step.columnD + column); }
  bool isDisabled(uint32_t row) const {
    uint32_t lane = step.laneOf(row);
    return step.disabledLanes[lane / 32] >> (lane % 32) & 1;
  }
  float input(uint32_t bits) const {
    if (!step.accumulates)
      return 0.0f;
    float value = step.result == TensorStep::F16 ? numerics::decodeF16(static_cast<uint16_t>(bits)) : numerics::floatFromBits(bits);
    return step.inputShift ? std::ldexp(value, -step.inputShift) : value;
  }

  void integers() {
    bool signedA = step.a == ElementFormat::S8, signedB = step.b == ElementFormat::S8;
    auto widen = [](const uint8_t *row, bool isSigned, int32_t *out) {
      for (uint32_t i = 0; i < kRowBytes; ++i)
        out[i] = isSigned ? static_cast<int8_t>(row[i]) : row[i];
    };
    static thread_local int32_t b[kMaxRows][kRowBytes];
    for (uint32_t column = 0; column < step.n; ++column)
      widen(operands.b[column], signedB, b[column]);
    for (uint32_t row = 0; row < step.m; ++row) {
      int32_t a[kRowBytes];
      widen(operands.a[row], signedA, a);
      for (uint32_t column = 0; column < step.n && !isDisabled(row); ++column) {
        int32_t products = 0; // below 2^21
        for (uint32_t i = 0; i < kRowBytes; ++i)
          products += a[i] * b[column][i];
        uint32_t &bits = cell(row, column);
        int64_t sum = products + (step.accumulates ? int64_t{static_cast<int32_t>(bits)} : 0);
        if (step.saturates)
          sum = std::max<int64_t>(INT32_MIN, std::min<int64_t>(INT32_MAX, sum));
        bits = static_cast<uint32_t>(sum);
      }
    }
  }

  void packed() {
    auto negate = [](uint8_t *rows, size_t bytes) {
      for (size_t i = 0; i < bytes; ++i)
        rows[i] ^= 0x88;
    };
    if (step.negatesA)
      negate(operands.a[0], size_t{step.m} * kRowBytes);
    if (step.negatesB)
      negate(operands.b[0], size_t{step.n} * kRowBytes);
    auto scales = [&](uint32_t column, uint32_t id, uint32_t row, uint8_t *out) {
      uint32_t word = scaleWord(memory, column, row);
      for (uint32_t g = 0; g < 4; ++g)
        out[g] = static_cast<uint8_t>(word >> (8 * (step.scales == 4 ? g : id + g / 2)));
    };
    Fp4Tile tile;
    for (uint32_t column = 0; column < step.n; column += kTileColumns) {
      std::memcpy(tile.b, operands.b[column], sizeof(tile.b));
      for (uint32_t i = 0; i < kTileColumns; ++i)
        scales(step.columnScaleB, step.scaleIdB, column + i, tile.scaleB[i]);
      for (uint32_t row = 0; row < step.m; row += kTileRows) {
        std::memcpy(tile.a, operands.a[row], sizeof(tile.a));
        for (uint32_t i = 0; i < kTileRows; ++i) {
          scales(step.columnScaleA, step.scaleIdA, row + i, tile.scaleA[i]);
          for (uint32_t j = 0; j < kTileColumns; ++j)
            tile.c[i][j] = input(cell(row + i, column + j));
        }
        mmaFp4(tile, step.scaleFormat);
        for (uint32_t i = 0; i < kTileRows; ++i)
          std::memcpy(&cell(row + i, column), tile.d[i], sizeof(tile.d[i]));
      }
    }
  }

  void floats() {
    bool isHalf = step.result == TensorStep::F16;
    uint32_t k = step.k;
    DotModel model{25, isHalf ? -21 : -133, smallestExponent(step.a), isHalf ? -14 : -126, smallestExponent(step.b)};
    static thread_local float a[kTileRows][64], b[kMaxRows][64];
    static thread_local FusedRows fused;
    int shiftB[kMaxRows] = {};
    for (uint32_t column = 0; column < step.n; ++column) {
      for (uint32_t i = 0; i < k; ++i)
        b[column][i] = (step.negatesB ? -1.0f : 1.0f) * elementAt(operands.b[column], i, step.b);
      if (step.scales)
        shiftB[column] = scaleExponent(step.columnScaleB, step.scaleIdB, column);
    }
    for (uint32_t top = 0; top < step.m; top += kTileRows) {
      int shiftA[kTileRows] = {};
      for (uint32_t i = 0; i < kTileRows; ++i) {
        for (uint32_t j = 0; j < k; ++j)
          a[i][j] = (step.negatesA ? -1.0f : 1.0f) * elementAt(operands.a[top + i], j, step.a);
        if (step.scales)
          shiftA[i] = scaleExponent(step.columnScaleA, step.scaleIdA, top + i);
      }
      for (uint32_t left = 0; left < step.n; left += kTileColumns) {
        bool isPlain = fused.load(a, &b[left], static_cast<int>(k), model);
        for (uint32_t i = 0; i < kTileRows; ++i) {
          if (isDisabled(top + i))
            continue;
          float c[kTileColumns];
          int shifts[kTileColumns];
          bool hasScales = true; // none is NaN
          for (uint32_t j = 0; j < kTileColumns; ++j) {
            c[j] = input(cell(top + i, left + j));
            shifts[j] = shiftA[i] + shiftB[left + j];
            hasScales &= shiftA[i] != kScaleNaN && shiftB[left + j] != kScaleNaN;
          }
          double sums[kTileColumns];
          bool isDone = isPlain && hasScales && fused.sums(static_cast<int>(i), c, shifts, sums);
          for (uint32_t j = 0; j < kTileColumns; ++j) {
            FusedDot dot = isDone ? FusedDot{sums[j], false, false} : fusedDot(a[i], b[left + j], static_cast<int>(k), c[j], model, shifts[j]);
            dot.isNaN |= shiftA[i] == kScaleNaN || shiftB[left + j] == kScaleNaN;
            if (!dot.isNaN && dot.sum == 0)
              dot.sum = 0;
            cell(top + i, left + j) = isHalf ? dotToHalf(dot) : numerics::floatBits(dotToFloat(dot));
          }
        }
      }
    }
  }

  /// Of a ue8m0 scale, 2^(x - 127); 255 stands for NaN.
  static constexpr int kScaleNaN = 128;
  int scaleExponent(uint32_t column, uint32_t id, uint32_t row) {
    return static_cast<int>(scaleWord(memory, column, row) >> (8 * id) & 0xff) - 127;
  }

  TensorMemory &memory;
  const TensorStep &step;
  Operands &operands;
};

} // namespace

void multiply(TensorMemory &memory, SharedMemory &shared, const TensorOperation &operation) {
  static thread_local Operands operands;
  readOperands(memory, shared, operation, operands);
  Product(memory, operation, operands).run();
}

} // namespace emulator
} // namespace fourfold
