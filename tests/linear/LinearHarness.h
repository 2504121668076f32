// Layers with their device memory, and what a linked recipe gives when it runs as a whole.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_LINEAR_LINEARHARNESS_H
#define FOURFOLD_TESTS_LINEAR_LINEARHARNESS_H

#include "fourfold/Memory.h"
#include "fourfold/linear.h"
#include "tests/spec/SpecHarness.h"

#include <map>

namespace fourfold {
namespace tests {

struct LayerShape {
  int64_t tokens, in, out;
};

/// All tensors that a layer can be given, by name: a coherent mean in x, a small one in d.
std::map<std::string, Tensor> layerTensors(const LayerShape &shape, uint32_t seed);

const Device &emulatedDevice();
const Compiler &theCompiler();

/// The bytes of one buffer on a device; freed at the end.
class DeviceBytes {
public:
  DeviceBytes() = default;
  DeviceBytes(const Device &device, uint64_t bytes);
  DeviceBytes(DeviceBytes &&other) noexcept { *this = std::move(other); }
  DeviceBytes &operator=(DeviceBytes &&other) noexcept;
  ~DeviceBytes();
  uint64_t address() const { return start; }
  void write(const std::vector<uint8_t> &bytes);
  std::vector<uint8_t> read() const;

private:
  Device device;
  uint64_t start = 0, size = 0;
};

/// Memory for a layer's tensors at one token count. What is not an input begins with a pattern that no result has.
class LayerMemory {
public:
  LayerMemory(const Linear &linear, const LinearPlan &plan);
  LinearTensors tensors;
  void write(const std::string &name, const Tensor &tensor);
  void write(const std::map<std::string, Tensor> &all);
  std::vector<uint8_t> read(const std::string &name) const;

private:
  std::map<std::string, DeviceBytes> memory;
};

/// A descriptor with the sizes of a shape.
LinearDescriptor descriptorOf(const char *recipe, const LayerShape &shape);

/// y, dx, dw and db of the linked recipe run as one plan; what the layer's phases must equal, bit for bit.
std::map<std::string, std::vector<uint8_t>> wholeRun(const LinearDescriptor &descriptor,
                                                     const std::map<std::string, Tensor> &tensors);

} // namespace tests
} // namespace fourfold

/// For calls that must succeed.
#define ASSERT_OK(call)                                                                                                \
  do {                                                                                                                 \
    ::fourfold::Status assertStatus = (call);                                                                          \
    ASSERT_TRUE(assertStatus.ok()) << assertStatus.message();                                                          \
  } while (false)

#endif // FOURFOLD_TESTS_LINEAR_LINEARHARNESS_H
