// Every recipe's forward, dgrad and wgrad on the emulated device, every value compared with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "runtime/npy/Npy.h"
#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

struct Shape {
  int64_t tokens, in, out;
};

/// Tensors of a layer, a coherent mean in X and a small one in D, and the optional ones.
std::map<std::string, Tensor> layerTensors(const Shape &shape, uint32_t seed) {
  std::map<std::string, Tensor> tensors;
  auto add = [&](Tensor tensor) { tensors[tensor.name] = std::move(tensor); };
  add(randomTensor("x", {shape.tokens, shape.in}, ElementType::BF16, seed, 0.75f));
  add(randomTensor("w", {shape.out, shape.in}, ElementType::BF16, seed + 1, 0.0f));
  add(randomTensor("d", {shape.tokens, shape.out}, ElementType::BF16, seed + 2, 0.125f));
  add(randomTensor("bias", {shape.out}, ElementType::F32, seed + 3, 0.0f));
  add(randomTensor("dw_in", {shape.out, shape.in}, ElementType::F32, seed + 4, 0.0f));
  add(integerTensor("seed", 0x123456789abcdefll + seed));
  add(integerTensor("offset", (int64_t{1} << 40) + seed));
  Tensor mask;
  mask.name = "mask";
  mask.type = ElementType::I8;
  mask.shape = {shape.tokens};
  for (int64_t i = 0; i < shape.tokens; ++i)
    mask.bytes.push_back(i % 5 == 3 || i + 2 > shape.tokens ? 0 : 1);
  add(mask);
  return tensors;
}

/// The names that stand as arguments in a spec's text.
std::vector<Tensor> argumentsOf(const std::string &text, const std::map<std::string, Tensor> &tensors, bool optional) {
  std::vector<Tensor> inputs;
  for (const auto &[name, tensor] : tensors) {
    size_t place = text.find("%" + name + ": tensor");
    if (place == std::string::npos)
      continue;
    size_t end = text.find_first_of(",)", place);
    if (optional || text.substr(place, end - place).find("fp4.optional") == std::string::npos)
      inputs.push_back(tensor);
  }
  return inputs;
}

const char *const kRecipes[] = {"bf16", "nvfp4", "nvidia", "averis", "averis_hadamard", "averis_v1", "mxfp4"};
const char *const kPasses[] = {"linear_forward", "linear_dgrad", "linear_wgrad"};

class RecipeTest : public ::testing::TestWithParam<std::tuple<const char *, Shape>> {};

/// With the optional arguments and without.
TEST_P(RecipeTest, EqualsTheEvaluator) {
  auto [recipe, shape] = GetParam();
  std::map<std::string, Tensor> tensors = layerTensors(shape, 7);
  for (const char *pass : kPasses)
    for (bool optional : {false, true}) {
      std::string text = readFile(std::string("kernels_spec/") + recipe + "/" + pass + ".mlir");
      ASSERT_NE(text, "") << recipe << " " << pass;
      SpecRun run = runSpec(text, argumentsOf(text, tensors, optional));
      EXPECT_EQ(run.error, "") << recipe << " " << pass << (optional ? " with optional arguments" : "");
      EXPECT_GE(run.partsChecked, std::string(recipe) == "bf16" ? 1 : 5);
    }
}

/// The three as one function with phases; distributed, where one rank reduces nothing, too.
TEST_P(RecipeTest, EqualsTheEvaluatorLinked) {
  auto [recipe, shape] = GetParam();
  std::map<std::string, Tensor> tensors = layerTensors(shape, 9);
  for (bool distributed : {false, true}) {
    std::string error, text = linkedRecipe(std::string("kernels_spec/") + recipe, {"mask", "dw_in"}, distributed, &error);
    ASSERT_EQ(error, "") << recipe;
    std::vector<Tensor> inputs;
    for (const auto &[name, tensor] : tensors)
      if (text.find("fp4.name = \"" + name + "\"") != std::string::npos)
        inputs.push_back(tensor);
    SpecRun run = runSpec(text, inputs);
    EXPECT_EQ(run.error, "") << recipe;
    EXPECT_EQ(run.plan.phases.size(), 5u);
    EXPECT_EQ(run.outputs.size(), 4u);
  }
}

std::string nameOf(const ::testing::TestParamInfo<RecipeTest::ParamType> &info) {
  auto [recipe, shape] = info.param;
  return std::string(recipe) + "_" + std::to_string(shape.tokens) + "x" + std::to_string(shape.in) + "x" +
         std::to_string(shape.out);
}

INSTANTIATE_TEST_SUITE_P(Shapes, RecipeTest,
                         ::testing::Combine(::testing::ValuesIn(kRecipes),
                                            ::testing::Values(Shape{1, 16, 40}, Shape{17, 40, 16}, Shape{100, 384, 72},
                                                              Shape{130, 33, 257}, Shape{256, 1000, 24}, Shape{16, 1536, 40})),
                         nameOf);

// Large once: many chunks of statistics, many tiles.
INSTANTIATE_TEST_SUITE_P(Large, RecipeTest,
                         ::testing::Combine(::testing::ValuesIn(kRecipes), ::testing::Values(Shape{4096, 40, 16})), nameOf);

class TargetTest : public ::testing::TestWithParam<std::tuple<const char *, Shape>> {};

/// Codes and scales have one value on all targets, products their bound.
TEST_P(TargetTest, EqualsTheEvaluator) {
  auto [recipe, shape] = GetParam();
  std::map<std::string, Tensor> tensors = layerTensors(shape, 7);
  for (const char *pass : kPasses)
    for (const char *target : {"sm_80", "sm_90a", "sm_100a"}) {
      std::string text = readFile(std::string("kernels_spec/") + recipe + "/" + pass + ".mlir");
      SpecRun run = runSpec(text, argumentsOf(text, tensors, /*optional=*/false), {target, ""});
      EXPECT_EQ(run.error, "") << recipe << " " << pass << " " << target;
      EXPECT_EQ(run.plan.mode, std::string(target) == "sm_100a" ? "" : "fast");
      EXPECT_GE(run.partsChecked, std::string(recipe) == "bf16" ? 1 : 5);
    }
}

/// Every bit of every result is that of FP4 tensor cores.
TEST_P(TargetTest, FaithfulIsTheFP4TensorCore) {
  auto [recipe, shape] = GetParam();
  // No FP4 product; and the bf16 one is each GPU's own.
  if (std::string(recipe) == "bf16")
    return;
  std::map<std::string, Tensor> tensors = layerTensors(shape, 8);
  for (const char *pass : kPasses) {
    std::string text = readFile(std::string("kernels_spec/") + recipe + "/" + pass + ".mlir");
    std::vector<Tensor> inputs = argumentsOf(text, tensors, /*optional=*/true);
    SpecRun wanted = runSpecUnchecked(text, inputs, {"sm_120a", "faithful"});
    EXPECT_EQ(wanted.error, "");
    EXPECT_EQ(wanted.plan.mode, "");
    for (const char *target : {"sm_80", "sm_90a", "sm_100a"}) {
      SpecRun run = runSpecUnchecked(text, inputs, {target, "faithful"});
      EXPECT_EQ(run.error, "") << recipe << " " << pass << " " << target;
      EXPECT_EQ(run.plan.mode, std::string(target) == "sm_100a" ? "" : "faithful");
      ASSERT_EQ(run.outputs.size(), wanted.outputs.size());
      for (size_t i = 0; i < run.outputs.size(); ++i)
        EXPECT_EQ(run.outputs[i].bytes, wanted.outputs[i].bytes) << recipe << " " << pass << " " << target << " result " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, TargetTest,
                         ::testing::Combine(::testing::ValuesIn(kRecipes),
                                            ::testing::Values(Shape{1, 17, 40}, Shape{40, 1000, 17}, Shape{130, 33, 72})),
                         [](const ::testing::TestParamInfo<TargetTest::ParamType> &info) { return nameOf(info); });

/// A NaN in X and an infinity in D: what depends on them is NaN, nothing else. (A mean depends on all of its column.)
class NonFiniteInputs : public ::testing::TestWithParam<Place> {};

TEST_P(NonFiniteInputs, SurfaceInAllPasses) {
  constexpr Shape kShape = {70, 48, 33};
  for (const char *recipe : {"nvfp4", "mxfp4", "nvidia"}) {
    std::map<std::string, Tensor> tensors = layerTensors(kShape, 21);
    setElement(tensors["x"], 3 * kShape.in + 5, std::numeric_limits<float>::quiet_NaN());
    setElement(tensors["d"], 2 * kShape.out + 7, std::numeric_limits<float>::infinity());
    auto outputs = [&](const char *pass) {
      std::string text = readFile(std::string("kernels_spec/") + recipe + "/" + pass + ".mlir");
      SpecRun run = runSpec(text, argumentsOf(text, tensors, false), GetParam());
      EXPECT_EQ(run.error, "") << recipe << " " << pass;
      return run.outputs;
    };
    Tensor y = outputs("linear_forward")[0], dx = outputs("linear_dgrad")[0], dw = outputs("linear_wgrad")[0];
    for (int64_t t = 0; t < kShape.tokens; ++t) {
      for (int64_t o = 0; o < kShape.out; ++o)
        EXPECT_EQ(std::isnan(element(y, t * kShape.out + o)), t == 3) << recipe << " y " << t << "," << o;
      for (int64_t i = 0; i < kShape.in; ++i)
        EXPECT_EQ(std::isnan(element(dx, t * kShape.in + i)), t == 2) << recipe << " dx " << t << "," << i;
    }
    for (int64_t o = 0; o < kShape.out; ++o)
      for (int64_t i = 0; i < kShape.in; ++i)
        EXPECT_EQ(std::isnan(element(dw, o * kShape.in + i)), o == 7 || i == 5) << recipe << " dw " << o << "," << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, NonFiniteInputs,
                         ::testing::Values(Place{"sm_120a", ""}, Place{"sm_100a", ""}, Place{"sm_80", "fast"}, Place{"sm_90a", "faithful"}),
                         [](const auto &info) { return info.param.target + info.param.mode; });

/// The first rows of a tensor of tests/data in bf16: the evaluator, plain as it is, would take minutes for all of them.
Tensor captured(const std::string &file, const std::string &name, int64_t rows) {
  npy::Array array;
  Tensor tensor;
  std::string path = std::string(FOURFOLD_SOURCE_DIR) + "/tests/data/" + file;
  EXPECT_TRUE(npy::read(path, &array).ok());
  EXPECT_TRUE(npy::convert(array, path, ElementType::BF16, &tensor).ok());
  tensor.name = name;
  tensor.shape[0] = rows;
  tensor.bytes.resize(static_cast<size_t>(rows * tensor.shape[1] * 2));
  return tensor;
}

class CapturedData : public ::testing::TestWithParam<const char *> {};

/// Activations and weight of a real transformer.
TEST_P(CapturedData, EqualsTheEvaluator) {
  std::string recipe = GetParam();
  std::map<std::string, Tensor> tensors = layerTensors({161, 384, 512}, 11);
  tensors["x"] = captured("minilm_x.npy", "x", 161);
  tensors["w"] = captured("minilm_w.npy", "w", 512);
  for (const char *pass : kPasses) {
    std::string text = readFile("kernels_spec/" + recipe + "/" + pass + ".mlir");
    SpecRun run = runSpec(text, argumentsOf(text, tensors, /*optional=*/false));
    EXPECT_EQ(run.error, "") << pass;
    EXPECT_GE(run.partsChecked, recipe == "bf16" ? 1 : 5);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, CapturedData, ::testing::ValuesIn(kRecipes));

/// loss = sum of g * y with y = x w^T + bias in fp64: its central differences are the gradients for d = g.
TEST(Bf16Recipe, GradientsAreCentralDifferences) {
  constexpr int64_t kTokens = 37, kIn = 24, kOut = 19;
  std::map<std::string, Tensor> tensors = layerTensors({kTokens, kIn, kOut}, 3);
  auto values = [&](const char *name) {
    const Tensor &tensor = tensors.at(name);
    std::vector<double> list;
    for (int64_t i = 0; i < countElements(tensor.shape); ++i)
      list.push_back(element(tensor, i));
    return list;
  };
  std::vector<double> x = values("x"), w = values("w"), d = values("d"), bias = values("bias");
  auto loss = [&] {
    double sum = 0;
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t o = 0; o < kOut; ++o) {
        double y = bias[static_cast<size_t>(o)];
        for (int64_t i = 0; i < kIn; ++i)
          y += x[static_cast<size_t>(t * kIn + i)] * w[static_cast<size_t>(o * kIn + i)];
        sum += d[static_cast<size_t>(t * kOut + o)] * y;
      }
    return sum;
  };
  auto difference = [&](double &parameter) {
    constexpr double kStep = 0.5;
    double value = parameter;
    parameter = value + kStep;
    double above = loss();
    parameter = value - kStep;
    double below = loss();
    parameter = value;
    return (above - below) / (2 * kStep);
  };
  auto run = [&](const char *pass) {
    std::string text = readFile(std::string("kernels_spec/bf16/") + pass + ".mlir");
    SpecRun result = runSpec(text, argumentsOf(text, tensors, false));
    EXPECT_EQ(result.error, "");
    return result.outputs;
  };
  std::vector<Tensor> dgrad = run("linear_dgrad"), wgrad = run("linear_wgrad");
  // dx is rounded to bf16; dw and db are fp32 sums.
  for (size_t i = 0; i < x.size(); i += 5) {
    double expected = difference(x[i]);
    EXPECT_NEAR(element(dgrad[0], static_cast<int64_t>(i)), expected, 0x1p-8 * std::fabs(expected) + 1e-5) << "dx " << i;
  }
  for (size_t i = 0; i < w.size(); i += 5) {
    double expected = difference(w[i]);
    EXPECT_NEAR(element(wgrad[0], static_cast<int64_t>(i)), expected, 1e-5 * (std::fabs(expected) + 1)) << "dw " << i;
  }
  for (size_t i = 0; i < bias.size(); ++i) {
    double expected = difference(bias[i]);
    EXPECT_NEAR(element(wgrad[1], static_cast<int64_t>(i)), expected, 1e-5 * (std::fabs(expected) + 1)) << "db " << i;
  }
}

/// Integers small enough that every order of adding them is exact, in all four layouts.
TEST(DenseMatmul, IsTheIntegerProduct) {
  for (const char *type : {"bf16", "f16"})
    for (int axisA : {0, 1})
      for (int axisB : {0, 1})
        for (auto [m, n, k] : {Shape{1, 1, 1}, Shape{17, 40, 33}, Shape{64, 128, 96}, Shape{130, 72, 200}, Shape{1500, 1601, 24}}) {
          // The large one is for the tile shape that only it selects.
          if (m > 1000 && (type[0] == 'f' || axisA != axisB))
            continue;
          std::string t = std::string("tensor<?x?x") + type + ">";
          std::string text = "func.func @f(%x: " + t + ", %w: " + t + ") -> tensor<?x?xf32> {\n%r = fp4.matmul %x, %w axes = [" +
                             std::to_string(axisA) + ", " + std::to_string(axisB) + "] : " + t + ", " + t +
                             " -> tensor<?x?xf32>\nreturn %r : tensor<?x?xf32>\n}";
          uint32_t state = 5;
          auto make = [&](const char *name, int64_t rows, int axis, std::vector<int> *values) {
            Tensor tensor;
            tensor.name = name;
            tensor.type = std::string(type) == "bf16" ? ElementType::BF16 : ElementType::F16;
            tensor.shape = axis == 1 ? std::vector<int64_t>{rows, k} : std::vector<int64_t>{k, rows};
            tensor.bytes.resize(static_cast<size_t>(rows * k * 2));
            values->resize(static_cast<size_t>(rows * k));
            for (int64_t row = 0; row < rows; ++row)
              for (int64_t l = 0; l < k; ++l) {
                int value = static_cast<int>(nextRandom(state) % 5) - 2;
                (*values)[static_cast<size_t>(row * k + l)] = value;
                // -2 .. 2 in bf16 and f16.
                static const uint16_t bf16[] = {0xc000, 0xbf80, 0, 0x3f80, 0x4000}, f16[] = {0xc000, 0xbc00, 0, 0x3c00, 0x4000};
                uint16_t bits = (std::string(type) == "bf16" ? bf16 : f16)[value + 2];
                std::memcpy(tensor.bytes.data() + (axis == 1 ? row * k + l : l * rows + row) * 2, &bits, 2);
              }
            return tensor;
          };
          std::vector<int> a, b;
          Tensor x = make("x", m, axisA, &a), w = make("w", n, axisB, &b);
          SpecRun run = runSpec(text, {x, w});
          ASSERT_EQ(run.error, "") << text;
          for (int64_t i = 0; i < m; i += 7)
            for (int64_t j = 0; j < n; j += 3) {
              int sum = 0;
              for (int64_t l = 0; l < k; ++l)
                sum += a[static_cast<size_t>(i * k + l)] * b[static_cast<size_t>(j * k + l)];
              ASSERT_EQ(element(run.outputs[0], i * n + j), static_cast<float>(sum)) << type << axisA << axisB << " " << i << "," << j;
            }
        }
}

} // namespace
