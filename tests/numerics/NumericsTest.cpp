// The number formats, exhaustively and by hand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "dialect/Numerics.h"
#include "dialect/MmaModel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <vector>

using namespace fourfold::numerics;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The code a value must have by the definition of nearest-even: the nearest of all codes, on a tie the one whose
/// mantissa is even.
template <typename DecodeFn>
uint8_t nearestByDefinition(float magnitude, int numCodes, DecodeFn decode) {
  int best = 0;
  for (int code = 1; code < numCodes; ++code) {
    double distance = std::fabs(double(decode(static_cast<uint8_t>(code))) - magnitude);
    double current = std::fabs(double(decode(static_cast<uint8_t>(best))) - magnitude);
    if (distance < current || (distance == current && code % 2 == 0))
      best = code;
  }
  return static_cast<uint8_t>(best);
}

/// Values around every code and every midpoint of two codes, and one step to each side.
template <typename DecodeFn>
std::vector<float> interestingValues(int numCodes, DecodeFn decode) {
  std::vector<float> values = {0.0f, std::numeric_limits<float>::denorm_min(), FLT_MIN, FLT_MAX};
  for (int code = 0; code < numCodes; ++code) {
    float value = decode(static_cast<uint8_t>(code));
    float next = code + 1 < numCodes ? decode(static_cast<uint8_t>(code + 1)) : value * 2;
    for (float center : {value, (value + next) / 2})
      for (float x : {std::nextafter(center, 0.0f), center, std::nextafter(center, kInfinity)})
        values.push_back(x);
  }
  return values;
}

TEST(E2M1, EveryCodeDecodes) {
  const float magnitudes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (int code = 0; code < 16; ++code) {
    float value = decodeE2M1(static_cast<uint8_t>(code));
    EXPECT_EQ(std::fabs(value), magnitudes[code & 7]);
    EXPECT_EQ(std::signbit(value), code >= 8);
    EXPECT_EQ(encodeE2M1(value), code);
  }
}

TEST(E2M1, RoundsToNearestEvenAndSaturates) {
  for (float x : interestingValues(8, decodeE2M1)) {
    EXPECT_EQ(encodeE2M1(x), nearestByDefinition(std::fmin(x, 6.0f), 8, decodeE2M1)) << x;
    EXPECT_EQ(encodeE2M1(-x), encodeE2M1(x) | 8) << x;
  }
  // The ties of the contract, by hand.
  const std::pair<float, float> ties[] = {{.25f, 0}, {.75f, 1}, {1.25f, 1}, {1.75f, 2}, {2.5f, 2}, {3.5f, 4}, {5, 4}};
  for (auto [tie, value] : ties)
    EXPECT_EQ(decodeE2M1(encodeE2M1(tie)), value) << tie;
  EXPECT_EQ(encodeE2M1(kInfinity), 7);
  EXPECT_EQ(encodeE2M1(-kInfinity), 15);
  EXPECT_EQ(encodeE2M1(kNaN), 7);
  EXPECT_EQ(encodeE2M1(-0.0f), 8);
}

TEST(E4M3, EveryCodeDecodesAndComesBack) {
  std::set<float> seen;
  for (int code = 0; code < 127; ++code) {
    float value = decodeE4M3(static_cast<uint8_t>(code));
    int exponent = code >> 3, mantissa = code & 7;
    double expected = exponent ? std::ldexp(8.0 + mantissa, exponent - 10) : std::ldexp(double(mantissa), -9);
    EXPECT_EQ(value, expected);
    EXPECT_TRUE(seen.insert(value).second);
    EXPECT_EQ(encodeE4M3(value), code);
    EXPECT_EQ(encodeE4M3(-value), code | 0x80);
  }
  EXPECT_TRUE(std::isnan(decodeE4M3(0x7f)));
  EXPECT_TRUE(std::isnan(decodeE4M3(0xff)));
}

TEST(E4M3, RoundsToNearestEvenAndSaturates) {
  for (float x : interestingValues(127, decodeE4M3))
    EXPECT_EQ(encodeE4M3(x), nearestByDefinition(std::fmin(x, 448.0f), 127, decodeE4M3)) << x;
  EXPECT_EQ(encodeE4M3(kInfinity), 0x7e);
  EXPECT_EQ(encodeE4M3(kNaN), 0x7f);
  EXPECT_EQ(encodeE4M3(1e-30f), 0x00);
}

TEST(UE8M0, EveryCodeIsAPowerOfTwo) {
  for (int code = 0; code < 255; ++code)
    EXPECT_EQ(decodeUE8M0(static_cast<uint8_t>(code)), std::ldexp(1.0, code - 127));
  EXPECT_TRUE(std::isnan(decodeUE8M0(0xff)));
}

TEST(HalfFormats, EveryPatternComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto pattern = static_cast<uint16_t>(bits);
    float bf16 = decodeBF16(pattern), f16 = decodeF16(pattern);
    EXPECT_EQ(encodeBF16(bf16), std::isnan(bf16) ? 0x7fff : pattern);
    EXPECT_EQ(encodeF16(f16), std::isnan(f16) ? 0x7fff : pattern);
  }
  // Midpoints of neighbouring binary16 values are exact in fp32 and go to the even pattern.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    float low = decodeF16(static_cast<uint16_t>(bits)), high = decodeF16(static_cast<uint16_t>(bits + 1));
    float middle = (low + high) / 2;
    EXPECT_EQ(encodeF16(middle), bits + (bits & 1)) << bits;
    EXPECT_EQ(encodeF16(std::nextafter(middle, kInfinity)), bits + 1);
    EXPECT_EQ(encodeF16(std::nextafter(middle, 0.0f)), bits);
  }
  EXPECT_EQ(encodeF16(65519.996f), 0x7bff);
  EXPECT_EQ(encodeF16(65520.0f), 0x7c00);
}

/// What the ml_dtypes package gives for every bf16 value: generate_ml_dtypes_vectors.py.
TEST(Oracle, MlDtypes) {
  std::ifstream file(std::string(FOURFOLD_SOURCE_DIR) + "/tests/data/ml_dtypes_vectors.bin", std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ASSERT_EQ(bytes.size(), 65536u * 5);
  auto at = [&](size_t array, uint32_t bits) { return static_cast<uint8_t>(bytes[array * 65536 + bits]); };
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    float value = decodeBF16(static_cast<uint16_t>(bits));
    if (!std::isnan(value)) { // e2m1 has no NaN: packages differ in what they make of it
      EXPECT_EQ(encodeE2M1(value), at(0, bits)) << value;
      // ml_dtypes does not saturate: from 464, the midpoint above 448, on it gives NaN.
      if (std::fabs(value) < 464.0f) {
        EXPECT_EQ(encodeE4M3(value), at(1, bits)) << value;
      }
    }
    // Powers of two are exact in ue8m0.
    uint32_t exponent = (bits >> 7) & 0xff;
    if (bits < 0x7f80 && (bits & 0x7f) == 0 && exponent > 0) {
      EXPECT_EQ(decodeUE8M0(at(2, bits)), value);
    }
    uint16_t rounded;
    std::memcpy(&rounded, &bytes[3 * 65536 + bits * 2], 2);
    // The generator puts 0x4000, 0x8000 (the tie) or 0xc000 behind the pattern.
    float unrounded = floatFromBits((bits << 16) | (bits % 3 * 0x4000u + 0x4000u));
    if (!std::isnan(unrounded)) {
      EXPECT_EQ(encodeBF16(unrounded), rounded);
    }
  }
}

//===----------------------------------------------------------------------===//
// Rules of quantization
//===----------------------------------------------------------------------===//

TEST(NVFP4, OneBlockByHand) {
  // amax 10.5 over the tensor: S = 2688 / 10.5 = 256; a block with amax 2.625: 2.625 * (256 / 6) = 112, exactly e4m3.
  float S = nvfp4EncodeTensorScale(10.5f);
  EXPECT_EQ(S, 256.0f);
  uint8_t scale = nvfp4BlockScale(2.625f, S);
  EXPECT_EQ(decodeE4M3(scale), 112.0f);
  float encode = nvfp4EncodeScale(scale, S);
  EXPECT_EQ(quantizeNearest(2.625f, encode), 7);
  EXPECT_EQ(quantizeNearest(-0.875f, encode), 8 | 4);
  EXPECT_EQ(nvfp4Decode(7, scale, S), 2.625f);
}

TEST(NVFP4, EdgesOfTheScales) {
  EXPECT_EQ(nvfp4EncodeTensorScale(0.0f), 1.0f);
  EXPECT_EQ(nvfp4EncodeTensorScale(1e-37f), FLT_MAX);
  EXPECT_GT(nvfp4EncodeTensorScale(FLT_MAX), 0.0f);
  // No lower clamp: a block far below the tensor's amax has scale 0.
  EXPECT_EQ(nvfp4BlockScale(1e-9f, nvfp4EncodeTensorScale(1.0f)), 0x00);
  EXPECT_EQ(nvfp4EncodeScale(0x00, 1.0f), FLT_MAX);
  // A scale never saturates: the tensor's own amax gives 448.
  for (float amax : {1e-20f, 0.37f, 1.0f, 6.5f, 448.0f, 1e20f})
    EXPECT_EQ(decodeE4M3(nvfp4BlockScale(amax, nvfp4EncodeTensorScale(amax))), 448.0f) << amax;
}

TEST(NVFP4, NonFiniteIsNotLaundered) {
  for (float bad : {kNaN, kInfinity, -kInfinity}) {
    EXPECT_EQ(nvfp4BlockScale(bad, 1.0f), 0x7f);
    EXPECT_EQ(mxfp4BlockScale(bad), 0xff);
  }
  float encode = nvfp4EncodeScale(0x7f, 1.0f);
  EXPECT_EQ(quantizeNearest(kInfinity, encode), 0);
  EXPECT_EQ(quantizeNearest(-3.0f, encode), 0);
  EXPECT_TRUE(std::isnan(nvfp4Decode(0, 0x7f, 1.0f)));
}

/// The order of operations is part of the contract: amax * (S * (1/6)) and (amax / 6) * S are not the same rule.
TEST(NVFP4, OrderOfOperationsMatters) {
  // S is 1 here, and the block's amax just below six times a midpoint of two e4m3 values: below the tie by one rule, on
  // it by the other, because 1/6 in fp32 is a little too large.
  float S = nvfp4EncodeTensorScale(2688.0f), block = std::nextafter(6 * 1.1875f, 0.0f);
  ASSERT_EQ(S, 1.0f);
  EXPECT_EQ(decodeE4M3(encodeE4M3((block / 6.0f) * S)), 1.125f);
  EXPECT_EQ(decodeE4M3(nvfp4BlockScale(block, S)), 1.25f);
}

TEST(MXFP4, SharedExponentByHand) {
  EXPECT_EQ(decodeUE8M0(mxfp4BlockScale(6.0f)), 1.0f);
  EXPECT_EQ(decodeUE8M0(mxfp4BlockScale(4.0f)), 1.0f);
  EXPECT_EQ(decodeUE8M0(mxfp4BlockScale(std::nextafter(4.0f, 0.0f))), 0.5f);
  EXPECT_EQ(decodeUE8M0(mxfp4BlockScale(100.0f)), 16.0f);
  EXPECT_EQ(mxfp4BlockScale(0.0f), 0);
  EXPECT_EQ(mxfp4BlockScale(FLT_MAX), 252);
  for (int byte = 0; byte < 255; ++byte)
    EXPECT_EQ(mxfp4EncodeScale(static_cast<uint8_t>(byte)) * double(decodeUE8M0(static_cast<uint8_t>(byte))), 1.0)
        << byte;
}

//===----------------------------------------------------------------------===//
// Random numbers
//===----------------------------------------------------------------------===//

/// The known-answer vectors of Random123 (kat_vectors, philox 4x32 10).
TEST(Philox, KnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

/// Which bits an element gets: counter {column / 8, row, offset}, key seed; word column % 8 / 2, low half first.
TEST(Philox, ElementsHaveTheirOwnBits) {
  auto words = philox4x32({5, 7, 0x9abcdef0, 0x12345678}, 42);
  for (uint32_t lane = 0; lane < 8; ++lane)
    EXPECT_EQ(elementRandom16(42, 0x123456789abcdef0, 7, 40 + lane), (words[lane / 2] >> (lane % 2 * 16)) & 0xffff);
  // Any coordinate changes them.
  auto eight = [](uint64_t seed, uint64_t offset, uint32_t row, uint32_t column) {
    std::vector<uint32_t> bits;
    for (uint32_t lane = 0; lane < 8; ++lane)
      bits.push_back(elementRandom16(seed, offset, row, column + lane));
    return bits;
  };
  std::set<std::vector<uint32_t>> seen = {eight(1, 2, 3, 8), eight(2, 2, 3, 8), eight(1 | uint64_t{1} << 32, 2, 3, 8),
                                          eight(1, 3, 3, 8), eight(1, 2, 4, 8), eight(1, 2 | uint64_t{1} << 32, 3, 8),
                                          eight(1, 2, 3, 16)};
  EXPECT_EQ(seen.size(), 7u);
}

/// Over all 65536 random values the upper neighbour is taken exactly round(fraction * 65536) times.
TEST(Stochastic, ProbabilityIsTheFraction) {
  const float values[] = {0.1f, 0.25f, 0.49f, 0.7f, 1.1f, 1.9f, 2.01f, 2.5f, 3.3f, 4.5f, 5.0f, 5.99f, 1e-6f};
  for (float x : values)
    for (float v : {x, -x}) {
      uint8_t low = 0;
      while (low < 6 && decodeE2M1(static_cast<uint8_t>(low + 1)) <= x)
        ++low;
      double lo = decodeE2M1(low), hi = decodeE2M1(static_cast<uint8_t>(low + 1));
      int ups = 0;
      for (uint32_t random = 0; random < 65536; ++random) {
        uint8_t code = encodeE2M1Stochastic(v, random);
        EXPECT_EQ(code >> 3, std::signbit(v));
        ASSERT_TRUE((code & 7) == low || (code & 7) == low + 1);
        ups += (code & 7) == low + 1;
      }
      EXPECT_NEAR(ups, (x - lo) / (hi - lo) * 65536.0, 0.5) << v;
    }
}

TEST(Stochastic, CodesStayAndLargeValuesSaturate) {
  for (int code = 0; code < 16; ++code)
    for (uint32_t random : {0u, 1u, 32768u, 65535u})
      EXPECT_EQ(encodeE2M1Stochastic(decodeE2M1(static_cast<uint8_t>(code)), random), code);
  for (uint32_t random : {0u, 65535u}) {
    EXPECT_EQ(encodeE2M1Stochastic(7.5f, random), 7);
    EXPECT_EQ(encodeE2M1Stochastic(-kInfinity, random), 15);
  }
}

/// Unbiased over seeds, within four standard deviations, in every code interval.
TEST(Stochastic, MeanOverSeedsIsTheValue) {
  constexpr int kSeeds = 20000;
  for (float v : {0.3f, 0.8f, 1.2f, 1.6f, 2.7f, 3.1f, 4.4f, 5.5f}) {
    double sum = 0, squares = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      double value = decodeE2M1(encodeE2M1Stochastic(v, elementRandom16(static_cast<uint64_t>(seed), 7, 3, 11)));
      sum += value;
      squares += value * value;
    }
    double mean = sum / kSeeds, deviation = std::sqrt((squares / kSeeds - mean * mean) / kSeeds);
    EXPECT_LT(std::fabs(mean - v), 4 * deviation + 1e-4) << v;
  }
}

//===----------------------------------------------------------------------===//
// Order and storage
//===----------------------------------------------------------------------===//

TEST(Hadamard, IsOrthogonalAndExactOnIntegers) {
  for (int i = 0; i < 16; ++i) {
    float v[16] = {};
    v[i] = 4.0f;
    hadamard16(v, kHadamardSigns.data());
    for (int j = 0; j < 16; ++j)
      EXPECT_EQ(v[j], kHadamardSigns[static_cast<size_t>(i)] * (__builtin_popcount(i & j) % 2 ? -1.0f : 1.0f));
  }
}

TEST(ColumnSum, HasTheFixedOrder) {
  // 2^24 absorbs single ones: the result tells which numbers met first.
  std::vector<float> rows(300, 1.0f);
  rows[0] = 16777216.0f;
  // Lane 0 of chunk 0 loses its 15 ones; the other lanes give 16 each, 112 in pairs that survive; chunks give 128
  // and 44.
  EXPECT_EQ(columnSum(300, [&](int64_t row) { return rows[static_cast<size_t>(row)]; }), 16777216.0f + 112 + 128 + 44);
  EXPECT_EQ(columnSum(1, [](int64_t) { return 3.0f; }), 3.0f);
}

TEST(Storage, ScaleTilesAreABijection) {
  constexpr int64_t rows = 300, blocks = 10;
  int64_t tiles = (blocks + 3) / 4;
  std::set<int64_t> seen;
  for (int64_t row = 0; row < 384; ++row)
    for (int64_t block = 0; block < tiles * 4; ++block)
      EXPECT_TRUE(seen.insert(scaleTileOffset(row, block, tiles)).second);
  EXPECT_EQ(*seen.rbegin() + 1, scaleBytes(rows, blocks * 16, 16));
  EXPECT_EQ(scaleTileOffset(33, 2, tiles), 1 * 16 + 1 * 4 + 2);
  EXPECT_EQ(codesPitch(17), 32);
  EXPECT_EQ(codesPitch(65), 64);
}

//===----------------------------------------------------------------------===//
// The matrix step
//===----------------------------------------------------------------------===//

TEST(MmaModel, EqualPowersOfTwoGiveTheIntegerProduct) {
  uint8_t a[64], b[64], one[4] = {0x38, 0x38, 0x38, 0x38};
  double expected = 0;
  for (int i = 0; i < 64; ++i) {
    a[i] = static_cast<uint8_t>((i * 7 + 3) % 16);
    b[i] = static_cast<uint8_t>((i * 5 + 1) % 16);
    expected += double(decodeE2M1(a[i])) * decodeE2M1(b[i]);
  }
  EXPECT_EQ(mmaStep(a, b, one, one, ScaleFormat::UE4M3, 0.0f), expected);
  EXPECT_EQ(mmaStep(a, b, one, one, ScaleFormat::UE4M3, 1000.25f), expected + 1000.25);
  uint8_t two[4] = {128, 128, 128, 128}, half[4] = {126, 126, 126, 126};
  EXPECT_EQ(mmaStep(a, b, two, half, ScaleFormat::UE8M0, -3.5f), expected - 3.5);
}

TEST(MmaModel, TruncatesTowardZero) {
  // 1 added to 2^24 - 1 fits 24 bits plus one; 0.25 below that is cut off, toward zero from either side.
  uint8_t a[64] = {2}, b[64] = {2}, one[4] = {0x38, 0x38, 0x38, 0x38};
  EXPECT_EQ(mmaStep(a, b, one, one, ScaleFormat::UE4M3, 16777216.0f), 16777216.0f);
  b[0] = 10; // minus one
  EXPECT_EQ(mmaStep(a, b, one, one, ScaleFormat::UE4M3, 16777216.0f), 16777215.0f);
  EXPECT_EQ(mmaStep(a, b, one, one, ScaleFormat::UE4M3, -16777216.0f), -16777216.0f);
}

TEST(MmaModel, NaNInScaleOrAccumulatorIsNaN) {
  uint8_t a[64] = {}, b[64] = {}, one[4] = {0x38, 0x38, 0x38, 0x38}, bad[4] = {0x38, 0x7f, 0x38, 0x38};
  EXPECT_EQ(floatBits(mmaStep(a, b, one, bad, ScaleFormat::UE4M3, 0.0f)), 0x7fffffffu);
  EXPECT_EQ(floatBits(mmaStep(a, b, one, one, ScaleFormat::UE4M3, kNaN)), 0x7fffffffu);
  EXPECT_EQ(floatBits(mmaStep(a, b, one, one, ScaleFormat::UE4M3, -0.0f)), 0u);
}

/// The divider is the processor's.
TEST(RangeQuotientTest, IsTheRoundedQuotient) {
  const float range = kNVFP4Range * kNVFP4Range;
  auto check = [&](uint32_t bits) { return floatBits(RangeQuotient::of(floatFromBits(bits))) == floatBits(floatFromBits(bits) / range); };
  uint32_t numWrong = 0;
  // Every mantissa, where `from` starts; other exponents up to infinity differ by a power of two.
  for (uint32_t bits = floatBits(RangeQuotient::from); bits < floatBits(2 * RangeQuotient::from); ++bits)
    numWrong += !check(bits);
  EXPECT_EQ(numWrong, 0u);
  // Below, and on both sides of every exponent above.
  for (uint32_t bits = 0; bits < floatBits(RangeQuotient::from); bits += 257)
    numWrong += !check(bits);
  for (uint32_t exponent = 0; exponent < 255; ++exponent)
    for (uint32_t i = 0; i < 64; ++i)
      numWrong += !check((exponent << 23) + i) + !check((exponent << 23) + 0x7fffff - i);
  EXPECT_EQ(numWrong, 0u);
  // All ties of subnormals: odd multiples of 441 * 2^13 of the smallest float.
  for (uint32_t odd = 1; odd < 1u << 24; odd += 2) {
    double product = std::ldexp(441.0 * odd, 13 - 149);
    if (static_cast<double>(static_cast<float>(product)) == product)
      numWrong += !check(floatBits(static_cast<float>(product)));
  }
  EXPECT_EQ(numWrong, 0u);
  EXPECT_EQ(RangeQuotient::of(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(RangeQuotient::of(kNaN)));
}

} // namespace
