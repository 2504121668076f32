// Programs of the corpus as nvcc and clang compile them, for three targets, with and without optimisation, against the same code on the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "corpus/calls.cu"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// "O3_sm_80" and so on.
class Program : public ::testing::TestWithParam<const char *> {
protected:
  std::unique_ptr<Device> device;

  void load(const std::string &program) {
    std::string variant = GetParam();
    device = std::make_unique<Device>(variant.substr(variant.find("sm_")).c_str());
    std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/" + program + "_" + variant + ".ptx");
    ASSERT_FALSE(ptx.empty()) << program;
    ASSERT_EQ(device->load(ptx), kSuccess) << lastFinding();
  }
};

TEST_P(Program, Recursion) {
  load("calls");
  CUdeviceptr out = device->alloc(96 * 4);
  ASSERT_EQ(device->launch("recursion", 2, 48, 0, out), kSuccess) << lastFinding();
  std::vector<int> found = device->download<int>(out, 96);
  for (int i = 0; i < 96; ++i)
    EXPECT_EQ(found[static_cast<size_t>(i)], i % 5 == 3 ? -1 : calls::recursionResult(i)) << i;
}

TEST_P(Program, FunctionPointers) {
  load("calls");
  CUdeviceptr first = device->alloc(40 * 8), second = device->alloc(40 * 4);
  ASSERT_EQ(device->launch("pointers", 1, 40, 0, first, second), kSuccess) << lastFinding();
  std::vector<double> foundFirst = device->download<double>(first, 40);
  std::vector<int> foundSecond = device->download<int>(second, 40);
  for (int i = 0; i < 40; ++i) {
    calls::Pair expected = calls::pointerResult(i, calls::addTo, calls::times, calls::negate);
    EXPECT_EQ(foundFirst[static_cast<size_t>(i)], expected.first) << i;
    EXPECT_EQ(foundSecond[static_cast<size_t>(i)], expected.second) << i;
  }
}

TEST_P(Program, VirtualFunctions) {
  load("calls");
  CUdeviceptr out = device->alloc(64 * 4);
  ASSERT_EQ(device->launch("virtuals", 1, 64, 0, out), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, 64);
  for (int i = 0; i < 64; ++i) {
    calls::Square square(static_cast<float>(i));
    calls::Circle circle(static_cast<float>(i) * 0.5f);
    EXPECT_EQ(found[static_cast<size_t>(i)], i / 3 % 2 ? circle.area() : square.area() + 4000.0f) << i;
  }
}

TEST_P(Program, Heap) {
  load("calls");
  CUdeviceptr out = device->alloc(64 * 4);
  ASSERT_EQ(device->launch("heap", 1, 64, 0, out), kSuccess) << lastFinding();
  std::vector<int> found = device->download<int>(out, 64);
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(found[static_cast<size_t>(i)], (i % 7) * (i % 7 + 1) / 2 * i + i) << i;
  if (std::string(GetParam()).find("clang") == 0)
    return; // clang removes allocations that nothing uses, and what is wrong with them
  EXPECT_EQ(device->launch("freeTwice", 1, 1, 0, out), kErrorIllegalAddress);
  EXPECT_NE(lastFinding().find("was freed before"), std::string::npos) << lastFinding();
}

TEST_P(Program, StackOverflow) {
  load("calls");
  CUdeviceptr out = device->upload(std::vector<int>(32, 1));
  EXPECT_EQ(device->launch("overflow", 1, 32, 0, out), kErrorIllegalAddress);
  EXPECT_NE(lastFinding().find("stack overflow: the call of '_Z7endlessiPi'"), std::string::npos) << lastFinding();
}

INSTANTIATE_TEST_SUITE_P(Compiled, Program,
                         ::testing::Values("O3_sm_80", "O3_sm_90a", "O3_sm_120a", "G_sm_80", "G_sm_90a", "G_sm_120a", "clang_O3_sm_80",
                                           "clang_O3_sm_120a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
