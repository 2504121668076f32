// Codes and scales bit for bit in their storage order, tensors bit for bit or within the evaluator's bound.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/tools/Check.h"

#include "dialect/Numerics.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fourfold {
namespace tools {

using plan::Contents;

namespace {

const char *partName(Contents::Part part) {
  constexpr const char *names[] = {"tensor", "codes", "scales", "amax"};
  return names[static_cast<int>(part)];
}

std::string coordinate(int64_t index, const std::vector<int64_t> &shape) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0; index /= shape[d])
    text = fmt::format("{}{}{}", index % shape[d], text.empty() ? "" : ", ", text);
  return "[" + text + "]";
}

double numberAt(const std::vector<uint8_t> &bytes, ElementType type, int64_t index) {
  const uint8_t *from = bytes.data() + index * elementTypeBytes(type);
  auto load = [&](auto value) {
    std::memcpy(&value, from, sizeof(value));
    return value;
  };
  switch (type) {
  case ElementType::F32:
    return load(0.0f);
  case ElementType::BF16:
    return numerics::decodeBF16(load(uint16_t{}));
  case ElementType::F16:
    return numerics::decodeF16(load(uint16_t{}));
  case ElementType::I64:
    return static_cast<double>(load(int64_t{}));
  case ElementType::I32:
    return load(int32_t{});
  case ElementType::I8:
    return load(int8_t{});
  }
  return 0;
}

void mismatch(CheckedPart *result, const std::string &where, const std::string &device, const std::string &reference) {
  if (result->mismatches++ == 0)
    result->detail = fmt::format("first at {}: device {}, evaluator {}", where, device, reference);
}

/// Values as numbers and as bits.
std::string describe(double value, const uint8_t *bytes, int64_t size) {
  std::string hex;
  for (int64_t i = size; i-- > 0;)
    hex += fmt::format("{:02x}", bytes[i]);
  return fmt::format("{:.9g} (0x{})", value, hex);
}

void checkTensor(const std::vector<uint8_t> &device, const EvaluatedValue &reference, CheckedPart *result) {
  const Tensor &tensor = reference.tensor;
  int64_t size = elementTypeBytes(tensor.type);
  if (device.size() != tensor.bytes.size()) {
    result->detail =
        fmt::format("the device's buffer has {} bytes, the evaluator's value {}", device.size(), tensor.bytes.size());
    return;
  }
  result->elements = static_cast<int64_t>(tensor.bytes.size()) / size;
  for (int64_t i = 0; i < result->elements; ++i) {
    const uint8_t *have = &device[static_cast<size_t>(i * size)], *want = &tensor.bytes[static_cast<size_t>(i * size)];
    double bound = reference.bound.empty() ? 0.0 : reference.bound[static_cast<size_t>(i)];
    if (!reference.bound.empty())
      result->bound = std::max(result->bound, std::isfinite(bound) ? bound : 0.0);
    if (std::memcmp(have, want, static_cast<size_t>(size)) == 0)
      continue;
    double got = numberAt(device, tensor.type, i), expected = numberAt(tensor.bytes, tensor.type, i);
    // Any NaN stands for any other: payloads are not part of the contract.
    if (std::isnan(got) && std::isnan(expected))
      continue;
    if (!reference.bound.empty() && std::isinf(bound)) {
      ++result->unbounded;
      continue;
    }
    double error = std::fabs(got - expected);
    result->maxError = std::max(result->maxError, std::isnan(error) ? INFINITY : error);
    if (!reference.bound.empty() && error <= bound)
      continue;
    mismatch(result, coordinate(i, tensor.shape), describe(got, have, size), describe(expected, want, size));
  }
}

/// Codes and scales: everything the buffer holds, padding included, which must be zero.
class QuantizedCheck {
public:
  QuantizedCheck(const std::vector<uint8_t> &device, const EvaluatedValue &reference, int64_t rows, int64_t k,
                 int64_t blockSize, CheckedPart *result)
      : device(device), reference(reference), rows(rows), k(k), blockSize(blockSize), result(*result) {}

  void codes() {
    int64_t pitch = numerics::codesPitch(k);
    if (!agree(rows * pitch, k))
      return;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < pitch * 2; ++column) {
        uint8_t byte = device[static_cast<size_t>(row * pitch + column / 2)];
        compare(row, column, k, column & 1 ? byte >> 4 : byte & 15);
      }
  }

  void scales() {
    int64_t blocks = numerics::ceilDiv(k, blockSize), tilesK = numerics::scaleTilesK(k, blockSize);
    if (!agree(numerics::scaleBytes(rows, k, blockSize), blocks))
      return;
    for (int64_t row = 0; row < numerics::ceilDiv(rows, 128) * 128; ++row)
      for (int64_t block = 0; block < tilesK * 4; ++block)
        compare(row, block, blocks, device[static_cast<size_t>(numerics::scaleTileOffset(row, block, tilesK))]);
  }

private:
  bool agree(int64_t bytes, int64_t columns) {
    const std::vector<int64_t> expected = {rows, columns};
    if (static_cast<int64_t>(device.size()) != bytes)
      result.detail = fmt::format("the device's buffer has {} bytes, expected {}", device.size(), bytes);
    else if (reference.tensor.shape != expected)
      result.detail =
          fmt::format("the plan says {}, the evaluator {}", shapeText(expected), shapeText(reference.tensor.shape));
    return result.detail.empty();
  }

  void compare(int64_t row, int64_t column, int64_t columns, int have) {
    bool padding = row >= rows || column >= columns;
    size_t index = padding ? 0 : static_cast<size_t>(row * columns + column);
    int want = padding ? 0 : reference.tensor.bytes[index];
    result.elements += !padding;
    if (!padding && !reference.bound.empty() && std::isinf(reference.bound[index])) {
      ++result.unbounded;
      return;
    }
    if (have != want)
      mismatch(&result, fmt::format("[{}, {}]{}", row, column, padding ? " (padding)" : ""),
               fmt::format("{:#04x}", have), fmt::format("{:#04x}", want));
  }

  const std::vector<uint8_t> &device;
  const EvaluatedValue &reference;
  int64_t rows, k, blockSize;
  CheckedPart &result;
};

/// The evaluated value of a buffer. An amax may be reported as a part of the quantized value, or as the tensor it is.
const EvaluatedValue *findValue(const std::vector<EvaluatedValue> &values, const Contents &contents) {
  for (const EvaluatedValue &value : values)
    if (value.tensor.name == contents.value && value.part == partName(contents.part))
      return &value;
  if (contents.part == Contents::Part::Amax)
    for (const EvaluatedValue &value : values)
      if (value.tensor.name == contents.value && value.part == "tensor" && value.tensor.bytes.size() == 4)
        return &value;
  return nullptr;
}

/// The dimensions, as the shapes of the inputs say.
std::vector<int64_t> bindDims(const plan::Plan &plan, const std::vector<Tensor> &inputs) {
  std::vector<int64_t> dims(plan.dims.size(), 0);
  for (const plan::TensorInfo &input : plan.inputs)
    for (const Tensor &tensor : inputs)
      for (size_t d = 0; tensor.name == input.name && d < input.shape.size() && d < tensor.shape.size(); ++d)
        if (input.shape[d].kind() == plan::Expr::Kind::Dim)
          dims[static_cast<size_t>(input.shape[d].value())] = tensor.shape[d];
  return dims;
}

void checkInput(const plan::Buffer &buffer, const std::vector<uint8_t> &bytes, const std::vector<Tensor> &inputs,
                CheckedPart *result) {
  result->detail = "the evaluator did not report this value";
  for (const Tensor &tensor : inputs)
    if (tensor.name == buffer.contents.value) {
      EvaluatedValue same;
      same.tensor = tensor;
      result->detail.clear();
      checkTensor(bytes, same, result);
    }
}

} // namespace

std::vector<CheckedPart> check(const plan::Plan &plan, const std::vector<std::vector<uint8_t>> &buffers,
                               const std::vector<Tensor> &inputs, const std::vector<EvaluatedValue> &values) {
  std::vector<CheckedPart> results;
  std::vector<int64_t> dims = bindDims(plan, inputs);
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const plan::Buffer &buffer = plan.buffers[i];
    const Contents &contents = buffer.contents;
    if (contents.value.empty())
      continue;
    CheckedPart result;
    result.value = contents.value;
    result.part = partName(contents.part);
    const EvaluatedValue *reference = findValue(values, contents);
    std::string error;
    int64_t rows = contents.rows.evaluate(dims, &error), k = contents.k.evaluate(dims, &error);
    bool quantized = contents.part == Contents::Part::Codes || contents.part == Contents::Part::Scales;
    if (buffer.kind == plan::Buffer::Kind::Input)
      checkInput(buffer, buffers[i], inputs, &result);
    else if (!reference)
      result.detail = "the evaluator did not report this value";
    else if (!error.empty())
      result.detail = error;
    else if (!reference->unchecked.empty())
      result.notChecked = reference->unchecked;
    else if (!quantized)
      checkTensor(buffers[i], *reference, &result);
    else if (contents.part == Contents::Part::Codes)
      QuantizedCheck(buffers[i], *reference, rows, k, contents.blockSize, &result).codes();
    else
      QuantizedCheck(buffers[i], *reference, rows, k, contents.blockSize, &result).scales();
    results.push_back(std::move(result));
  }
  return results;
}

bool allPassed(const std::vector<CheckedPart> &parts) {
  // A check of nothing proves nothing.
  auto isChecked = [](const CheckedPart &part) { return part.notChecked.empty(); };
  return std::any_of(parts.begin(), parts.end(), isChecked) &&
         std::all_of(parts.begin(), parts.end(), [](const CheckedPart &part) { return part.passed(); });
}

static std::string boundText(const CheckedPart &part) {
  std::string text = part.bound < 0 ? "bit-equal" : fmt::format("{:.3g}", part.bound);
  return part.unbounded ? fmt::format("{} ({} free)", text, part.unbounded) : text;
}

std::string checkTable(const std::vector<CheckedPart> &parts) {
  size_t width = 5;
  for (const CheckedPart &part : parts)
    width = std::max(width, part.value.size());
  std::string text = fmt::format("{:<{}}  {:<6}  {:>10}  {:>10}  {:>10}  {}\n", "value", width, "part", "elements",
                                 "mismatches", "max error", "bound");
  for (const CheckedPart &part : parts) {
    if (!part.notChecked.empty()) {
      text += fmt::format("{:<{}}  {:<6}  not checked: {}\n", part.value, width, part.part, part.notChecked);
      continue;
    }
    text += fmt::format("{:<{}}  {:<6}  {:>10}  {:>10}  {:>10.3g}  {}\n", part.value, width, part.part, part.elements,
                        part.mismatches, part.maxError, boundText(part));
    if (!part.passed())
      text += fmt::format("  MISMATCH {}\n", part.detail);
  }
  if (parts.empty())
    return "check failed: the plan has no buffer that holds a value of the spec\n";
  auto failed = std::count_if(parts.begin(), parts.end(), [](const CheckedPart &part) { return !part.passed(); });
  auto open = std::count_if(parts.begin(), parts.end(), [](const CheckedPart &part) { return !part.notChecked.empty(); });
  std::string rest = open ? fmt::format(", {} not checked", open) : "";
  text += failed ? fmt::format("check failed: {} of {} parts differ from the evaluator{}\n", failed, parts.size(), rest)
                 : fmt::format("check passed: {} parts agree with the evaluator{}\n",
                               static_cast<int64_t>(parts.size()) - open, rest);
  return text;
}

nlohmann::ordered_json checkJson(const std::vector<CheckedPart> &parts) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CheckedPart &part : parts) {
    nlohmann::ordered_json entry = {{"value", part.value},         {"part", part.part},
                                    {"elements", part.elements},   {"mismatches", part.mismatches},
                                    {"unbounded", part.unbounded}, {"maxError", part.maxError},
                                    {"bitEqual", part.bound < 0 && part.notChecked.empty()},
                                    {"passed", part.passed()}};
    if (!part.notChecked.empty())
      entry["notChecked"] = part.notChecked;
    if (part.bound >= 0)
      entry["bound"] = part.bound;
    if (!part.detail.empty())
      entry["detail"] = part.detail;
    list.push_back(entry);
  }
  return {{"passed", allPassed(parts)}, {"values", list}};
}

} // namespace tools
} // namespace fourfold
