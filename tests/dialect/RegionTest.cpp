// Scalar ops in regions, each on the values where implementations differ.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/dialect/SpecRunner.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

/// The region's f32 value for block arguments %a (the input) and %b (a scalar).
float eval(const std::string &body, float a, float b = 0.0f) {
  Outcome out =
      runSpec("func.func @f(%x: tensor<1x1xf32>, %s: tensor<f32>) -> tensor<1x1xf32> {\n%h = fp4.prologue %x "
              "scalars(%s : tensor<f32>) {\n^bb0(%a: f32, %b: f32):\n" +
                  body + "\nfp4.yield %r : f32\n} : tensor<1x1xf32> -> tensor<1x1xf32>\nreturn %h : tensor<1x1xf32>\n}",
              {{"x", f32({1, 1}, {a})}, {"s", f32({}, {b})}});
  EXPECT_TRUE(out.ok) << out.errors;
  return out.ok ? out["h"].floats[0] : kNaN;
}

float binary(const std::string &op, float a, float b) { return eval("%r = " + op + " %a, %b : f32", a, b); }
float unary(const std::string &op, float a) { return eval("%r = " + op + " %a : f32", a); }

/// An i32 op on constants, as f32 bits.
int32_t integers(const std::string &op, int32_t a, int32_t b, const std::string &type = "i32") {
  std::string body = "%p = arith.constant " + std::to_string(a) + " : " + type + "\n%q = arith.constant " +
                     std::to_string(b) + " : " + type + "\n%t = arith." + op + " %p, %q : " + type + "\n";
  body += type == "i32" ? "%r = arith.bitcast %t : i32 to f32"
                        : "%u = arith.extsi %t : " + type + " to i32\n%r = arith.bitcast %u : i32 to f32";
  return static_cast<int32_t>(numerics::floatBits(eval(body, 0.0f)));
}

bool compares(const std::string &predicate, float a, float b) {
  return eval("%t = arith.cmpf " + predicate + ", %a, %b : f32\n%r = arith.uitofp %t : i1 to f32", a, b) == 1.0f;
}

TEST(Region, ArithmeticRoundsOnce) {
  EXPECT_EQ(binary("arith.addf", 16777216.0f, 1.0f), 16777216.0f);
  EXPECT_EQ(binary("arith.subf", 1.0f, 3.0f), -2.0f);
  EXPECT_EQ(binary("arith.mulf", 3.0f, -0.5f), -1.5f);
  EXPECT_EQ(binary("arith.divf", 1.0f, 3.0f), 1.0f / 3.0f);
  EXPECT_EQ(binary("arith.divf", 1.0f, 0.0f), kInf);
  float x = 1.0f + 0x1p-12f;
  EXPECT_EQ(eval("%m = arith.constant -1.0 : f32\n%r = math.fma %a, %a, %m : f32", x), 0x1p-11f + 0x1p-24f);
  EXPECT_EQ(eval("%m = arith.constant -1.0 : f32\n%p = arith.mulf %a, %a : f32\n%r = arith.addf %p, %m : f32", x),
            0x1p-11f);
}

TEST(Region, MaximumsDifferOnNaNAndOrderZeros) {
  for (const char *op : {"arith.maximumf", "arith.minimumf"}) {
    EXPECT_TRUE(std::isnan(binary(op, kNaN, 1.0f))) << op;
    EXPECT_TRUE(std::isnan(binary(op, 1.0f, kNaN))) << op;
  }
  for (const char *op : {"arith.maxnumf", "arith.minnumf"}) {
    EXPECT_EQ(binary(op, kNaN, 1.0f), 1.0f) << op;
    EXPECT_EQ(binary(op, 1.0f, kNaN), 1.0f) << op;
    EXPECT_TRUE(std::isnan(binary(op, kNaN, kNaN))) << op;
  }
  for (const char *suffix : {"imumf", "numf"}) {
    std::string max = std::string("arith.max") + suffix, min = std::string("arith.min") + suffix;
    EXPECT_EQ(binary(max, -2.0f, 1.0f), 1.0f);
    EXPECT_EQ(binary(min, -2.0f, 1.0f), -2.0f);
    EXPECT_FALSE(std::signbit(binary(max, -0.0f, 0.0f)));
    EXPECT_FALSE(std::signbit(binary(max, 0.0f, -0.0f)));
    EXPECT_TRUE(std::signbit(binary(min, -0.0f, 0.0f)));
    EXPECT_TRUE(std::signbit(binary(min, 0.0f, -0.0f)));
  }
}

TEST(Region, ComparisonsKnowNaN) {
  struct Case {
    const char *predicate;
    bool less, equal, greater, unordered;
  };
  for (const Case &c : {Case{"oeq", false, true, false, false}, Case{"ogt", false, false, true, false},
                        Case{"oge", false, true, true, false}, Case{"olt", true, false, false, false},
                        Case{"ole", true, true, false, false}, Case{"one", true, false, true, false},
                        Case{"ord", true, true, true, false}, Case{"ueq", false, true, false, true},
                        Case{"ugt", false, false, true, true}, Case{"uge", false, true, true, true},
                        Case{"ult", true, false, false, true}, Case{"ule", true, true, false, true},
                        Case{"une", true, false, true, true}, Case{"uno", false, false, false, true},
                        Case{"false", false, false, false, false}, Case{"true", true, true, true, true}}) {
    EXPECT_EQ(compares(c.predicate, 1, 2), c.less) << c.predicate;
    EXPECT_EQ(compares(c.predicate, -0.0f, 0.0f), c.equal) << c.predicate;
    EXPECT_EQ(compares(c.predicate, 2, 1), c.greater) << c.predicate;
    EXPECT_EQ(compares(c.predicate, kNaN, 1), c.unordered) << c.predicate;
  }
}

TEST(Region, UnaryFunctions) {
  EXPECT_TRUE(std::signbit(unary("arith.negf", 0.0f)));
  EXPECT_EQ(unary("math.absf", -kInf), kInf);
  EXPECT_EQ(unary("math.sqrt", 2.0f), std::sqrt(2.0f));
  EXPECT_EQ(unary("math.floor", -1.5f), -2.0f);
  EXPECT_EQ(unary("math.ceil", -1.5f), -1.0f);
  EXPECT_EQ(unary("math.trunc", -1.5f), -1.0f);
  EXPECT_EQ(unary("math.roundeven", 2.5f), 2.0f);
  EXPECT_EQ(unary("math.roundeven", -3.5f), -4.0f);
  EXPECT_EQ(binary("math.copysign", 2.0f, -0.0f), -2.0f);
}

TEST(Region, SixteenBitOpsRoundToTheirType) {
  auto narrow = [](const std::string &type, const std::string &op) {
    return "%p = arith.truncf %a : f32 to " + type + "\n%q = arith.truncf %b : f32 to " + type + "\n%t = " + op +
           " %p, %q : " + type + "\n%r = arith.extf %t : " + type + " to f32";
  };
  EXPECT_EQ(eval(narrow("bf16", "arith.addf"), 256.0f, 1.0f), 256.0f); // a tie, to even
  EXPECT_EQ(eval(narrow("bf16", "arith.addf"), 256.0f, 3.0f), 260.0f); // a tie, to even
  EXPECT_EQ(eval(narrow("f16", "arith.addf"), 2048.0f, 1.0f), 2048.0f);
  EXPECT_EQ(eval(narrow("f16", "arith.mulf"), 300.0f, 300.0f), kInf);
  EXPECT_EQ(eval(narrow("bf16", "arith.mulf"), 300.0f, 300.0f), 90112.0f);
}

TEST(Region, Conversions) {
  EXPECT_EQ(eval("%t = arith.fptosi %a : f32 to i32\n%r = arith.sitofp %t : i32 to f32", -2.9f), -2.0f);
  EXPECT_EQ(eval("%t = arith.fptosi %a : f32 to i32\n%r = arith.sitofp %t : i32 to f32", 1e20f), 2147483648.0f);
  EXPECT_EQ(eval("%t = arith.fptosi %a : f32 to i32\n%r = arith.sitofp %t : i32 to f32", kNaN), 0.0f);
  EXPECT_EQ(eval("%t = arith.fptoui %a : f32 to i32\n%r = arith.uitofp %t : i32 to f32", 3e9f), 3e9f);
  EXPECT_EQ(eval("%t = arith.fptoui %a : f32 to i32\n%r = arith.uitofp %t : i32 to f32", -5.0f), 0.0f);
  EXPECT_EQ(eval("%t = arith.cmpf olt, %a, %b : f32\n%r = arith.sitofp %t : i1 to f32", 1, 2), -1.0f);
  EXPECT_EQ(
      eval("%t = arith.cmpf olt, %a, %b : f32\n%u = arith.extui %t : i1 to i32\n%r = arith.sitofp %u : i32 to f32", 1,
           2),
      1.0f);
  EXPECT_EQ(
      eval("%t = arith.cmpf olt, %a, %b : f32\n%u = arith.extsi %t : i1 to i32\n%r = arith.sitofp %u : i32 to f32", 1,
           2),
      -1.0f);
  EXPECT_EQ(
      eval("%p = arith.truncf %a : f32 to bf16\n%t = arith.bitcast %p : bf16 to i16\n%u = arith.extui %t : i16 to i32\n"
           "%r = arith.uitofp %u : i32 to f32",
           -1.0f),
      49024.0f); // 0xbf80
}

TEST(Region, IntegersWrapAndShift) {
  EXPECT_EQ(integers("addi", 2147483647, 1), -2147483647 - 1);
  EXPECT_EQ(integers("subi", 5, 7), -2);
  EXPECT_EQ(integers("muli", 65536, 65536), 0);
  EXPECT_EQ(integers("andi", 12, 10), 8);
  EXPECT_EQ(integers("ori", 12, 10), 14);
  EXPECT_EQ(integers("xori", 12, 10), 6);
  EXPECT_EQ(integers("shli", 3, 4), 48);
  EXPECT_EQ(integers("shli", 3, 32), 0);
  EXPECT_EQ(integers("shrsi", -8, 1), -4);
  EXPECT_EQ(integers("shrui", -8, 28), 15);
  EXPECT_EQ(integers("maxsi", -1, 1), 1);
  EXPECT_EQ(integers("maxui", -1, 1), -1);
  EXPECT_EQ(integers("minsi", -1, 1), -1);
  EXPECT_EQ(integers("minui", -1, 1), 1);
  EXPECT_EQ(integers("addi", 127, 1, "i8"), -128);
  EXPECT_EQ(integers("shrui", -128, 7, "i8"), 1);
}

TEST(Region, IntegerComparisonsAndSelect) {
  auto pick = [](const std::string &predicate) {
    return eval("%p = arith.constant -1 : i32\n%q = arith.constant 1 : i32\n%t = arith.cmpi " + predicate +
                    ", %p, %q : i32\n%r = arith.select %t, %a, %b : f32",
                10, 20);
  };
  for (const char *predicate : {"slt", "sle", "ugt", "uge", "ne"})
    EXPECT_EQ(pick(predicate), 10.0f) << predicate;
  for (const char *predicate : {"sgt", "sge", "ult", "ule", "eq"})
    EXPECT_EQ(pick(predicate), 20.0f) << predicate;
}

TEST(Region, OperandsAreBroadcastByTheirGroup) {
  Outcome out = runSpec(R"(func.func @f(%x: tensor<?x?xf32>, %r: tensor<?xbf16>, %c: tensor<?xf32>, %m: tensor<?x?xf16>,
                                           %s: tensor<f32>) -> tensor<?x?xf32> {
  %h = fp4.epilogue %x rows(%r : tensor<?xbf16>) cols(%c : tensor<?xf32>) full(%m : tensor<?x?xf16>) scalars(%s : tensor<f32>) {
  ^bb0(%a: f32, %row: bf16, %column: f32, %full: f16, %scalar: f32):
    %1 = arith.extf %row : bf16 to f32
    %2 = arith.extf %full : f16 to f32
    %3 = arith.addf %a, %1 : f32
    %4 = arith.addf %3, %column : f32
    %5 = arith.addf %4, %2 : f32
    %6 = arith.mulf %5, %scalar : f32
    fp4.yield %6 : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %h : tensor<?x?xf32>
})",
                        {{"x", f32({2, 3}, {1, 2, 3, 4, 5, 6})},
                         {"r", bf16({3}, {10, 20, 30})},
                         {"c", f32({2}, {100, 200})},
                         {"m", f16({2, 3}, {1000, 2000, 3000, 4000, 5000, 6000})},
                         {"s", f32({}, {2})}});
  ASSERT_TRUE(out.ok) << out.errors;
  EXPECT_EQ(out["h"].floats, (std::vector<float>{2222, 4244, 6266, 8428, 10450, 12472}));
  EXPECT_FALSE(out["h"].hasBound);
}

TEST(Region, OperandExtentsAreComparedAtRunTime) {
  const char *spec = R"(func.func @f(%x: tensor<?x?xf32>, %r: tensor<?xf32>) -> tensor<?x?xf32> {
  %h = fp4.prologue %x rows(%r : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    fp4.yield %b : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %h : tensor<?x?xf32>
})";
  EXPECT_TRUE(runSpec(spec, {{"x", f32({1, 2}, {0, 0})}, {"r", f32({2}, {0, 0})}}).ok);
  EXPECT_EQ(runSpec(spec, {{"x", f32({2, 1}, {0, 0})}, {"r", f32({2}, {0, 0})}}).errors,
            "spec.mlir:2:8: error: 'fp4.prologue' op has a rows operand of 2, but an input with columns of 1");
}

TEST(Region, OpsWithoutExactMeaningAreErrors) {
  auto errors = [](const std::string &line, const std::string &type) {
    std::string spec =
        "func.func @f(%x: tensor<1x1xf32>) -> tensor<1x1xf32> {\n%h = fp4.prologue %x {\n^bb0(%a: f32):\n";
    if (type == "bf16")
      spec += "%p = arith.truncf %a : f32 to bf16\n";
    return runSpec(spec + line +
                       "\nfp4.yield %z : f32\n} : tensor<1x1xf32> -> tensor<1x1xf32>\nreturn %h : tensor<1x1xf32>\n}",
                   {{"x", f32({1, 1}, {1})}})
        .errors;
  };
  EXPECT_NE(errors("%r = math.fma %p, %p, %p : bf16\n%z = arith.extf %r : bf16 to f32", "bf16")
                .find("'math.fma' op has no exact definition"),
            std::string::npos);
  EXPECT_NE(errors("%r = arith.extf %a : f32 to f64\n%z = arith.truncf %r : f64 to f32", "f32")
                .find("'arith.extf' op has no exact definition"),
            std::string::npos);
  EXPECT_NE(errors("%r = arith.fptosi %a : f32 to i8\n%z = arith.sitofp %r : i8 to f32", "f32")
                .find("'arith.fptosi' op has no exact"),
            std::string::npos);
  EXPECT_NE(errors("%r = arith.truncf %a to_nearest_away : f32 to bf16\n%z = arith.extf %r : bf16 to f32", "f32")
                .find("'arith.truncf' op has no exact definition"),
            std::string::npos);
}

} // namespace
