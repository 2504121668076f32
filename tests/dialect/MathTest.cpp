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
    double error = std::fabs(got[i] - exact) / ulp;
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
    ::testing::Values(Range{"exp", std::exp, -80, 88, 0}, Range{"exp2", std::exp2, -120, 127, 0},
                      Range{"expm1", std::expm1, -5, 5, 0}, Range{"log", std::log, 0.01f, 100, 0},
                      Range{"log2", std::log2, 0.01f, 100, 0}, Range{"log10", std::log10, 0.01f, 100, 0},
                      Range{"log1p", std::log1p, -0.9f, 10, 0}, Range{"tanh", std::tanh, -10, 10, 0},
                      Range{"erf", std::erf, -4, 4, 0}, Range{"erfc", std::erfc, -3, 3, 0},
                      Range{"sin", std::sin, -6.5f, 6.5f, 0}, Range{"cos", std::cos, -6.5f, 6.5f, 0},
                      Range{"tan", std::tan, -1.5f, 1.5f, 0}, Range{"atan", std::atan, -10, 10, 0},
                      Range{"asin", std::asin, -1, 1, 0}, Range{"acos", std::acos, -1, 1, 0},
                      Range{"sinh", std::sinh, -10, 10, 0}, Range{"cosh", std::cosh, -10, 10, 0},
                      Range{"asinh", std::asinh, -10, 10, 0}, Range{"acosh", std::acosh, 1, 10, 0},
                      Range{"atanh", std::atanh, -0.9f, 0.9f, 0}, Range{"cbrt", std::cbrt, -10, 10, 0},
                      Range{"rsqrt", rsqrt, 0.01f, 100, 0}),
    [](const auto &info) { return std::string(info.param.function); });

} // namespace
