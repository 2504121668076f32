// What users outside this project do: include one header, link libfourfold.so, and nothing else.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"

#include "AddSpec.h"

#include <gtest/gtest.h>

#include <cstdlib>
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

TEST(SharedLibrary, CompilesAndHandsOverMessages) {
  // A cache that cannot be: one message, and the kernel all the same.
  std::vector<std::string> messages;
  fourfold::setMessageHandler(
      [](void *user, const char *text) { static_cast<std::vector<std::string> *>(user)->push_back(text); }, &messages);
  setenv("FOURFOLD_CACHE", "on", 1);
  setenv("FOURFOLD_CACHE_DIR", "/proc/nothing", 1);
  fourfold::Device device;
  fourfold::Compiler compiler;
  fourfold::Executable one, two;
  fourfold::Spec spec;
  spec.text = "add";
  ASSERT_TRUE(fourfold::Device::open("emulated:sm_120a", &device).ok());
  ASSERT_TRUE(fourfold::Compiler::open(&compiler, FOURFOLD_BINARY_DIR "/tests/libfourfold_fake_jit.so").ok());
  for (fourfold::Executable *executable : {&one, &two}) {
    fourfold::Status status = fourfold::Executable::compile(device, compiler, spec, executable);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  EXPECT_EQ(&one.inputs(), &two.inputs());
  fourfold::setMessageHandler(nullptr, nullptr);
  unsetenv("FOURFOLD_CACHE_DIR");
  setenv("FOURFOLD_CACHE", "off", 1);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].rfind("warning: the cache of compiled kernels: ", 0), 0u) << messages[0];
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
