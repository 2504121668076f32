// What the tests of the corpus' idioms share: a program in twelve variants, by compiler, optimisation and target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#ifndef FOURFOLD_TESTS_EMULATOR_IDIOMS_H
#define FOURFOLD_TESTS_EMULATOR_IDIOMS_H

#include "Harness.h"
#include "Nvrtc.h"

#include <memory>
#include <random>

namespace fourfold {
namespace emulator {
namespace test {

/// The parameter is "O3_sm_80" of nvcc, "clang_O0_sm_90a" of clang, "nvrtc_sm_90a" of NVRTC at run time; the device is that of the target.
class IdiomTest : public ::testing::TestWithParam<const char *> {
protected:
  std::unique_ptr<Device> device;
  std::mt19937 random{11};

  void load(const std::string &program) {
    std::string variant = GetParam();
    device = std::make_unique<Device>(variant.substr(variant.find("sm_")).c_str());
    std::string path = FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/" + program, ptx;
    if (variant.find("nvrtc_") == 0) {
      if (!haveNvrtc())
        GTEST_SKIP() << "no NVRTC 13 here";
      ptx = compileWithNvrtc(path + ".cu", variant.substr(6));
    } else {
      ptx = readText(path + "_" + variant + ".ptx");
    }
    ASSERT_FALSE(ptx.empty()) << program;
    ASSERT_EQ(device->load(ptx), kSuccess) << lastFinding();
  }
};

#define FOURFOLD_IDIOMS(Fixture)                                                                                       \
  INSTANTIATE_TEST_SUITE_P(Compiled, Fixture,                                                                          \
                           ::testing::Values("O3_sm_80", "O3_sm_90a", "O3_sm_120a", "G_sm_80", "G_sm_90a", "G_sm_120a", \
                                             "clang_O3_sm_80", "clang_O3_sm_120a", "clang_O0_sm_90a",                  \
                                             "nvrtc_sm_80", "nvrtc_sm_90a", "nvrtc_sm_120a"),                          \
                           [](const auto &info) { return std::string(info.param); })

} // namespace test
} // namespace emulator
} // namespace fourfold

#endif // FOURFOLD_TESTS_EMULATOR_IDIOMS_H
