// From the numbers of a file to a spec's element types, each rounded once.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Numerics.h"
#include "runtime/npy/Npy.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace fourfold {
namespace npy {

namespace {

/// An element as read: a double for floats, 128 bits for integers, so that nothing is lost.
struct Element {
  bool isFloat = false;
  double real = 0;
  __int128 integer = 0;
};

template <typename T>
T load(const uint8_t *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

Element readElement(const Array &array, const uint8_t *bytes) {
  Element element;
  switch (array.kind) {
  case Kind::Float:
    element.isFloat = true;
    element.real = array.elementBytes == 2   ? numerics::decodeF16(load<uint16_t>(bytes))
                   : array.elementBytes == 4 ? load<float>(bytes)
                                             : load<double>(bytes);
    break;
  case Kind::BFloat16:
    element.isFloat = true;
    element.real = numerics::decodeBF16(load<uint16_t>(bytes));
    break;
  case Kind::Signed:
    element.integer = array.elementBytes == 1   ? load<int8_t>(bytes)
                      : array.elementBytes == 2 ? load<int16_t>(bytes)
                      : array.elementBytes == 4 ? load<int32_t>(bytes)
                                                : load<int64_t>(bytes);
    break;
  case Kind::Unsigned:
    element.integer = array.elementBytes == 1   ? load<uint8_t>(bytes)
                      : array.elementBytes == 2 ? load<uint16_t>(bytes)
                      : array.elementBytes == 4 ? load<uint32_t>(bytes)
                                                : static_cast<__int128>(load<uint64_t>(bytes));
    break;
  case Kind::Bool:
    element.integer = *bytes != 0;
    break;
  }
  return element;
}

/// A step toward the exact value, where `rounded` missed it and its last bit is even: rounding to odd. What is rounded
/// again to a format at least two bits narrower is then rounded as if once (Boldo and Melquiond, 2008).
template <typename Float>
Float towardOdd(Float rounded, int direction, bool lastBitSet) {
  if (direction == 0 || lastBitSet)
    return rounded;
  return std::nextafter(rounded, direction > 0 ? std::numeric_limits<Float>::infinity()
                                               : -std::numeric_limits<Float>::infinity());
}

double doubleToOdd(__int128 value) {
  double rounded = static_cast<double>(value);
  __int128 back = static_cast<__int128>(rounded);
  return towardOdd(rounded,
                   value > back   ? 1
                   : value < back ? -1
                                  : 0,
                   load<uint64_t>(reinterpret_cast<uint8_t *>(&rounded)) & 1);
}

float floatToOdd(double value) {
  if (!(std::fabs(value) <= std::numeric_limits<float>::max()))
    return static_cast<float>(value);
  float rounded = static_cast<float>(value);
  double back = rounded;
  return towardOdd(rounded, value > back ? 1 : value < back ? -1 : 0, numerics::floatBits(rounded) & 1u);
}

/// Stores an element; returns false if it has no place in the type.
bool store(const Element &element, ElementType type, uint8_t *to) {
  if (type == ElementType::F32 || type == ElementType::BF16 || type == ElementType::F16) {
    double real = element.isFloat ? element.real : doubleToOdd(element.integer);
    if (type == ElementType::F32) {
      float value = static_cast<float>(real);
      std::memcpy(to, &value, 4);
      return true;
    }
    float value = floatToOdd(real);
    uint16_t bits = type == ElementType::BF16 ? numerics::encodeBF16(value) : numerics::encodeF16(value);
    std::memcpy(to, &bits, 2);
    return true;
  }
  int bits = 8 * static_cast<int>(elementTypeBytes(type));
  __int128 limit = __int128{1} << (bits - 1);
  if (element.isFloat || element.integer < -limit || element.integer >= limit)
    return false;
  int64_t value = static_cast<int64_t>(element.integer);
  std::memcpy(to, &value, static_cast<size_t>(bits / 8)); // little endian, as all CUDA hosts are
  return true;
}

} // namespace

Status convert(const Array &array, const std::string &name, ElementType type, Tensor *tensor) {
  bool wantsInteger = type == ElementType::I64 || type == ElementType::I32 || type == ElementType::I8;
  if (wantsInteger && (array.kind == Kind::Float || array.kind == Kind::BFloat16))
    return {StatusCode::InvalidArgument, fmt::format("input '{}' must hold integers ({}), but the file's dtype is '{}'",
                                                     name, elementTypeName(type), array.dtype)};
  tensor->name = name;
  tensor->type = type;
  tensor->shape = array.shape;
  size_t from = static_cast<size_t>(array.elementBytes), to = static_cast<size_t>(elementTypeBytes(type));
  size_t count = array.bytes.size() / from;
  tensor->bytes.assign(count * to, 0);
  for (size_t i = 0; i < count; ++i)
    if (!store(readElement(array, &array.bytes[i * from]), type, &tensor->bytes[i * to]))
      return {StatusCode::InvalidArgument,
              fmt::format("element {} of input '{}' does not fit {}", i, name, elementTypeName(type))};
  return {};
}

} // namespace npy
} // namespace fourfold
