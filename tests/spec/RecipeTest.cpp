// Every recipe's forward, dgrad and wgrad on the emulated device, every value compared with the evaluator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "tests/spec/SpecHarness.h"

#include <gtest/gtest.h>

#include <algorithm>
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

const char *const kRecipes[] = {"nvfp4", "nvidia", "averis", "averis_hadamard", "averis_v1", "mxfp4"};
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
      EXPECT_GE(run.partsChecked, 5);
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
      if (name != "mask" && name != "dw_in")
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
                                                              Shape{130, 33, 257}, Shape{256, 1000, 24})),
                         nameOf);

// Large once: many chunks of statistics, many tiles.
INSTANTIATE_TEST_SUITE_P(Large, RecipeTest,
                         ::testing::Combine(::testing::ValuesIn(kRecipes), ::testing::Values(Shape{4096, 40, 16})), nameOf);

} // namespace
