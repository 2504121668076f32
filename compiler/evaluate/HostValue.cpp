// Reading and handing out host tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/evaluate/HostValue.h"

#include "dialect/Numerics.h"

#include <limits>
#include <numeric>

using namespace mlir;

namespace fourfold {
namespace compiler {

const char *elementName(Element element) {
  switch (element) {
  case Element::F32:
    return "f32";
  case Element::BF16:
    return "bf16";
  case Element::F16:
    return "f16";
  case Element::I64:
    return "i64";
  case Element::I32:
    return "i32";
  case Element::I8:
    return "i8";
  case Element::Scale:
    return "scales";
  }
  return "";
}

std::optional<Element> elementOf(Type type) {
  if (type.isF32())
    return Element::F32;
  if (type.isBF16())
    return Element::BF16;
  if (type.isF16())
    return Element::F16;
  if (type.isSignlessInteger(64))
    return Element::I64;
  if (type.isSignlessInteger(32))
    return Element::I32;
  if (type.isSignlessInteger(8))
    return Element::I8;
  if (isa<Float8E4M3FNType, Float8E8M0FNUType>(type))
    return Element::Scale;
  return std::nullopt;
}

bool isFloat(Element element) { return element == Element::F32 || element == Element::BF16 || element == Element::F16; }

HostTensor::HostTensor(Element element, std::vector<int64_t> extents) : element(element), shape(std::move(extents)) {
  if (isFloat(element))
    floats.resize(static_cast<size_t>(size()));
  else
    integers.resize(static_cast<size_t>(size()));
}

int64_t HostTensor::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, [](int64_t lhs, int64_t rhs) { return lhs * rhs; });
}

float roundTo(Element element, float value) {
  switch (element) {
  case Element::BF16:
    return numerics::decodeBF16(numerics::encodeBF16(value));
  case Element::F16:
    return numerics::decodeF16(numerics::encodeF16(value));
  default:
    return value;
  }
}

template <typename T>
static T readElement(const void *data, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + index * sizeof(T), sizeof(T));
  return value;
}

HostTensor readTensor(const FourfoldHostTensor &source, Element element) {
  HostTensor result(element, std::vector<int64_t>(source.shape, source.shape + source.rank));
  for (size_t i = 0, size = static_cast<size_t>(result.size()); i < size; ++i) {
    switch (element) {
    case Element::F32:
      result.floats[i] = readElement<float>(source.data, i);
      break;
    case Element::BF16:
      result.floats[i] = numerics::decodeBF16(readElement<uint16_t>(source.data, i));
      break;
    case Element::F16:
      result.floats[i] = numerics::decodeF16(readElement<uint16_t>(source.data, i));
      break;
    case Element::I64:
      result.integers[i] = readElement<int64_t>(source.data, i);
      break;
    case Element::I32:
      result.integers[i] = readElement<int32_t>(source.data, i);
      break;
    case Element::I8:
      result.integers[i] = readElement<int8_t>(source.data, i);
      break;
    case Element::Scale:
      result.integers[i] = readElement<uint8_t>(source.data, i);
      break;
    }
  }
  return result;
}

template <typename T, typename Source, typename Fn>
static std::vector<char> pack(const std::vector<Source> &source, Fn convert) {
  std::vector<char> bytes(source.size() * sizeof(T));
  for (size_t i = 0; i < source.size(); ++i) {
    T value = convert(source[i]);
    std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
  }
  return bytes;
}

static std::vector<char> packTensor(const HostTensor &tensor) {
  switch (tensor.element) {
  case Element::F32:
    return pack<float>(tensor.floats, [](float value) { return value; });
  case Element::BF16:
    return pack<uint16_t>(tensor.floats, numerics::encodeBF16);
  case Element::F16:
    return pack<uint16_t>(tensor.floats, numerics::encodeF16);
  case Element::I64:
    return pack<int64_t>(tensor.integers, [](int64_t value) { return value; });
  case Element::I32:
    return pack<int32_t>(tensor.integers, [](int64_t value) { return static_cast<int32_t>(value); });
  case Element::I8:
  case Element::Scale:
    return pack<uint8_t>(tensor.integers, [](int64_t value) { return static_cast<uint8_t>(value); });
  }
  return {};
}

using Sink = llvm::function_ref<void(const char *, const FourfoldHostTensor &, const float *)>;

static void send(const char *part, const std::string &name, const char *element, llvm::ArrayRef<int64_t> shape,
                 const void *data, const float *bound, Sink sink) {
  FourfoldHostTensor tensor = {name.c_str(), element, static_cast<int32_t>(shape.size()), shape.data(), data};
  sink(part, tensor, bound);
}

void sendValue(const HostValue &value, const std::string &name, Sink sink) {
  if (!value.isQuantized) {
    const HostTensor &tensor = value.tensor;
    send(tensor.element == Element::Scale ? "scales" : "tensor", name, elementName(tensor.element), tensor.shape,
         packTensor(tensor).data(), tensor.bound.empty() ? nullptr : tensor.bound.data(), sink);
    return;
  }
  const HostQuantized &quantized = value.quantized;
  std::vector<float> unknown(quantized.uncertain ? quantized.codes.size() : 0, std::numeric_limits<float>::infinity());
  const float *bound = quantized.uncertain ? unknown.data() : nullptr;
  send("codes", name, "codes", {quantized.rows, quantized.k}, quantized.codes.data(), bound, sink);
  send("scales", name, "scales", {quantized.rows, quantized.blocks()}, quantized.scales.data(), bound, sink);
  if (quantized.format == fp4::Format::nvfp4)
    send("amax", name, "f32", {}, &quantized.amax, bound, sink);
}

} // namespace compiler
} // namespace fourfold
