// What users outside this project do: include one header, link libfourfold.so, and nothing else.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"

#include "AddSpec.h"

#include <gtest/gtest.h>

#include <cstring>

TEST(SharedLibrary, RunsThroughThePublicApiAlone) {
  fourfold::Device device;
  fourfold::Executable executable;
  std::vector<fourfold::Tensor> outputs;
  float one = 1.0f, two = 2.0f;
  auto bytes = [](float &value) {
    const auto *start = reinterpret_cast<const uint8_t *>(&value);
    return std::vector<uint8_t>(start, start + 4);
  };
  ASSERT_TRUE(fourfold::Device::open("emulated:sm_120a", &device).ok());
  fourfold::Status loaded =
      fourfold::Executable::load(device, fourfold::tests::addPlan().toJson(), fourfold::tests::addPtx(), &executable);
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  ASSERT_EQ(executable.inputs().size(), 2u);
  EXPECT_EQ(executable.inputs()[1].shape, (std::vector<std::string>{"d1", "d0"}));
  fourfold::Status run = executable.run(
      {{"x", fourfold::ElementType::F32, {1, 1}, bytes(one)}, {"w", fourfold::ElementType::F32, {1, 1}, bytes(two)}},
      &outputs);
  ASSERT_TRUE(run.ok()) << run.message();
  float sum;
  std::memcpy(&sum, outputs[0].bytes.data(), 4);
  EXPECT_EQ(sum, 3.0f);
}

TEST(SharedLibrary, SaysWhereItLookedForTheCompiler) {
  fourfold::Compiler compiler;
  fourfold::Status status = fourfold::Compiler::open(&compiler, "/nowhere/libfourfold_jit.so");
  EXPECT_EQ(status.code(), fourfold::StatusCode::NotFound);
  EXPECT_NE(status.message().find("/nowhere/libfourfold_jit.so"), std::string::npos);
  // A library, but not a compiler.
  status = fourfold::Compiler::open(&compiler, "libm.so.6");
  EXPECT_EQ(status.code(), fourfold::StatusCode::Unsupported);
}
