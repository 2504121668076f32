// Kernels as one finds them in other people's repositories (corpus/idioms_wild.cu, idioms_cub.cu): right results, no finding, and a finding
// for each barrier that is left out.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Idioms.h"

#include "dialect/Numerics.h"

#include <algorithm>
#include <cmath>

using namespace fourfold::emulator;
using namespace fourfold::emulator::test;
namespace numerics = fourfold::numerics;

namespace {

std::vector<float> numbers(std::mt19937 &random, size_t count) {
  std::vector<float> values(count);
  for (float &v : values)
    v = static_cast<float>(static_cast<int>(random() % 257) - 128) / 128.0f;
  return values;
}

std::vector<uint16_t> bfloats(const std::vector<float> &values) {
  std::vector<uint16_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(), [](float v) { return numerics::encodeBF16(v); });
  return bits;
}

class WildIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_wild"); }
};

TEST_P(WildIdiom, NBody) {
  constexpr int kCount = 150;
  std::vector<float> bodies = numbers(random, kCount * 4);
  CUdeviceptr out = device->alloc(bodies.size() * 4);
  ASSERT_EQ(device->launch("nBody", 3, 64, 0, out, device->upload(bodies), kCount), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, bodies.size());
  for (size_t i = 0; i < kCount; ++i) {
    double force[3] = {}, scale[3] = {};
    for (size_t j = 0; j < kCount; ++j) {
      double d[3], square = 1e-2;
      for (size_t x = 0; x < 3; ++x) {
        d[x] = static_cast<double>(bodies[j * 4 + x]) - static_cast<double>(bodies[i * 4 + x]);
        square += d[x] * d[x];
      }
      for (size_t x = 0; x < 3; ++x) {
        double part = d[x] * static_cast<double>(bodies[j * 4 + 3]) / (square * std::sqrt(square));
        force[x] += part;
        scale[x] += std::fabs(part);
      }
    }
    for (size_t x = 0; x < 3; ++x)
      ASSERT_NEAR(found[i * 4 + x], force[x], 1e-5 * scale[x]) << i;
  }
}

TEST_P(WildIdiom, SplitK) {
  constexpr int kM = 32, kN = 24, kK = 256;
  std::vector<float> a = numbers(random, kM * kK), b = numbers(random, kK * kN);
  CUdeviceptr c = device->upload(std::vector<float>(kM * kN)), as = device->upload(bfloats(a)), bs = device->upload(bfloats(b));
  int n = kN, k = kK, slice = 64;
  void *params[] = {&c, &as, &bs, &n, &k, &slice, nullptr};
  ASSERT_EQ(device->d.launchKernel(device->function("splitK"), kM / 16, kN / 8, kK / slice, 32, 1, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(c, kM * kN);
  for (size_t i = 0; i < kM; ++i)
    for (size_t j = 0; j < kN; ++j) {
      float sum = 0; // exact: products of eighths of bits
      for (size_t x = 0; x < kK; ++x)
        sum += a[i * kK + x] * b[x * kN + j];
      ASSERT_NEAR(found[i * kN + j], sum, 1e-3) << i << " " << j;
    }
}

TEST_P(WildIdiom, GemmFp8) {
  constexpr int kM = 32, kN = 16, kK = 64;
  std::vector<uint8_t> a(kM * kK), b(kN * kK);
  auto draw = [&](uint8_t &code) { code = static_cast<uint8_t>((random() % 0x50) | (random() & 0x80)); };
  std::for_each(a.begin(), a.end(), draw);
  std::for_each(b.begin(), b.end(), draw);
  CUdeviceptr c = device->alloc(kM * kN * 4), as = device->upload(a), bs = device->upload(b), scale = device->upload(std::vector<float>{0.5f});
  int n = kN, k = kK;
  void *params[] = {&c, &as, &bs, &n, &k, &scale, nullptr};
  ASSERT_EQ(device->d.launchKernel(device->function("gemmFp8"), kM / 16, kN / 8, 1, 32, 1, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(c, kM * kN);
  for (size_t i = 0; i < kM; ++i)
    for (size_t j = 0; j < kN; ++j) {
      double sum = 0, size = 0;
      for (size_t x = 0; x < kK; ++x) {
        double part = static_cast<double>(numerics::decodeE4M3(a[i * kK + x])) * static_cast<double>(numerics::decodeE4M3(b[j * kK + x]));
        sum += part, size += std::fabs(part);
      }
      ASSERT_NEAR(found[i * kN + j], 0.5 * sum, 1e-3 * size) << i << " " << j; // FP8 steps keep 13 bits of a product
    }
}

TEST_P(WildIdiom, QuantizeNvfp4) {
  constexpr int kBlocks = 90;
  std::vector<float> values = numbers(random, kBlocks * 16);
  for (size_t i = 0; i < 16; ++i)
    values[i] = 0; // a block of zeros
  CUdeviceptr out = device->alloc(kBlocks * 8), scales = device->alloc(kBlocks);
  ASSERT_EQ(device->launch("quantizeNvfp4", 3, 32, 0, out, scales, device->upload(bfloats(values)), kBlocks), kSuccess) << lastFinding();
  std::vector<uint8_t> codes = device->download<uint8_t>(out, kBlocks * 8), scale = device->download<uint8_t>(scales, kBlocks);
  for (size_t i = 0; i < kBlocks; ++i) {
    float most = 0;
    for (size_t j = 0; j < 16; ++j)
      most = std::max(most, std::fabs(values[i * 16 + j]));
    uint8_t expected = numerics::encodeE4M3(most / 6.0f);
    ASSERT_EQ(scale[i], expected) << i;
    float back = numerics::decodeE4M3(expected), inverse = back > 0 ? 1.0f / back : 0.0f;
    for (size_t j = 0; j < 16; ++j)
      ASSERT_EQ(codes[i * 8 + j / 2] >> (j % 2 * 4) & 15, numerics::encodeE2M1(values[i * 16 + j] * inverse)) << i << " " << j;
  }
}

TEST_P(WildIdiom, TopK) {
  constexpr int kRows = 5, kWidth = 333, kKept = 8;
  std::vector<float> in(kRows * kWidth);
  for (float &v : in)
    v = static_cast<float>(random() % 100000) / 7.0f;
  CUdeviceptr values = device->alloc(kRows * kKept * 4), where = device->alloc(kRows * kKept * 4);
  ASSERT_EQ(device->launch("topK", kRows, 32, 0, values, where, device->upload(in), kWidth), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(values, kRows * kKept);
  std::vector<int> places = device->download<int>(where, kRows * kKept);
  for (size_t row = 0; row < kRows; ++row) {
    std::vector<float> sorted(in.begin() + static_cast<long>(row * kWidth), in.begin() + static_cast<long>((row + 1) * kWidth));
    std::sort(sorted.rbegin(), sorted.rend());
    for (size_t i = 0; i < kKept; ++i) {
      ASSERT_EQ(found[row * kKept + i], sorted[i]) << row << " " << i;
      ASSERT_EQ(in[row * kWidth + static_cast<size_t>(places[row * kKept + i])], sorted[i]);
    }
  }
}

TEST_P(WildIdiom, BlurHalo) {
  constexpr int kWidth = 37, kHeight = 21;
  std::vector<float> in = numbers(random, kWidth * kHeight);
  CUdeviceptr out = device->alloc(in.size() * 4), from = device->upload(in);
  int width = kWidth, height = kHeight;
  void *params[] = {&out, &from, &width, &height, nullptr};
  ASSERT_EQ(device->d.launchKernel(device->function("blurHalo"), 3, 2, 1, 16, 16, 1, 0, nullptr, params, nullptr), kSuccess) << lastFinding();
  std::vector<float> found = device->download<float>(out, in.size());
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      float sum = 0;
      for (int dy = -2; dy <= 2; ++dy)
        for (int dx = -2; dx <= 2; ++dx)
          sum += in[static_cast<size_t>(std::clamp(y + dy, 0, kHeight - 1) * kWidth + std::clamp(x + dx, 0, kWidth - 1))];
      ASSERT_NEAR(found[static_cast<size_t>(y * kWidth + x)], sum * 0.04f, 1e-5) << x << " " << y;
    }
}

FOURFOLD_IDIOMS(WildIdiom);

class CubIdiom : public IdiomTest {
protected:
  void SetUp() override { load("idioms_cub"); }
};

TEST_P(CubIdiom, BlockSort) {
  constexpr size_t kTile = 128 * 7, kCount = 2 * kTile;
  std::vector<uint32_t> keys(kCount);
  for (uint32_t &key : keys)
    key = static_cast<uint32_t>(random()) % 500 * 0x01234567u;
  CUdeviceptr to = device->upload(keys), values = device->alloc(kCount * 4);
  ASSERT_EQ(device->launch("blockSort", 2, 128, 0, to, values), kSuccess) << lastFinding();
  std::vector<uint32_t> found = device->download<uint32_t>(to, kCount);
  std::vector<int> places = device->download<int>(values, kCount);
  for (size_t tile = 0; tile < 2; ++tile) {
    std::vector<int> order(kTile);
    for (size_t i = 0; i < kTile; ++i)
      order[i] = static_cast<int>(i);
    std::stable_sort(order.begin(), order.end(), [&](int x, int y) {
      return keys[tile * kTile + static_cast<size_t>(x)] < keys[tile * kTile + static_cast<size_t>(y)];
    });
    for (size_t i = 0; i < kTile; ++i) {
      ASSERT_EQ(places[tile * kTile + i], order[i]) << i;
      ASSERT_EQ(found[tile * kTile + i], keys[tile * kTile + static_cast<size_t>(order[i])]) << i;
    }
  }
}

TEST_P(CubIdiom, ScanHistogramArgMax) {
  std::vector<int> in(2048);
  for (int &v : in)
    v = static_cast<int>(random() % 1000) - 300;
  CUdeviceptr out = device->alloc(in.size() * 4), totals = device->alloc(8);
  ASSERT_EQ(device->launch("blockScan", 2, 256, 0, out, device->upload(in), totals), kSuccess) << lastFinding();
  std::vector<int> scanned = device->download<int>(out, in.size()), sums = device->download<int>(totals, 2);
  for (size_t block = 0, i = 0; block < 2; ++block) {
    int sum = 0;
    for (size_t j = 0; j < 1024; ++j, sum += in[i++])
      ASSERT_EQ(scanned[i], sum) << i;
    ASSERT_EQ(sums[block], sum);
  }

  std::vector<uint8_t> samples(3072);
  std::vector<uint32_t> expected(256);
  for (uint8_t &sample : samples)
    ++expected[sample = static_cast<uint8_t>(random() % 256)];
  CUdeviceptr counts = device->upload(std::vector<uint32_t>(256));
  ASSERT_EQ(device->launch("histogram", 3, 128, 0, counts, device->upload(samples)), kSuccess) << lastFinding();
  EXPECT_EQ(device->download<uint32_t>(counts, 256), expected);

  std::vector<float> values = numbers(random, 777);
  CUdeviceptr where = device->alloc(4), most = device->alloc(4);
  ASSERT_EQ(device->launch("argMax", 1, 256, 0, where, most, device->upload(values), 777), kSuccess) << lastFinding();
  auto largest = std::max_element(values.begin(), values.end());
  EXPECT_EQ(device->download<int>(where, 1)[0], largest - values.begin());
  EXPECT_EQ(device->download<float>(most, 1)[0], *largest);
}

TEST_P(CubIdiom, WarpSortAndScan) {
  std::vector<int> in(1024);
  for (int &v : in)
    v = static_cast<int>(random() % 5000);
  CUdeviceptr out = device->alloc(in.size() * 4);
  ASSERT_EQ(device->launch("warpThings", 2, 128, 0, out, device->upload(in)), kSuccess) << lastFinding();
  std::vector<int> found = device->download<int>(out, in.size());
  for (size_t warp = 0; warp < 8; ++warp) {
    std::sort(in.begin() + static_cast<long>(warp * 128), in.begin() + static_cast<long>((warp + 1) * 128));
    int sum = 0;
    for (size_t i = warp * 128; i < (warp + 1) * 128; i += 4) {
      for (size_t j = i; j < i + 4; ++j)
        sum += in[j];
      for (size_t j = i; j < i + 4; ++j)
        ASSERT_EQ(found[j], in[j] + sum) << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Compiled, CubIdiom, ::testing::Values("O3_sm_80", "O3_sm_120a", "G_sm_90a"),
                         [](const auto &info) { return std::string(info.param); });

/// The program without the n-th line of a kernel that holds the text, or "" where there are fewer.
std::string without(const std::string &ptx, const std::string &kernel, const std::string &text, size_t n) {
  size_t at = ptx.find(".entry " + kernel + "("), end = ptx.find("\n}", at);
  for (size_t i = 0; at != std::string::npos; ++i) {
    at = ptx.find(text, at + 1);
    if (at == std::string::npos || at > end)
      return "";
    if (i == n)
      return std::string(ptx).erase(at, ptx.find(';', at) + 1 - at);
  }
  return "";
}

/// Its inputs on a fresh device, as a finding sticks to the old one; launches a kernel of the program.
CUresult launchWild(const char *target, const std::string &ptx, const std::string &kernel) {
  Device device(target);
  EXPECT_EQ(device.load(ptx), kSuccess) << lastFinding();
  int width = 37, height = 21, count = 150, n = 24, k = 256, slice = 64;
  CUdeviceptr in = device.upload(std::vector<float>(4096, 1.0f)), matrix = device.upload(std::vector<uint16_t>(8192)),
              out = device.upload(std::vector<float>(4096));
  CUresult result;
  if (kernel == "nBody") {
    result = device.launch("nBody", 3, 64, 0, out, in, count);
  } else {
    bool isBlur = kernel == "blurHalo";
    void *blur[] = {&out, &in, &width, &height, nullptr}, *product[] = {&out, &matrix, &matrix, &n, &k, &slice, nullptr};
    result = isBlur ? device.d.launchKernel(device.function("blurHalo"), 3, 2, 1, 16, 16, 1, 0, nullptr, blur, nullptr)
                    : device.d.launchKernel(device.function("splitK"), 2, 3, 4, 32, 1, 1, 0, nullptr, product, nullptr);
  }
  EXPECT_TRUE(result == kSuccess || lastFinding().find("'" + kernel + "', line ") != std::string::npos) << lastFinding();
  return result;
}

TEST(WildMistakes, EachMissingBarrierIsFound) {
  struct {
    const char *kernel, *text;
    size_t atLeast, atMost;
  } cases[] = {{"blurHalo", "bar", 1, 9},
               {"nBody", "bar", 2, 9},
               {"splitK", "cp.async.wait_group", 1, 9},
               // Unoptimised it is in a function. The second one is implied: mma and ldmatrix are executed by all lanes together.
               {"splitK", "bar.warp.sync", 0, 1}};
  for (std::string variant : {"O3_sm_80", "clang_O3_sm_120a", "G_sm_90a"}) {
    std::string ptx = readText(FOURFOLD_SOURCE_DIR "/tests/emulator/corpus/idioms_wild_" + variant + ".ptx"), target = variant.substr(variant.find("sm_"));
    for (const auto &mistake : cases) {
      EXPECT_EQ(launchWild(target.c_str(), ptx, mistake.kernel), kSuccess) << variant << " " << mistake.kernel;
      size_t made = 0;
      for (std::string text; !(text = without(ptx, mistake.kernel, mistake.text, made)).empty() && made < mistake.atMost; ++made)
        EXPECT_EQ(launchWild(target.c_str(), text, mistake.kernel), kErrorLaunchFailed)
            << variant << " " << mistake.kernel << ": nobody misses " << mistake.text << " number " << made;
      EXPECT_GE(made, mistake.atLeast) << variant << " " << mistake.kernel << " " << mistake.text;
    }
  }
}

} // namespace
