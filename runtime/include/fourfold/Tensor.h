// A tensor in host memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TENSOR_H
#define FOURFOLD_TENSOR_H

#include "fourfold/Export.h"

#include <cstdint>
#include <string>
#include <vector>

namespace fourfold {

/// Element types of tensors that enter and leave a spec.
enum class ElementType { F32, BF16, F16, I64, I32, I8 };

/// "f32", "bf16", "f16", "i64", "i32" or "i8".
FOURFOLD_API const char *elementTypeName(ElementType type);
/// Finds the type of such a name; returns false if there is none.
FOURFOLD_API bool parseElementType(const std::string &name, ElementType *type);
/// Bytes of one element.
FOURFOLD_API int64_t elementTypeBytes(ElementType type);

/// "512x384", or "scalar".
FOURFOLD_API std::string shapeText(const std::vector<int64_t> &shape);
/// The number of elements, or -1 if an extent is negative or the product exceeds 64 bits.
FOURFOLD_API int64_t countElements(const std::vector<int64_t> &shape);

/// A tensor in host memory: row-major, contiguous, native byte order. A shape without extents is a scalar.
struct Tensor {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

} // namespace fourfold

#endif // FOURFOLD_TENSOR_H
