// Values of the evaluator: tensors and quantized matrices in host memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_COMPILER_EVALUATE_HOSTVALUE_H
#define FOURFOLD_COMPILER_EVALUATE_HOSTVALUE_H

#include "dialect/Fp4.h"
#include "plan/CompilerPlugin.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <optional>
#include <string>
#include <vector>

namespace fourfold {
namespace compiler {

/// Element types in host memory; Scale is a byte of e4m3 or ue8m0.
enum class Element { F32, BF16, F16, I64, I32, I8, Scale };

/// "f32", ...; "scales" for Scale.
const char *elementName(Element element);
/// The element of a builtin type, if it has one.
std::optional<Element> elementOf(mlir::Type type);
/// True for F32, BF16, F16.
bool isFloat(Element element);

/// A tensor. Floats are held as f32 values that their element type represents; integers and scale bytes as integers.
struct HostTensor {
  Element element = Element::F32;
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int64_t> integers;
  /// How far a device's element may be off; empty for not at all.
  std::vector<float> bound;

  HostTensor() = default;
  /// A float tensor of zeros.
  HostTensor(Element element, std::vector<int64_t> shape);

  int64_t size() const;
  float at(int64_t row, int64_t column) const { return floats[static_cast<size_t>(row * shape[1] + column)]; }
  float &at(int64_t row, int64_t column) { return floats[static_cast<size_t>(row * shape[1] + column)]; }
  /// An element as a float, which holds a mask byte exactly.
  float numberAt(int64_t index) const {
    return isFloat(element) ? floats[static_cast<size_t>(index)]
                            : static_cast<float>(integers[static_cast<size_t>(index)]);
  }
  float boundAt(int64_t index) const { return bound.empty() ? 0.0f : bound[static_cast<size_t>(index)]; }
};

/// A quantized matrix with the contracted dimension last, whatever its axis; one scale byte for each row and K-block.
struct HostQuantized {
  mlir::fp4::Format format = mlir::fp4::Format::nvfp4;
  int64_t rows = 0, k = 0, blockSize = 16;
  std::vector<uint8_t> codes;
  std::vector<uint8_t> scales;
  float amax = 0.0f;
  /// Rounded from a tensor with a bound: a device may have other codes.
  bool uncertain = false;

  int64_t blocks() const { return (k + blockSize - 1) / blockSize; }
  uint8_t code(int64_t row, int64_t column) const { return codes[static_cast<size_t>(row * k + column)]; }
  uint8_t scale(int64_t row, int64_t block) const { return scales[static_cast<size_t>(row * blocks() + block)]; }
};

/// One of the two.
struct HostValue {
  bool isQuantized = false;
  HostTensor tensor;
  HostQuantized quantized;
};

/// Rounds to a float element type.
float roundTo(Element element, float value);

/// Reads a caller's tensor, whose element type must be `element`.
HostTensor readTensor(const FourfoldHostTensor &source, Element element);

/// Hands out the parts of a value under `name`.
void sendValue(const HostValue &value, const std::string &name,
               llvm::function_ref<void(const char *, const FourfoldHostTensor &, const float *)> sink);

} // namespace compiler
} // namespace fourfold

#endif // FOURFOLD_COMPILER_EVALUATE_HOSTVALUE_H
