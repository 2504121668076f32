// Fusions that no recipe has: what a spec may say, every target must compute.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

const Place kPlaces[] = {{"sm_120a", ""}, {"sm_80", "fast"}, {"sm_90a", "faithful"}};

/// x and w quantized along their columns, and their product %acc.
const char kProduct[] = R"(
  %xs, %xa = fp4.block_scale %x nvfp4 block = 1x16 axis = 1 : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qx = fp4.quantize %x scales(%xs : tensor<?x?xf8E4M3FN>) amax(%xa)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %ws, %wa = fp4.block_scale %w nvfp4 block = 1x16 axis = 1 : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %qw = fp4.quantize %w scales(%ws : tensor<?x?xf8E4M3FN>) amax(%wa)
      : tensor<?x?xbf16> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %acc = fp4.matmul %qx, %qw : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>,
      !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<?x?xf32>
)";

Tensor matrix(const std::string &name, int64_t rows, int64_t columns, uint32_t seed) {
  return randomTensor(name, {rows, columns}, ElementType::BF16, seed, 0.3f);
}

const Tensor &output(const SpecRun &run, const std::string &name) {
  for (const Tensor &tensor : run.outputs)
    if (tensor.name == name)
      return tensor;
  ADD_FAILURE() << "no output " << name;
  return run.outputs.at(0);
}

/// The pre-activation is kept for the backward pass beside the activation, and a second function of it.
TEST(Fusion, TwoEpiloguesOfOneProduct) {
  std::string text = "func.func @f(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>, %b: tensor<?xf32>)\n"
                     "    -> (tensor<?x?xf32>, tensor<?x?xbf16>, tensor<?x?xf32>) {" +
                     std::string(kProduct) + R"(
  %y = fp4.epilogue %acc rows(%b : tensor<?xf32>) {
  ^bb0(%a: f32, %bias: f32):
    %s = arith.addf %a, %bias : f32
    %t = math.tanh %s : f32
    %r = arith.truncf %t : f32 to bf16
    fp4.yield %r : bf16
  } : tensor<?x?xf32> -> tensor<?x?xbf16>
  %z = fp4.epilogue %acc full(%y : tensor<?x?xbf16>) {
  ^bb0(%a: f32, %t: bf16):
    %u = arith.extf %t : bf16 to f32
    %r = arith.subf %a, %u : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %acc, %y, %z : tensor<?x?xf32>, tensor<?x?xbf16>, tensor<?x?xf32>
})";
  for (const Place &place : kPlaces) {
    SpecRun run = runSpec(text, {matrix("x", 33, 40, 1), matrix("w", 17, 40, 2), randomTensor("b", {17}, ElementType::F32, 3, 0)}, place);
    EXPECT_EQ(run.error, "") << place.target;
  }
}

/// An epilogue of a tensor that no product made, and of a prologue.
TEST(Fusion, EpilogueOfATensor) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xf16>) -> (tensor<?x?xf32>, tensor<?xf32>) {
  %p = fp4.prologue %x {
  ^bb0(%a: f32):
    %r = math.exp %a : f32
    fp4.yield %r : f32
  } : tensor<?x?xf16> -> tensor<?x?xf32>
  %y = fp4.epilogue %p full(%x : tensor<?x?xf16>) {
  ^bb0(%a: f32, %b: f16):
    %c = arith.extf %b : f16 to f32
    %r = arith.mulf %a, %c : f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %s = fp4.column_sum %y : tensor<?x?xf32> -> tensor<?xf32>
  return %y, %s : tensor<?x?xf32>, tensor<?xf32>
})";
  SpecRun run = runSpec(text, {randomTensor("x", {37, 21}, ElementType::F16, 4, 0.0f)});
  EXPECT_EQ(run.error, "");
  EXPECT_EQ(run.outputs.size(), 2u);
}

/// The tensor amax is a value like any other: returned, read by a region before the quantization that shares it, or alone in a spec.
TEST(Fusion, AmaxIsAValue) {
  std::string text = "func.func @f(%x: tensor<?x?xbf16>, %w: tensor<?x?xbf16>) -> (tensor<?x?xf32>, tensor<f32>, tensor<f32>) {\n"
                     "  %other, %early = fp4.block_scale %x nvfp4 block = 16x16 axis = 0 : tensor<?x?xbf16> -> tensor<?x?xf8E4M3FN>, tensor<f32>\n"
                     "  %v = fp4.prologue %x scalars(%early : tensor<f32>) {\n"
                     "  ^bb0(%a: f32, %m: f32):\n"
                     "    %r = arith.divf %a, %m : f32\n"
                     "    fp4.yield %r : f32\n"
                     "  } : tensor<?x?xbf16> -> tensor<?x?xf32>" +
                     std::string(kProduct) + "  return %v, %xa, %wa : tensor<?x?xf32>, tensor<f32>, tensor<f32>\n}";
  for (const Place &place : kPlaces) {
    Tensor x = matrix("x", 40, 33, 5), w = matrix("w", 7, 33, 6);
    SpecRun run = runSpec(text, {x, w}, place);
    ASSERT_EQ(run.error, "") << place.target;
    float largest = 0;
    for (int64_t i = 0; i < 40 * 33; ++i)
      largest = std::max(largest, std::fabs(element(x, i)));
    EXPECT_EQ(element(output(run, "xa"), 0), largest);
  }
}

/// A transform along tokens that is stored: returned, rounded along the other axis, rounded in blocks of 16x16, transformed again.
TEST(Fusion, TransformAlongTokensInMemory) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xbf16>, %mask: tensor<?xi8>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {
  %mu, %r = fp4.center %x mask(%mask : tensor<?xi8>) : tensor<?x?xbf16> -> tensor<?xf32>, tensor<?x?xf32>
  %h = fp4.hadamard %r axis = 0 : tensor<?x?xf32> -> tensor<?x?xf32>
  %s, %a = fp4.block_scale %h nvfp4 block = 1x16 axis = 1 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %q = fp4.quantize %h scales(%s : tensor<?x?xf8E4M3FN>) amax(%a)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1>
  %t, %b = fp4.block_scale %h nvfp4 block = 16x16 axis = 0 : tensor<?x?xf32> -> tensor<?x?xf8E4M3FN>, tensor<f32>
  %p = fp4.quantize %h scales(%t : tensor<?x?xf8E4M3FN>) amax(%b)
      : tensor<?x?xf32> -> !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0>
  %v = fp4.dequantize %q : !fp4.quantized<?x?, nvfp4, block = 1x16, axis = 1> -> tensor<?x?xf32>
  %u = fp4.dequantize %p : !fp4.quantized<?x?, nvfp4, block = 16x16, axis = 0> -> tensor<?x?xf32>
  %both = fp4.hadamard %h axis = 1 : tensor<?x?xf32> -> tensor<?x?xf32>
  return %h, %v, %u, %both : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
})";
  for (const Place &place : kPlaces)
    for (auto [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {33, 40}, {150, 70}}) {
      Tensor mask;
      mask.name = "mask";
      mask.type = ElementType::I8;
      mask.shape = {rows};
      for (int64_t i = 0; i < rows; ++i)
        mask.bytes.push_back(i % 5 != 3);
      SpecRun run = runSpec(text, {matrix("x", rows, columns, 7), mask}, place);
      ASSERT_EQ(run.error, "") << place.target << " " << rows << "x" << columns;
      EXPECT_EQ(output(run, "h").shape[0], (rows + 15) / 16 * 16);
    }
}

/// Every result is memory of its own, with a name of its own: an argument, a value that is returned twice, an argument in another shape.
TEST(Fusion, ResultsThatNoKernelMade) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xbf16>, %mask: tensor<?xi8>, %seed: tensor<i64>, %v: tensor<?xf16>)
    -> (tensor<?x?xbf16>, tensor<?xf32>, tensor<?xf32>, tensor<?xi8>, tensor<i64> {fp4.name = "kept"}, tensor<1x?xf16>) {
  %s = fp4.column_sum %x : tensor<?x?xbf16> -> tensor<?xf32>
  %m = fp4.reshape %v : tensor<?xf16> -> tensor<1x?xf16>
  return %x, %s, %s, %mask, %seed, %m : tensor<?x?xbf16>, tensor<?xf32>, tensor<?xf32>, tensor<?xi8>, tensor<i64>, tensor<1x?xf16>
})";
  Tensor mask;
  mask.name = "mask";
  mask.type = ElementType::I8;
  mask.shape = {5};
  mask.bytes = {1, 0, 255, 7, 0};
  std::vector<Tensor> inputs = {matrix("x", 300, 7, 8), mask, integerTensor("seed", 0x123456789abcdef), randomTensor("v", {9}, ElementType::F16, 9, 0)};
  SpecRun run = runSpec(text, inputs);
  ASSERT_EQ(run.error, "");
  ASSERT_EQ(run.outputs.size(), 6u);
  EXPECT_EQ(output(run, "x").bytes, inputs[0].bytes);
  EXPECT_EQ(output(run, "s_1").bytes, output(run, "s").bytes);
  EXPECT_EQ(output(run, "mask").bytes, mask.bytes);
  EXPECT_EQ(output(run, "kept").bytes, inputs[2].bytes);
  EXPECT_EQ(output(run, "m").bytes, inputs[3].bytes);
  for (size_t i = 0; i < run.plan.outputs.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_NE(run.plan.outputs[i].buffer, run.plan.outputs[j].buffer);
}

/// Kernels are named after values. "h" that is centred is not "h_centred", nor is "g.1" "g_1".
TEST(Fusion, NamesThatResembleEachOther) {
  std::string region = " {\n  ^bb0(%a: f32):\n    %c = arith.constant ", rest = " : f32\n    %r = arith.mulf %a, %c : f32\n    fp4.yield %r : f32\n  } : tensor<?x?xf32> -> tensor<?x?xf32>\n";
  std::string text = "func.func @f(%x: tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {\n"
                     "  %h = fp4.prologue %x" + region + "2.0" + rest +
                     "  %mu, %centred = fp4.center %h : tensor<?x?xf32> -> tensor<?xf32>, tensor<?x?xf32>\n"
                     "  %h_centred = fp4.prologue %x" + region + "3.0" + rest +
                     "  %g.1 = fp4.prologue %x" + region + "5.0" + rest +
                     "  %g_1 = fp4.prologue %x" + region + "7.0" + rest +
                     "  return %centred, %h_centred, %g.1, %g_1 : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>\n}";
  Tensor x = randomTensor("x", {20, 30}, ElementType::F32, 10, 1.0f);
  SpecRun run = runSpec(text, {x});
  ASSERT_EQ(run.error, "");
  EXPECT_EQ(element(output(run, "g.1"), 5), element(x, 5) * 5.0f);
  EXPECT_EQ(element(output(run, "g_1"), 5), element(x, 5) * 7.0f);
}

/// What LLVM leaves undefined has the meaning of the evaluator: shifts by the width and more, numbers that no i32 holds.
TEST(Regions, ShiftsAndConversionsBeyondTheWidth) {
  const char text[] = R"(
func.func @f(%x: tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {
  %shifted = fp4.prologue %x {
  ^bb0(%a: f32):
    %i = arith.bitcast %a : f32 to i32
    %same = arith.shrsi %i, %i : i32
    %l = arith.shli %i, %i : i32
    %u = arith.shrui %i, %i : i32
    %s = arith.addi %same, %l : i32
    %t = arith.addi %s, %u : i32
    %r = arith.sitofp %t : i32 to f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %narrow = fp4.prologue %x {
  ^bb0(%a: f32):
    %b = arith.truncf %a : f32 to bf16
    %i = arith.bitcast %b : bf16 to i16
    %c = arith.constant 40 : i16
    %d = arith.shrsi %i, %c : i16
    %e = arith.shrsi %i, %i : i16
    %s = arith.addi %d, %e : i16
    %r = arith.sitofp %s : i16 to f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  %converted = fp4.prologue %x {
  ^bb0(%a: f32):
    %big = arith.constant 1.0e20 : f32
    %i = arith.fptosi %a : f32 to i32
    %u = arith.fptoui %a : f32 to i32
    %c = arith.fptosi %big : f32 to i32
    %s = arith.xori %i, %u : i32
    %t = arith.xori %s, %c : i32
    %r = arith.sitofp %t : i32 to f32
    fp4.yield %r : f32
  } : tensor<?x?xf32> -> tensor<?x?xf32>
  return %shifted, %narrow, %converted : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
})";
  Tensor x = randomTensor("x", {16, 16}, ElementType::F32, 11, -1.0f);
  const float special[] = {std::nanf(""), INFINITY, -INFINITY, 0x1p31f, -0x1p31f, 0x1p32f, 4e9f, -0.5f, -1.0f, 3e38f, -3e38f, 0x1.fffffep30f};
  for (size_t i = 0; i < std::size(special); ++i)
    setElement(x, static_cast<int64_t>(i), special[i]);
  for (const Place &place : kPlaces) {
    SpecRun run = runSpec(text, {x}, place);
    EXPECT_EQ(run.error, "") << place.target;
  }
}

} // namespace
