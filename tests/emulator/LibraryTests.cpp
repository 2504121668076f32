// Kernels of libraries that come with CUDA, as nvcc compiles them, against results computed here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <complex>
#include <numeric>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

class Library : public ::testing::TestWithParam<const char *> {
protected:
  std::unique_ptr<Device> device;
  std::mt19937 random{11};

  void SetUp() override {
    device = std::make_unique<Device>(GetParam());
    ASSERT_EQ(device->load(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/libraries_O3_" + std::string(GetParam()) + ".ptx")), kSuccess)
        << lastFinding();
  }
  template <class T>
  std::vector<T> integers(size_t count, int low, int high) {
    std::vector<T> values(count);
    for (T &value : values)
      value = static_cast<T>(low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1)));
    return values;
  }
  template <class T>
  CUdeviceptr zeros(size_t count) {
    return device->upload(std::vector<T>(count));
  }
  template <class... Args>
  void run(const char *name, unsigned block, Args... args) {
    ASSERT_EQ(device->launch(name, 1, block, 0, args...), kSuccess) << lastFinding();
  }
};

TEST_P(Library, CubSortScanReduceLoadHistogram) {
  std::vector<int> x = integers<int>(512, -100, 100), sorted = x, scanned(x.begin(), x.begin() + 128), shuffled = x;
  CUdeviceptr in = device->upload(x), out = device->alloc(512 * 4);
  run("radix", 128, out, in);
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(device->download<int>(out, 512), sorted);
  run("bscan", 128, out, in);
  std::partial_sum(scanned.begin(), scanned.end(), scanned.begin());
  EXPECT_EQ(device->download<int>(out, 128), scanned);
  run("bload", 128, out, in);
  for (int &value : shuffled)
    value = 2 * value + 1;
  EXPECT_EQ(device->download<int>(out, 512), shuffled);

  std::vector<float> floats(128);
  for (float &value : floats)
    value = static_cast<float>(random() % 64) * 0.25f; // exact in any order
  run("breduce", 128, out, device->upload(floats));
  EXPECT_EQ(device->download<float>(out, 1)[0], std::accumulate(floats.begin(), floats.end(), 0.0f));

  std::vector<uint8_t> bytes = integers<uint8_t>(512, 0, 255);
  std::vector<unsigned> histogram(256);
  for (uint8_t byte : bytes)
    ++histogram[byte];
  run("bhist", 128, out, device->upload(bytes));
  EXPECT_EQ(device->download<unsigned>(out, 256), histogram);
}

TEST_P(Library, RandomNumbers) {
  CUdeviceptr normal = device->alloc(512 * 4), bits = device->alloc(128 * 4);
  run("rng", 128, normal, bits);
  std::vector<float> values = device->download<float>(normal, 512);
  double mean = 0, square = 0;
  for (float value : values) {
    mean += value / 512.0;
    square += value * value / 512.0;
  }
  EXPECT_LT(std::fabs(mean), 4 / std::sqrt(512.0));
  EXPECT_NEAR(square, 1, 4 * std::sqrt(2 / 512.0));
}

TEST_P(Library, AtomicsOfLibcu) {
  CUdeviceptr out = zeros<int>(4), atomics = zeros<int>(4), sum = zeros<double>(1);
  run("latom", 128, out, atomics, sum);
  EXPECT_EQ(device->download<int>(out, 1)[0], 128);
  EXPECT_EQ(device->download<int>(atomics, 4), (std::vector<int>{128, 127, 0, 5}));
  EXPECT_EQ(device->download<double>(sum, 1)[0], 64.0);

  CUdeviceptr one = zeros<float>(1), two = zeros<float>(2), four = zeros<float>(4), brain = zeros<uint16_t>(2);
  run("fatom", 128, one, two, four, brain);
  bool isNew = std::string(GetParam()) != "sm_80";
  EXPECT_EQ(device->download<float>(one, 1)[0], 128.0f);
  EXPECT_EQ(device->download<float>(two, 2), isNew ? (std::vector<float>{128, 256}) : std::vector<float>(2));
  EXPECT_EQ(device->download<float>(four, 4), isNew ? (std::vector<float>{128, 256, 384, 512}) : std::vector<float>(4));
  EXPECT_EQ(device->download<uint16_t>(brain, 2), (std::vector<uint16_t>{0x4300, 0x4380}));

  // 128 bits: one thread of 32 finds zeros and leaves {thread + 1, 7}; all exchange the next 16 bytes, and one gets the zeros there.
  CUdeviceptr wide = zeros<uint64_t>(4 + 64);
  run("a128", 32, wide);
  std::vector<uint64_t> found = device->download<uint64_t>(wide, 68);
  if (isNew) {
    EXPECT_GE(found[0], 1u);
    EXPECT_LE(found[0], 32u);
    EXPECT_EQ(found[1], 7u);
    EXPECT_EQ(found[3], 7u);
    uint64_t sum = 0, first = 0;
    for (size_t thread = 0; thread < 32; ++thread) {
      sum += found[4 + 2 * thread]; // what it compared with, and what it exchanged
      first += found[5 + 2 * thread] == 0;
    }
    EXPECT_EQ(first, 1u);
    EXPECT_EQ(sum, 31 * found[0] + 32 * 33 / 2 - found[2]);
  }
}

TEST_P(Library, BarrierOfLibcu) {
  std::vector<float> x(128), expected(128);
  for (float &value : x)
    value = static_cast<float>(random() % 1000);
  CUdeviceptr out = device->alloc(512);
  run("lbar", 128, out, device->upload(x));
  for (size_t i = 0; i < 128; ++i)
    expected[i] = x[127 - i] + 2 * x[127 - (i + 1) % 128];
  EXPECT_EQ(device->download<float>(out, 128), expected);
}

TEST_P(Library, CooperativeGroups) {
  std::vector<int> x = integers<int>(128, -50, 50), expected(128);
  CUdeviceptr out = device->alloc(512);
  run("cgs", 128, out, device->upload(x));
  int total = std::accumulate(x.begin(), x.end(), 0);
  for (int i = 0; i < 128; ++i) {
    int inclusive = 0, labelled = 0, binary = 0;
    for (int j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
      inclusive += j <= i ? x[static_cast<size_t>(j)] : 0;
      labelled += j % 3 == i % 3;
      binary += (j % 5 < 2) == (i % 5 < 2);
    }
    expected[static_cast<size_t>(i)] = 2 * inclusive - x[static_cast<size_t>(i)] + total + labelled + binary;
  }
  EXPECT_EQ(device->download<int>(out, 128), expected);
}

TEST_P(Library, Wmma) {
  std::vector<int> a = integers<int>(256, -4, 4), b = integers<int>(256, -4, 4), product(256), transposed(256);
  std::vector<uint16_t> halfA(256), halfB(256), brainA(256), brainB(256);
  std::vector<int8_t> byteA(256), byteB(256);
  std::vector<float> expected(256), floatA(256), floatB(256), brainExpected(256);
  std::vector<double> doubleA(256), doubleB(256);
  for (size_t i = 0; i < 256; ++i) {
    floatA[i] = static_cast<float>(a[i]);
    floatB[i] = static_cast<float>(b[i]);
    halfA[i] = numerics::encodeF16(floatA[i]);
    halfB[i] = numerics::encodeF16(floatB[i]);
    brainA[i] = numerics::encodeBF16(floatA[i]);
    brainB[i] = numerics::encodeBF16(floatB[i]);
    byteA[i] = static_cast<int8_t>(a[i]);
    byteB[i] = static_cast<int8_t>(b[i]);
    doubleA[i] = a[i] * 0.1;
    doubleB[i] = b[i] * 0.3;
  }
  CUdeviceptr out = device->alloc(1024);
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 16; ++n)
      for (size_t k = 0; k < 16; ++k) {
        product[m * 16 + n] += a[m * 16 + k] * b[n * 16 + k];
        brainExpected[n * 16 + m] += floatA[m * 16 + k] * floatB[k * 16 + n]; // B by rows, stored by columns
      }
  expected.assign(product.begin(), product.end());
  run("wm", 32, out, device->upload(halfA), device->upload(halfB));
  EXPECT_EQ(device->download<float>(out, 256), expected);
  run("wmi", 32, out, device->upload(byteA), device->upload(byteB));
  EXPECT_EQ(device->download<int>(out, 256), product);
  run("wmb", 32, out, device->upload(brainA), device->upload(brainB));
  EXPECT_EQ(device->download<float>(out, 256), brainExpected);

  std::vector<float> tf32(256);
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 16; ++n)
      for (size_t k = 0; k < 8; ++k)
        tf32[m * 16 + n] += floatA[m * 8 + k] * floatB[n * 8 + k];
  run("wmt", 32, out, device->upload(floatA), device->upload(floatB));
  EXPECT_EQ(device->download<float>(out, 256), tf32);

  std::vector<double> chain(64);
  for (size_t m = 0; m < 8; ++m)
    for (size_t n = 0; n < 8; ++n)
      for (size_t k = 0; k < 4; ++k)
        chain[m * 8 + n] = std::fma(doubleA[m * 4 + k], doubleB[n * 4 + k], chain[m * 8 + n]);
  run("wmd", 32, out, device->upload(doubleA), device->upload(doubleB));
  EXPECT_EQ(device->download<double>(out, 64), chain);
}

TEST_P(Library, WideIntegersAndComplexNumbers) {
  std::vector<uint64_t> x(128);
  for (uint64_t &value : x)
    value = (uint64_t{random()} << 32 | random()) >> (random() % 64);
  CUdeviceptr out = device->alloc(256 * 8);
  run("i128", 128, out, device->upload(x));
  std::vector<uint64_t> found = device->download<uint64_t>(out, 256);
  for (size_t i = 0; i < 128; ++i) {
    unsigned __int128 a = x[i];
    a = a * a + 12345;
    __int128 b = -static_cast<__int128>(a) / 1000003;
    a %= 999999937;
    EXPECT_EQ(found[2 * i], static_cast<uint64_t>(a)) << x[i];
    EXPECT_EQ(found[2 * i + 1], static_cast<uint64_t>(b >> 7)) << x[i];
  }
  std::vector<float> re(128);
  for (float &value : re)
    value = static_cast<float>(random() % 4000) / 1000 - 2;
  CUdeviceptr result = device->alloc(512);
  run("cplx", 128, result, device->upload(re));
  std::vector<float> values = device->download<float>(result, 128);
  for (size_t i = 0; i < 128; ++i) {
    std::complex<double> c(re[i], 1);
    c = std::sqrt(c * c + std::exp(c)) / c;
    EXPECT_NEAR(values[i], std::abs(c) + c.real(), 1e-4) << re[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Nvcc, Library, ::testing::Values("sm_80", "sm_90a", "sm_120a"),
                         [](const auto &info) { return std::string(info.param); });

} // namespace
