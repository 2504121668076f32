// Element types and shapes of host tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Tensor.h"

#include "plan/Plan.h"

namespace fourfold {

static constexpr ElementType kTypes[] = {ElementType::F32, ElementType::BF16, ElementType::F16,
                                         ElementType::I64, ElementType::I32,  ElementType::I8};

// The public enumeration repeats the plan's, so that public headers stand alone.
static_assert(static_cast<int>(ElementType::I8) == static_cast<int>(plan::ElementType::I8));

const char *elementTypeName(ElementType type) { return plan::elementTypeName(static_cast<plan::ElementType>(type)); }

int64_t elementTypeBytes(ElementType type) { return plan::elementTypeBytes(static_cast<plan::ElementType>(type)); }

bool parseElementType(const std::string &name, ElementType *type) {
  for (ElementType candidate : kTypes)
    if (name == elementTypeName(candidate)) {
      *type = candidate;
      return true;
    }
  return false;
}

std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text;
  for (int64_t extent : shape)
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

int64_t countElements(const std::vector<int64_t> &shape) {
  // A zero anywhere makes the tensor empty, whatever the other extents are.
  for (int64_t extent : shape)
    if (extent <= 0)
      return extent == 0 ? 0 : -1;
  int64_t count = 1;
  for (int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count))
      return -1;
  return count;
}

} // namespace fourfold
