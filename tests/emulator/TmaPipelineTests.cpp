// cuda::pipeline and cuda::barrier of libcu++, which mbarriers and copies become: values, and no finding at any level.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

struct Variant {
  const char *file, *target;
};

class Pipelines : public ::testing::TestWithParam<Variant> {
protected:
  Device device{GetParam().target};
  void SetUp() override {
    ASSERT_EQ(device.load(readText(std::string(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/") + GetParam().file)), kSuccess) << lastFinding();
  }
  std::vector<float> smallNumbers(size_t count) {
    std::mt19937 random{9};
    std::vector<float> numbers(count);
    for (float &number : numbers)
      number = static_cast<float>(random() % 17); // sums are exact
    return numbers;
  }
};

TEST_P(Pipelines, Unified) {
  for (int batches : {1, 2, 5}) {
    std::vector<float> in = smallNumbers(static_cast<size_t>(batches) * 512), expected(128);
    for (size_t thread = 0; thread < 128; ++thread)
      for (size_t batch = 0; batch < static_cast<size_t>(batches); ++batch)
        for (size_t i = 0; i < 4; ++i)
          expected[thread] += in[batch * 512 + (thread * 5 + i * 31) % 512];
    CUdeviceptr source = device.upload(in), out = device.alloc(512);
    ASSERT_EQ(device.launch("unifiedPipeline", 1, 128, 0, source, out, batches), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<float>(out, 128), expected);
  }
}

TEST_P(Pipelines, Split) {
  for (int batches : {1, 2, 5}) {
    std::vector<float> in = smallNumbers(static_cast<size_t>(batches) * 128), expected(64);
    for (size_t thread = 64; thread < 128; ++thread)
      for (size_t i = 0; i < in.size(); ++i)
        expected[thread - 64] += in[i] * static_cast<float>((i % 128 + thread) % 7);
    CUdeviceptr source = device.upload(in), out = device.alloc(256);
    ASSERT_EQ(device.launch("splitPipeline", 1, 128, 0, source, out, batches), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<float>(out, 64), expected);
  }
}

TEST_P(Pipelines, TwoBarriersABuffer) {
  for (int rounds : {1, 2, 5}) {
    std::vector<int> in(static_cast<size_t>(rounds) * 64), expected(64);
    for (size_t i = 0; i < in.size(); ++i)
      in[i] = static_cast<int>(i * 37 % 101);
    for (size_t thread = 0; thread < 64; ++thread)
      for (size_t round = 0; round < static_cast<size_t>(rounds); ++round)
        expected[thread] += in[round * 64 + 63 - thread] * static_cast<int>(round + 1);
    CUdeviceptr source = device.upload(in), out = device.alloc(256);
    ASSERT_EQ(device.launch("twoBarriers", 1, 128, 0, source, out, rounds), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<int>(out, 64), expected);
  }
}

TEST(PipelineMistakes, WaitsThatDoNotWait) {
  // Each wait of the kernel in turn is taken out: it says at once that the phase is complete.
  std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/tma_pipeline_sm90a.ptx"), wait = "mbarrier.try_wait.shared.b64 p, [";
  size_t start = ptx.find(".entry twoBarriers"), waits = 0;
  for (size_t at = start; (at = ptx.find(wait, at)) != std::string::npos; ++at, ++waits) {
    std::string spoiled = ptx;
    spoiled.replace(at, ptx.find(';', at) - at, "setp.eq.u32 p, 0, 0");
    Device device("sm_90a");
    ASSERT_EQ(device.load(spoiled), kSuccess) << lastFinding();
    int rounds = 5;
    CUdeviceptr source = device.upload(std::vector<int>(320, 1)), out = device.alloc(256);
    EXPECT_NE(device.launch("twoBarriers", 1, 128, 0, source, out, rounds), kSuccess);
    std::string found = lastFinding();
    EXPECT_TRUE(found.find("shared-memory race") != std::string::npos || found.find("more in this phase") != std::string::npos ||
                found.find("loaded bytes never written") != std::string::npos || found.find("spins for ever") != std::string::npos)
        << found;
  }
  EXPECT_GE(waits, 2u);
}

INSTANTIATE_TEST_SUITE_P(Targets, Pipelines,
                         ::testing::Values(Variant{"tma_pipeline_sm80.ptx", "sm_80"}, Variant{"tma_pipeline_sm90a.ptx", "sm_90a"}),
                         [](const auto &info) { return std::string(info.param.target); });

} // namespace
