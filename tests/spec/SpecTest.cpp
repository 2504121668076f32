// Specs end to end: compiled, run on the emulated device, every value compared with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

/// A matmul of two operands quantized in one format: x is M x K, w is N x K.
std::string matmulSpec(const std::string &format, const std::string &epilogue) {
  bool isNVFP4 = format == "nvfp4";
  std::string scale = isNVFP4 ? "f8E4M3FN" : "f8E8M0FNU", block = isNVFP4 ? "1x16" : "1x32";
  std::string amaxType = isNVFP4 ? ", tensor<f32>" : "", quantized = "!fp4.quantized<?x?, " + format + ", block = " + block + ", axis = 1>";
  std::string text = "func.func @f(%x: tensor<?x?xf32>, %w: tensor<?x?xf32>) -> tensor<?x?xf32> {\n";
  for (std::string v : {"x", "w"}) {
    std::string amax = isNVFP4 ? ", %a" + v : "", use = isNVFP4 ? " amax(%a" + v + ")" : "";
    text += "%s" + v + amax + " = fp4.block_scale %" + v + " " + format + " block = " + block +
            " axis = 1 : tensor<?x?xf32> -> tensor<?x?x" + scale + ">" + amaxType + "\n";
    text += "%q" + v + " = fp4.quantize %" + v + " scales(%s" + v + " : tensor<?x?x" + scale + ">)" + use +
            " : tensor<?x?xf32> -> " + quantized + "\n";
  }
  text += "%acc = fp4.matmul %qx, %qw : " + quantized + ", " + quantized + " -> tensor<?x?xf32>\n";
  return text + epilogue + "}\n";
}

const char kPlain[] = "return %acc : tensor<?x?xf32>\n";

/// e2m1 values that quantization does not change: every block has amax 6. For nvfp4 one more row holds 10.5 alone, the amax of the
/// tensor: then S = 256, every other block's scale is 256 and alpha is 2^-16, so all scales are equal powers of two.
Tensor codesTensor(const std::string &name, int64_t rows, int64_t columns, bool isNVFP4, uint32_t seed) {
  static const float values[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.5f, -1, -1.5f, -2, -3, -4, -6};
  Tensor tensor = makeTensor(name, {rows + (isNVFP4 ? 1 : 0), columns});
  for (int64_t i = 0; i < rows * columns; ++i)
    setElement(tensor, i, (i % columns) % 16 == 0 ? 6.0f : values[nextRandom(seed) % 15]);
  if (isNVFP4)
    setElement(tensor, rows * columns, 10.5f);
  return tensor;
}

struct MatmulShape {
  int64_t m, n, k;
};

class ExactMatmul : public ::testing::TestWithParam<MatmulShape> {};

/// With equal power-of-two scales every order of summation is exact: the product must be bit-equal to one in integers.
TEST_P(ExactMatmul, IsTheIntegerProduct) {
  auto [m, n, k] = GetParam();
  for (auto [format, target] : {std::pair{"nvfp4", "sm_120a"}, {"mxfp4", "sm_120a"}, {"nvfp4", "sm_100a"}, {"mxfp4", "sm_100a"}}) {
    bool isNVFP4 = std::string(format) == "nvfp4";
    Tensor x = codesTensor("x", m, k, isNVFP4, 1), w = codesTensor("w", n, k, isNVFP4, 2);
    SpecRun run = runSpec(matmulSpec(format, kPlain), {x, w}, {target, ""});
    ASSERT_EQ(run.error, "") << format << " " << target;
    ASSERT_EQ(run.outputs.size(), 1u);
    int64_t mismatches = 0;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        int64_t sum = 0; // in quarters
        for (int64_t l = 0; l < k; ++l)
          sum += static_cast<int64_t>(2 * element(x, i * k + l)) * static_cast<int64_t>(2 * element(w, j * k + l));
        mismatches += element(run.outputs[0], i * w.shape[0] + j) != static_cast<float>(sum) / 4;
      }
    EXPECT_EQ(mismatches, 0) << format << " " << target << " " << m << "x" << n << "x" << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ExactMatmul,
                         ::testing::Values(MatmulShape{1, 1, 16}, MatmulShape{1, 1, 1}, MatmulShape{1, 64, 64},
                                           MatmulShape{64, 1, 64}, MatmulShape{5, 7, 17}, MatmulShape{16, 128, 128},
                                           MatmulShape{17, 130, 33}, MatmulShape{100, 200, 300}, MatmulShape{129, 257, 1040},
                                           MatmulShape{33, 65, 384}, MatmulShape{1408, 1536, 64}),
                         [](const auto &info) {
                           return std::to_string(info.param.m) + "x" + std::to_string(info.param.n) + "x" +
                                  std::to_string(info.param.k);
                         });

TEST(Formats, MxfpAgreesWithTheEvaluator) {
  for (auto [m, n, k] : {MatmulShape{70, 90, 100}, MatmulShape{1, 33, 31}, MatmulShape{200, 16, 256}}) {
    SpecRun run = runSpec(matmulSpec("mxfp4", kPlain), {randomTensor("x", {m, k}, ElementType::F32, 5, 0.1f),
                                                        randomTensor("w", {n, k}, ElementType::F32, 6, 0.0f)});
    EXPECT_EQ(run.error, "") << m << "x" << n << "x" << k;
  }
}

TEST(Epilogue, EveryKindOfOperand) {
  const char text[] = R"(
  %y = fp4.epilogue %acc rows(%r : tensor<?xbf16>) cols(%c : tensor<?xf32>) full(%z : tensor<?x?xbf16>) scalars(%k : tensor<f32>) {
  ^bb0(%a: f32, %r0: bf16, %c0: f32, %z0: bf16, %k0: f32):
    %r1 = arith.extf %r0 : bf16 to f32
    %z1 = arith.extf %z0 : bf16 to f32
    %t0 = arith.mulf %a, %k0 : f32
    %t1 = arith.addf %t0, %r1 : f32
    %t2 = arith.addf %t1, %c0 : f32
    %t3 = arith.addf %t2, %z1 : f32
    %g = math.tanh %t3 : f32
    %o = arith.truncf %g : f32 to bf16
    fp4.yield %o : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  return %y : tensor<?x?xbf16>
)";
  std::string spec = matmulSpec("nvfp4", text);
  spec.replace(spec.find("%w: tensor<?x?xf32>)"), 20,
               "%w: tensor<?x?xf32>, %r: tensor<?xbf16>, %c: tensor<?xf32>, %z: tensor<?x?xbf16>, %k: tensor<f32>)");
  spec.replace(spec.find("-> tensor<?x?xf32> {"), 20, "-> tensor<?x?xbf16> {");
  for (auto [m, n, k] : {MatmulShape{70, 90, 100}, MatmulShape{9, 35, 16}, MatmulShape{130, 128, 64}}) {
    Tensor scalar = makeTensor("k", {});
    setElement(scalar, 0, 0.02f);
    SpecRun run = runSpec(spec, {randomTensor("x", {m, k}, ElementType::F32, 7, 0.1f),
                                 randomTensor("w", {n, k}, ElementType::F32, 8, 0.0f),
                                 randomTensor("r", {n}, ElementType::BF16, 9, 0.0f),
                                 randomTensor("c", {m}, ElementType::F32, 10, 0.0f),
                                 randomTensor("z", {m, n}, ElementType::BF16, 11, 0.0f), scalar});
    EXPECT_EQ(run.error, "") << m << "x" << n << "x" << k;
  }
}

/// A prologue with a transcendental function, centring of its result and the Hadamard transform, rounded stochastically: still
/// bit for bit.
TEST(Quantize, PrologueCentreHadamardStochastic) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %b: tensor<?xf32>, %seed: tensor<i64>, %offset: tensor<i64>)
    -> tensor<?x?xf32> {
  %h = fp4.prologue %x rows(%b : tensor<?xf32>) {
  ^bb0(%a: f32, %bias: f32):
    %s = arith.addf %a, %bias : f32
    %n = arith.negf %s : f32
    %e = math.exp %n : f32
    %one = arith.constant 1.0 : f32
    %d = arith.addf %e, %one : f32
    %r = arith.divf %s, %d : f32
    fp4.yield %r : f32
  } : tensor<?x?xbf16> -> tensor<?x?xf32>
  %mu, %c = fp4.center %h : tensor<?x?xf32> -> tensor<?xf32>, tensor<?x?xf32>
  %t = fp4.hadamard %c axis = 1 : tensor<?x?xf32> -> tensor<?x?xf32>
  %ts, %ta = fp4.block_scale %t nvfp4 block = 1x16 axis = 1 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qt = fp4.quantize %t scales(%ts : tensor<?x?xf8E4M3FN>) amax(%ta) stochastic seed(%seed) offset(%offset)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %wt = fp4.hadamard %w axis = 1 : tensor<?x?xbf16> -> tensor<?x?xf32>
  %ws, %wa = fp4.block_scale %wt nvfp4 block = 16x16 axis = 1 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %wt scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wa)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1>
  %y = fp4.matmul %qt, %qw : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
      !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 1> -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
})";
  for (auto [m, n, k] : {MatmulShape{37, 20, 48}, MatmulShape{1, 16, 16}, MatmulShape{150, 70, 208}}) {
    SpecRun run = runSpec(text, {randomTensor("x", {m, k}, ElementType::BF16, 12, 0.5f),
                                 randomTensor("w", {n, k}, ElementType::BF16, 13, 0.0f),
                                 randomTensor("b", {k}, ElementType::F32, 14, 0.0f), integerTensor("seed", 0x123456789abcdef),
                                 integerTensor("offset", 77)});
    EXPECT_EQ(run.error, "") << m << "x" << n << "x" << k;
  }
}

/// NaN and infinity surface in what depends on them, and only there.
TEST(NonFinite, SurfacesWhereItBelongs) {
  Tensor x = randomTensor("x", {40, 64}, ElementType::F32, 15, 0.0f), w = randomTensor("w", {24, 64}, ElementType::F32, 16, 0.0f);
  setElement(x, 3 * 64 + 20, std::numeric_limits<float>::quiet_NaN());
  setElement(x, 9 * 64 + 63, -std::numeric_limits<float>::infinity());
  SpecRun run = runSpec(matmulSpec("nvfp4", kPlain), {x, w});
  ASSERT_EQ(run.error, "");
  for (int64_t i = 0; i < 40; ++i)
    for (int64_t j = 0; j < 24; ++j)
      EXPECT_EQ(std::isnan(element(run.outputs[0], i * 24 + j)), i == 3 || i == 9) << i << "," << j;
}

TEST(NonFinite, AllZeroIsZero) {
  SpecRun run = runSpec(matmulSpec("nvfp4", kPlain), {makeTensor("x", {20, 32}), makeTensor("w", {20, 32})});
  ASSERT_EQ(run.error, "");
  for (int64_t i = 0; i < 400; ++i)
    EXPECT_EQ(element(run.outputs[0], i), 0.0f);
}

struct LayerShape {
  int64_t tokens, in, out;
};

TEST(Outputs, ResidualMeanAndSumsCanBeReturned) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>)
    -> (tensor<?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %mu, %r = fp4.center %x : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %s = fp4.column_sum %x : tensor<?x?xbf16> -> tensor<?xf32>
  %v = fp4.matvec %w, %mu axis = 0 : tensor<?x?xbf16>, tensor<?xf32> -> tensor<?xf32>
  return %mu, %r, %s, %v : tensor<?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>
})";
  for (auto [tokens, in, out] : {LayerShape{300, 70, 45}, LayerShape{1, 1, 1}, LayerShape{129, 264, 33}}) {
    SpecRun run = runSpec(text, {randomTensor("x", {tokens, in}, ElementType::BF16, 17, 1.0f),
                                 randomTensor("w", {in, out}, ElementType::BF16, 18, 0.0f)});
    EXPECT_EQ(run.error, "");
    EXPECT_EQ(run.outputs.size(), 4u);
  }
}

} // namespace
