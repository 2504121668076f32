// Executables on the emulated device, end to end.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AddSpec.h"
#include "fourfold/Fourfold.h"
#include "runtime/device/Driver.h"
#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace fourfold;
using namespace fourfold::tests;

static Tensor floats(const std::string &name, std::vector<int64_t> shape, float start) {
  Tensor tensor{name, ElementType::F32, shape, {}};
  for (int64_t i = 0; i < countElements(shape); ++i) {
    float value = start + static_cast<float>(i);
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    tensor.bytes.insert(tensor.bytes.end(), bytes, bytes + 4);
  }
  return tensor;
}

static float at(const std::vector<uint8_t> &bytes, size_t i) {
  float value;
  std::memcpy(&value, &bytes[4 * i], 4);
  return value;
}

struct Emulated : testing::Test {
  void SetUp() override {
    Status opened = Device::open("emulated:sm_120a", &device);
    ASSERT_TRUE(opened.ok()) << opened.message();
    Status loaded = Executable::load(device, addPlan().toJson(), addPtx(), &executable);
    ASSERT_TRUE(loaded.ok()) << loaded.message();
  }
  std::string runError(const std::vector<Tensor> &inputs) {
    std::vector<Tensor> outputs;
    return executable.run(inputs, &outputs).message();
  }
  Device device;
  Executable executable;
};

TEST_F(Emulated, RunsBothVariantsForAnyOrderOfInputs) {
  for (std::vector<int64_t> shape : {std::vector<int64_t>{3, 7}, {4, 16}, {5, 40}, {1, 1}}) {
    std::vector<Tensor> outputs;
    std::vector<LaunchRecord> records;
    RunOptions options;
    options.records = &records;
    Status status = executable.run({floats("w", {shape[1], shape[0]}, 100), floats("x", shape, 1)}, &outputs, options);
    ASSERT_TRUE(status.ok()) << status.message();
    ASSERT_EQ(outputs.size(), 1u);
    EXPECT_EQ(outputs[0].name, "y");
    EXPECT_EQ(outputs[0].shape, shape);
    for (size_t i = 0; i < outputs[0].bytes.size() / 4; ++i)
      ASSERT_EQ(at(outputs[0].bytes, i), 101.0f + 2.0f * static_cast<float>(i));
    ASSERT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].kernel, "");
    EXPECT_EQ(records[1].kernel, shape[0] <= 4 ? "add_small" : "add_large");
    EXPECT_EQ(records[1].sharedBytes, shape[0] <= 4 ? 0u : 65536u);
  }
}

TEST_F(Emulated, ShapesThatDisagreeAreNamed) {
  EXPECT_EQ(runError({floats("x", {3, 7}, 0), floats("w", {7, 3}, 0)}), "");
  EXPECT_EQ(runError({floats("x", {3, 7}, 0), floats("w", {7, 4}, 0)}),
            "input 'w' has 4 in dimension 1, but dimension d0 is 3 (x dimension 0)");
  EXPECT_EQ(runError({floats("x", {3}, 0), floats("w", {7, 3}, 0)}),
            "input 'x' has 1 dimensions (3), but the spec expects 2");
  EXPECT_EQ(runError({floats("x", {0, 7}, 0), floats("w", {7, 0}, 0)}),
            "input 'x' has 0 in dimension 0: an empty tensor cannot be computed on");
}

TEST_F(Emulated, InputsThatAreWrongAreNamed) {
  Tensor x = floats("x", {3, 7}, 0), w = floats("w", {7, 3}, 0);
  EXPECT_EQ(runError({x}), "input 'w' is missing");
  EXPECT_EQ(runError({x, w, x}), "input 'x' is given twice");
  EXPECT_EQ(runError({x, w, floats("z", {1}, 0)}), "unknown input 'z': the spec has x, w");
  Tensor half = x;
  half.type = ElementType::F16;
  EXPECT_EQ(runError({half, w}), "input 'x' is of type f16, but the spec expects f32");
  Tensor truncated = x;
  truncated.bytes.pop_back();
  EXPECT_EQ(runError({truncated, w}), "input 'x' of shape 3x7 and type f32 has 83 bytes");
}

TEST_F(Emulated, SizesThatOverflowAreErrors) {
  Binding binding;
  EXPECT_TRUE(executable.bind({{1 << 20, 4}, {4, 1 << 20}}, &binding).ok());
  int64_t huge = int64_t{1} << 40;
  Status status = executable.bind({{huge, huge}, {huge, huge}}, &binding);
  EXPECT_NE(status.message().find("bytes of buffer 'x'"), std::string::npos) << status.message();
}

TEST_F(Emulated, LaunchesOnMemoryOfTheCaller) {
  constexpr size_t kBytes = 5 * 8 * 4;
  Binding binding;
  ASSERT_TRUE(executable.bind({{5, 8}, {8, 5}}, &binding).ok());
  EXPECT_EQ(binding.workspaceBytes(), kBytes);
  EXPECT_EQ(binding.inputBytes(1), kBytes);
  EXPECT_EQ(binding.outputBytes(0), kBytes);
  EXPECT_EQ(binding.outputShape(0), (std::vector<int64_t>{5, 8}));

  const device::DriverTable &driver = device.driver();
  device::CUdevice ordinal = 0;
  device::CUcontext context = nullptr;
  ASSERT_EQ(driver.deviceGet(&ordinal, emulator::deviceOrdinal("sm_120a")), device::kSuccess);
  ASSERT_EQ(driver.primaryCtxRetain(&context, ordinal), device::kSuccess);
  ASSERT_EQ(driver.ctxSetCurrent(context), device::kSuccess);
  uint64_t memory[4];
  for (uint64_t &address : memory)
    ASSERT_EQ(driver.memAlloc(&address, kBytes), device::kSuccess);
  Tensor x = floats("x", {5, 8}, 0), w = floats("w", {8, 5}, 1000);
  ASSERT_EQ(driver.memcpyHtoDAsync(memory[0], x.bytes.data(), kBytes, nullptr), device::kSuccess);
  ASSERT_EQ(driver.memcpyHtoDAsync(memory[1], w.bytes.data(), kBytes, nullptr), device::kSuccess);
  LaunchBuffers buffers;
  buffers.inputs = memory;
  buffers.outputs = memory + 2;
  buffers.workspace = memory[3];
  Status status = executable.launch(binding, buffers);
  ASSERT_TRUE(status.ok()) << status.message();
  std::vector<uint8_t> y(kBytes);
  ASSERT_EQ(driver.memcpyDtoHAsync(y.data(), memory[2], kBytes, nullptr), device::kSuccess);
  ASSERT_EQ(driver.streamSynchronize(nullptr), device::kSuccess);
  for (size_t i = 0; i < 40; ++i)
    ASSERT_EQ(at(y, i), 1000.0f + 2.0f * static_cast<float>(i));

  buffers.workspace = 0;
  EXPECT_EQ(executable.launch(binding, buffers).message(),
            "expects a workspace of 160 bytes, aligned to 256, got address 0x0");
  uint64_t wrong[] = {memory[0] + 4, memory[1]}, none[] = {0, memory[1]};
  buffers.inputs = wrong;
  EXPECT_NE(executable.launch(binding, buffers).message().find("input 'x' lies at"), std::string::npos);
  buffers.inputs = none;
  EXPECT_EQ(executable.launch(binding, buffers).message(), "input 'x' has no device memory");
  EXPECT_EQ(executable.launch(Binding(), buffers).message(), "the binding is not of this executable");
  for (uint64_t address : memory)
    EXPECT_EQ(driver.memFree(address), device::kSuccess);
  driver.primaryCtxRelease(ordinal);
}

TEST(EmulatedLoad, ManifestAndPtxMustFitTheDevice) {
  Device device;
  Executable executable;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &device).ok());
  EXPECT_TRUE(Executable::load(device, addPlan().toJson(), addPtx(), &executable).ok());
  EXPECT_EQ(Executable::load(device, addPlan("sm_90a").toJson(), addPtx("sm_90a"), &executable).message(),
            "'add' was compiled for sm_90a, but device 'emulated:sm_120a' runs sm_120a: compile for sm_120a");
  EXPECT_TRUE(Executable::load(device, addPlan("sm_80").toJson(), addPtx("sm_80"), &executable).ok());
  std::string header = ".version 8.7\n.target sm_120a\n.address_size 64\n";
  Status missing = Executable::load(device, addPlan().toJson(), header + addKernel("other"), &executable);
  EXPECT_NE(missing.message().find("kernel 'add_small' of launch 'add' is not in the PTX"), std::string::npos)
      << missing.message();
  Status bad = Executable::load(device, addPlan().toJson(), addPtx() + "nonsense", &executable);
  EXPECT_EQ(bad.code(), StatusCode::DeviceError);
  EXPECT_NE(bad.message().find("nonsense"), std::string::npos) << bad.message();
  plan::Plan greedy = addPlan();
  greedy.launches[1].variants[1].sharedBytes = 120 * 1024;
  Status shared = Executable::load(device, greedy.toJson(), addPtx(), &executable);
  EXPECT_NE(shared.message().find("122880 bytes of dynamic shared memory"), std::string::npos) << shared.message();
}

TEST(EmulatedLoad, DeviceNames) {
  Device device;
  EXPECT_TRUE(Device::open("auto", &device).ok());
  EXPECT_TRUE(Device::open("emulated:sm_90a", &device).ok());
  EXPECT_EQ(device.target(), "sm_90a");
  for (const char *name : {"", "gpu", "emulated:", "emulated:sm_1", "cuda:", "cuda:x", "cuda:-1", "cuda:99999"}) {
    Status status = Device::open(name, &device);
    EXPECT_FALSE(status.ok()) << name;
    EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
  }
}
