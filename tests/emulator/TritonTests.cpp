// Kernels that Triton compiled (corpus/make_triton.py), against host code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <memory>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

constexpr unsigned kThreads = 128;

class Triton : public ::testing::TestWithParam<int> {
protected:
  std::unique_ptr<Device> device;
  unsigned shared = 0;
  size_t scratch = 0; // of a block
  std::mt19937 random{5};

  /// `fence`: after the initialisation of an mbarrier.
  void load(const std::string &kernel, const char *fence = "") {
    std::string name = kernel + "_sm_" + std::to_string(GetParam());
    device.reset(); // one at a time
    device = std::make_unique<Device>(GetParam() == 80 ? "sm_80" : GetParam() == 90 ? "sm_90a" : "sm_120a");
    std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/triton_" + name + ".ptx");
    ASSERT_EQ(std::sscanf(ptx.c_str() + ptx.find("shared memory: "), "shared memory: %u, scratch of a block: %zu", &shared, &scratch), 2) << name;
    if (size_t init = ptx.find("mbarrier.init"); *fence && init != std::string::npos)
      ptx.insert(ptx.find(';', init) + 1, fence);
    ASSERT_EQ(device->load(ptx), kSuccess) << lastFinding();
  }
};

class TritonStatistics : public Triton {};
class TritonTiles : public Triton {
protected:
  void multiply(bool isFenced);
};

TEST_P(TritonStatistics, WarpsThatWriteTheSameAreNoRace) {
  ASSERT_NO_FATAL_FAILURE(load("statistics"));
  std::vector<float> x(16 * 32);
  for (float &value : x)
    value = static_cast<float>(static_cast<int>(random() % 2001) - 1000);
  CUdeviceptr in = device->upload(x), sums = device->alloc(128), most = device->alloc(64), where = device->alloc(64), none = 0;
  ASSERT_EQ(device->launch("statistics", 1, kThreads, shared, in, sums, most, where, none, none), kSuccess) << lastFinding();
  std::vector<float> columnSums = device->download<float>(sums, 32), largest = device->download<float>(most, 16);
  std::vector<int> places = device->download<int>(where, 16);
  for (size_t column = 0; column < 32; ++column) {
    float sum = 0;
    for (size_t row = 0; row < 16; ++row)
      sum += x[32 * row + column];
    EXPECT_EQ(columnSums[column], sum) << column;
  }
  for (size_t row = 0; row < 16; ++row) {
    auto start = x.begin() + static_cast<long>(32 * row), found = std::max_element(start, start + 32);
    EXPECT_EQ(largest[row], *found) << row;
    EXPECT_EQ(places[row], found - start) << row;
  }
}

TEST_P(TritonTiles, MapsThatTheKernelMakesWork) {
  // For sm_120 Triton 3.9 leaves out what PTX asks for between the initialisation and the first copy: that is found, and put there here.
  for (bool isFenced : {GetParam() != 120, true}) {
    ASSERT_NO_FATAL_FAILURE(load("tiles", isFenced && GetParam() == 120 ? "\nfence.mbarrier_init.release.cluster;" : ""));
    multiply(isFenced);
  }
}

void TritonTiles::multiply(bool isFenced) {
  constexpr size_t kM = 100, kN = 48, kK = 80;
  std::vector<uint16_t> a(kM * kK), b(kN * kK);
  for (std::vector<uint16_t> *matrix : {&a, &b})
    for (uint16_t &value : *matrix)
      value = numerics::encodeF16(static_cast<float>(static_cast<int>(random() % 7) - 3));
  CUdeviceptr inA = device->upload(a), inB = device->upload(b), out = device->alloc(kM * kN * 2), space = device->alloc(2 * scratch), none = 0;
  CUresult result =
      device->launch("tiles", 2, kThreads, shared, inA, inB, out, static_cast<int>(kM), static_cast<int>(kN), static_cast<int>(kK), space, none);
  if (!isFenced) {
    EXPECT_NE(lastFinding().find("execute fence.mbarrier_init or fence.proxy.async after mbarrier.init"), std::string::npos) << lastFinding();
    return;
  }
  ASSERT_EQ(result, kSuccess) << lastFinding();
  std::vector<uint16_t> c = device->download<uint16_t>(out, kM * kN);
  for (size_t row = 0; row < kM; ++row)
    for (size_t column = 0; column < kN; ++column) {
      float sum = 0;
      for (size_t k = 0; k < kK; ++k)
        sum += numerics::decodeF16(a[row * kK + k]) * numerics::decodeF16(b[column * kK + k]);
      ASSERT_EQ(numerics::decodeF16(c[row * kN + column]), sum) << row << ", " << column;
    }
}

INSTANTIATE_TEST_SUITE_P(All, TritonStatistics, ::testing::Values(80, 90, 120), [](const auto &info) { return "sm_" + std::to_string(info.param); });
INSTANTIATE_TEST_SUITE_P(All, TritonTiles, ::testing::Values(90, 120), [](const auto &info) { return "sm_" + std::to_string(info.param); });

} // namespace
