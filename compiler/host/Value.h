// Values of the host program: tensors in their own element type, lazy matrices on top of them, quantized matrices.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_HOST_VALUE_H
#define FOURFOLD_COMPILER_HOST_VALUE_H

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fourfold {
namespace host {

/// What goes wrong in a run; caught where the engine is entered.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Element types in host memory; Scale is a byte of e4m3 or ue8m0.
enum class Element : uint8_t { F32, BF16, F16, I64, I32, I8, Scale };
/// "f32", ...; "scales" for Scale.
const char *elementName(Element element);
int64_t elementBytes(Element element);
inline bool isFloat(Element element) { return element <= Element::F16; }

/// Memory that a value owns, aligned to 64 bytes and not initialized.
using Buffer = std::shared_ptr<void>;
Buffer allocate(int64_t bytes);

using Shape = std::vector<int64_t>;
/// The number of elements.
int64_t sizeOf(const Shape &shape);
/// "512x384", or "scalar"; negative extents are "?".
std::string shapeText(const Shape &shape);

/// A tensor, row-major and contiguous. Without an owner, its memory is the caller's for as long as the run lasts.
struct Tensor {
  Element element = Element::F32;
  Shape shape;
  const void *data = nullptr;
  Buffer owner;

  Tensor() = default;
  /// Memory of its own.
  Tensor(Element element, Shape shape);

  int64_t size() const { return sizeOf(shape); }
  int64_t bytes() const { return size() * elementBytes(element); }
  template <typename T>
  const T *as() const { return static_cast<const T *>(data); }
  /// Only for tensors that own their memory, and while nobody else sees them.
  template <typename T>
  T *mutableAs() const { return static_cast<T *>(owner.get()); }
};

/// What turns a tensor into a lazy matrix: tiles are computed where they are read, so that a residual or its transform is never
/// written to memory.
struct Stage {
  enum class Kind { Center, Hadamard } kind = Kind::Center;
  /// Of Center: f32 [columns]; and i8 [rows], whose shape is empty where there is no mask.
  Tensor mean, mask;
  bool hasMask = false;
  /// Of Hadamard.
  int64_t axis = 0;
  std::array<int, 16> signs = {};
  /// Extents of the result.
  int64_t rows = 0, columns = 0;
};

/// A quantized matrix with the contracted dimension last, whatever its axis; one scale byte for each row and K-block.
struct Quantized {
  bool isNVFP4 = true;
  int64_t axis = 1, rows = 0, k = 0, blockSize = 16;
  /// rows x k, and rows x blocks.
  Buffer codes, scales;
  float amax = 0.0f;

  int64_t blocks() const { return (k + blockSize - 1) / blockSize; }
  uint8_t *codeBytes() const { return static_cast<uint8_t *>(codes.get()); }
  uint8_t *scaleBytes() const { return static_cast<uint8_t *>(scales.get()); }
};

/// One of the three: a tensor, a tensor with stages, or a quantized matrix.
struct Value {
  Tensor tensor;
  std::vector<Stage> stages;
  bool isQuantized = false;
  Quantized quantized;

  Value() = default;
  explicit Value(Tensor tensor) : tensor(std::move(tensor)) {}
  explicit Value(Quantized source) : isQuantized(true), quantized(std::move(source)) {}

  Shape shape() const;
  int64_t rows() const { return stages.empty() ? tensor.shape[0] : stages.back().rows; }
  int64_t columns() const { return stages.empty() ? tensor.shape[1] : stages.back().columns; }
  /// False if it still needs memory of the caller.
  bool isOwned() const;
  /// Bytes of its own memory; memory that several values share counts for each.
  int64_t ownedBytes() const;
};

/// The same value as a plain tensor with memory of its own. A lazy matrix becomes f32.
Tensor materialized(const Value &value);
/// A plain tensor: the value's own memory where it is one, else as above.
Tensor flattened(const Value &value);

/// Reads the tile of kTileRows rows from `row` and `columns` columns from `column` (a multiple of 16) of a matrix of floats: fp32, rows
/// kTileColumns apart, zero where the matrix has no element, up to a whole number of 16 columns.
void loadTile(const Value &matrix, int64_t row, int64_t column, int64_t columns, float *tile);

/// The number that a scalar tensor holds.
float scalarFloat(const Tensor &tensor);
/// `count` elements of a float tensor from `first` on, as fp32.
void loadFloats(const Tensor &tensor, int64_t first, int64_t count, float *target);

} // namespace host
} // namespace fourfold

#endif // FOURFOLD_COMPILER_HOST_VALUE_H
