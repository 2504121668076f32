// Memory of values, and tiles of lazy matrices.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Value.h"

#include "compiler/host/Kernels.h"
#include "compiler/host/Parallel.h"
#include "dialect/Numerics.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace fourfold {
namespace host {

const char *elementName(Element element) {
  static constexpr const char *names[] = {"f32", "bf16", "f16", "i64", "i32", "i8", "scales"};
  return names[static_cast<int>(element)];
}

int64_t elementBytes(Element element) {
  static constexpr int64_t sizes[] = {4, 2, 2, 8, 4, 1, 1};
  return sizes[static_cast<int>(element)];
}

Buffer allocate(int64_t bytes) {
  // Whole cache lines: vector loads past the end stay inside.
  size_t size = (static_cast<size_t>(bytes) + 127) / 64 * 64;
  void *memory = std::aligned_alloc(64, size);
  if (!memory)
    throw std::bad_alloc();
  return Buffer(memory, std::free);
}

int64_t sizeOf(const Shape &shape) {
  int64_t size = 1;
  for (int64_t extent : shape)
    size *= extent;
  return size;
}

std::string shapeText(const Shape &shape) {
  std::string text;
  for (int64_t extent : shape)
    text += (text.empty() ? "" : "x") + (extent < 0 ? "?" : std::to_string(extent));
  return text.empty() ? "scalar" : text;
}

Tensor::Tensor(Element element, Shape extents) : element(element), shape(std::move(extents)) {
  owner = allocate(bytes());
  data = owner.get();
}

Shape Value::shape() const {
  if (isQuantized)
    return quantized.axis == 1 ? Shape{quantized.rows, quantized.k} : Shape{quantized.k, quantized.rows};
  return stages.empty() ? tensor.shape : Shape{rows(), columns()};
}

bool Value::isOwned() const {
  if (isQuantized)
    return true;
  bool owned = tensor.owner != nullptr;
  for (const Stage &stage : stages)
    owned &= (stage.kind == Stage::Kind::Hadamard || stage.mean.owner) && (!stage.hasMask || stage.mask.owner);
  return owned;
}

int64_t Value::ownedBytes() const {
  if (isQuantized)
    return quantized.rows * (quantized.k + quantized.blocks());
  return tensor.owner ? tensor.bytes() : 0;
}

float scalarFloat(const Tensor &tensor) {
  float value;
  loadFloats(tensor, 0, 1, &value);
  return value;
}

void loadFloats(const Tensor &tensor, int64_t first, int64_t count, float *target) {
  switch (tensor.element) {
  case Element::F32:
    std::memcpy(target, tensor.as<float>() + first, static_cast<size_t>(count) * sizeof(float));
    return;
  case Element::BF16:
    kernels().decodeBF16(tensor.as<uint16_t>() + first, target, static_cast<size_t>(count));
    return;
  case Element::F16:
    kernels().decodeF16(tensor.as<uint16_t>() + first, target, static_cast<size_t>(count));
    return;
  default:
    throw Failure(std::string("a tensor of ") + elementName(tensor.element) + " stands where floats are expected");
  }
}

/// Applies a stage to the part of a tile that its input has.
static void applyStage(const Stage &stage, int64_t row, int64_t column, int64_t rows, int64_t columns, int64_t padded,
                       float *tile) {
  const Kernels &k = kernels();
  if (stage.kind == Stage::Kind::Center) {
    const float *mean = stage.mean.as<float>() + column;
    const int8_t *mask = stage.hasMask ? stage.mask.as<int8_t>() + row : nullptr;
    for (int64_t r = 0; r < rows; ++r) {
      if (mask && !mask[r])
        std::fill_n(tile + r * kTileColumns, columns, 0.0f);
      else
        k.subtract(tile + r * kTileColumns, mean, static_cast<size_t>(columns));
    }
  } else if (stage.axis == 0) {
    k.hadamardRows(tile, kTileColumns, stage.signs.data(), static_cast<size_t>(columns));
  } else {
    for (int64_t r = 0; r < rows; ++r)
      k.hadamardGroups(tile + r * kTileColumns, stage.signs.data(), static_cast<size_t>(padded / 16));
  }
}

void loadTile(const Value &matrix, int64_t row, int64_t column, int64_t columns, float *tile) {
  const Tensor &base = matrix.tensor;
  int64_t padded = (columns + 15) / 16 * 16;
  auto inside = [](int64_t extent, int64_t first, int64_t most) { return std::clamp(extent - first, int64_t{0}, most); };
  int64_t rows = inside(base.shape[0], row, kTileRows), width = inside(base.shape[1], column, columns);
  for (int64_t r = 0; r < kTileRows; ++r) {
    float *target = tile + r * kTileColumns;
    int64_t have = r < rows ? width : 0;
    if (have)
      loadFloats(base, (row + r) * base.shape[1] + column, have, target);
    std::fill(target + have, target + padded, 0.0f);
  }
  for (const Stage &stage : matrix.stages) {
    if (rows && width)
      applyStage(stage, row, column, rows, width, padded, tile);
    rows = inside(stage.rows, row, kTileRows);
    width = inside(stage.columns, column, columns);
  }
}

Tensor materialized(const Value &value) {
  Tensor result(value.stages.empty() ? value.tensor.element : Element::F32, value.shape());
  if (value.stages.empty()) {
    std::memcpy(result.owner.get(), value.tensor.data, static_cast<size_t>(result.bytes()));
    return result;
  }
  int64_t rows = value.rows(), columns = value.columns();
  parallelFor(numerics::ceilDiv(rows, kTileRows), grainFor(kTileRows * columns), [&](int64_t group) {
    alignas(64) float tile[kTileRows * kTileColumns];
    int64_t row = group * kTileRows;
    for (int64_t column = 0; column < columns; column += kTileColumns) {
      int64_t width = std::min(kTileColumns, columns - column);
      loadTile(value, row, column, width, tile);
      for (int64_t r = 0; r < std::min(kTileRows, rows - row); ++r)
        std::memcpy(result.mutableAs<float>() + (row + r) * columns + column, tile + r * kTileColumns,
                    static_cast<size_t>(width) * sizeof(float));
    }
  });
  return result;
}

Tensor flattened(const Value &value) { return value.stages.empty() ? value.tensor : materialized(value); }

} // namespace host
} // namespace fourfold
