// Parallel algorithms as people write them (corpus/idioms_algorithms.cu): right results, and no finding, as nvcc, clang and NVRTC compile them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Idioms.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

class AlgorithmIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_algorithms"); }

  std::vector<uint32_t> keys(size_t count) {
    std::vector<uint32_t> values(count);
    for (uint32_t &v : values)
      v = static_cast<uint32_t>(random());
    return values;
  }
  std::vector<int> small(size_t count) {
    std::vector<int> values(count);
    for (int &v : values)
      v = static_cast<int>(random() % 100) - 20;
    return values;
  }
};

TEST_P(AlgorithmIdiom, BitonicSort) {
  std::vector<uint32_t> data = keys(1024);
  CUdeviceptr out = device->upload(data);
  ASSERT_EQ(device->launch("bitonicSort", 2, 256, 0, out), kSuccess) << lastFinding();
  std::sort(data.begin(), data.begin() + 512);
  std::sort(data.begin() + 512, data.end());
  EXPECT_EQ(device->download<uint32_t>(out, data.size()), data);
}

TEST_P(AlgorithmIdiom, SpmvCsr) {
  int rows = 37, width = 50;
  std::vector<int> starts = {0}, columns;
  std::vector<double> values, x(static_cast<size_t>(width)), expected(static_cast<size_t>(rows));
  for (double &v : x)
    v = static_cast<int>(random() % 64);
  for (int row = 0; row < rows; ++row) {
    for (int i = static_cast<int>(random() % 20); i > 0; --i) {
      columns.push_back(static_cast<int>(random() % 50));
      values.push_back(static_cast<int>(random() % 64) * 0.25);
      expected[static_cast<size_t>(row)] += values.back() * x[static_cast<size_t>(columns.back())];
    }
    starts.push_back(static_cast<int>(columns.size()));
  }
  CUdeviceptr out = device->alloc(expected.size() * 8);
  ASSERT_EQ(device->launch("spmvCsr", 5, 64, 0, rows, device->upload(starts), device->upload(columns), device->upload(values),
                           device->upload(x), out),
            kSuccess)
      << lastFinding();
  EXPECT_EQ(device->download<double>(out, expected.size()), expected); // exact: small multiples of 1/4
}

TEST_P(AlgorithmIdiom, RadixSort) {
  std::vector<uint32_t> data = keys(700);
  CUdeviceptr out = device->upload(data), other = device->alloc(data.size() * 4);
  ASSERT_EQ(device->launch("radixSort", 1, 256, 0, out, other, 700), kSuccess) << lastFinding();
  std::sort(data.begin(), data.end());
  EXPECT_EQ(device->download<uint32_t>(out, data.size()), data);
}

TEST_P(AlgorithmIdiom, Stencil) {
  int nx = 40, ny = 11, nz = 5;
  size_t count = static_cast<size_t>(nx * ny * nz);
  std::vector<float> x(count);
  for (float &v : x)
    v = static_cast<float>(random() % 256);
  CUdeviceptr in = device->upload(x), out = device->alloc(count * 4);
  void *params[] = {&out, &in, &nx, &ny, &nz};
  ASSERT_EQ(device->d.launchKernel(device->function("stencil3d"), 2, 2, 1, 32, 8, 1, 0, nullptr, params, nullptr), kSuccess)
      << lastFinding();
  std::vector<float> found = device->download<float>(out, count);
  auto at = [&](int i, int j, int k) {
    return i >= 0 && i < nx && j >= 0 && j < ny && k >= 0 && k < nz ? x[static_cast<size_t>((k * ny + j) * nx + i)] : 0.0f;
  };
  for (int k = 0; k < nz; ++k)
    for (int j = 0; j < ny; ++j)
      for (int i = 0; i < nx; ++i)
        ASSERT_EQ(found[static_cast<size_t>((k * ny + j) * nx + i)],
                  -6 * at(i, j, k) + at(i - 1, j, k) + at(i + 1, j, k) + at(i, j - 1, k) + at(i, j + 1, k) + at(i, j, k - 1) + at(i, j, k + 1));
}

TEST_P(AlgorithmIdiom, ScanLookBack) {
  int count = 128 * 9 + 55;
  std::vector<int> data = small(static_cast<size_t>(count));
  CUdeviceptr in = device->upload(data), out = device->alloc(data.size() * 4);
  CUdeviceptr ticket = device->upload(std::vector<int>{0}), state = device->upload(std::vector<uint64_t>(10));
  ASSERT_EQ(device->launch("scanLookBack", 10, 128, 0, out, in, count, ticket, state), kSuccess) << lastFinding();
  std::partial_sum(data.begin(), data.end(), data.begin());
  EXPECT_EQ(device->download<int>(out, data.size()), data);
}

TEST_P(AlgorithmIdiom, SumLastBlock) {
  int count = 3001;
  std::vector<float> data(static_cast<size_t>(count));
  float expected = 0;
  for (float &v : data)
    expected += v = static_cast<float>(random() % 100);
  CUdeviceptr in = device->upload(data), result = device->alloc(4), partial = device->alloc(7 * 4);
  // Twice: the counter wraps to zero by itself.
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(device->launch("sumLastBlock", 7, 128, 0, result, partial, in, count), kSuccess) << lastFinding();
    EXPECT_EQ(device->download<float>(result, 1)[0], expected);
  }
}

TEST_P(AlgorithmIdiom, HashInsert) {
  unsigned slots = 128;
  std::vector<uint32_t> data = keys(100);
  for (size_t i = 50; i < 70; ++i)
    data[i] = data[i - 40]; // the same keys from other threads
  CUdeviceptr table = device->upload(std::vector<uint64_t>(slots, ~uint64_t{0})), where = device->alloc(400);
  ASSERT_EQ(device->launch("hashInsert", 4, 32, 0, table, slots, device->upload(data), where, 100), kSuccess) << lastFinding();
  std::vector<uint64_t> found = device->download<uint64_t>(table, slots);
  std::vector<uint32_t> places = device->download<uint32_t>(where, 100);
  std::map<uint32_t, uint32_t> placeOf;
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_LT(places[i], slots);
    EXPECT_EQ(found[places[i]] >> 32, data[i]) << i;
    EXPECT_EQ(placeOf.emplace(data[i], places[i]).first->second, places[i]) << i;
  }
  EXPECT_EQ(std::count(found.begin(), found.end(), ~uint64_t{0}), static_cast<long>(slots - placeOf.size()));
}

TEST_P(AlgorithmIdiom, BreadthFirst) {
  int nodes = 200;
  std::vector<int> starts = {0}, edges;
  for (int i = 0; i < nodes; ++i) {
    for (int j = static_cast<int>(random() % 5); j >= 0; --j)
      edges.push_back(static_cast<int>(random() % 200));
    starts.push_back(static_cast<int>(edges.size()));
  }
  std::vector<int> expected(static_cast<size_t>(nodes), -1), frontier = {0};
  expected[0] = 0;
  CUdeviceptr distance = device->upload(expected), dStarts = device->upload(starts), dEdges = device->upload(edges);
  for (int level = 1; !frontier.empty(); ++level) {
    std::set<int> next;
    for (int node : frontier)
      for (int e = starts[static_cast<size_t>(node)]; e < starts[static_cast<size_t>(node) + 1]; ++e)
        if (int to = edges[static_cast<size_t>(e)]; expected[static_cast<size_t>(to)] < 0) {
          expected[static_cast<size_t>(to)] = level;
          next.insert(to);
        }
    CUdeviceptr to = device->alloc(static_cast<size_t>(nodes) * 4), size = device->upload(std::vector<int>{0});
    ASSERT_EQ(device->launch("breadthFirst", 2, 64, 0, distance, dStarts, dEdges, device->upload(frontier),
                             static_cast<int>(frontier.size()), to, size, level),
              kSuccess)
        << lastFinding();
    size_t found = static_cast<size_t>(device->download<int>(size, 1)[0]);
    ASSERT_EQ(found, next.size()) << level;
    frontier = device->download<int>(to, found);
    EXPECT_EQ(std::set<int>(frontier.begin(), frontier.end()), next) << level;
  }
  EXPECT_EQ(device->download<int>(distance, static_cast<size_t>(nodes)), expected);
}

TEST_P(AlgorithmIdiom, NamedBarriers) {
  int rounds = 7;
  std::vector<int> data = small(static_cast<size_t>(rounds) * 32);
  CUdeviceptr out = device->alloc(data.size() * 4);
  ASSERT_EQ(device->launch("namedBarriers", 1, 64, 0, out, device->upload(data), rounds), kSuccess) << lastFinding();
  std::vector<int> found = device->download<int>(out, data.size());
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_EQ(found[i], data[i / 32 * 32 + 31 - i % 32] * 3) << i;
}

TEST_P(AlgorithmIdiom, FourierThereAndBack) {
  std::vector<float> data(64 * 2 * 3);
  for (float &v : data)
    v = static_cast<float>(random() % 200) / 100.0f;
  CUdeviceptr out = device->upload(data);
  ASSERT_EQ(device->launch("fft64", 3, 32, 0, out), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, data.size());
  for (size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(found[i], data[i], 1e-5) << i;
}

TEST_P(AlgorithmIdiom, Life) {
  int words = 3, rows = 20;
  std::vector<uint32_t> data = keys(60), expected(60);
  CUdeviceptr in = device->upload(data), out = device->alloc(240);
  void *params[] = {&out, &in, &words, &rows};
  ASSERT_EQ(device->d.launchKernel(device->function("lifeBits"), 1, 20, 1, 32, 1, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  auto alive = [&](int x, int y) {
    x = (x + 96) % 96;
    return static_cast<int>(data[static_cast<size_t>((y + rows) % rows * words + x / 32)] >> x % 32 & 1);
  };
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < 96; ++x) {
      int neighbours = -alive(x, y);
      for (int i = 0; i < 9; ++i)
        neighbours += alive(x + i % 3 - 1, y + i / 3 - 1);
      if (neighbours == 3 || (neighbours == 2 && alive(x, y)))
        expected[static_cast<size_t>(y * words + x / 32)] |= 1u << x % 32;
    }
  EXPECT_EQ(device->download<uint32_t>(out, 60), expected);
}

FOURFOLD_IDIOMS(AlgorithmIdiom);

} // namespace
