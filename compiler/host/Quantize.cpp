// Block scales, codes and their values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Kernels.h"
#include "compiler/host/Ops.h"
#include "compiler/host/Parallel.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

using numerics::ceilDiv;

/// Rows that one task takes: a whole number of blocks along axis 0, and a cache line of codes.
static constexpr int64_t kGroupRows = 64;

//===----------------------------------------------------------------------===//
// block_scale
//===----------------------------------------------------------------------===//

namespace {

/// Where the maxima of a matrix's blocks go.
struct Maxima {
  const Blocks &blocks;
  int64_t scaleRows, scaleColumns;
  uint32_t *bits;
};

} // namespace

static void raise(uint32_t &target, uint32_t value) { target = std::max(target, value); }

/// Maxima of one tile; returns the largest finite magnitude's bits.
static uint32_t tileMaxima(const float *tile, int64_t row, int64_t rows, int64_t column, int64_t columns,
                           const Maxima &maxima) {
  const Kernels &k = kernels();
  const Blocks &blocks = maxima.blocks;
  uint32_t finite = 0;
  if (blocks.axis == 0 && blocks.across == 1) {
    uint32_t finites[kTileColumns] = {};
    uint32_t *bits = maxima.bits + row / blocks.along * maxima.scaleColumns + column;
    for (int64_t r = 0; r < rows; ++r)
      k.raiseMaxima(tile + r * kTileColumns, bits, finites, static_cast<size_t>(columns));
    return *std::max_element(finites, finites + columns);
  }
  // Blocks of 1x16, 1x32 along rows, or of 16x16: the maxima of 16 neighbours are raised together.
  int64_t perBlock = blocks.across == 16 ? 1 : blocks.along / 16, groups = ceilDiv(columns, 16);
  for (int64_t r = 0; r < rows; ++r) {
    uint32_t found[kTileColumns / 16];
    k.blockMaxima(tile + r * kTileColumns, found, static_cast<size_t>(groups), &finite);
    uint32_t *bits = maxima.bits + (row + r) / blocks.across * maxima.scaleColumns + column / (16 * perBlock);
    for (int64_t group = 0; group < groups; ++group)
      raise(bits[group / perBlock], found[group]);
  }
  return finite;
}

BlockScales blockScale(const Value &input, const Blocks &blocks) {
  int64_t rows = input.rows(), columns = input.columns();
  int64_t blockRows = blocks.axis == 1 ? blocks.across : blocks.along;
  int64_t blockColumns = blocks.axis == 1 ? blocks.along : blocks.across;
  BlockScales result;
  result.scales = Tensor(Element::Scale, {ceilDiv(rows, blockRows), ceilDiv(columns, blockColumns)});
  int64_t count = result.scales.size(), groups = ceilDiv(rows, kGroupRows);
  Buffer bits = allocate(count * 4), finites = allocate(groups * 4);
  Maxima maxima = {blocks, result.scales.shape[0], result.scales.shape[1], static_cast<uint32_t *>(bits.get())};
  std::fill_n(maxima.bits, count, 0u);
  uint32_t *finite = static_cast<uint32_t *>(finites.get());
  parallelFor(groups, grainFor(kGroupRows * columns), [&](int64_t group) {
    alignas(64) float tile[kTileRows * kTileColumns];
    finite[group] = 0;
    for (int64_t row = group * kGroupRows; row < std::min(rows, (group + 1) * kGroupRows); row += kTileRows)
      for (int64_t column = 0; column < columns; column += kTileColumns) {
        int64_t width = std::min(kTileColumns, columns - column);
        loadTile(input, row, column, width, tile);
        raise(finite[group], tileMaxima(tile, row, std::min(kTileRows, rows - row), column, width, maxima));
      }
  });
  uint32_t largest = 0;
  for (int64_t group = 0; group < groups; ++group)
    raise(largest, finite[group]);
  result.amax = numerics::floatFromBits(largest);
  float tensorScale = numerics::nvfp4EncodeTensorScale(result.amax);
  uint8_t *scales = result.scales.mutableAs<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    float amax = numerics::floatFromBits(maxima.bits[i]);
    scales[i] = blocks.isNVFP4 ? numerics::nvfp4BlockScale(amax, tensorScale) : numerics::mxfp4BlockScale(amax);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// quantize
//===----------------------------------------------------------------------===//

namespace {

struct Quantizer {
  const Value &input;
  const Blocks &blocks;
  const Rounding &rounding;
  const uint8_t *scales;
  int64_t scaleColumns;
  /// The factor of each scale byte.
  float factors[256];
  Quantized result;

  void alongRows(int64_t group);
  void alongColumns(int64_t group, int64_t column);

private:
  void codesAlongRow(const float *values, int64_t row, int64_t column, int64_t columns, uint8_t *codes);
};

} // namespace

void Quantizer::codesAlongRow(const float *values, int64_t row, int64_t column, int64_t columns, uint8_t *codes) {
  float blockFactors[kTileColumns / 16];
  const uint8_t *scale = scales + row / blocks.across * scaleColumns + column / blocks.along;
  uint8_t *kept = result.scaleBytes() + row * result.blocks() + column / blocks.along;
  for (int64_t block = 0; block < ceilDiv(columns, blocks.along); ++block) {
    kept[block] = scale[block];
    blockFactors[block] = factors[scale[block]];
  }
  unsigned shift = blocks.along == 32 ? 1 : 0;
  size_t groups = static_cast<size_t>(ceilDiv(columns, 16));
  if (!rounding.isStochastic) {
    kernels().quantizeBlocksNearest(values, blockFactors, shift, codes, groups);
    return;
  }
  alignas(64) uint32_t words[kTileColumns / 2];
  kernels().randomRow(rounding.seed, rounding.offset, static_cast<uint32_t>(row), static_cast<uint32_t>(column / 8),
                      groups * 2, words);
  alignas(64) uint16_t random[kTileColumns];
  std::memcpy(random, words, groups * 32);
  kernels().quantizeBlocksStochastic(values, blockFactors, shift, random, codes, groups);
}

void Quantizer::alongRows(int64_t group) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) uint8_t codes[kTileColumns];
  int64_t rows = input.rows(), columns = input.columns(), row = group * kTileRows;
  for (int64_t column = 0; column < columns; column += kTileColumns) {
    int64_t width = std::min(kTileColumns, columns - column);
    loadTile(input, row, column, width, tile);
    for (int64_t r = 0; r < std::min(kTileRows, rows - row); ++r) {
      codesAlongRow(tile + r * kTileColumns, row + r, column, width, codes);
      std::memcpy(result.codeBytes() + (row + r) * columns + column, codes, static_cast<size_t>(width));
    }
  }
}

typedef uint8_t Bytes16 __attribute__((vector_size(16)));

/// 16x16 bytes, columns to rows: four times, rows i and i + 8 become rows 2i and 2i + 1 of alternating bytes.
static void transpose(const uint8_t *source, int64_t pitch, Bytes16 *target) {
  Bytes16 v[16], next[16];
  for (int i = 0; i < 16; ++i)
    std::memcpy(&v[i], source + i * pitch, 16);
  const Bytes16 low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  const Bytes16 high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 8; ++i) {
      next[2 * i] = __builtin_shuffle(v[i], v[i + 8], low);
      next[2 * i + 1] = __builtin_shuffle(v[i], v[i + 8], high);
    }
    std::memcpy(v, next, sizeof(v));
  }
  std::memcpy(target, v, sizeof(v));
}

void Quantizer::alongColumns(int64_t group, int64_t column) {
  alignas(64) float tile[kTileRows * kTileColumns];
  alignas(64) uint8_t codes[kTileRows * kTileColumns];
  alignas(64) float columnFactors[kTileColumns];
  alignas(64) uint32_t words[2][4 * kTileColumns];
  const Kernels &k = kernels();
  int64_t rows = input.rows(), width = std::min(kTileColumns, input.columns() - column);
  size_t count = static_cast<size_t>(width);
  for (int64_t row = group * kGroupRows; row < std::min(rows, (group + 1) * kGroupRows); row += kTileRows) {
    loadTile(input, row, column, width, tile);
    const uint8_t *scale = scales + row / blocks.along * scaleColumns;
    int64_t pitch = result.blocks();
    uint8_t *kept = result.scaleBytes() + column * pitch + row / blocks.along;
    // Divisions would cost more than the codes: blocks span 1 or 16 columns.
    int shift = blocks.across == 16 ? 4 : 0;
    for (int64_t c = 0; c < width; ++c) {
      uint8_t byte = scale[(column + c) >> shift];
      columnFactors[c] = factors[byte];
      kept[c * pitch] = byte;
    }
    int64_t have = std::min(kTileRows, rows - row);
    for (int half = 0; rounding.isStochastic && half < 2; ++half)
      k.randomColumn(rounding.seed, rounding.offset, static_cast<uint32_t>(column), static_cast<uint32_t>(row / 8 + half),
                     count, words[half]);
    for (int64_t r = 0; r < have; ++r) {
      const float *values = tile + r * kTileColumns;
      if (rounding.isStochastic)
        k.quantizeStochastic(values, columnFactors, words[r / 8] + r % 8 / 2 * width, static_cast<unsigned>(r % 2 * 16),
                             codes + r * kTileColumns, count);
      else
        k.quantizeNearest(values, columnFactors, codes + r * kTileColumns, count);
    }
    for (int64_t c = 0; c < width; c += 16) {
      Bytes16 turned[16];
      transpose(codes + c, kTileColumns, turned);
      for (int64_t i = 0; i < std::min<int64_t>(16, width - c); ++i)
        std::memcpy(result.codeBytes() + (column + c + i) * rows + row, &turned[i], static_cast<size_t>(have));
    }
  }
}

Quantized quantize(const Value &input, const Tensor &scales, float amax, const Blocks &blocks, const Rounding &rounding) {
  Quantizer work = {input, blocks, rounding, scales.as<uint8_t>(), scales.shape[1], {}, {}};
  Quantized &result = work.result;
  result.isNVFP4 = blocks.isNVFP4;
  result.axis = blocks.axis;
  result.rows = blocks.axis == 1 ? input.rows() : input.columns();
  result.k = blocks.axis == 1 ? input.columns() : input.rows();
  result.blockSize = blocks.along;
  result.amax = amax;
  result.codes = allocate(result.rows * result.k);
  result.scales = allocate(result.rows * result.blocks());
  float tensorScale = numerics::nvfp4EncodeTensorScale(amax);
  for (int byte = 0; byte < 256; ++byte) {
    uint8_t scale = static_cast<uint8_t>(byte);
    work.factors[byte] =
        blocks.isNVFP4 ? numerics::nvfp4EncodeScale(scale, tensorScale) : numerics::mxfp4EncodeScale(scale);
  }
  if (blocks.axis == 1) {
    parallelFor(ceilDiv(result.rows, kTileRows), grainFor(kTileRows * result.k),
                [&](int64_t group) { work.alongRows(group); });
  } else {
    int64_t groups = ceilDiv(result.k, kGroupRows), strips = ceilDiv(result.rows, kTileColumns);
    parallelFor(groups * strips, grainFor(kGroupRows * std::min(kTileColumns, result.rows)), [&](int64_t task) {
      work.alongColumns(task % groups, task / groups * kTileColumns);
    });
  }
  return std::move(result);
}

Tensor dequantize(const Quantized &input) {
  Tensor result(Element::F32, input.axis == 1 ? Shape{input.rows, input.k} : Shape{input.k, input.rows});
  float tensorScale = numerics::nvfp4EncodeTensorScale(input.amax);
  std::vector<std::array<float, 16>> values(256);
  for (int byte = 0; byte < 256; ++byte)
    for (uint8_t code = 0; code < 16; ++code) {
      uint8_t scale = static_cast<uint8_t>(byte);
      values[static_cast<size_t>(byte)][code] =
          input.isNVFP4 ? numerics::nvfp4Decode(code, scale, tensorScale) : numerics::mxfp4Decode(code, scale);
    }
  int64_t step = input.axis == 1 ? 1 : input.rows, pitch = input.axis == 1 ? input.k : 1;
  parallelFor(input.rows, grainFor(input.k), [&](int64_t row) {
    float *target = result.mutableAs<float>() + row * pitch;
    const uint8_t *codes = input.codeBytes() + row * input.k, *scales = input.scaleBytes() + row * input.blocks();
    for (int64_t k = 0; k < input.k; ++k)
      target[k * step] = values[scales[k / input.blockSize]][codes[k]];
  });
  return result;
}

} // namespace host
} // namespace fourfold
