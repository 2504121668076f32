// Programs of clusters and cooperative grids (corpus/clusters.cu): right results, and no finding, as nvcc, clang and NVRTC compile them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "ClusterLaunch.h"
#include "Idioms.h"
#include "TensorMaps.h"

#include <numeric>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

class Clusters : public IdiomTest {
protected:
  void SetUp() override { load("clusters"); }
  std::vector<int> integers(size_t count, int most) {
    std::vector<int> values(count);
    for (int &v : values)
      v = static_cast<int>(random() % static_cast<unsigned>(most));
    return values;
  }
  template <class... Args>
  void run(const char *name, const Shape &shape, Args... args) {
    ASSERT_EQ(launchShape(*device, name, shape, args...), kSuccess) << lastFinding();
  }
};

TEST_P(Clusters, Facts) {
  CUdeviceptr out = device->alloc(24 * 64);
  run("cluster_facts", {{4, 6, 1}, {32, 1, 1}, {2, 3, 1}}, out);
  std::vector<unsigned> found = device->download<unsigned>(out, 24 * 16);
  for (unsigned y = 0; y < 6; ++y)
    for (unsigned x = 0; x < 4; ++x) {
      unsigned block = x + 4 * y;
      std::vector<unsigned> row(found.begin() + 16 * block, found.begin() + 16 * block + 16);
      EXPECT_EQ(row, (std::vector<unsigned>{x % 2 + 2 * (y % 3), 6, x % 2, y % 3, 0, 2, 3, 1, x / 2, y / 3, 0, 2, 2, 1, 1, 5})) << block;
    }
  // Without an attribute: each block is a cluster.
  run("cluster_facts", {{3, 1, 2}, {32, 1, 1}}, out);
  found = device->download<unsigned>(out, 6 * 16);
  EXPECT_EQ(std::vector<unsigned>(found.begin() + 80, found.begin() + 96),
            (std::vector<unsigned>{0, 1, 0, 0, 0, 1, 1, 1, 2, 0, 1, 3, 1, 2, 0, 0}));
}

TEST_P(Clusters, SumOverDistributedSharedMemory) {
  for (unsigned size : {1u, 2u, 4u, 8u}) {
    int perBlock = 300;
    std::vector<int> in = integers(16 * 300, 1000), expected;
    for (size_t i = 0; i < 16 / size; ++i)
      expected.push_back(std::accumulate(in.begin() + static_cast<long>(i * size) * 300, in.begin() + static_cast<long>((i + 1) * size) * 300, 0));
    CUdeviceptr out = device->alloc(64);
    run("cluster_sum", {{16, 1, 1}, {64, 1, 1}, {size, 1, 1}}, device->upload(in), out, perBlock);
    EXPECT_EQ(device->download<int>(out, expected.size()), expected);
  }
}

TEST_P(Clusters, Histogram) {
  std::vector<int> in = integers(2000, 96), expected(96);
  for (int v : in)
    ++expected[static_cast<size_t>(v)];
  CUdeviceptr bins = device->upload(std::vector<int>(96));
  run("cluster_histogram", {{8, 1, 1}, {64, 1, 1}, {4, 1, 1}, false, 24 * 4}, device->upload(in), 2000, bins, 96);
  EXPECT_EQ(device->download<int>(bins, 96), expected);
}

TEST_P(Clusters, Ring) {
  unsigned size = 4;
  int rounds = 5;
  CUdeviceptr out = device->alloc(8 * 64 * 4);
  run("cluster_ring", {{8, 1, 1}, {64, 1, 1}, {size, 1, 1}}, out, rounds);
  std::vector<int> found = device->download<int>(out, 8 * 64), expected;
  for (unsigned block = 0; block < 8; ++block)
    for (unsigned thread = 0; thread < 64; ++thread) {
      unsigned rank = block % size, start = (rank + 4 * size - static_cast<unsigned>(rounds)) % size, value = start * 1000 + thread;
      for (unsigned i = 0; i < static_cast<unsigned>(rounds); ++i)
        value += (start + i) % size;
      expected.push_back(static_cast<int>(value));
    }
  EXPECT_EQ(found, expected);
}

TEST_P(Clusters, ExchangeOverMbarriers) {
  int rounds = 5;
  CUdeviceptr out = device->alloc(4 * 32 * 4);
  run("cluster_exchange", {{4, 1, 1}, {32, 1, 1}, {2, 1, 1}}, out, rounds);
  std::vector<int> found = device->download<int>(out, 128);
  for (int thread = 0; thread < 32; ++thread) {
    int value[2] = {thread, 100 + thread};
    for (int round = 0; round < rounds; ++round) {
      std::swap(value[0], value[1]);
      for (int &v : value)
        v = 3 * v + round;
    }
    for (size_t block = 0; block < 4; ++block)
      EXPECT_EQ(found[block * 32 + static_cast<size_t>(thread)], value[block % 2]) << block << " " << thread;
  }
}

TEST_P(Clusters, AsynchronousReductions) {
  CUdeviceptr out = device->alloc(8);
  run("cluster_count", {{8, 1, 1}, {64, 1, 1}, {4, 1, 1}}, out);
  EXPECT_EQ(device->download<unsigned>(out, 2), (std::vector<unsigned>{5 + 4 * 64 * 65 / 2, 5 + 4 * 64 * 65 / 2}));
}

TEST_P(Clusters, MulticastMatmul) {
  uint64_t n = 96;
  std::vector<float> a(n * n), b(n * n);
  for (size_t i = 0; i < n * n; ++i) {
    a[i] = static_cast<float>(random() % 16) - 8;
    b[i] = static_cast<float>(random() % 16) - 8;
  }
  Map mapA, mapB;
  ASSERT_EQ(mapA.encode(*device, {kFloat32, device->upload(a), {n, n}, {4 * n}, {16, 8}}), kSuccess) << lastFinding();
  ASSERT_EQ(mapB.encode(*device, {kFloat32, device->upload(b), {n, n}, {4 * n}, {16, 8}}), kSuccess) << lastFinding();
  CUdeviceptr c = device->alloc(n * n * 4);
  run("multicast_matmul", {{6, 6, 1}, {256, 1, 1}, {2, 2, 1}}, mapA, mapB, c, static_cast<int>(n));
  std::vector<float> found = device->download<float>(c, n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      float sum = 0;
      for (size_t k = 0; k < n; ++k)
        sum += a[i * n + k] * b[k * n + j]; // exact
      ASSERT_EQ(found[i * n + j], sum) << i << " " << j;
    }
}

TEST_P(Clusters, CopyToThePeer) {
  std::vector<int> in = integers(6 * 128, 1 << 30), expected;
  for (size_t block = 0; block < 6; ++block) {
    size_t from = block / 3 * 3 + (block % 3 + 2) % 3;
    expected.insert(expected.end(), in.begin() + static_cast<long>(from) * 128, in.begin() + static_cast<long>(from + 1) * 128);
  }
  CUdeviceptr out = device->alloc(6 * 512);
  run("cluster_copy", {{6, 1, 1}, {128, 1, 1}, {3, 1, 1}}, device->upload(in), out);
  EXPECT_EQ(device->download<int>(out, 6 * 128), expected);
}

TEST_P(Clusters, PrefixSumsOfACooperativeGrid) {
  int perBlock = 70;
  std::vector<int> in = integers(20 * 70, 100), expected = in;
  std::partial_sum(in.begin(), in.end(), expected.begin());
  CUdeviceptr out = device->alloc(in.size() * 4), sums = device->alloc(80);
  run("grid_prefix", {{20, 1, 1}, {64, 1, 1}, {0, 0, 0}, true, 280}, device->upload(in), out, sums, perBlock);
  EXPECT_EQ(device->download<int>(out, in.size()), expected);
  EXPECT_EQ(device->download<int>(sums, 1)[0], 20 * 64);
  // In clusters, and through the entry point of its own.
  run("grid_prefix", {{20, 1, 1}, {64, 1, 1}, {4, 1, 1}, true, 280}, device->upload(in), out, sums, perBlock);
  EXPECT_EQ(device->download<int>(out, in.size()), expected);
  CUdeviceptr from = device->upload(in);
  void *params[] = {&from, &out, &sums, &perBlock};
  ASSERT_EQ(device->d.launchCooperativeKernel(device->function("grid_prefix"), 20, 1, 1, 64, 1, 1, 280, nullptr, params), kSuccess) << lastFinding();
  EXPECT_EQ(device->download<int>(out, in.size()), expected);
}

TEST_P(Clusters, DependentLaunch) {
  CUdeviceptr data = device->upload(std::vector<int>(32, 41));
  run("dependent", {{1, 1, 1}, {32, 1, 1}}, data);
  EXPECT_EQ(device->download<int>(data, 32), std::vector<int>(32, 42));
}

TEST(ClusterChecks, EveryLevelComputesTheSame) {
  std::vector<int> results[3];
  CheckLevel levels[] = {CheckLevel::None, CheckLevel::Fast, CheckLevel::Full};
  for (size_t i = 0; i < 3; ++i) {
    Device device("sm_90a", levels[i]);
    ASSERT_EQ(device.load(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/clusters_O3_sm_90a.ptx")), kSuccess) << lastFinding();
    CUdeviceptr ring = device.alloc(32 * 256), exchange = device.alloc(64 * 128), count = device.alloc(4 * 4), bins = device.upload(std::vector<int>(96));
    std::vector<int> in(2000);
    for (size_t j = 0; j < in.size(); ++j)
      in[j] = static_cast<int>(j * j % 96);
    ASSERT_EQ(launchShape(device, "cluster_ring", {{32, 1, 1}, {64, 1, 1}, {8, 1, 1}}, ring, 5), kSuccess) << lastFinding();
    ASSERT_EQ(launchShape(device, "cluster_exchange", {{64, 1, 1}, {32, 1, 1}, {2, 1, 1}}, exchange, 9), kSuccess) << lastFinding();
    ASSERT_EQ(launchShape(device, "cluster_count", {{16, 1, 1}, {64, 1, 1}, {4, 1, 1}}, count), kSuccess) << lastFinding();
    ASSERT_EQ(launchShape(device, "cluster_histogram", {{8, 1, 1}, {64, 1, 1}, {4, 1, 1}, false, 96}, device.upload(in), 2000, bins, 96), kSuccess)
        << lastFinding();
    for (auto [address, words] : {std::pair<CUdeviceptr, size_t>{ring, 32 * 64}, {exchange, 64 * 32}, {count, 4}, {bins, 96}}) {
      std::vector<int> found = device.download<int>(address, words);
      results[i].insert(results[i].end(), found.begin(), found.end());
    }
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

INSTANTIATE_TEST_SUITE_P(Compiled, Clusters,
                         ::testing::Values("O3_sm_90a", "O3_sm_120a", "G_sm_90a", "G_sm_120a", "clang_O3_sm_120a", "clang_O0_sm_90a", "nvrtc_sm_90a",
                                           "nvrtc_sm_120a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
