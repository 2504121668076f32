// Runs spec text on the emulated device and compares every value with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/spec/SpecHarness.h"

#include "dialect/Numerics.h"
#include "runtime/tools/Check.h"

#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

namespace fourfold {
namespace tests {

namespace {

/// The compiler and the devices that all tests share.
struct Machine {
  Compiler compiler;
  std::map<std::string, Device> devices;
  Status status;

  static Machine &get() {
    static Machine machine;
    return machine;
  }

private:
  Machine() {
    status = Compiler::open(&compiler, std::string(FOURFOLD_BINARY_DIR) + "/lib/libfourfold_jit.so");
    for (const char *target : {"sm_120a", "sm_100a", "sm_90a", "sm_80"})
      if (status.ok())
        status = Device::open(std::string("emulated:") + target, &devices[target]);
  }
};

/// A spec that is compiled and loaded, once for all runs of the same text and arguments.
struct Loaded {
  Spec spec;
  Executable executable;
  plan::Plan plan;
  std::string error;
};

Loaded load(const std::string &text, const std::vector<std::string> &given, const Place &place) {
  Loaded loaded;
  auto failed = [&](const Status &status) {
    if (!status.ok())
      loaded.error = status.message();
    return !status.ok();
  };
  Machine &machine = Machine::get();
  CompiledSpec compiled;
  loaded.spec.text = text;
  loaded.spec.mode = place.mode;
  const Device &device = machine.devices[place.target];
  if (failed(machine.status) || failed(machine.compiler.leaveOut(&loaded.spec, given)) ||
      failed(machine.compiler.compile(loaded.spec, device.target(), &compiled)) ||
      failed(Executable::load(device, compiled.manifest, compiled.ptx, &loaded.executable)))
    return loaded;
  plan::Plan::fromJson(compiled.manifest, &loaded.plan, &loaded.error);
  return loaded;
}

/// Compiles and runs; `*ran` is what did.
SpecRun execute(const std::string &text, const std::vector<Tensor> &inputs, const Place &place, const Loaded **ran) {
  SpecRun result;
  std::vector<std::string> given;
  std::string key = place.target + " " + place.mode + " " + text;
  for (const Tensor &input : inputs) {
    given.push_back(input.name);
    key += "," + input.name;
  }
  static std::map<std::string, Loaded> cache;
  auto found = cache.find(key);
  if (found == cache.end())
    found = cache.emplace(key, load(text, given, place)).first;
  const Loaded &loaded = found->second;
  *ran = &loaded;
  result.error = loaded.error;
  if (!result.error.empty())
    return result;
  result.plan = loaded.plan;
  result.buffers.resize(loaded.plan.buffers.size());
  RunOptions options;
  options.inspect = [&](size_t buffer, const std::vector<uint8_t> &bytes) { result.buffers[buffer] = bytes; };
  result.error = loaded.executable.run(inputs, &result.outputs, options).message();
  return result;
}

} // namespace

SpecRun runSpecUnchecked(const std::string &text, const std::vector<Tensor> &inputs, const Place &place) {
  const Loaded *ran;
  return execute(text, inputs, place, &ran);
}

SpecRun runSpec(const std::string &text, const std::vector<Tensor> &inputs, const Place &place) {
  const Loaded *ran;
  SpecRun result = execute(text, inputs, place, &ran);
  if (!result.error.empty())
    return result;
  std::vector<EvaluatedValue> values;
  Status status = Machine::get().compiler.evaluate(ran->spec, inputs, /*intermediates=*/true, &values, ran->plan.mode);
  if (!status.ok()) {
    result.error = status.message();
    return result;
  }
  std::vector<tools::CheckedPart> parts = tools::check(ran->plan, result.buffers, inputs, values);
  result.partsChecked = static_cast<int>(parts.size());
  if (!tools::allPassed(parts))
    result.error = tools::checkTable(parts);
  return result;
}

std::string linkedRecipe(const std::string &folder, const std::vector<std::string> &absent, bool distributed,
                         std::string *error) {
  Recipe recipe;
  recipe.forward.text = readFile(folder + "/linear_forward.mlir");
  recipe.dgrad.text = readFile(folder + "/linear_dgrad.mlir");
  recipe.wgrad.text = readFile(folder + "/linear_wgrad.mlir");
  recipe.absent = absent;
  recipe.distributed = distributed;
  Spec linked;
  Status status = Machine::get().compiler.link(recipe, &linked);
  *error = status.message();
  return linked.text;
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
  if (tensor.type != ElementType::F32) {
    uint16_t bits;
    std::memcpy(&bits, tensor.bytes.data() + index * 2, 2);
    return tensor.type == ElementType::BF16 ? numerics::decodeBF16(bits) : numerics::decodeF16(bits);
  }
  float value;
  std::memcpy(&value, tensor.bytes.data() + index * 4, 4);
  return value;
}

void setElement(Tensor &tensor, int64_t index, float value) {
  if (tensor.type != ElementType::F32) {
    uint16_t bits = tensor.type == ElementType::BF16 ? numerics::encodeBF16(value) : numerics::encodeF16(value);
    std::memcpy(tensor.bytes.data() + index * 2, &bits, 2);
    return;
  }
  std::memcpy(tensor.bytes.data() + index * 4, &value, 4);
}

} // namespace tests
} // namespace fourfold
