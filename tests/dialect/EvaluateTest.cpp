// The evaluator against cases worked out by hand: centring, sums, scales, codes, products, non-finite values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/dialect/SpecRunner.h"

#include "dialect/MmaModel.h"

#include <gtest/gtest.h>

#include <random>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNaN = numerics::floatFromBits(0x7fc00000u);

using Floats = std::vector<float>;
using Codes = std::vector<uint8_t>;

//===----------------------------------------------------------------------===//
// center, column_sum
//===----------------------------------------------------------------------===//

const char *const kCenter = R"(func.func @f(%x: tensor<?x?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  %mu, %xr = fp4.center %x : tensor<?x?xf32> -> tensor<?xf32>, tensor<?x?xf32>
  return %mu, %xr : tensor<?xf32>, tensor<?x?xf32>
})";

TEST(EvaluateCenter, MeanRunsOverRows) {
  Outcome out = runSpec(kCenter, {{"x", f32({2, 3}, {1, 2, 3, 5, 10, -3})}});
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["mu"].floats, (Floats{3, 6, 0}));
  EXPECT_EQ(out["xr"].floats, (Floats{-2, -4, 3, 2, 4, -3}));
  EXPECT_FALSE(out["xr"].hasBound);
  EXPECT_EQ(out.order, (std::vector<std::string>{"mu", "xr"}));
}

TEST(EvaluateCenter, ResidualIsRoundedOnce) {
  // mean = (1 + 2^-23 + 1) / 2 = 1 + 2^-24, a tie that goes to the even 1.
  float next = std::nextafterf(1.0f, 2.0f);
  Outcome out = runSpec(kCenter, {{"x", f32({2, 1}, {next, 1})}});
  EXPECT_EQ(out["mu"].floats, (Floats{1}));
  EXPECT_EQ(out["xr"].floats, (Floats{next - 1, 0}));
}

TEST(EvaluateCenter, MaskedRowsAreLeftOutAndZero) {
  const char *spec = R"(func.func @f(%x: tensor<?x2xbf16>, %m: tensor<?xi8>) -> (tensor<2xf32>, tensor<?x2xf32>) {
    %mu, %xr = fp4.center %x mask(%m : tensor<?xi8>) : tensor<?x2xbf16> -> tensor<2xf32>, tensor<?x2xf32>
    return %mu, %xr : tensor<2xf32>, tensor<?x2xf32>
  })";
  Floats x = {1, 2, kNaN, 100, 3, 6};
  Outcome out = runSpec(spec, {{"x", bf16({3, 2}, x)}, {"m", ownedTensor<int8_t>("i8", {3}, {1, 0, -1})}});
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["mu"].floats, (Floats{2, 4}));
  EXPECT_EQ(out["xr"].floats, (Floats{-1, -2, 0, 0, 1, 2}));
  EXPECT_FALSE(std::signbit(out["xr"].floats[2]));
  // Nothing kept: a mean of 0, not 0/0.
  out = runSpec(spec, {{"x", bf16({3, 2}, x)}, {"m", ownedTensor<int8_t>("i8", {3}, {0, 0, 0})}});
  EXPECT_EQ(out["mu"].floats, (Floats{0, 0}));
  EXPECT_EQ(out["xr"].floats, (Floats{0, 0, 0, 0, 0, 0}));
}

TEST(EvaluateColumnSum, OrderIsThatOfTheContract) {
  // 2^24 + 1 is not a float: rows 0 and 8 share a lane, so 1 + 1 is formed there first only if lanes stride by 8.
  const char *spec = R"(func.func @f(%x: tensor<?x1xf32>) -> tensor<1xf32> {
    %s = fp4.column_sum %x : tensor<?x1xf32> -> tensor<1xf32>
    return %s : tensor<1xf32>
  })";
  Floats x(16, 0.0f);
  x[0] = 16777216.0f;
  x[1] = 1.0f;
  x[9] = 1.0f;
  EXPECT_EQ(runSpec(spec, {{"x", f32({16, 1}, x)}})["s"].floats, (Floats{16777218.0f}));
  std::swap(x[9], x[10]); // now in two lanes: each is absorbed
  EXPECT_EQ(runSpec(spec, {{"x", f32({16, 1}, x)}})["s"].floats, (Floats{16777216.0f}));
  // Chunks of 128 rows: 1 + 1 in the second chunk, before it meets the first.
  Floats y(256, 0.0f);
  y[0] = 16777216.0f;
  y[128] = y[129] = 1.0f;
  EXPECT_EQ(runSpec(spec, {{"x", f32({256, 1}, y)}})["s"].floats, (Floats{16777218.0f}));
}

//===----------------------------------------------------------------------===//
// matvec, hadamard
//===----------------------------------------------------------------------===//

TEST(EvaluateMatvec, ContractsEitherAxis) {
  auto spec = [](int axis) {
    return "func.func @f(%w: tensor<?x?xf16>, %v: tensor<?xf32>) -> tensor<?xf32> {\n"
           "%r = fp4.matvec %w, %v axis = " +
           std::to_string(axis) + " : tensor<?x?xf16>, tensor<?xf32> -> tensor<?xf32>\nreturn %r : tensor<?xf32>\n}";
  };
  OwnedTensor w = f16({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(runSpec(spec(1), {{"w", w}, {"v", f32({3}, {1, 10, 100})}})["r"].floats, (Floats{321, 654}));
  EXPECT_EQ(runSpec(spec(0), {{"w", w}, {"v", f32({2}, {1, 10})}})["r"].floats, (Floats{41, 52, 63}));
}

TEST(EvaluateMatvec, OrderIsThatOfTheContract) {
  const char *spec = R"(func.func @f(%w: tensor<1x?xf32>, %v: tensor<?xf32>) -> tensor<1xf32> {
    %r = fp4.matvec %w, %v axis = 1 : tensor<1x?xf32>, tensor<?xf32> -> tensor<1xf32>
    return %r : tensor<1xf32>
  })";
  auto dot = [&](const std::map<size_t, float> &values) {
    Floats w(512, 0.0f);
    for (auto [index, value] : values)
      w[index] = value;
    return runSpec(spec, {{"w", f32({1, 512}, w)}, {"v", f32({512}, Floats(512, 1.0f))}})["r"].floats[0];
  };
  // Lane 0 takes 0..7 and 256..263: the ones are absorbed one by one.
  EXPECT_EQ(dot({{0, 16777216.0f}, {7, 1.0f}, {256, 1.0f}}), 16777216.0f);
  // Lane 1 takes 8..15 and 264..271: they meet there first.
  EXPECT_EQ(dot({{0, 16777216.0f}, {8, 1.0f}, {264, 1.0f}}), 16777218.0f);
  // Lanes 1 and 17 meet at stride 16, lanes 1 and 2 only after lane 0 has taken 2.
  EXPECT_EQ(dot({{0, 16777216.0f}, {8, 1.0f}, {136, 1.0f}}), 16777218.0f);
  EXPECT_EQ(dot({{0, 16777216.0f}, {8, 1.0f}, {16, 1.0f}}), 16777216.0f);
  // Fused: (1 + 2^-12)^2 - 1 keeps its 2^-24.
  const char *fused = R"(func.func @f(%w: tensor<1x?xf32>, %v: tensor<?xf32>) -> tensor<1xf32> {
    %r = fp4.matvec %w, %v axis = 1 : tensor<1x?xf32>, tensor<?xf32> -> tensor<1xf32>
    return %r : tensor<1xf32>
  })";
  float x = 1.0f + 0x1p-12f;
  EXPECT_EQ(runSpec(fused, {{"w", f32({1, 2}, {-1, x})}, {"v", f32({2}, {1, x})}})["r"].floats[0], 0x1p-11f + 0x1p-24f);
}

TEST(EvaluateHadamard, FirstBasisVectorAndItsSign) {
  const char *spec = R"(func.func @f(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
    %h = fp4.hadamard %x axis = 1 signs = [-1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] : tensor<?x32xf32> -> tensor<?x32xf32>
    return %h : tensor<?x32xf32>
  })";
  Floats x(32, 0.0f), expected(32, -1.0f);
  x[0] = 4.0f;
  x[17] = 4.0f;
  for (int i = 0; i < 16; ++i)
    expected[16 + i] = i % 2 ? -1.0f : 1.0f;
  EXPECT_EQ(runSpec(spec, {{"x", f32({1, 32}, x)}})["h"].floats, expected);
}

TEST(EvaluateHadamard, AxisZeroIsTheTransposeAndPadsWithZeros) {
  auto spec = [](int axis) {
    return "func.func @f(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {\n%h = fp4.hadamard %x axis = " +
           std::to_string(axis) + " : tensor<?x?xf32> -> tensor<?x?xf32>\nreturn %h : tensor<?x?xf32>\n}";
  };
  Floats x(32), transposed(32);
  for (int i = 0; i < 32; ++i) {
    x[i] = static_cast<float>(i * i % 7 - 3);
    transposed[(i % 16) * 2 + i / 16] = x[i];
  }
  Floats rows = runSpec(spec(1), {{"x", f32({2, 16}, x)}})["h"].floats;
  Floats columns = runSpec(spec(0), {{"x", f32({16, 2}, transposed)}})["h"].floats;
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(rows[i], columns[(i % 16) * 2 + i / 16]) << i;
  // Two rows are the first of sixteen; what they transform to has the same energy.
  Floats two = runSpec(spec(0), {{"x", f32({2, 16}, x)}})["h"].floats;
  ASSERT_EQ(two.size(), 256u);
  Floats padded(256);
  std::copy(x.begin(), x.end(), padded.begin());
  EXPECT_EQ(two, runSpec(spec(0), {{"x", f32({16, 16}, padded)}})["h"].floats);
}

//===----------------------------------------------------------------------===//
// block_scale, quantize, dequantize
//===----------------------------------------------------------------------===//

std::string quantizeSpec(const std::string &format, const std::string &block, int axis,
                         const std::string &rounding = "") {
  bool nvfp4 = format == "nvfp4";
  std::string scales = std::string("tensor<?x?x") + (nvfp4 ? "f8E4M3FN" : "f8E8M0FNU") + ">";
  std::string type = "!fp4.quantized<?x?, " + format + ", block = " + block + ", axis = " + std::to_string(axis) + ">";
  std::string args = rounding.empty() ? "" : ", %seed: tensor<i64>, %offset: tensor<i64>";
  return "func.func @f(%x: tensor<?x?xf32>" + args + ") -> (" + type + ", tensor<?x?xf32>) {\n" +
         (nvfp4 ? "%s, %amax" : "%s") + " = fp4.block_scale %x " + format + " block = " + block +
         " axis = " + std::to_string(axis) + " : tensor<?x?xf32> -> " + scales + (nvfp4 ? ", tensor<f32>" : "") +
         "\n%q = fp4.quantize %x scales(%s : " + scales + ")" + (nvfp4 ? " amax(%amax)" : "") + rounding +
         " : tensor<?x?xf32> -> " + type + "\n%v = fp4.dequantize %q : " + type +
         " -> tensor<?x?xf32>\nreturn %q, %v : " + type + ", tensor<?x?xf32>\n}";
}

TEST(EvaluateQuantize, Nvfp4ByHand) {
  // amax 6: S = 448, the first block's scale is 448 (0x7e), its codes are the values. The second block has amax 3:
  // scale 224 (0x76).
  Floats x = {6, 4, 3, 2, 1.5f, 1, .5f, 0, -0.0f, -.5f, 5, 2.5f, 3.5f, .25f, .75f, -6, 3, 1.5f, .75f};
  Outcome out = runSpec(quantizeSpec("nvfp4", "1x16", 1), {{"x", f32({1, 19}, x)}}, true);
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["amax"].floats, (Floats{6}));
  EXPECT_EQ(out["q.amax"].floats, (Floats{6}));
  EXPECT_EQ(out["q.scales"].codes, (Codes{0x7e, 0x76}));
  EXPECT_EQ(out["q.scales"].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(out["q.codes"].codes, (Codes{7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 6, 4, 6, 0, 2, 15, 7, 5, 3}));
  EXPECT_EQ(out["q.codes"].shape, (std::vector<int64_t>{1, 19}));
  // Values are code * scale * fl(1/448), two roundings from a whole number.
  Floats values;
  for (float code : {6.f, 4.f, 3.f, 2.f, 1.5f, 1.f, .5f, 0.f, -0.f, -.5f, 4.f, 2.f, 4.f, 0.f, 1.f, -6.f})
    values.push_back(code * 448.0f * (1.0f / 448.0f));
  for (float code : {6.f, 3.f, 1.5f})
    values.push_back(code * 224.0f * (1.0f / 448.0f));
  EXPECT_EQ(out["v"].floats, values);
  EXPECT_EQ(out.order, (std::vector<std::string>{"q.codes", "q.scales", "q.amax", "v", "s.scales", "amax"}));
}

TEST(EvaluateQuantize, Mxfp4ByHand) {
  // amax 6 has exponent 2: scale 2^0 (127). amax 7 also: 7 saturates to 6. The second block, amax 2^-10: scale 2^-12
  // (115).
  Floats x(40, 0.0f);
  x[0] = 7;
  x[1] = -1.25f;
  x[32] = 0x1p-10f;
  x[33] = 0x1p-12f;
  Outcome out = runSpec(quantizeSpec("mxfp4", "1x32", 1), {{"x", f32({1, 40}, x)}});
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["q.scales"].codes, (Codes{127, 115}));
  EXPECT_EQ(out["q.codes"].codes[0], 7);
  EXPECT_EQ(out["q.codes"].codes[1], 10); // a tie of 1 and 1.5 goes to the even 1
  EXPECT_EQ(out["q.codes"].codes[32], 6);
  EXPECT_EQ(out["q.codes"].codes[33], 2);
  EXPECT_EQ(out["v"].floats[32], 0x1p-10f);
  EXPECT_EQ(out.values.count("q.amax"), 0u);
}

TEST(EvaluateQuantize, BlocksOf16By16ShareTheirScale) {
  Floats x(17 * 17, 0.0f);
  x[3 * 17 + 5] = 6.0f;   // block (0, 0)
  x[2 * 17 + 16] = 3.0f;  // block (0, 1)
  x[16 * 17 + 1] = -1.5f; // block (1, 0)
  Outcome out = runSpec(quantizeSpec("nvfp4", "16x16", 1), {{"x", f32({17, 17}, x)}}, true);
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["s.scales"].codes, (Codes{0x7e, 0x76, 0x6e, 0x00}));
  const Codes &scales = out["q.scales"].codes;
  ASSERT_EQ(scales.size(), 34u);
  for (int row = 0; row < 16; ++row) {
    EXPECT_EQ(scales[2 * row], 0x7e);
    EXPECT_EQ(scales[2 * row + 1], 0x76);
  }
  EXPECT_EQ(scales[32], 0x6e);
  EXPECT_EQ(out["q.codes"].codes[3 * 17 + 5], 7);
  EXPECT_EQ(out["q.codes"].codes[2 * 17 + 16], 7);
  EXPECT_EQ(out["q.codes"].codes[16 * 17 + 1], 15);
  EXPECT_EQ(out["v"].floats[16 * 17 + 1], -6.0f * 112.0f * (1.0f / 448.0f));
}

TEST(EvaluateQuantize, NonFiniteBlocksAreNaNAndHarmNoOthers) {
  for (const char *format : {"nvfp4", "mxfp4"})
    for (float bad : {kNaN, kInf, -kInf}) {
      bool nvfp4 = std::string(format) == "nvfp4";
      int64_t block = nvfp4 ? 16 : 32;
      Floats x(static_cast<size_t>(2 * block), 1.0f);
      x[3] = bad;
      x[7] = 6.0f; // in the bad block, after the bad value
      Outcome out = runSpec(quantizeSpec(format, nvfp4 ? "1x16" : "1x32", 1), {{"x", f32({1, 2 * block}, x)}});
      EXPECT_EQ(out["q.scales"].codes[0], nvfp4 ? 0x7f : 0xff);
      for (int64_t i = 0; i < block; ++i) {
        EXPECT_EQ(out["q.codes"].codes[i], 0);
        EXPECT_TRUE(std::isnan(out["v"].floats[i]));
        // amax 1 under S = 448 asks for a scale of 74.7, which e4m3 has not: 72.
        EXPECT_EQ(out["v"].floats[block + i], nvfp4 ? 6.0f * 72.0f * (1.0f / 448.0f) : 1.0f) << format;
      }
      if (nvfp4) {
        EXPECT_EQ(out["q.amax"].floats[0], 6.0f); // over finite values, those of the bad block too
      }
    }
}

TEST(EvaluateQuantize, ZeroTensorGivesZeros) {
  Outcome out = runSpec(quantizeSpec("nvfp4", "1x16", 1), {{"x", f32({1, 2}, {0.0f, -0.0f})}});
  EXPECT_EQ(out["q.scales"].codes, (Codes{0}));
  EXPECT_EQ(out["q.codes"].codes, (Codes{0, 8}));
  EXPECT_EQ(out["q.amax"].floats, (Floats{0}));
}

TEST(EvaluateQuantize, AxisZeroIsTheTransposeForEveryRounding) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  constexpr int64_t rows = 5, k = 50;
  Floats x(rows * k), transposed(rows * k);
  for (int64_t i = 0; i < rows * k; ++i) {
    x[i] = normal(random);
    transposed[(i % k) * rows + i / k] = x[i];
  }
  OwnedTensor seed = ownedTensor<int64_t>("i64", {}, {42}), offset = ownedTensor<int64_t>("i64", {}, {3});
  for (bool stochastic : {false, true}) {
    std::string rounding = stochastic ? " stochastic seed(%seed) offset(%offset)" : "";
    std::map<std::string, OwnedTensor> inputs = {{"x", f32({rows, k}, x)}},
                                       others = {{"x", f32({k, rows}, transposed)}};
    if (stochastic)
      for (auto *map : {&inputs, &others}) {
        map->emplace("seed", seed);
        map->emplace("offset", offset);
      }
    for (const char *block : {"1x16", "16x16"}) {
      Outcome byRows = runSpec(quantizeSpec("nvfp4", block, 1, rounding), inputs);
      Outcome byColumns = runSpec(quantizeSpec("nvfp4", block, 0, rounding), others);
      ASSERT_TRUE(byRows.ok && byColumns.ok) << byRows.errors << byColumns.errors;
      EXPECT_EQ(byRows["q.codes"].codes, byColumns["q.codes"].codes);
      EXPECT_EQ(byRows["q.scales"].codes, byColumns["q.scales"].codes);
      EXPECT_EQ(byColumns["v"].shape, (std::vector<int64_t>{k, rows}));
      for (int64_t i = 0; i < rows * k; ++i)
        EXPECT_EQ(byRows["v"].floats[i], byColumns["v"].floats[(i % k) * rows + i / k]);
    }
  }
}

TEST(EvaluateQuantize, StochasticIsKeyedBySeedOffsetAndPlace) {
  std::string spec = quantizeSpec("nvfp4", "1x16", 1, " stochastic seed(%seed) offset(%offset)");
  Floats x(64 * 16, 1.25f);
  for (int i = 0; i < 64; ++i)
    x[16 * i] = 6.0f;
  auto codes = [&](int64_t seed, int64_t offset) {
    return runSpec(spec, {{"x", f32({64, 16}, x)},
                          {"seed", ownedTensor<int64_t>("i64", {}, {seed})},
                          {"offset", ownedTensor<int64_t>("i64", {}, {offset})}})["q.codes"]
        .codes;
  };
  Codes first = codes(1, 0);
  EXPECT_EQ(first, codes(1, 0));
  EXPECT_NE(first, codes(2, 0));
  EXPECT_NE(first, codes(1, 1));
  int up = 0;
  for (int row = 0; row < 64; ++row)
    for (int column = 1; column < 16; ++column) {
      uint8_t code = first[16 * row + column];
      ASSERT_TRUE(code == 2 || code == 3);
      up += code == 3;
      // 1.25 is half way: up where the 16 random bits are below one half.
      uint32_t bits = numerics::elementRandom16(1, 0, static_cast<uint32_t>(row), static_cast<uint32_t>(column));
      EXPECT_EQ(code, bits < 32768 ? 3 : 2);
    }
  EXPECT_NEAR(up, 480, 62); // 960 tosses, four sigma
}

//===----------------------------------------------------------------------===//
// matmul
//===----------------------------------------------------------------------===//

/// Quantizes %x and %w, both with K last, and multiplies.
std::string matmulSpec(const std::string &format = "nvfp4", const std::string &tail = "") {
  bool nvfp4 = format == "nvfp4";
  std::string block = nvfp4 ? "1x16" : "1x32", amax = nvfp4 ? ", tensor<f32>" : "";
  std::string scales = std::string("tensor<?x?x") + (nvfp4 ? "f8E4M3FN" : "f8E8M0FNU") + ">";
  std::string type = "!fp4.quantized<?x?, " + format + ", block = " + block + ", axis = 1>";
  std::string body;
  for (std::string v : {"x", "w"}) {
    body += "%s" + v + (nvfp4 ? ", %amax" + v : "") + " = fp4.block_scale %" + v + " " + format + " block = " + block +
            " axis = 1 : tensor<?x?xf32> -> " + scales + amax + "\n%q" + v + " = fp4.quantize %" + v + " scales(%s" +
            v + " : " + scales + ")" + (nvfp4 ? " amax(%amax" + v + ")" : "") + " : tensor<?x?xf32> -> " + type + "\n";
  }
  return "func.func @f(%x: tensor<?x?xf32>, %w: tensor<?x?xf32>) -> tensor<?x?xf32> {\n" + body +
         "%y = fp4.matmul %qx, %qw : " + type + ", " + type + " -> tensor<?x?xf32>\n" +
         (tail.empty() ? "return %y : tensor<?x?xf32>\n}" : tail);
}

TEST(EvaluateMatmul, SmallIntegersAreExact) {
  // Every block holds a 6 and values that e2m1 has; amax 6 makes alpha * 448 * 448 = 1 up to rounding of alpha.
  Floats x(2 * 32, 0.0f), w(3 * 32, 0.0f);
  for (int row = 0; row < 2; ++row)
    for (int block : {0, 16}) {
      x[32 * row + block] = 6;
      x[32 * row + block + 1] = static_cast<float>(row + 1);
    }
  for (int row = 0; row < 3; ++row)
    for (int block : {0, 16}) {
      w[32 * row + block + 1] = static_cast<float>(row + 2);
      w[32 * row + block + 2] = 6;
    }
  Outcome out = runSpec(matmulSpec(), {{"x", f32({2, 32}, x)}, {"w", f32({3, 32}, w)}});
  ASSERT_TRUE(out.ok) << out.errors;
  Floats expected;
  float alpha = numerics::nvfp4Alpha(6, 6);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      expected.push_back(2.0f * (i + 1) * (j + 2) * 448 * 448 * alpha);
  EXPECT_EQ(out["y"].floats, expected);
  EXPECT_TRUE(out["y"].hasBound);
}

TEST(EvaluateMatmul, Mxfp4HasNoAlpha) {
  Floats x(64, 0.0f), w(64, 0.0f);
  x[0] = 6, x[40] = 0x1p10f;
  w[0] = 4, w[40] = 3;
  EXPECT_EQ(runSpec(matmulSpec("mxfp4"), {{"x", f32({1, 64}, x)}, {"w", f32({1, 64}, w)}})["y"].floats,
            (Floats{24 + 3072}));
}

TEST(EvaluateMatmul, NaNBlockMakesItsRowAndColumnNaNOnly) {
  Floats x(2 * 16, 1.0f), w(2 * 16, 1.0f);
  x[5] = kInf;
  Outcome out = runSpec(matmulSpec(), {{"x", f32({2, 16}, x)}, {"w", f32({2, 16}, w)}});
  EXPECT_TRUE(std::isnan(out["y"].floats[0]) && std::isnan(out["y"].floats[1]));
  EXPECT_EQ(out["y"].bound[0], 0.0f); // NaN there on every device
  EXPECT_TRUE(numerics::isFinite(out["y"].floats[2]) && numerics::isFinite(out["y"].floats[3]));
}

/// The device's side: the tensor core's model over all K steps, then alpha.
float modelElement(const Outcome &out, int64_t row, int64_t column, int64_t k, bool nvfp4, float alpha) {
  int64_t blockSize = nvfp4 ? 16 : 32, blocks = numerics::ceilDiv(k, blockSize);
  float acc = 0.0f;
  for (int64_t step = 0; step < k; step += 64) {
    uint8_t a[64] = {}, b[64] = {}, scaleA[4] = {}, scaleB[4] = {};
    for (int64_t i = 0; i < 64 && step + i < k; ++i) {
      a[i] = out["qx.codes"].codes[row * k + step + i];
      b[i] = out["qw.codes"].codes[column * k + step + i];
    }
    for (int64_t group = 0; group < 4 && step + 16 * group < k; ++group) {
      scaleA[group] = out["qx.scales"].codes[row * blocks + (step + 16 * group) / blockSize];
      scaleB[group] = out["qw.scales"].codes[column * blocks + (step + 16 * group) / blockSize];
    }
    acc = numerics::mmaStep(a, b, scaleA, scaleB, nvfp4 ? numerics::ScaleFormat::UE4M3 : numerics::ScaleFormat::UE8M0,
                            acc);
  }
  return acc * alpha;
}

TEST(EvaluateMatmul, BoundCoversTheTensorCoreAndIsTight) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  for (bool nvfp4 : {true, false})
    for (int64_t k : {int64_t{40}, int64_t{64}, int64_t{1000}}) {
      Floats x(static_cast<size_t>(8 * k)), w(static_cast<size_t>(9 * k));
      // Blocks of very different size, so that alignment truncates.
      for (Floats *values : {&x, &w})
        for (size_t i = 0; i < values->size(); ++i)
          (*values)[i] = std::ldexp(normal(random), static_cast<int>(i / 16 % 13) - 6);
      Outcome out =
          runSpec(matmulSpec(nvfp4 ? "nvfp4" : "mxfp4"), {{"x", f32({8, k}, x)}, {"w", f32({9, k}, w)}}, true);
      ASSERT_TRUE(out.ok) << out.errors;
      float alpha = nvfp4 ? numerics::nvfp4Alpha(out["qx.amax"].floats[0], out["qw.amax"].floats[0]) : 1.0f;
      int different = 0;
      float largest = 0.0f;
      for (float value : out["y"].floats)
        largest = std::max(largest, std::fabs(value));
      for (int64_t i = 0; i < 8; ++i)
        for (int64_t j = 0; j < 9; ++j) {
          float reference = out["y"].floats[i * 9 + j], bound = out["y"].bound[i * 9 + j];
          float device = modelElement(out, i, j, k, nvfp4, alpha);
          EXPECT_LE(std::fabs(device - reference), bound) << i << " " << j << " " << k;
          EXPECT_LT(bound, largest * 1e-5f); // far below one e2m1 step
          different += device != reference;
        }
      if (k == 1000) {
        EXPECT_GT(different, 0); // else this test tests nothing
      }
    }
}

TEST(EvaluateMatmul, ExtentsAreComparedAtRunTime) {
  Outcome out = runSpec(matmulSpec(), {{"x", f32({1, 32}, Floats(32))}, {"w", f32({1, 16}, Floats(16))}});
  EXPECT_FALSE(out.ok);
  EXPECT_EQ(out.errors,
            "spec.mlir:6:6: error: 'fp4.matmul' op has a left contracted extent of 32, but a right contracted "
            "extent of 16");
}

//===----------------------------------------------------------------------===//
// Bounds downstream
//===----------------------------------------------------------------------===//

TEST(EvaluateBounds, EpilogueCarriesThemAndAddsAnUlpOfItsType) {
  std::string tail = R"(%z = fp4.epilogue %y {
  ^bb0(%a: f32):
    %two = arith.constant -2.0 : f32
    %s = arith.mulf %a, %two : f32
    %r = arith.truncf %s : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  %one = fp4.prologue %y {
  ^bb0(%a: f32):
    %c = arith.constant 1.0 : f32
    fp4.yield %c : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %one : tensor<?x?xf32>
})";
  Floats x(16, 0.0f), w(16, 0.0f);
  x[0] = w[0] = 6;
  Outcome out = runSpec(matmulSpec("nvfp4", tail), {{"x", f32({1, 16}, x)}, {"w", f32({1, 16}, w)}}, true);
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["z"].floats, (Floats{-72}));
  EXPECT_GE(out["z"].bound[0], 0.5f); // one bf16 unit at 72
  EXPECT_LE(out["z"].bound[0], 1.0f);
  EXPECT_LE(out["one"].bound[0], 0x1p-22f); // a constant does not depend on it
}

TEST(EvaluateBounds, CodesRoundedFromAnUncertainTensorMayBeAny) {
  std::string type = "!fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>";
  std::string tail =
      "%s, %amax = fp4.block_scale %y nvfp4 block = 1x16 axis = 1 : tensor<?x?xf32> -> "
      "tensor<?x?xf8E4M3FN>, tensor<f32>\n%q = fp4.quantize %y scales(%s : tensor<?x?xf8E4M3FN>) amax(%amax) "
      ": tensor<?x?xf32> -> " +
      type + "\n%v = fp4.dequantize %q : " + type +
      " -> tensor<?x?xf32>\n%mu, %yr = fp4.center %y : tensor<?x?xf32> -> tensor<?xf32>, "
      "tensor<?x?xf32>\nreturn %v : tensor<?x?xf32>\n}";
  Outcome out = runSpec(matmulSpec("nvfp4", tail),
                        {{"x", f32({2, 16}, Floats(32, 1))}, {"w", f32({1, 16}, Floats(16, 1))}}, true);
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["q.codes"].bound[0], kInf);
  EXPECT_EQ(out["v"].bound[0], kInf);
  EXPECT_GT(out["mu"].bound[0], 0.0f);
  EXPECT_LT(out["mu"].bound[0], 1e-4f);
  EXPECT_GE(out["yr"].bound[0], out["mu"].bound[0]);
  EXPECT_FALSE(out["qx.codes"].hasBound);
}

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

TEST(EvaluateInputs, AreCheckedByNameTypeAndShape) {
  const char *spec = R"(func.func @f(%x: tensor<?x4xf32>) -> tensor<4xf32> {
  %s = fp4.column_sum %x : tensor<?x4xf32> -> tensor<4xf32>
  return %s : tensor<4xf32>
})";
  OwnedTensor good = f32({2, 4}, Floats(8, 1));
  EXPECT_TRUE(runSpec(spec, {{"x", good}}).ok);
  const std::string head = "spec.mlir:1:1: error: 'func.func' op ";
  EXPECT_EQ(runSpec(spec, {}).errors, head + "input 'x' is missing; the spec takes x");
  EXPECT_EQ(runSpec(spec, {{"x", good}, {"y", good}}).errors, head + "has no input 'y'; it takes x");
  EXPECT_EQ(runSpec(spec, {{"x", bf16({2, 4}, Floats(8))}}).errors,
            head + "input 'x' expects elements of f32, but got 'bf16'");
  EXPECT_EQ(runSpec(spec, {{"x", f32({4, 2}, Floats(8))}}).errors,
            head + "input 'x' expects shape (?x4), but got (4x2)");
  EXPECT_EQ(runSpec(spec, {{"x", f32({8}, Floats(8))}}).errors, head + "input 'x' expects shape (?x4), but got (8)");
}

TEST(EvaluateInputs, OpsWithoutMeaningAreNamed) {
  EXPECT_EQ(runSpec(R"(func.func @f() -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  return %e : tensor<4xf32>
})",
                    {})
                .errors,
            "spec.mlir:2:8: error: 'tensor.empty' op has no meaning in a spec: only fp4 ops stand outside of regions");
}

TEST(EvaluateInputs, ResultTypesAreCheckedAgainstWhatComesOut) {
  EXPECT_EQ(runSpec(R"(func.func @f(%x: tensor<?x?xf32>) -> tensor<4xf32> {
  %s = fp4.column_sum %x : tensor<?x?xf32> -> tensor<4xf32>
  return %s : tensor<4xf32>
})",
                    {{"x", f32({1, 3}, Floats(3))}})
                .errors,
            "spec.mlir:2:8: error: 'fp4.column_sum' op result 's' expects shape (4), but these inputs give (3)");
}

} // namespace
