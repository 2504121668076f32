// Third-party PTX: nvcc's output with and without optimisation computes what the CUDA C++ says.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <cmath>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

class Corpus : public ::testing::TestWithParam<const char *> {
protected:
  Device device;
  void SetUp() override {
    std::string ptx = readText(std::string(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/") + GetParam());
    ASSERT_FALSE(ptx.empty());
    ASSERT_EQ(device.load(ptx), kSuccess) << lastFinding();
  }
  std::mt19937 random{7};
};

TEST_P(Corpus, Saxpy) {
  int n = 1000;
  float a = 1.25f;
  const float table[4] = {1.0f, -2.0f, 3.5f, 0.25f};
  std::vector<float> x(n), y(n);
  for (int i = 0; i < n; ++i) {
    x[i] = static_cast<float>(i) * 0.5f;
    y[i] = static_cast<float>(i % 17);
  }
  CUdeviceptr dx = device.upload(x), dy = device.upload(y);
  ASSERT_EQ(device.launch("saxpy", 3, 96, 0, n, a, dx, dy), kSuccess) << lastFinding();
  std::vector<float> out = device.download<float>(dy, n);
  for (int i = 0; i < n; ++i)
    ASSERT_EQ(out[i], std::fma(a, x[i], y[i] * table[i & 3])) << i;
}

TEST_P(Corpus, BlockSum) {
  int n = 777;
  std::vector<float> x(n);
  float expected = 0;
  for (int i = 0; i < n; ++i)
    expected += x[i] = static_cast<float>(i % 13); // small integers: exact in any order
  CUdeviceptr dx = device.upload(x), out = device.alloc(4);
  ASSERT_EQ(device.launch("blockSum", 1, 128, 0, n, dx, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<float>(out, 1)[0], expected);
  CUdeviceptr counter;
  size_t bytes;
  ASSERT_EQ(device.d.moduleGetGlobal(&counter, &bytes, device.module, "counter"), kSuccess);
  EXPECT_EQ(bytes, 4u);
  EXPECT_EQ(device.download<int>(counter, 1)[0], 6);
}

TEST_P(Corpus, Collatz) {
  int n = 100;
  std::vector<unsigned> start(n);
  for (int i = 0; i < n; ++i)
    start[i] = static_cast<unsigned>(random() % 100000 + 1);
  CUdeviceptr ds = device.upload(start), dr = device.alloc(n * 4);
  ASSERT_EQ(device.launch("collatz", 2, 64, 0, n, ds, dr), kSuccess) << lastFinding();
  std::vector<unsigned> steps = device.download<unsigned>(dr, n);
  for (int i = 0; i < n; ++i) {
    unsigned long long v = start[i];
    unsigned count = 0;
    while (v != 1) {
      v = v & 1 ? 3 * v + 1 : v / 2;
      if (++count > 1000)
        break;
    }
    ASSERT_EQ(steps[i], count) << start[i];
  }
}

TEST_P(Corpus, Transpose) {
  int n = 40;
  std::vector<float> in(n * n);
  for (int i = 0; i < n * n; ++i)
    in[i] = static_cast<float>(i);
  CUdeviceptr di = device.upload(in), dout = device.alloc(n * n * 4);
  void *params[] = {&n, &di, &dout};
  ASSERT_EQ(
      device.d.launchKernel(device.function("transpose"), 3, 3, 1, 16, 16, 1, 16 * 17 * 4, nullptr, params, nullptr),
      kSuccess)
      << lastFinding();
  std::vector<float> out = device.download<float>(dout, n * n);
  for (int y = 0; y < n; ++y)
    for (int x = 0; x < n; ++x)
      ASSERT_EQ(out[x * n + y], in[y * n + x]);
}

TEST_P(Corpus, Classify) {
  struct Item {
    int kind;
    float a;
    double b;
  };
  int n = 60;
  std::vector<Item> items(n);
  for (int i = 0; i < n; ++i)
    items[i] = {i % 7, static_cast<float>(i) * 1.75f, i * 1000.5};
  CUdeviceptr di = device.upload(items), dout = device.alloc(n * 8);
  ASSERT_EQ(device.launch("classify", 1, 64, 0, n, di, dout), kSuccess) << lastFinding();
  std::vector<double> out = device.download<double>(dout, n);
  for (int i = 0; i < n; ++i) {
    const Item &item = items[i];
    double expected = -1;
    switch (item.kind) {
    case 0:
      expected = item.a + item.b * (i & 7);
      break;
    case 1:
      expected = item.b / 3.0;
      break;
    case 2:
      expected = std::sqrt(item.b);
      break;
    case 3:
      expected = std::floor(item.a) * 2;
      break;
    case 4:
      expected = static_cast<double>(static_cast<long long>(item.b) % 7);
      break;
    case 5: {
      int value = static_cast<int>(item.b);
      expected = __builtin_popcount(static_cast<unsigned>(item.a)) +
                 (value ? __builtin_clz(static_cast<unsigned>(value)) : 32);
      break;
    }
    }
    // nvcc contracts case 0 into a fused multiply-add.
    if (item.kind == 0)
      ASSERT_TRUE(out[i] == expected || out[i] == std::fma(item.b, i & 7, static_cast<double>(item.a))) << i;
    else
      ASSERT_EQ(out[i], expected) << i;
  }
}

TEST_P(Corpus, Halves) {
  int n = 50;
  std::vector<uint16_t> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = numerics::encodeF16(static_cast<float>(i) * 0.37f - 5);
    b[i] = numerics::encodeBF16(static_cast<float>(i) * 1.1f - 20);
  }
  CUdeviceptr da = device.upload(a), db = device.upload(b), dout = device.alloc(n * 4);
  ASSERT_EQ(device.launch("halves", 1, 64, 0, n, da, db, dout), kSuccess) << lastFinding();
  std::vector<float> out = device.download<float>(dout, n);
  for (int i = 0; i < n; ++i) {
    float h = numerics::decodeF16(a[i]);
    float fused = numerics::decodeF16(numerics::encodeF16(static_cast<float>(static_cast<double>(h) * h + 0.5)));
    float brain = numerics::decodeBF16(numerics::encodeBF16(numerics::decodeBF16(b[i]) * 1.5f));
    ASSERT_EQ(out[i], fused + brain) << i;
  }
}

TEST_P(Corpus, Histogram) {
  int n = 5000;
  std::vector<uint8_t> data(n);
  std::vector<unsigned> expected(256, 0), zero(256, 0);
  for (uint8_t &byte : data)
    ++expected[byte = static_cast<uint8_t>(random())];
  CUdeviceptr dd = device.upload(data), db = device.upload(zero);
  ASSERT_EQ(device.launch("histogram", 4, 96, 0, n, dd, db), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<unsigned>(db, 256), expected);
}

INSTANTIATE_TEST_SUITE_P(Nvcc, Corpus, ::testing::Values("basics_O3.ptx", "basics_G.ptx"));

} // namespace
