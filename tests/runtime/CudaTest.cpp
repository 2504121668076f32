// The driver table of libcuda: one spec on a GPU and on the emulated device must give the same bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AddSpec.h"
#include "fourfold/Fourfold.h"

#include <gtest/gtest.h>

#include <cstring>
#include <iostream>

using namespace fourfold;
using namespace fourfold::tests;

static Tensor randomFloats(const std::string &name, std::vector<int64_t> shape, uint32_t seed) {
  Tensor tensor{name, ElementType::F32, shape, {}};
  for (int64_t i = 0; i < countElements(shape); ++i) {
    seed = seed * 1664525u + 1013904223u;
    float value = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-20f;
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    tensor.bytes.insert(tensor.bytes.end(), bytes, bytes + 4);
  }
  return tensor;
}

struct Cuda : testing::Test {
  void SetUp() override {
    Status opened = Device::open("cuda:0", &device);
    if (!opened.ok()) {
      std::cout << "SKIPPED: no GPU: " << opened.message() << std::endl;
      GTEST_SKIP();
    }
  }
  Device device;
};

TEST_F(Cuda, SameBitsAsTheEmulatedDevice) {
  Device emulated;
  ASSERT_TRUE(Device::open("emulated:sm_120a", &emulated).ok());
  for (std::vector<int64_t> shape : {std::vector<int64_t>{3, 7}, {333, 257}}) {
    std::vector<Tensor> inputs = {randomFloats("x", shape, 1), randomFloats("w", {shape[1], shape[0]}, 2)};
    std::vector<uint8_t> bytes[2];
    for (int which : {0, 1}) {
      Executable executable;
      std::vector<Tensor> outputs;
      std::vector<LaunchRecord> records;
      RunOptions options;
      options.records = &records;
      Status status =
          Executable::load(which ? emulated : device, addPlan("sm_80").toJson(), addPtx("sm_80"), &executable);
      ASSERT_TRUE(status.ok()) << status.message();
      status = executable.run(inputs, &outputs, options);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(records.size(), 2u);
      bytes[which] = outputs[0].bytes;
    }
    EXPECT_EQ(bytes[0], bytes[1]);
  }
}

TEST_F(Cuda, PtxErrorsCarryTheLogOfTheJit) {
  Executable executable;
  Status status = Executable::load(device, addPlan("sm_80").toJson(), addPtx("sm_80") + "nonsense\n", &executable);
  EXPECT_EQ(status.code(), StatusCode::DeviceError);
  EXPECT_NE(status.message().find("CUDA_ERROR_INVALID_PTX"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("nonsense"), std::string::npos) << status.message();
}
