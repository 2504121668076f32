// How far each expanded function is from the real one, over its range and at its special values.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/dialect/SpecRunner.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> applyMath(const std::string &function, const std::vector<float> &values, float second = 0.0f) {
  bool binary = function == "powf" || function == "atan2";
  std::string spec = "func.func @f(%x: tensor<1x?xf32>, %s: tensor<f32>) -> tensor<1x?xf32> {\n%h = fp4.prologue %x "
                     "scalars(%s : tensor<f32>) {\n^bb0(%a: f32, %b: f32):\n%r = math." +
                     function + (binary ? " %a, %b : f32" : " %a : f32") +
                     "\nfp4.yield %r : f32\n} : tensor<1x?xf32> -> tensor<1x?xf32>\nreturn %h : tensor<1x?xf32>\n}";
  Outcome out = runSpec(spec, {{"x", f32({1, static_cast<int64_t>(values.size())}, values)}, {"s", f32({}, {second})}});
  EXPECT_TRUE(out.ok) << out.errors;
  return out["h"].floats;
}

struct Range {
  const char *function;
  double (*exact)(double);
  float low, high;
  double ulps;
  /// Added to the ulps, for functions whose expansion cancels near a zero.
  double absolute = 0.0;
};

double rsqrt(double x) { return 1.0 / std::sqrt(x); }

class MathAccuracy : public ::testing::TestWithParam<Range> {};

TEST_P(MathAccuracy, StaysWithinItsUlps) {
  const Range &range = GetParam();
  std::vector<float> values;
  constexpr int kCount = 20001;
  for (int i = 0; i < kCount; ++i)
    values.push_back(range.low + (range.high - range.low) * static_cast<float>(i) / (kCount - 1));
  std::vector<float> got = applyMath(range.function, values);
  ASSERT_EQ(got.size(), values.size());
  double worst = 0.0;
  float where = 0.0f;
  for (int i = 0; i < kCount; ++i) {
    double exact = range.exact(values[i]);
    double ulp = std::ldexp(1.0, std::max(std::ilogb(exact == 0.0 ? 0x1p-126 : exact), -126) - 23);
    double error = std::max(0.0, std::fabs(got[i] - exact) - range.absolute) / ulp;
    if (!(error <= worst)) {
      worst = error;
      where = values[i];
    }
  }
  RecordProperty("ulps", std::to_string(worst));
  EXPECT_LE(worst, range.ulps) << range.function << " at " << where;
}

INSTANTIATE_TEST_SUITE_P(
    Functions, MathAccuracy,
    ::testing::Values(Range{"exp", std::exp, -87, 88.7f, 1}, Range{"exp2", std::exp2, -126, 127.9f, 1.1},
                      Range{"expm1", std::expm1, -5, 5, 2}, Range{"log", std::log, 0.01f, 100, 1},
                      Range{"log2", std::log2, 0.01f, 100, 1.5}, Range{"log10", std::log10, 0.01f, 100, 2.5},
                      Range{"log1p", std::log1p, -0.9f, 10, 2}, Range{"tanh", std::tanh, -10, 10, 4},
                      Range{"erf", std::erf, -4, 4, 4}, Range{"erfc", std::erfc, -3, 3, 2.5},
                      Range{"sin", std::sin, -100, 100, 2}, Range{"cos", std::cos, -100, 100, 2},
                      Range{"tan", std::tan, -1.5f, 1.5f, 3}, Range{"atan", std::atan, -10, 10, 2},
                      Range{"asin", std::asin, -1, 1, 6}, Range{"acos", std::acos, -1, 1, 2},
                      Range{"sinh", std::sinh, -10, 10, 2, 0x1p-22}, Range{"cosh", std::cosh, -10, 10, 2},
                      Range{"asinh", std::asinh, -10, 10, 4}, Range{"acosh", std::acosh, 1, 10, 4},
                      Range{"atanh", std::atanh, -0.9f, 0.9f, 4}, Range{"cbrt", std::cbrt, -10, 10, 12},
                      Range{"rsqrt", rsqrt, 0.01f, 100, 1.5}),
    [](const auto &info) { return std::string(info.param.function); });

TEST(MathSpecials, NonFiniteAndExtremeInputs) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  auto at = [](const std::string &function, float x) { return applyMath(function, {x})[0]; };
  EXPECT_EQ(at("exp", kInf), kInf);
  EXPECT_EQ(at("exp", -kInf), 0.0f);
  EXPECT_EQ(at("exp", 88.8f), kInf);
  EXPECT_EQ(at("exp", 0.0f), 1.0f);
  EXPECT_NEAR(at("exp", -95.0f), std::exp(-95.0), 0x1p-148); // a subnormal
  EXPECT_EQ(at("exp2", 128.0f), kInf);
  EXPECT_EQ(at("exp2", -149.0f), 0x1p-149f);
  EXPECT_EQ(at("exp2", -kInf), 0.0f);
  EXPECT_EQ(at("exp2", 10.0f), 1024.0f);
  EXPECT_EQ(at("tanh", kInf), 1.0f);
  EXPECT_EQ(at("tanh", -kInf), -1.0f);
  EXPECT_EQ(at("erf", kInf), 1.0f);
  EXPECT_EQ(at("log", 0.0f), -kInf);
  EXPECT_EQ(at("log", kInf), kInf);
  EXPECT_TRUE(std::isnan(at("log", -1.0f)));
  EXPECT_EQ(at("sinh", kInf), kInf);
  EXPECT_NEAR(at("sinh", -89.0f) / std::sinh(-89.0), 1.0, 1e-6); // e^89 overflows
  EXPECT_EQ(at("asinh", -kInf), -kInf);
  EXPECT_EQ(at("acosh", 1.0f), 0.0f);
  EXPECT_EQ(at("acosh", kInf), kInf);
  for (float x : {0.5f, -1.0f, -2968.0f, -1e10f})
    EXPECT_TRUE(std::isnan(at("acosh", x))) << x;
  for (float x : {1e-40f, 0x1p-149f, 0x1p-126f}) { // subnormals, and the smallest normal
    EXPECT_NEAR(at("log", x) / std::log(double(x)), 1.0, 2e-7) << x;
    EXPECT_NEAR(at("log2", x) / std::log2(double(x)), 1.0, 2e-7) << x;
    EXPECT_NEAR(at("log10", x) / std::log10(double(x)), 1.0, 2e-7) << x;
    EXPECT_NEAR(at("cbrt", x) / std::cbrt(double(x)), 1.0, 2e-6) << x;
  }
  EXPECT_EQ(at("cbrt", kInf), kInf);
  EXPECT_EQ(at("cbrt", -kInf), -kInf);
  EXPECT_NEAR(at("cosh", -89.0f) / std::cosh(-89.0), 1.0, 1e-6); // e^89 overflows
  EXPECT_EQ(at("cosh", -kInf), kInf);
  for (const char *function : {"erf", "sin", "tan", "cbrt"})
    EXPECT_TRUE(std::signbit(at(function, -0.0f))) << function;
  for (float x : {1e5f, -3e5f, 1048575.5f, 2097151.75f}) { // positions in long sequences
    EXPECT_NEAR(at("sin", x), std::sin(double(x)), 5e-7) << x;
    EXPECT_NEAR(at("cos", x), std::cos(double(x)), 5e-7) << x;
  }
  for (const char *function : {"sin", "cos", "tan"})
    EXPECT_TRUE(std::isnan(at(function, -2097152.0f))) << function; // the reduction has no digits for it
  EXPECT_EQ(at("atanh", 1.0f), kInf);
  EXPECT_EQ(at("atan", kInf), 1.57079637f);
  EXPECT_TRUE(std::signbit(at("sinh", -0.0f)));
  EXPECT_TRUE(std::isnan(at("sin", kInf)));
  for (const char *function : {"exp", "exp2", "expm1", "tanh", "erf", "log", "log2", "sin", "rsqrt"})
    EXPECT_TRUE(std::isnan(at(function, nan))) << function;
}

TEST(MathPow, IntegerAndFractionalExponents) {
  EXPECT_EQ(applyMath("powf", {2, 4, -2, 0, -0.0f, 1, -1, kInf}, 2.0f),
            (std::vector<float>{4, 16, 4, 0, 0, 1, 1, kInf}));
  EXPECT_EQ(applyMath("powf", {2, -2, -4, 0, -kInf}, 3.0f), (std::vector<float>{8, -8, -64, 0, -kInf}));
  EXPECT_EQ(applyMath("powf", {2, -2, 0, -0.0f}, -1.0f), (std::vector<float>{0.5f, -0.5f, kInf, -kInf}));
  EXPECT_EQ(applyMath("powf", {7, -7, kInf, 0, std::nanf("")}, 0.0f), (std::vector<float>{1, 1, 1, 1, 1}));
  EXPECT_EQ(applyMath("powf", {4, 1}, 0.5f), (std::vector<float>{2, 1}));
  EXPECT_TRUE(std::isnan(applyMath("powf", {-4}, 0.5f)[0]));
  EXPECT_TRUE(std::isnan(applyMath("powf", {std::nanf("")}, 2.0f)[0]));
  for (float x : {0.25f, 1.5f, 7.0f})
    EXPECT_NEAR(applyMath("powf", {x}, 1.7f)[0] / std::pow(x, 1.7), 1.0, 1e-6);
}

TEST(MathRound, HalvesGoAwayFromZero) {
  std::vector<float> x = {2.5f, -2.5f, 3.5f, 0.49999997f, -0.3f, 8388609.0f, kInf, 1.7f};
  EXPECT_EQ(applyMath("round", x), (std::vector<float>{3, -3, 4, 0, -0.0f, 8388609.0f, kInf, 2}));
  EXPECT_TRUE(std::signbit(applyMath("round", {-0.3f})[0]));
  EXPECT_TRUE(std::isnan(applyMath("round", {std::nanf("")})[0]));
}

TEST(MathAtan2, EveryQuadrant) {
  for (float x : {-2.0f, -0.5f, 0.5f, 3.0f})
    for (float y : {-4.0f, -1.0f, 0.25f, 2.0f})
      EXPECT_NEAR(applyMath("atan2", {y}, x)[0], std::atan2(y, x), 2e-6) << y << " " << x;
}

TEST(MathClasses, SelectWhatIsNotFinite) {
  auto pick = [](const std::string &test, float x) {
    Outcome out = runSpec(
        "func.func @f(%x: tensor<1x1xf32>) -> tensor<1x1xf32> {\n%h = fp4.prologue %x {\n^bb0(%a: f32):\n%t = math." +
            test +
            " %a : f32\n%r = arith.uitofp %t : i1 to f32\nfp4.yield %r : f32\n} : tensor<1x1xf32> -> "
            "tensor<1x1xf32>\nreturn %h : tensor<1x1xf32>\n}",
        {{"x", f32({1, 1}, {x})}});
    return out["h"].floats;
  };
  const float nan = std::nanf(""), largest = std::numeric_limits<float>::max();
  for (auto [x, isNaN, isInf] :
       {std::tuple(nan, 1, 0), std::tuple(kInf, 0, 1), std::tuple(-kInf, 0, 1), std::tuple(largest, 0, 0)}) {
    EXPECT_EQ(pick("isnan", x), std::vector<float>{static_cast<float>(isNaN)});
    EXPECT_EQ(pick("isinf", x), std::vector<float>{static_cast<float>(isInf)});
    EXPECT_EQ(pick("isfinite", x), std::vector<float>{static_cast<float>(!isNaN && !isInf)});
  }
}

TEST(MathWidth, SixteenBitFunctionsGoThroughF32) {
  Outcome out = runSpec(R"(func.func @f(%x: tensor<1x?xbf16>) -> tensor<1x?xbf16> {
  %h = fp4.prologue %x {
  ^bb0(%a: f32):
    %b = arith.truncf %a : f32 to bf16
    %c = math.exp %b : bf16
    fp4.yield %c : bf16
  } : tensor<1x?xbf16> -> tensor<1x?xbf16>
  return %h : tensor<1x?xbf16>
})",
                        {{"x", bf16({1, 3}, {0, 1, -2})}});
  ASSERT_TRUE(out.ok) << out.errors;
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(out["h"].floats[i], numerics::decodeBF16(numerics::encodeBF16(std::exp(i == 0   ? 0.0f
                                                                                     : i == 1 ? 1.0f
                                                                                              : -2.0f))));
}

TEST(MathFlags, FastMathIsDropped) {
  // With reassociation (x + 1e8) - 1e8 might become x.
  Outcome out = runSpec(R"(func.func @f(%x: tensor<1x?xf32>) -> tensor<1x?xf32> {
  %h = fp4.prologue %x {
  ^bb0(%a: f32):
    %c = arith.constant 1.0e8 : f32
    %s = arith.addf %a, %c fastmath<fast> : f32
    %t = arith.subf %s, %c fastmath<fast> : f32
    fp4.yield %t : f32
  } : tensor<1x?xf32> -> tensor<1x?xf32>
  return %h : tensor<1x?xf32>
})",
                        {{"x", f32({1, 1}, {1})}});
  EXPECT_EQ(out["h"].floats, (std::vector<float>{0}));
}

} // namespace
