// Layers with their device memory, and what a linked recipe gives when it runs as a whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/linear/LinearHarness.h"

#include "fourfold/Recipe.h"

#include <cstdio>
#include <cstdlib>

namespace fourfold {
namespace tests {

/// The harness itself has no way on.
static void require(const Status &status) {
  if (status.ok())
    return;
  std::fprintf(stderr, "linear tests: %s\n", status.message().c_str());
  std::abort();
}

std::map<std::string, Tensor> layerTensors(const LayerShape &shape, uint32_t seed) {
  std::map<std::string, Tensor> tensors;
  auto add = [&](Tensor tensor) { tensors[tensor.name] = std::move(tensor); };
  add(randomTensor("x", {shape.tokens, shape.in}, ElementType::BF16, seed, 0.75f));
  add(randomTensor("w", {shape.out, shape.in}, ElementType::BF16, seed + 1, 0.0f));
  add(randomTensor("d", {shape.tokens, shape.out}, ElementType::BF16, seed + 2, 0.125f));
  add(randomTensor("bias", {shape.out}, ElementType::F32, seed + 3, 0.0f));
  add(randomTensor("dw_in", {shape.out, shape.in}, ElementType::F32, seed + 4, 0.0f));
  add(integerTensor("seed", 0x1234567 + seed));
  add(integerTensor("offset", (int64_t{1} << 40) + seed));
  Tensor mask;
  mask.name = "mask";
  mask.type = ElementType::I8;
  mask.shape = {shape.tokens};
  for (int64_t i = 0; i < shape.tokens; ++i)
    mask.bytes.push_back(i % 5 == 3 ? 0 : 1);
  add(mask);
  return tensors;
}

const Device &emulatedDevice() {
  static const Device device = [] {
    Device opened;
    require(Device::open("emulated:sm_120a", &opened));
    return opened;
  }();
  return device;
}

const Compiler &theCompiler() {
  static const Compiler compiler = [] {
    Compiler opened;
    require(Compiler::open(&opened, FOURFOLD_BINARY_DIR "/lib/libfourfold_jit.so"));
    return opened;
  }();
  return compiler;
}

DeviceBytes::DeviceBytes(const Device &device, uint64_t bytes) : device(device), size(bytes) {
  require(allocateMemory(device, bytes, &start));
  write(std::vector<uint8_t>(bytes, 0xcd));
}

DeviceBytes &DeviceBytes::operator=(DeviceBytes &&other) noexcept {
  std::swap(device, other.device);
  std::swap(start, other.start);
  std::swap(size, other.size);
  return *this;
}

DeviceBytes::~DeviceBytes() {
  if (start)
    require(freeMemory(device, start));
}

void DeviceBytes::write(const std::vector<uint8_t> &bytes) {
  if (bytes.size() != size)
    require({StatusCode::InvalidArgument, "a test writes a tensor of another size"});
  require(copyIn(device, start, bytes.data(), size));
}

std::vector<uint8_t> DeviceBytes::read() const {
  std::vector<uint8_t> bytes(size);
  require(copyOut(device, bytes.data(), start, size));
  return bytes;
}

LayerMemory::LayerMemory(const Linear &linear, const LinearPlan &plan) {
  auto tokens = static_cast<uint64_t>(plan.tokens());
  auto in = static_cast<uint64_t>(linear.descriptor().inFeatures);
  auto out = static_cast<uint64_t>(linear.descriptor().outFeatures);
  auto add = [&](const char *name, uint64_t LinearTensors::*member, uint64_t bytes) {
    DeviceBytes &entry = memory[name] = DeviceBytes(linear.device(), bytes);
    tensors.*member = entry.address();
  };
  add("x", &LinearTensors::x, tokens * in * 2);
  add("w", &LinearTensors::w, out * in * 2);
  add("d", &LinearTensors::d, tokens * out * 2);
  add("bias", &LinearTensors::bias, out * 4);
  add("mask", &LinearTensors::mask, tokens);
  add("y", &LinearTensors::y, tokens * out * 2);
  add("dx", &LinearTensors::dx, tokens * in * 2);
  add("dw", &LinearTensors::dw, out * in * 4);
  add("db", &LinearTensors::db, out * 4);
  add("seed", &LinearTensors::seed, 8);
  add("offset", &LinearTensors::offset, 8);
  add("weights", &LinearTensors::weights, plan.weightsBytes());
  add("saved", &LinearTensors::saved, plan.savedBytes());
  add("gradient", &LinearTensors::gradient, plan.gradientBytes());
  add("workspace", &LinearTensors::workspace, plan.workspaceBytes());
}

void LayerMemory::write(const std::string &name, const Tensor &tensor) { memory.at(name).write(tensor.bytes); }

void LayerMemory::write(const std::map<std::string, Tensor> &all) {
  for (const auto &[name, tensor] : all)
    write(name == "dw_in" ? "dw" : name, tensor);
}

std::vector<uint8_t> LayerMemory::read(const std::string &name) const { return memory.at(name).read(); }

LinearDescriptor descriptorOf(const char *recipe, const LayerShape &shape) {
  LinearDescriptor descriptor;
  descriptor.recipe = recipe;
  descriptor.inFeatures = shape.in;
  descriptor.outFeatures = shape.out;
  return descriptor;
}

/// The linked recipe as one plan, compiled once a program.
static const Executable &wholeRecipe(const LinearDescriptor &descriptor) {
  static std::map<std::tuple<std::string, bool, bool, bool>, Executable> executables;
  Executable &executable =
      executables[{descriptor.recipe, descriptor.hasBias, descriptor.hasMask, descriptor.accumulate}];
  if (executable.isLoaded())
    return executable;
  Recipe recipe;
  RecipeOptions options;
  options.bias = descriptor.hasBias;
  options.mask = descriptor.hasMask;
  options.accumulate = descriptor.accumulate;
  Spec linked;
  CompiledSpec compiled;
  require(readRecipe(descriptor.recipe, options, &recipe));
  require(theCompiler().link(recipe, &linked));
  require(theCompiler().compile(linked, "sm_120a", &compiled));
  require(Executable::load(emulatedDevice(), compiled.manifest, compiled.ptx, &executable));
  return executable;
}

std::map<std::string, std::vector<uint8_t>> wholeRun(const LinearDescriptor &descriptor,
                                                     const std::map<std::string, Tensor> &tensors) {
  const Executable &executable = wholeRecipe(descriptor);
  std::vector<Tensor> inputs, outputs;
  for (const Parameter &input : executable.inputs())
    inputs.push_back(tensors.at(input.name));
  require(executable.run(inputs, &outputs));
  std::map<std::string, std::vector<uint8_t>> results;
  for (Tensor &output : outputs)
    results[output.name] = std::move(output.bytes);
  return results;
}

} // namespace tests
} // namespace fourfold
