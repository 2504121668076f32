// Runs spec text on the emulated device and compares every value with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/spec/SpecHarness.h"

#include "dialect/Numerics.h"
#include "plan/Plan.h"
#include "runtime/tools/Check.h"

#include <cstring>
#include <fstream>
#include <sstream>

namespace fourfold {
namespace tests {

SpecRun runSpec(const std::string &text, const std::vector<Tensor> &inputs) {
  SpecRun result;
  auto failed = [&](const Status &status) {
    if (!status.ok())
      result.error = status.message();
    return !status.ok();
  };
  static Compiler compiler;
  static const Status opened = Compiler::open(&compiler, std::string(FOURFOLD_BINARY_DIR) + "/lib/libfourfold_jit.so");
  static Device device;
  static const Status found = Device::open("emulated:sm_120a", &device);
  if (failed(opened) || failed(found))
    return result;

  Spec spec;
  spec.text = text;
  CompiledSpec compiled;
  Executable executable;
  if (failed(compiler.compile(spec, device.target(), &compiled)) ||
      failed(Executable::load(device, compiled.manifest, compiled.ptx, &executable)))
    return result;
  plan::Plan plan;
  if (!plan::Plan::fromJson(compiled.manifest, &plan, &result.error))
    return result;
  std::vector<std::vector<uint8_t>> buffers(plan.buffers.size());
  RunOptions options;
  options.inspect = [&](size_t buffer, const std::vector<uint8_t> &bytes) { buffers[buffer] = bytes; };
  std::vector<EvaluatedValue> values;
  if (failed(executable.run(inputs, &result.outputs, options)) ||
      failed(compiler.evaluate(spec, inputs, /*intermediates=*/true, &values)))
    return result;
  std::vector<tools::CheckedPart> parts = tools::check(plan, buffers, inputs, values);
  result.partsChecked = static_cast<int>(parts.size());
  if (!tools::allPassed(parts))
    result.error = tools::checkTable(parts);
  return result;
}

std::string readFile(const std::string &path) {
  std::ifstream file(std::string(FOURFOLD_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Tensor makeTensor(const std::string &name, std::vector<int64_t> shape) {
  Tensor tensor;
  tensor.name = name;
  tensor.shape = std::move(shape);
  tensor.bytes.resize(static_cast<size_t>(countElements(tensor.shape)) * 4);
  return tensor;
}

Tensor integerTensor(const std::string &name, int64_t value) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = ElementType::I64;
  tensor.bytes.resize(8);
  std::memcpy(tensor.bytes.data(), &value, 8);
  return tensor;
}

uint32_t nextRandom(uint32_t &state) {
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

Tensor randomTensor(const std::string &name, std::vector<int64_t> shape, ElementType type, uint32_t seed, float mean) {
  Tensor tensor;
  tensor.name = name;
  tensor.type = type;
  tensor.shape = std::move(shape);
  int64_t count = countElements(tensor.shape);
  tensor.bytes.resize(static_cast<size_t>(count * elementTypeBytes(type)));
  uint32_t state = seed * 2654435761u + 1;
  for (int64_t i = 0; i < count; ++i) {
    float value = -2.0f;
    for (int j = 0; j < 4; ++j)
      value += static_cast<float>(nextRandom(state)) / 16777216.0f;
    if (nextRandom(state) % 97 == 0)
      value *= 12.0f;
    setElement(tensor, i, value + mean);
  }
  return tensor;
}

float element(const Tensor &tensor, int64_t index) {
  if (tensor.type == ElementType::BF16) {
    uint16_t bits;
    std::memcpy(&bits, tensor.bytes.data() + index * 2, 2);
    return numerics::decodeBF16(bits);
  }
  float value;
  std::memcpy(&value, tensor.bytes.data() + index * 4, 4);
  return value;
}

void setElement(Tensor &tensor, int64_t index, float value) {
  if (tensor.type == ElementType::BF16) {
    uint16_t bits = numerics::encodeBF16(value);
    std::memcpy(tensor.bytes.data() + index * 2, &bits, 2);
    return;
  }
  std::memcpy(tensor.bytes.data() + index * 4, &value, 4);
}

} // namespace tests
} // namespace fourfold
