// The host program's loops against dialect/Numerics.h, on every instruction set of this machine.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/host/Kernels.h"
#include "compiler/host/Product.h"

#include "dialect/Numerics.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

using namespace fourfold;
using namespace fourfold::host;

namespace {

class KernelsTest : public ::testing::TestWithParam<Isa> {
protected:
  void SetUp() override {
    if (!supportsIsa(GetParam()))
      GTEST_SKIP() << "this machine has no such instructions";
    k = &kernelsFor(GetParam());
  }
  const Kernels *k = nullptr;
};

/// Every bf16, and fp32 with random bits.
const std::vector<float> &manyFloats() {
  static const std::vector<float> values = [] {
    std::vector<float> result;
    for (uint32_t bits = 0; bits < 0x10000; ++bits)
      result.push_back(numerics::decodeBF16(static_cast<uint16_t>(bits)));
    std::mt19937 random(1);
    for (int i = 0; i < 1 << 18; ++i)
      result.push_back(numerics::floatFromBits(static_cast<uint32_t>(random())));
    // Around the magnitudes where codes change.
    for (int i = 0; i < 1 << 18; ++i)
      result.push_back(numerics::floatFromBits(0x3e000000u + static_cast<uint32_t>(random()) % 0x3000000u) *
                       (i & 1 ? -1.0f : 1.0f));
    for (uint32_t middle : {0x3e800000u, 0x3f400000u, 0x3fa00000u, 0x3fe00000u, 0x40200000u, 0x40600000u, 0x40a00000u,
                            0x40000000u, 0x40800000u, 0x40c00000u, 0x7f800000u, 0x0u})
      for (uint32_t step = 0; step < 16; ++step)
        for (uint32_t sign : {0u, 0x80000000u})
          result.push_back(numerics::floatFromBits((middle - 8 + step) ^ sign));
    result.resize(result.size() / 256 * 256);
    return result;
  }();
  return values;
}

const std::vector<float> kFactors = {1.0f, 0.0f, 0.37f, 6.0f, 448.0f, 1.0f / 3.0f, 2688.0f / 7.3f, 1e-30f, 1e30f, FLT_MAX};

std::vector<uint32_t> bitsOf(const std::vector<float> &values) {
  std::vector<uint32_t> bits;
  for (float value : values)
    bits.push_back(numerics::floatBits(value));
  return bits;
}

TEST_P(KernelsTest, SixteenBitFloats) {
  std::vector<uint16_t> patterns(0x10000);
  for (size_t i = 0; i < patterns.size(); ++i)
    patterns[i] = static_cast<uint16_t>(i);
  std::vector<float> decoded(patterns.size()), expected(patterns.size());
  k->decodeBF16(patterns.data(), decoded.data(), patterns.size());
  std::transform(patterns.begin(), patterns.end(), expected.begin(), numerics::decodeBF16);
  EXPECT_EQ(bitsOf(decoded), bitsOf(expected));
  k->decodeF16(patterns.data(), decoded.data(), patterns.size());
  std::transform(patterns.begin(), patterns.end(), expected.begin(), numerics::decodeF16);
  EXPECT_EQ(bitsOf(decoded), bitsOf(expected));

  const std::vector<float> &values = manyFloats();
  std::vector<uint16_t> codes(values.size()), wanted(values.size());
  k->encodeBF16(values.data(), codes.data(), values.size());
  std::transform(values.begin(), values.end(), wanted.begin(), numerics::encodeBF16);
  EXPECT_EQ(codes, wanted);
  k->encodeF16(values.data(), codes.data(), values.size());
  std::transform(values.begin(), values.end(), wanted.begin(), numerics::encodeF16);
  EXPECT_EQ(codes, wanted);
}

TEST_P(KernelsTest, NearestCodes) {
  const std::vector<float> &values = manyFloats();
  for (float factor : kFactors) {
    std::vector<uint8_t> codes(values.size()), blocks(values.size()), wanted;
    std::vector<float> factors(values.size(), factor);
    k->quantizeNearest(values.data(), factors.data(), codes.data(), values.size());
    k->quantizeBlocksNearest(values.data(), factors.data(), 0, blocks.data(), values.size() / 16);
    for (float value : values)
      wanted.push_back(numerics::quantizeNearest(value, factor));
    EXPECT_EQ(codes, wanted) << factor;
    EXPECT_EQ(blocks, wanted) << factor;
  }
}

TEST_P(KernelsTest, StochasticCodes) {
  const std::vector<float> &values = manyFloats();
  std::mt19937 random(2);
  std::vector<uint32_t> words(values.size());
  std::vector<uint16_t> halves(values.size());
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = static_cast<uint32_t>(random());
    halves[i] = static_cast<uint16_t>(words[i] >> 16);
  }
  for (float factor : kFactors) {
    std::vector<uint8_t> codes(values.size()), blocks(values.size()), wanted;
    std::vector<float> factors(values.size(), factor);
    k->quantizeStochastic(values.data(), factors.data(), words.data(), 16, codes.data(), values.size());
    k->quantizeBlocksStochastic(values.data(), factors.data(), 1, halves.data(), blocks.data(), values.size() / 16);
    for (size_t i = 0; i < values.size(); ++i)
      wanted.push_back(numerics::quantizeStochastic(values[i], factor, halves[i]));
    EXPECT_EQ(codes, wanted) << factor;
    EXPECT_EQ(blocks, wanted) << factor;
  }
  // Every fraction of one interval meets draws next to it.
  std::vector<float> steps;
  for (uint32_t i = 0; i < 0x10000; ++i) {
    steps.push_back(static_cast<float>(i) / 131072.0f + 1.5f);
    words[i] = (i + (i % 3) - 1) & 0xffffu;
  }
  std::vector<float> ones(steps.size(), 1.0f);
  std::vector<uint8_t> codes(steps.size());
  k->quantizeStochastic(steps.data(), ones.data(), words.data(), 0, codes.data(), steps.size());
  for (size_t i = 0; i < steps.size(); ++i)
    ASSERT_EQ(codes[i], numerics::quantizeStochastic(steps[i], 1.0f, words[i] & 0xffffu)) << i;
}

TEST_P(KernelsTest, FactorsOfWiderBlocks) {
  std::vector<float> values(128, 1.0f), factors = {1.0f, 2.0f, 4.0f, 6.0f};
  std::vector<uint8_t> codes(values.size());
  k->quantizeBlocksNearest(values.data(), factors.data(), 1, codes.data(), 8);
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(codes[i], numerics::quantizeNearest(1.0f, factors[i / 32])) << i;
}

TEST_P(KernelsTest, Maxima) {
  const std::vector<float> &values = manyFloats();
  size_t blocks = values.size() / 16;
  std::vector<uint32_t> maxima(blocks), columns(16), finiteColumns(16);
  uint32_t finite = 0;
  k->blockMaxima(values.data(), maxima.data(), blocks, &finite);
  uint32_t wantedFinite = 0;
  for (size_t block = 0; block < blocks; ++block) {
    uint32_t wanted = 0;
    k->raiseMaxima(values.data() + block * 16, columns.data(), finiteColumns.data(), 16);
    for (size_t i = block * 16; i < block * 16 + 16; ++i) {
      uint32_t magnitude = numerics::floatBits(values[i]) & 0x7fffffffu;
      wanted = std::max(wanted, magnitude);
      if (numerics::isFinite(values[i]))
        wantedFinite = std::max(wantedFinite, magnitude);
    }
    ASSERT_EQ(maxima[block], wanted) << block;
  }
  EXPECT_EQ(finite, wantedFinite);
  EXPECT_EQ(*std::max_element(columns.begin(), columns.end()), *std::max_element(maxima.begin(), maxima.end()));
  EXPECT_EQ(*std::max_element(finiteColumns.begin(), finiteColumns.end()), wantedFinite);
}

TEST_P(KernelsTest, RandomWords) {
  constexpr uint64_t seed = 0x123456789abcdefull, offset = 0xfedcba9876543210ull;
  for (size_t groups : {1, 3, 32, 45}) {
    std::vector<uint32_t> words(groups * 4);
    k->randomRow(seed, offset, 7, 5, groups, words.data());
    const uint16_t *halves = reinterpret_cast<const uint16_t *>(words.data());
    for (uint32_t i = 0; i < groups * 8; ++i)
      ASSERT_EQ(halves[i], numerics::elementRandom16(seed, offset, 7, 40 + i)) << groups << " " << i;
    k->randomColumn(seed, offset, 1000, 9, groups, words.data());
    for (uint32_t row = 0; row < groups; ++row)
      for (uint32_t i = 0; i < 8; ++i)
        ASSERT_EQ((words[(i / 2) * groups + row] >> (i % 2 * 16)) & 0xffffu,
                  numerics::elementRandom16(seed, offset, 1000 + row, 72 + i));
  }
}

TEST_P(KernelsTest, DotProductAndHadamard) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> lhs(512), rhs(512), lanes(32);
  for (size_t i = 0; i < lhs.size(); ++i)
    lhs[i] = normal(random), rhs[i] = normal(random);
  k->dotLanes(lanes.data(), lhs.data(), rhs.data(), 2);
  for (size_t stride = 16; stride >= 1; stride /= 2)
    for (size_t lane = 0; lane < stride; ++lane)
      lanes[lane] += lanes[lane + stride];
  EXPECT_EQ(lanes[0], numerics::dotProduct(512, [&](int64_t i) { return lhs[size_t(i)]; }, [&](int64_t i) { return rhs[size_t(i)]; }));

  for (size_t columns : {16, 13}) {
    std::vector<float> tile(lhs.begin(), lhs.begin() + 256);
    k->hadamardRows(tile.data(), 16, numerics::kHadamardSigns.data(), columns);
    for (size_t column = 0; column < 16; ++column) {
      float values[16];
      for (size_t i = 0; i < 16; ++i)
        values[i] = lhs[i * 16 + column];
      if (column < columns)
        numerics::hadamard16(values, numerics::kHadamardSigns.data());
      for (size_t i = 0; i < 16; ++i)
        ASSERT_EQ(tile[i * 16 + column], values[i]) << column << " " << i;
    }
  }
  std::vector<float> row(lhs.begin(), lhs.begin() + 256);
  k->hadamardGroups(row.data(), numerics::kHadamardSigns.data(), 16);
  for (size_t group = 0; group < 16; ++group) {
    numerics::hadamard16(lhs.data() + group * 16, numerics::kHadamardSigns.data());
    for (size_t i = 0; i < 16; ++i)
      ASSERT_EQ(row[group * 16 + i], lhs[group * 16 + i]);
  }
}

/// All pairs of extreme codes, random ones, a NaN scale; sums in the order of the groups.
TEST_P(KernelsTest, QuantizedProducts) {
  constexpr int64_t kGroups = 37;
  std::mt19937 random(4);
  std::vector<LeftGroup> left(kGroups);
  std::vector<RightGroup> right(kGroups);
  const int8_t halves[] = {0, 1, 2, 3, 4, 6, 8, 12, -1, -2, -3, -4, -6, -8, -12};
  int8_t a[kPanelRows][kGroups * 16], b[kPanelColumns][kGroups * 16];
  auto draw = [&](int64_t group) { return group == 3 ? int8_t(random() % 2 ? 12 : -12) : halves[random() % 15]; };
  for (int64_t group = 0; group < kGroups; ++group) {
    for (int r = 0; r < kPanelRows; ++r) {
      left[size_t(group)].scales[r] = 0.25 * numerics::decodeE4M3(static_cast<uint8_t>(random() % 127));
      for (int i = 0; i < 16; ++i) {
        a[r][group * 16 + i] = draw(group);
        left[size_t(group)].codes[r][i] = static_cast<uint8_t>(a[r][group * 16 + i] + 12);
      }
    }
    for (int n = 0; n < kPanelColumns; ++n) {
      right[size_t(group)].scales[n] = numerics::decodeE4M3(static_cast<uint8_t>(random() % 127));
      int32_t sum = 0;
      for (int i = 0; i < 16; ++i) {
        b[n][group * 16 + i] = draw(group);
        right[size_t(group)].codes[i / 4][n][i % 4] = b[n][group * 16 + i];
        sum += b[n][group * 16 + i];
      }
      right[size_t(group)].start[n] = -12 * sum;
    }
  }
  right[20].scales[5] = numerics::decodeE4M3(numerics::kE4M3NaN);
  double sums[kPanelRows][kPanelColumns];
  productKernelFor(GetParam())(left.data(), right.data(), kGroups, sums);
  for (int r = 0; r < kPanelRows; ++r)
    for (int n = 0; n < kPanelColumns; ++n) {
      double expected = 0;
      for (size_t group = 0; group < kGroups; ++group) {
        int dot = 0;
        for (size_t i = 0; i < 16; ++i)
          dot += a[r][group * 16 + i] * b[n][group * 16 + i];
        expected += dot * left[group].scales[r] * static_cast<double>(right[group].scales[n]);
      }
      if (n == 5)
        EXPECT_TRUE(std::isnan(sums[r][n]));
      else
        EXPECT_EQ(sums[r][n], expected) << r << " " << n;
    }
}

TEST_P(KernelsTest, DenseProducts) {
  constexpr int64_t kExtent = 301;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<double> left(kExtent * kPanelRows);
  std::vector<float> aligned(kExtent * kPanelColumns + 16);
  float *right = aligned.data();
  while (reinterpret_cast<uintptr_t>(right) % 64)
    ++right;
  for (double &value : left)
    value = numerics::decodeBF16(numerics::encodeBF16(normal(random)));
  for (int64_t i = 0; i < kExtent * kPanelColumns; ++i)
    right[i] = numerics::decodeBF16(numerics::encodeBF16(normal(random)));
  double sums[kPanelRows][kPanelColumns];
  denseKernelFor(GetParam())(left.data(), right, kExtent, sums);
  for (int64_t r = 0; r < kPanelRows; ++r)
    for (int64_t n = 0; n < kPanelColumns; ++n) {
      double expected = 0;
      for (int64_t k = 0; k < kExtent; ++k)
        expected += left[size_t(k * kPanelRows + r)] * static_cast<double>(right[k * kPanelColumns + n]);
      EXPECT_EQ(sums[r][n], expected);
    }
}

std::string isaName(const ::testing::TestParamInfo<Isa> &info) {
  return info.param == Isa::AVX512 ? "AVX512" : info.param == Isa::AVX2 ? "AVX2" : "Generic";
}
INSTANTIATE_TEST_SUITE_P(Isas, KernelsTest, ::testing::Values(Isa::Generic, Isa::AVX2, Isa::AVX512), isaName);

} // namespace
