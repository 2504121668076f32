// Kernels as CUDA programs have them, compiled by nvcc for three generations, against the host.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include <algorithm>
#include <numeric>
#include <random>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;

namespace {

struct Variant {
  const char *target, *file;
};

class Kernels : public ::testing::TestWithParam<Variant> {
protected:
  Device device{GetParam().target};
  void SetUp() override {
    std::string ptx = readText(std::string(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/") + GetParam().file);
    ASSERT_FALSE(ptx.empty());
    ASSERT_EQ(device.load(ptx), kSuccess) << lastFinding();
  }
  std::mt19937 random{11};
};

TEST_P(Kernels, ReduceSum) {
  int n = 10007;
  std::vector<int> in(n);
  for (int &v : in)
    v = static_cast<int>(random() % 2001) - 1000;
  CUdeviceptr di = device.upload(in), total = device.upload(std::vector<int>{5});
  ASSERT_EQ(device.launch("reduceSum", 5, 256, 0, di, n, total), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<int>(total, 1)[0], std::accumulate(in.begin(), in.end(), 5));
}

TEST_P(Kernels, ReduceGroups) {
  int n = 250, blocks = 2, threads = 128, warps = blocks * threads / 32;
  std::vector<unsigned> in(n);
  for (unsigned &v : in)
    v = static_cast<unsigned>(random());
  CUdeviceptr di = device.upload(in), out = device.alloc(warps * 24);
  ASSERT_EQ(device.launch("reduceGroups", blocks, threads, 0, di, n, out), kSuccess) << lastFinding();
  std::vector<unsigned> got = device.download<unsigned>(out, warps * 6);
  in.resize(blocks * threads, 0);
  for (int w = 0; w < warps; ++w) {
    const unsigned *v = in.data() + 32 * w;
    unsigned expected[6] = {0, ~0u, 0, 0, 0, 0};
    for (int i = 0; i < 32; ++i) {
      expected[0] += v[i];
      expected[1] = std::min(expected[1], v[i]);
      expected[2] = std::max(expected[2], v[i]);
      expected[3] ^= v[i];
      expected[4] |= static_cast<unsigned>((v[i] & 3) == (v[0] & 3)) << i;
      expected[5] |= (v[i] & 1) << i;
    }
    for (int k = 0; k < 6; ++k)
      EXPECT_EQ(got[6 * w + k], expected[k]) << "warp " << w << ", value " << k;
  }
}

TEST_P(Kernels, Scan) {
  for (int n : {1, 31, 33, 500, 512}) {
    std::vector<int> in(n), expected(n);
    for (int &v : in)
      v = static_cast<int>(random() % 100) - 30;
    std::partial_sum(in.begin(), in.end(), expected.begin());
    CUdeviceptr di = device.upload(in), out = device.alloc(n * 4);
    ASSERT_EQ(device.launch("scan", 1, 512, 0, di, out, n), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<int>(out, n), expected) << n;
  }
}

TEST_P(Kernels, TiledTranspose) {
  int rows = 70, columns = 45;
  std::vector<float> in(rows * columns);
  std::iota(in.begin(), in.end(), 0.5f);
  CUdeviceptr di = device.upload(in), out = device.alloc(in.size() * 4);
  void *params[] = {&di, &out, &rows, &columns};
  resetCounters();
  ASSERT_EQ(device.d.launchKernel(device.function("tiledTranspose"), 2, 3, 1, 32, 8, 1, 0, nullptr, params, nullptr),
            kSuccess)
      << lastFinding();
  std::vector<float> got = device.download<float>(out, in.size());
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      ASSERT_EQ(got[x * rows + y], in[y * columns + x]) << y << ", " << x;
  // The padding of the tile is there for this.
  EXPECT_EQ(counters().sharedLoads.conflicts(), 0u);
  EXPECT_EQ(counters().sharedStores.conflicts(), 0u);
}

TEST_P(Kernels, SharedHistogram) {
  int n = 999;
  std::vector<uint8_t> data(16 * n);
  std::vector<unsigned> bins(256, 3), expected = bins;
  for (uint8_t &byte : data)
    ++expected[byte = static_cast<uint8_t>(random() % 200)];
  CUdeviceptr dd = device.upload(data), db = device.upload(bins);
  ASSERT_EQ(device.launch("sharedHistogram", 3, 128, 0, dd, n, db), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<unsigned>(db, 256), expected);
}

TEST_P(Kernels, DoubleBuffer) {
  int chunks = 7;
  std::vector<float> x(chunks * 512), w(chunks * 512), expected(128, 0.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(static_cast<int>(random() % 17) - 8); // exact in any order
    w[i] = static_cast<float>(static_cast<int>(random() % 9) - 4);
  }
  for (int c = 0; c < chunks; ++c)
    for (int t = 0; t < 128; ++t)
      for (int k = 0; k < 4; ++k) {
        int from = (c * 128 + (t ^ 33)) * 4 + k;
        expected[t] += x[from] * w[from];
      }
  CUdeviceptr dx = device.upload(x), dw = device.upload(w), out = device.alloc(512);
  ASSERT_EQ(device.launch("doubleBuffer", 1, 128, 0, dx, dw, out, chunks), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<float>(out, 128), expected);
}

TEST_P(Kernels, Atomics) {
  int n = 700;
  std::vector<float> in(n);
  for (float &v : in)
    v = static_cast<float>(random() % 5000);
  CUdeviceptr di = device.upload(in), maximum = device.upload(std::vector<float>{0}),
              sum = device.upload(std::vector<double>{0}), count = device.upload(std::vector<uint64_t>{0}),
              last = device.upload(std::vector<unsigned>{0});
  ASSERT_EQ(device.launch("atomics", 6, 128, 0, di, n, maximum, sum, count, last), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<float>(maximum, 1)[0], *std::max_element(in.begin(), in.end()));
  EXPECT_EQ(device.download<double>(sum, 1)[0], std::accumulate(in.begin(), in.end(), 0.0));
  EXPECT_EQ(device.download<uint64_t>(count, 1)[0], static_cast<uint64_t>(n));
  EXPECT_EQ(device.download<unsigned>(last, 1)[0], 0u); // wraps with the last block
}

TEST_P(Kernels, AssertionFails) {
  std::vector<int> index(40), table{10, 20, 30, 40, 50};
  for (int i = 0; i < 40; ++i)
    index[i] = i % 5;
  int size = 5;
  CUdeviceptr dt = device.upload(table), out = device.alloc(160), good = device.upload(index);
  ASSERT_EQ(device.launch("checkedIndex", 1, 40, 0, good, dt, size, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<int>(out, 40)[33], table[3]);
  index[35] = 5;
  CUdeviceptr bad = device.upload(index);
  EXPECT_EQ(device.launch("checkedIndex", 1, 40, 0, bad, dt, size, out), kErrorAssert);
  std::string finding = lastFinding();
  for (const char *word : {"thread (35, 0, 0)", "assertion `i >= 0 && i < size` failed", "kernels.cu:"})
    EXPECT_NE(finding.find(word), std::string::npos) << "'" << word << "' is not in: " << finding;
}

// Each block stores its number at the same place: the last that starts is the one that stays.
TEST(BlockOrder, IsWhatTheOptionsSay) {
  Device device;
  ASSERT_EQ(device.load(kernel(1, "mov.u32 %r0, %ctaid.x;\nmov.u32 %r1, %ctaid.y;\nmad.lo.u32 %r2, %r1, 3, %r0;\nst.global.u32 [%rd0], %r2;\n")), kSuccess)
      << lastFinding();
  for (auto [order, last] : {std::pair{BlockOrder::Ascending, 11u}, {BlockOrder::Descending, 0u}}) {
    Options settings;
    settings.order = order;
    settings.threads = 1;
    setOptions(settings);
    CUdeviceptr out = device.alloc(4);
    void *params[] = {&out};
    ASSERT_EQ(device.d.launchKernel(device.function("k"), 3, 4, 1, 1, 1, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
    EXPECT_EQ(device.download<uint32_t>(out, 1)[0], last);
  }
}

// Cache policies change no result, wherever they stand.
TEST(CachePolicy, IsTaken) {
  Device device;
  ASSERT_EQ(device.load(kernel(2,
                               "createpolicy.fractional.L2::evict_first.b64 %rd10, 1.0;\n"
                               "ld.global.L1::no_allocate.L2::cache_hint.v2.u32 {%r0, %r1}, [%rd0], %rd10;\n"
                               "add.u32 %r0, %r0, %r1;\n"
                               "st.global.L2::cache_hint.u32 [%rd1], %r0, %rd10;\n"
                               "mov.u32 %r2, buffer;\n"
                               "cp.async.cg.shared.global.L2::cache_hint [%r2], [%rd0], 16, 8, %rd10;\n"
                               "cp.async.wait_all;\n"
                               "ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r2];\n"
                               "st.global.v4.u32 [%rd1+16], {%r3, %r4, %r5, %r6};",
                               ".shared .align 16 .b8 buffer[16];\n")),
            kSuccess)
      << lastFinding();
  CUdeviceptr in = device.upload(std::vector<uint32_t>{1, 2, 3, 4}), out = device.upload(std::vector<uint32_t>(8, 9));
  ASSERT_EQ(device.launch("k", 1, 1, 0, in, out), kSuccess) << lastFinding();
  EXPECT_EQ(device.download<uint32_t>(out, 8), (std::vector<uint32_t>{3, 9, 9, 9, 1, 2, 0, 0}));
  // The operand belongs to the modifier.
  EXPECT_EQ(device.loadAndLaunch(kernel(1, "ld.global.u32 %r0, [%rd0], %rd0;")), kErrorNotSupported);
  EXPECT_EQ(device.loadAndLaunch(kernel(1, "ld.global.L2::cache_hint.u32 %r0, [%rd0];")), kErrorNotSupported);
}

INSTANTIATE_TEST_SUITE_P(Nvcc, Kernels,
                         ::testing::Values(Variant{"sm_80", "kernels_sm80.ptx"}, Variant{"sm_90a", "kernels_sm90a.ptx"},
                                           Variant{"sm_120a", "kernels_sm120a.ptx"}));

} // namespace
