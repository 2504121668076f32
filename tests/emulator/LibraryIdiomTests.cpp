// libcu++ and cuRAND as people use them (corpus/idioms_library.cu, idioms_random.cu).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Idioms.h"

#include "dialect/Numerics.h"

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

class LibraryIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_library"); }
};

TEST_P(LibraryIdiom, Pipeline) {
  int batches = 5;
  std::vector<int> data(static_cast<size_t>(batches) * 128);
  for (int &v : data)
    v = static_cast<int>(random());
  CUdeviceptr out = device->alloc(data.size() * 4);
  ASSERT_EQ(device->launch("pipelined", 1, 128, 0, out, device->upload(data), batches), kSuccess) << lastFinding();
  std::vector<int> found = device->download<int>(out, data.size());
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(found[i], data[i / 128 * 128 + 127 - i % 128] + static_cast<int>(i / 128)) << i;
}

TEST_P(LibraryIdiom, LatchSemaphoreWait) {
  CUdeviceptr out = device->alloc(8), counter = device->upload(std::vector<int>{0});
  ASSERT_EQ(device->launch("standardLibrary", 1, 64, 0, out, counter), kSuccess) << lastFinding();
  EXPECT_EQ(device->download<int>(out, 2), (std::vector<int>{42, 42}));
  EXPECT_EQ(device->download<int>(counter, 1)[0], 3);
}

INSTANTIATE_TEST_SUITE_P(Compiled, LibraryIdiom, ::testing::Values("O3_sm_80", "O3_sm_90a", "O3_sm_120a", "G_sm_90a", "nvrtc_sm_90a"),
                         [](const auto &info) { return std::string(info.param); });

class RandomIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_random"); }
};

TEST_P(RandomIdiom, PhiloxAndXorwow) {
  constexpr uint64_t kSeed = 0x123456789abcdef;
  CUdeviceptr out = device->alloc(64 * 4), bits = device->alloc(128 * 4);
  ASSERT_EQ(device->launch("randomWalks", 2, 32, 0, out, bits, kSeed), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, 64);
  std::vector<uint32_t> foundBits = device->download<uint32_t>(bits, 128);
  double mean = 0;
  for (size_t i = 0; i < 64; ++i) {
    // Offset 5 of subsequence i: word 1 of counter 1 and the three after it, then the first of counter 2.
    auto first = fourfold::numerics::philox4x32({1, 0, static_cast<uint32_t>(i), 0}, kSeed);
    auto second = fourfold::numerics::philox4x32({2, 0, static_cast<uint32_t>(i), 0}, kSeed);
    EXPECT_EQ(foundBits[i * 2], first[1] ^ second[0]) << i;
    mean += found[i] / 64;
  }
  EXPECT_NEAR(mean, 0.7854, 0.03);
}

INSTANTIATE_TEST_SUITE_P(Compiled, RandomIdiom, ::testing::Values("O3_sm_80", "nvrtc_sm_90a", "nvrtc_sm_120a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
