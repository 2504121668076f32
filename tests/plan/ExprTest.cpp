// Integer expressions: text, evaluation, overflow.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "plan/Expr.h"

#include <gtest/gtest.h>

using fourfold::plan::Expr;

static Expr parsed(const std::string &text) {
  std::string error;
  Expr result = Expr::parse(text, &error);
  EXPECT_EQ(error, "") << text;
  return result;
}

static std::string parseError(const std::string &text) {
  std::string error;
  Expr::parse(text, &error);
  return error;
}

static int64_t value(const std::string &text, const std::vector<int64_t> &dims) {
  std::string error;
  int64_t result = parsed(text).evaluate(dims, &error);
  EXPECT_EQ(error, "") << text;
  return result;
}

static std::string evaluateError(const std::string &text, const std::vector<int64_t> &dims) {
  std::string error;
  EXPECT_EQ(parsed(text).evaluate(dims, &error), 0);
  return error;
}

TEST(Expr, PrintsWithTheFewestParenthesesAndReadsItBack) {
  for (const char *text : {"0", "-5", "d0", "d63", "d0 + d1 - 3", "d0 - (d1 - 3)", "(d0 + 1) * 512", "d0 * (d1 * 2)",
                           "d0 * d1 * 2", "ceildiv(d0, 128) * 512", "floordiv(d0 + 1, 2)", "mod(d1, 16)",
                           "min(d0, max(d1, 4))", "and(lt(d0, 3), le(4, d1))", "or(eq(d0, 7), 1)", "d0 * (d1 + -3)"})
    EXPECT_EQ(parsed(text).str(), text);
}

TEST(Expr, ReadsAnySpacing) { EXPECT_EQ(parsed("  ( d0+ 1 )*2 ").str(), "(d0 + 1) * 2"); }

TEST(Expr, Evaluates) {
  EXPECT_EQ(value("d0 - d1 - 3", {10, 4}), 3);
  EXPECT_EQ(value("d0 - (d1 - 3)", {10, 4}), 9);
  EXPECT_EQ(value("2 + d0 * 3", {5}), 17);
  EXPECT_EQ(value("ceildiv(d0, 128) * 512", {129}), 1024);
  EXPECT_EQ(value("ceildiv(d0, 128) * 512", {128}), 512);
  EXPECT_EQ(value("floordiv(d0, 16)", {31}), 1);
  EXPECT_EQ(value("floordiv(d0 - 20, 16)", {19}), -1);
  EXPECT_EQ(value("ceildiv(d0 - 20, 16)", {19}), 0);
  EXPECT_EQ(value("mod(d0 - 20, 16)", {19}), 15);
  EXPECT_EQ(value("min(d0, d1) + max(d0, d1) * 100", {3, 7}), 703);
  EXPECT_EQ(value("lt(d0, 4)", {4}), 0);
  EXPECT_EQ(value("le(d0, 4)", {4}), 1);
  EXPECT_EQ(value("eq(mod(d0, 16), 0)", {32}), 1);
  EXPECT_EQ(value("and(d0, d1)", {2, 4}), 1);
  EXPECT_EQ(value("or(d0, d1)", {0, 0}), 0);
}

TEST(Expr, OverflowIsAnErrorAndItsNeighbourIsNot) {
  EXPECT_EQ(value("d0 + 1", {INT64_MAX - 1}), INT64_MAX);
  EXPECT_NE(evaluateError("d0 + 1", {INT64_MAX}).find("overflow"), std::string::npos);
  EXPECT_NE(evaluateError("d0 * 512", {INT64_MAX / 256}).find("overflow"), std::string::npos);
  EXPECT_NE(evaluateError("-3 - d0", {INT64_MAX}).find("overflow"), std::string::npos);
}

TEST(Expr, DivisorsMustBePositive) {
  EXPECT_EQ(value("ceildiv(8, d0)", {3}), 3);
  for (const char *text : {"ceildiv(8, d0)", "floordiv(8, d0)", "mod(8, d0)"}) {
    EXPECT_NE(evaluateError(text, {0}).find("divisor"), std::string::npos);
    EXPECT_NE(evaluateError(text, {-1}).find("divisor"), std::string::npos);
  }
}

TEST(Expr, UnboundDimensionsAreNamed) {
  EXPECT_EQ(evaluateError("d0 + d2", {1, 2}), "dimension d2 is not bound");
  EXPECT_EQ(parsed("d0 + d2").numDims(), 3);
  EXPECT_EQ(parsed("7").numDims(), 0);
}

TEST(Expr, FoldsConstantsAndNeutralElements) {
  Expr d0 = Expr::dim(0);
  EXPECT_EQ((Expr(3) * 4 + 2).value(), 14);
  EXPECT_TRUE(d0 + 0 == d0);
  EXPECT_TRUE(d0 * 1 == d0);
  EXPECT_TRUE(fourfold::plan::ceilDiv(d0, 1) == d0);
  EXPECT_FALSE(d0 * 2 == d0);
}

TEST(Expr, BadTextIsRefusedWithItsPosition) {
  EXPECT_EQ(parseError("d0 +"), "in expression 'd0 +' at position 4: expected a number, a dimension or a function");
  EXPECT_EQ(parseError("d0 d1"), "in expression 'd0 d1' at position 3: expected the end");
  for (const char *text : {"", "(d0", "d64", "d", "x", "min(d0)", "min(d0, 1, 2)", "ceildiv d0, 2",
                           "99999999999999999999", "d0 ** 2", "1 / 2", "d0)", "-d0"})
    EXPECT_NE(parseError(text), "") << text;
}

TEST(Expr, DeepNestingIsAnErrorNotACrash) {
  EXPECT_NE(parseError(std::string(100000, '(') + "1").find("fewer nested"), std::string::npos);
  EXPECT_EQ(parseError(std::string(50, '(') + "1" + std::string(50, ')')), "");
}
