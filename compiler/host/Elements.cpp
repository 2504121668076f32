// Prologues and epilogues: a region on chunks of a row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Kernels.h"
#include "compiler/host/Ops.h"
#include "compiler/host/Parallel.h"
#include "dialect/Numerics.h"

#include <algorithm>

namespace fourfold {
namespace host {

static_assert(kRegionChunk == kTileColumns, "a chunk is a row of a tile");

namespace {

/// What one thread works with: the region's slots and a tile for each operand that is a matrix.
class Worker {
public:
  Worker(const Region &region, const ElementOperands &operands, Tensor &result)
      : region(region), operands(operands), result(result), slots(region.numSlots), rowValues(operands.rows.size()),
        tiles(1 + operands.full.size()) {}

  /// Rows row..row+15, all columns.
  void run(int64_t row) {
    int64_t rows = result.shape[0], columns = result.shape[1];
    for (int64_t column = 0; column < columns; column += kTileColumns) {
      int64_t width = std::min(kTileColumns, columns - column);
      loadTile(*operands.input, row, column, width, tiles[0].values);
      for (size_t i = 0; i < operands.full.size(); ++i)
        loadTile(*operands.full[i], row, column, width, tiles[1 + i].values);
      for (size_t i = 0; i < operands.rows.size(); ++i)
        loadFloats(*operands.rows[i], column, width, rowValues[i].values);
      for (int64_t r = 0; r < std::min(kTileRows, rows - row); ++r)
        runRow(row + r, r, column, static_cast<size_t>(width));
    }
  }

private:
  struct alignas(64) Tile {
    float values[kTileRows * kTileColumns];
  };
  struct alignas(64) Row {
    float values[kTileColumns];
  };

  void runRow(int64_t row, int64_t tileRow, int64_t column, size_t count) {
    size_t slot = 0;
    auto copy = [&](const float *values) { std::copy_n(values, count, slots[slot++].floats); };
    copy(tiles[0].values + tileRow * kTileColumns);
    for (const Row &values : rowValues)
      copy(values.values);
    for (const Tensor *tensor : operands.cols)
      spread(*tensor, row, slot++, count);
    for (size_t i = 0; i < operands.full.size(); ++i)
      copy(tiles[1 + i].values + tileRow * kTileColumns);
    for (const Tensor *tensor : operands.scalars)
      spread(*tensor, 0, slot++, count);
    kernels().runRegion(region.codes.data(), region.codes.size(), slots.data(), count);
    store(slots[region.resultSlot].floats, row * result.shape[1] + column, count);
  }

  /// One element for the whole row; a mask byte stays an integer.
  void spread(const Tensor &tensor, int64_t index, size_t slot, size_t count) {
    if (tensor.element == Element::I8) {
      std::fill_n(slots[slot].integers, count, int64_t{tensor.as<int8_t>()[index]});
      return;
    }
    float value;
    loadFloats(tensor, index, 1, &value);
    std::fill_n(slots[slot].floats, count, value);
  }

  void store(const float *values, int64_t index, size_t count) {
    if (result.element == Element::F32)
      std::copy_n(values, count, result.mutableAs<float>() + index);
    else if (result.element == Element::BF16)
      kernels().encodeBF16(values, result.mutableAs<uint16_t>() + index, count);
    else
      kernels().encodeF16(values, result.mutableAs<uint16_t>() + index, count);
  }

  const Region &region;
  const ElementOperands &operands;
  Tensor &result;
  std::vector<RegionSlot> slots;
  std::vector<Row> rowValues;
  std::vector<Tile> tiles;
};

} // namespace

Tensor applyRegion(const Region &region, const ElementOperands &operands, Element element) {
  int64_t rows = operands.input->rows(), columns = operands.input->columns();
  Tensor result(element, {rows, columns});
  // Several tiles a task: a worker's memory is set up once.
  int64_t groups = numerics::ceilDiv(rows, 4 * kTileRows);
  parallelFor(groups, grainFor(4 * kTileRows * columns), [&](int64_t group) {
    Worker worker(region, operands, result);
    for (int64_t row = group * 4 * kTileRows; row < std::min(rows, (group + 1) * 4 * kTileRows); row += kTileRows)
      worker.run(row);
  });
  return result;
}

} // namespace host
} // namespace fourfold
