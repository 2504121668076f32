// Tensor-core steps: the vectorised one against the scalar model, both against MMA-Sim, fragments against plain loops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Harness.h"

#include "runtime/emulator/MmaDense.h"
#include "runtime/emulator/MmaFp4.h"

#include <chrono>
#include <cstring>
#include <random>
#include <regex>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

using numerics::ScaleFormat;

#ifdef __has_feature // of clang
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
/// Far above what a step takes; catches a fall back to the scalar model. Sanitizers take their time.
#ifdef __SANITIZE_ADDRESS__
constexpr double kMostMicroseconds = 1000;
#else
constexpr double kMostMicroseconds = 20;
#endif

uint32_t bitsOf(float value) { return numerics::floatBits(value); }

/// One tile of random operands of some temper.
void randomTile(std::mt19937 &random, Fp4Tile &tile, ScaleFormat format, unsigned temper) {
  for (auto &row : tile.a)
    for (uint8_t &byte : row)
      byte = static_cast<uint8_t>(random());
  for (auto &row : tile.b)
    for (uint8_t &byte : row)
      byte = static_cast<uint8_t>(random());
  if (temper & 1) { // zero groups
    for (auto &row : tile.a)
      for (int i = 8; i < 16; ++i)
        row[i] &= 0x88;
    for (int n = 0; n < 8; n += 2)
      std::memset(tile.b[n] + 16, 0, 8);
  }
  if (temper & 2) // cancellation
    for (auto &row : tile.a)
      for (int i = 0; i < 16; ++i)
        row[i + 16] = row[i] ^ 0x88;
  auto scale = [&]() -> uint8_t {
    unsigned r = random();
    switch (temper >> 2 & 3) {
    case 0:
      return static_cast<uint8_t>(format == ScaleFormat::UE4M3 ? 0x30 + r % 24 : 120 + r % 16);
    case 1:
      return static_cast<uint8_t>(r);
    case 2:
      return static_cast<uint8_t>(r % 9); // zeros and subnormals
    default:
      return static_cast<uint8_t>(r % 50 == 0 ? 0xff : r % 2 ? 0 : format == ScaleFormat::UE4M3 ? 0x7e : 0xfe);
    }
  };
  for (auto &row : tile.scaleA)
    for (uint8_t &byte : row)
      byte = scale();
  for (auto &row : tile.scaleB)
    for (uint8_t &byte : row)
      byte = scale();
  for (auto &row : tile.c)
    for (float &value : row) {
      unsigned r = random();
      switch (temper >> 4 & 3) {
      case 0:
        value = static_cast<float>(static_cast<int>(r % 2001) - 1000) * 0.37f;
        break;
      case 1:
        value = numerics::floatFromBits(r); // any pattern: NaN, infinities, subnormals
        break;
      case 2:
        value = numerics::floatFromBits((r & 0x80000000u) | (r % 0x00ffffff)); // around the subnormals
        break;
      default:
        value = r % 3 ? 0.0f : r % 2 ? -0.0f : numerics::floatFromBits(0x7f7fffffu ^ (r & 0x80000000u));
      }
    }
}

TEST(MmaFp4, VectorisedEqualsScalarModel) {
  std::mt19937 random(2);
  Fp4Tile tile, reference;
  // 10000 tiles of 128 elements: more than a million vectorised steps.
  for (unsigned i = 0; i < 10000; ++i) {
    ScaleFormat format = i & 128 ? ScaleFormat::UE8M0 : ScaleFormat::UE4M3;
    randomTile(random, tile, format, i >> 1);
    reference = tile;
    // The portable path and that of AVX2 stand in for other processors; the former is slow, so it gets every eighth tile.
    if (i % 8 == 0)
      mmaFp4Portable(tile, format);
    else if (i % 2 && mmaFp4Avx2())
      mmaFp4Avx2()(tile, format);
    else
      mmaFp4(tile, format);
    mmaFp4Reference(reference, format);
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 8; ++n)
        ASSERT_EQ(bitsOf(tile.d[m][n]), bitsOf(reference.d[m][n])) << "tile " << i << " element " << m << ", " << n;
  }
}

/// tests/data/mma_sim_vectors.bin; see generate_mma_vectors.py for the layout.
TEST(MmaFp4, EqualsMmaSim) {
  std::string data = readText(FOURFOLD_SOURCE_DIR "/tests/data/mma_sim_vectors.bin");
  ASSERT_EQ(data.substr(0, 4), "FFMV");
  size_t at = 4;
  auto read = [&](void *to, size_t bytes) {
    ASSERT_LE(at + bytes, data.size());
    std::memcpy(to, data.data() + at, bytes);
    at += bytes;
  };
  int scaled = 0, dense = 0;
  while (at < data.size()) {
    uint32_t kind = 0;
    read(&kind, 4);
    float c[16][8], d[16][8];
    if (kind <= 2) {
      Fp4Tile tile, reference;
      read(tile.a, sizeof(tile.a));
      read(tile.b, sizeof(tile.b));
      read(tile.scaleA, sizeof(tile.scaleA));
      read(tile.scaleB, sizeof(tile.scaleB));
      read(tile.c, sizeof(tile.c));
      read(d, sizeof(d));
      reference = tile;
      ScaleFormat format = kind == 0 ? ScaleFormat::UE4M3 : ScaleFormat::UE8M0;
      mmaFp4(tile, format);
      mmaFp4Reference(reference, format);
      for (int m = 0; m < 16; ++m)
        for (int n = 0; n < 8; ++n) {
          ASSERT_EQ(bitsOf(reference.d[m][n]), bitsOf(d[m][n]))
              << "scalar, record " << scaled << ": " << m << ", " << n;
          ASSERT_EQ(bitsOf(tile.d[m][n]), bitsOf(d[m][n])) << "vectorised, record " << scaled << ": " << m << ", " << n;
        }
      ++scaled;
      continue;
    }
    uint16_t a[16][16], b[8][16];
    read(a, sizeof(a));
    read(b, sizeof(b));
    read(c, sizeof(c));
    read(d, sizeof(d));
    bool brain = kind == 3 || kind == 5, isNew = kind <= 4;
    auto decode = [&](uint16_t bits) { return brain ? numerics::decodeBF16(bits) : numerics::decodeF16(bits); };
    DotModel model{isNew ? 25 : 24, isNew ? -133 : -132, brain ? -126 : -14, -126};
    for (int m = 0; m < 16; ++m)
      for (int n = 0; n < 8; ++n) {
        float x[16], y[16], sum = c[m][n];
        for (int k = 0; k < 16; ++k) {
          x[k] = decode(a[m][k]);
          y[k] = decode(b[n][k]);
        }
        for (int k = 0; k < 16; k += isNew ? 16 : 8)
          sum = dotToFloat(fusedDot(x + k, y + k, isNew ? 16 : 8, sum, model));
        ASSERT_EQ(bitsOf(sum), bitsOf(d[m][n])) << "kind " << kind << " record " << dense << ": " << m << ", " << n;
      }
    ++dense;
  }
  EXPECT_EQ(scaled, 80);
  EXPECT_EQ(dense, 48);
}

/// Through the PTX that LLVM prints, selectors in registers: thread-id-a 1, thread-id-b 2, all other lanes' scales NaN.
class BlockScaleFragments : public ::testing::TestWithParam<bool> {};

TEST_P(BlockScaleFragments, FromLlvm) {
  Device device;
  std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/llvm_mma_block_scale.ptx");
  if (GetParam()) // scales in braces, as CUTLASS writes them
    ptx = std::regex_replace(ptx, std::regex("\n\t\t(%r\\d+), "), "\n\t\t{$1}, ");
  ASSERT_EQ(ptx.find("\t\t{%r12}, {%rs3, %rs2}") != std::string::npos, GetParam());
  ASSERT_EQ(device.load(ptx), kSuccess) << lastFinding();
  std::mt19937 random(3);
  Fp4Tile tile;
  randomTile(random, tile, ScaleFormat::UE4M3, 0);
  std::vector<uint32_t> a(128), b(64), sa(32, 0x7f7f7f7fu), sb(32, 0x7f7f7f7fu);
  std::vector<float> c(128);
  for (int lane = 0; lane < 32; ++lane) {
    int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; ++r) {
      int row = g + (r & 1 ? 8 : 0), k = 8 * t + (r & 2 ? 32 : 0);
      std::memcpy(&a[4 * lane + r], &tile.a[row][k / 2], 4);
      c[4 * lane + r] = tile.c[g + (r & 2 ? 8 : 0)][2 * t + (r & 1)];
    }
    for (int r = 0; r < 2; ++r)
      std::memcpy(&b[2 * lane + r], &tile.b[g][(8 * t + 32 * r) / 2], 4);
  }
  for (int m = 0; m < 16; ++m)
    std::memcpy(&sa[4 * (m % 8) + 2 + m / 8], tile.scaleA[m], 4);
  for (int n = 0; n < 8; ++n)
    std::memcpy(&sb[4 * n + 2], tile.scaleB[n], 4);
  CUdeviceptr out = device.alloc(512);
  ASSERT_EQ(device.launch("mma4x", 1, 32, 0, device.upload(a), device.upload(b), device.upload(c), device.upload(sa),
                          device.upload(sb), out),
            kSuccess)
      << lastFinding();
  std::vector<float> d = device.download<float>(out, 128);
  mmaFp4Reference(tile, ScaleFormat::UE4M3);
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r)
      ASSERT_EQ(bitsOf(d[4 * lane + r]), bitsOf(tile.d[lane / 4 + (r & 2 ? 8 : 0)][2 * (lane % 4) + (r & 1)]))
          << lane << " " << r;
  EXPECT_EQ(counters().mmas.at("mxf4nvf4.4x.ue4m3"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Mma, BlockScaleFragments, ::testing::Values(false, true),
                         [](const auto &info) { return info.param ? "Braces" : "Registers"; });

/// What is not PTX is refused where it is loaded, as ptxas does: it would be computed on registers that are not there.
TEST(Mma, WmmaHasTheShapesTypesAndRegistersOfPtx) {
  auto load = [](const std::string &instruction) {
    Device device;
    // What is taken fails later, for its registers were never written.
    CUresult result = device.loadAndLaunch(kernel(1, "  " + instruction + "\n  ret;\n"));
    return result == kErrorNotSupported ? result : kSuccess;
  };
  const std::string factor = "{%rd1}", sum = "{%rd2, %rd3}", one = "{%r1}", two = "{%r1, %r2}", eight = "{%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}";
  auto product = [&](const std::string &form, const std::string &d, const std::string &a, const std::string &c) {
    return load("wmma.mma.sync.aligned.row.col." + form + " " + d + ", " + a + ", " + a + ", " + c + ";");
  };
  EXPECT_EQ(product("m8n8k4.f64.f64.f64.f64.rn", sum, factor, sum), kSuccess) << lastFinding();
  EXPECT_NE(product("m7n8k4.f64.f64.f64.f64.rn", sum, factor, sum), kSuccess);
  EXPECT_NE(product("m16n16k16.f64.f64.f64.f64.rn", sum, factor, sum), kSuccess);
  EXPECT_NE(product("m8n8k4.f64.f64.f64.f64.rn", factor, factor, sum), kSuccess);
  EXPECT_EQ(product("m16n16k16.s32.s8.s8.s32", eight, two, eight), kSuccess) << lastFinding();
  EXPECT_NE(product("m16n16k16.s32.s8.u8.s32", eight, two, eight), kSuccess);
  EXPECT_NE(product("m16n16k16.f32.s8.s8.s32", eight, two, eight), kSuccess);
  EXPECT_NE(product("m16n16k16.s32.s8.s8.s32", eight, one, eight), kSuccess);
  EXPECT_EQ(load("wmma.load.a.sync.aligned.row.m16n16k16.global.f16 " + eight + ", [%rd0];"), kSuccess) << lastFinding();
  EXPECT_NE(load("wmma.load.a.sync.aligned.row.m16n16k16.global.f16 " + two + ", [%rd0];"), kSuccess);
  EXPECT_NE(load("wmma.load.d.sync.aligned.row.m16n16k16.global.f16 " + eight + ", [%rd0];"), kSuccess);
  EXPECT_NE(load("wmma.load.a.sync.aligned.row.m16n16k8.global.f16 " + eight + ", [%rd0];"), kSuccess);
  EXPECT_NE(load("wmma.load.a.sync.aligned.row.m0n16k16.global.f16 " + eight + ", [%rd0];"), kSuccess);
}

TEST(MmaFp4, Speed) {
  std::mt19937 random(4);
  Fp4Tile tile;
  randomTile(random, tile, ScaleFormat::UE4M3, 0);
  auto start = std::chrono::steady_clock::now();
  constexpr int kRuns = 20000;
  for (int i = 0; i < kRuns; ++i) {
    tile.a[i & 15][i & 31] ^= 1;
    mmaFp4(tile, ScaleFormat::UE4M3);
  }
  double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kRuns;
  RecordProperty("microseconds", std::to_string(us));
  EXPECT_LT(us, kMostMicroseconds);
}

} // namespace

namespace {

/// A whole matmul: cp.async stages, ldmatrix, block-scaled MMAs, against the model step by step.
TEST(Mma, NvccMatmul) {
  constexpr int kM = 128, kN = 256, kK = 640;
  Device device;
  ASSERT_EQ(device.load(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/fp4_matmul_O3.ptx")), kSuccess)
      << lastFinding();
  std::mt19937 random(5);
  auto bytes = [&](size_t count, unsigned low, unsigned range) {
    std::vector<uint8_t> data(count);
    for (uint8_t &byte : data)
      byte = static_cast<uint8_t>(low + random() % range);
    return data;
  };
  std::vector<uint8_t> a = bytes(kM * kK / 2, 0, 256), b = bytes(kN * kK / 2, 0, 256);
  std::vector<uint8_t> sa = bytes(kM * kK / 16, 0x28, 32), sb = bytes(kN * kK / 16, 0x28, 32);
  CUdeviceptr out = device.alloc(kM * kN * 4);
  CUfunction function = device.function("fp4_matmul");
  unsigned shared = 4 * 2 * 128 * 72;
  ASSERT_EQ(device.d.funcSetAttribute(function, kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)), kSuccess);
  int n = kN, k = kK;
  CUdeviceptr da = device.upload(a), dsa = device.upload(sa), db = device.upload(b), dsb = device.upload(sb);
  void *params[] = {&n, &k, &da, &dsa, &db, &dsb, &out};
  ASSERT_EQ(device.d.launchKernel(function, kN / 128, kM / 128, 1, 256, 1, 1, shared, nullptr, params, nullptr),
            kSuccess)
      << lastFinding();
  std::vector<float> c = device.download<float>(out, kM * kN);
  auto codes = [&](const std::vector<uint8_t> &data, int row, int first, uint8_t *to) {
    for (int i = 0; i < 64; ++i)
      to[i] = data[static_cast<size_t>(row * kK / 2 + (first + i) / 2)] >> (i % 2 * 4) & 15;
  };
  for (int row = 0; row < kM; ++row)
    for (int column = row % 5; column < kN; column += 5) {
      float sum = 0;
      for (int first = 0; first < kK; first += 64) {
        uint8_t x[64], y[64];
        codes(a, row, first, x);
        codes(b, column, first, y);
        sum = numerics::mmaStep(x, y, &sa[static_cast<size_t>((row * kK + first) / 16)],
                                &sb[static_cast<size_t>((column * kK + first) / 16)], ScaleFormat::UE4M3, sum);
      }
      ASSERT_EQ(bitsOf(c[static_cast<size_t>(row * kN + column)]), bitsOf(sum)) << row << ", " << column;
    }
  EXPECT_EQ(counters().mmas.at("mxf4nvf4.4x.ue4m3"), uint64_t{kM / 16} * (kN / 8) * (kK / 64));
  EXPECT_EQ(counters().ldmatrix.conflicts(), 0u);
}

/// 1024^3 with every check on: a figure in the test report, and a bound that only a gross regression passes.
TEST(Mma, MatmulSpeed) {
  constexpr int kSize = 1024;
  for (CheckLevel checks : {CheckLevel::None, CheckLevel::Full}) {
    Device device("sm_120a", checks);
    ASSERT_EQ(device.load(readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/fp4_matmul_O3.ptx")), kSuccess)
        << lastFinding();
    std::vector<uint8_t> codes(kSize * kSize / 2, 0x35), scales(kSize * kSize / 16, 0x38);
    CUdeviceptr out = device.alloc(kSize * kSize * 4), da = device.upload(codes), ds = device.upload(scales);
    CUfunction function = device.function("fp4_matmul");
    unsigned shared = 4 * 2 * 128 * 72;
    ASSERT_EQ(device.d.funcSetAttribute(function, kFunctionMaxDynamicSharedBytes, static_cast<int>(shared)), kSuccess);
    int n = kSize, k = kSize;
    void *params[] = {&n, &k, &da, &ds, &da, &ds, &out};
    ASSERT_EQ(device.d.launchKernel(function, 8, 8, 1, 256, 1, 1, shared, nullptr, params, nullptr), kSuccess)
        << lastFinding();
    double ms = static_cast<double>(counters().kernelNanoseconds) * 1e-6;
    RecordProperty(checks == CheckLevel::None ? "unchecked_ms" : "checked_ms", std::to_string(ms));
    RecordProperty("warp_instructions", std::to_string(counters().totalWarpInstructions()));
    EXPECT_LT(ms, 60000.0);
  }
}

} // namespace
