// A matrix product whose tiles come by tensor copies: its values, and mistakes in its pipeline.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "TensorMaps.h"

#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

/// f16 of a small integer.
uint16_t half(int value) {
  if (value == 0)
    return 0;
  int magnitude = std::abs(value), exponent = 31 - __builtin_clz(static_cast<unsigned>(magnitude));
  return static_cast<uint16_t>((value < 0) << 15 | (exponent + 15) << 10 | ((magnitude << 10 >> exponent) & 0x3ff));
}

/// Runs corpus/tma_matmul.cu; `spoil` changes its PTX.
template <class Spoil>
std::string runMatmul(int m, int n, int k, CheckLevel checks, Spoil spoil) {
  Device device("sm_90a", checks);
  std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/tma_matmul_O3.ptx");
  spoil(ptx);
  if (device.load(ptx) != kSuccess)
    return lastFinding();
  std::mt19937 random{8};
  std::vector<int> a(static_cast<size_t>(m * k)), b(static_cast<size_t>(n * k));
  std::vector<uint16_t> halfA, halfB;
  for (int &value : a)
    halfA.push_back(half(value = static_cast<int>(random() % 9) - 4));
  for (int &value : b)
    halfB.push_back(half(value = static_cast<int>(random() % 9) - 4));
  std::vector<float> expected(static_cast<size_t>(m * n));
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j)
      for (int l = 0; l < k; ++l)
        expected[static_cast<size_t>(i * n + j)] += static_cast<float>(a[static_cast<size_t>(i * k + l)] * b[static_cast<size_t>(j * k + l)]);
  auto size = [](int value) { return static_cast<uint64_t>(value); };
  CUdeviceptr out = device.alloc(expected.size() * 4);
  Map mapA, mapB, mapC;
  EXPECT_EQ(mapA.encode(device, {kFloat16, device.upload(halfA), {size(k), size(m)}, {size(k) * 2}, {64, 64}, {}, 3}), kSuccess) << lastFinding();
  EXPECT_EQ(mapB.encode(device, {kFloat16, device.upload(halfB), {size(k), size(n)}, {size(k) * 2}, {64, 64}, {}, 3}), kSuccess) << lastFinding();
  EXPECT_EQ(mapC.encode(device, {kFloat32, out, {size(n), size(m)}, {size(n) * 4}, {64, 64}}), kSuccess) << lastFinding();
  int steps = (k + 63) / 64;
  void *params[] = {&mapA, &mapB, &mapC, &steps, nullptr};
  const unsigned shared = 3 * 2 * 8192 + 16384 + 64;
  CUfunction function = device.function("matmul");
  EXPECT_EQ(device.d.funcSetAttribute(function, kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)), kSuccess) << lastFinding();
  if (device.d.launchKernel(function, static_cast<unsigned>(n + 63) / 64, static_cast<unsigned>(m + 63) / 64, 1, 160, 1, 1, shared, nullptr,
                            params, nullptr) != kSuccess)
    return lastFinding();
  return device.download<float>(out, expected.size()) == expected ? "" : "other values";
}

void replaceNth(std::string &text, const std::string &what, const std::string &with, int nth) {
  size_t at = text.find(what);
  for (int i = 0; i < nth && at != std::string::npos; ++i)
    at = text.find(what, at + 1);
  ASSERT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), with);
}

TEST(TensorCopies, FeedAWarpgroup) {
  auto nothing = [](std::string &) {};
  // Edges of all three dimensions are ragged: what stands outside is 0, and is not written.
  for (CheckLevel checks : {CheckLevel::Full, CheckLevel::Fast, CheckLevel::None})
    EXPECT_EQ(runMatmul(100, 72, 328, checks, nothing), "");
  EXPECT_EQ(runMatmul(64, 64, 64, CheckLevel::Full, nothing), "");
  EXPECT_EQ(runMatmul(128, 128, 512, CheckLevel::Full, nothing), "");
}

TEST(TensorCopies, MistakesOfThePipelineAreFound) {
  auto expect = [](const char *words, const char *what, const char *with, int nth) {
    std::string found = runMatmul(64, 64, 512, CheckLevel::Full, [&](std::string &ptx) { replaceNth(ptx, what, with, nth); });
    EXPECT_NE(found.find(words), std::string::npos) << "'" << words << "' is not in: " << found;
  };
  // The fence between the warpgroup's results and the copy that takes them.
  expect("fence.proxy.async is missing", "fence.proxy.async.shared::cta;", "", 0);
  expect("which the async proxy may not see", "fence.mbarrier_init.release.cluster;", "", 0);
  // The barrier of the warpgroup before the copy.
  expect("shared-memory race", "bar.sync 1, 128;", "", 0);
  // The wait for the results of a stage before it is given back.
  expect("shared-memory race: the copy writes address", "wgmma.wait_group.sync.aligned 0;", "wgmma.wait_group.sync.aligned 1;", 0);
  // The stage is not given back; the bytes of one operand alone are expected; the consumers' first phase is the other one.
  expect("for the phase of parity 0 of the mbarrier at", "mbarrier.arrive.release.cta.shared::cta.b64", "//", 0);
  expect("8192 bytes are expected in this phase, 16384 arrived", "mov.u32 \t%r86, 16384;", "mov.u32 %r86, 8192;", 0);
  expect("may still read its shared memory", "cp.async.bulk.wait_group.read", "//", 0);
}

} // namespace
