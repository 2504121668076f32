// Recipes on the host: all at once, in phases, over micro-batches; every value the evaluator's, bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "compiler/recipe/Recipe.h"
#include "tests/host/HostCheck.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

std::string readSource(const std::string &path) {
  std::ifstream stream(std::string(FOURFOLD_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// A tensor with its memory.
struct Holder {
  std::string name, type;
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  FourfoldHostTensor view() const {
    return {name.c_str(), type.c_str(), static_cast<int32_t>(shape.size()), shape.data(), bytes.data()};
  }
};

template <typename T>
Holder hold(const std::string &name, const char *type, std::vector<int64_t> shape, const std::vector<T> &values) {
  Holder holder = {name, type, std::move(shape), std::vector<char>(values.size() * sizeof(T))};
  if (!values.empty())
    std::memcpy(holder.bytes.data(), values.data(), holder.bytes.size());
  return holder;
}

enum class Kind { Plain, NonFinite, Masked };

struct Layer {
  int64_t tokens, in, out;
  std::vector<Holder> tensors;

  Layer(int64_t tokens, int64_t in, int64_t out, Kind kind, uint32_t seed) : tokens(tokens), in(in), out(out) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    auto matrix = [&](const char *name, int64_t rows, int64_t columns, float mean) {
      std::vector<float> means(static_cast<size_t>(columns));
      for (float &value : means)
        value = mean * normal(random);
      std::vector<uint16_t> values;
      for (int64_t i = 0; i < rows * columns; ++i) {
        float value = normal(random) * (random() % 61 == 0 ? 20.0f : 1.0f) + means[static_cast<size_t>(i % columns)];
        if (kind == Kind::NonFinite && random() % 997 == 0)
          value = random() % 2 ? INFINITY : NAN;
        values.push_back(numerics::encodeBF16(value));
      }
      tensors.push_back(hold(name, "bf16", {rows, columns}, values));
    };
    matrix("x", tokens, in, 2.0f);
    matrix("w", out, in, 0.0f);
    matrix("d", tokens, out, 0.2f);
    std::vector<float> bias, old;
    for (int64_t i = 0; i < out; ++i)
      bias.push_back(normal(random));
    for (int64_t i = 0; i < out * in; ++i)
      old.push_back(normal(random));
    tensors.push_back(hold("bias", "f32", {out}, bias));
    tensors.push_back(hold("dw_in", "f32", {out, in}, old));
    std::vector<int8_t> mask;
    for (int64_t i = 0; i < tokens; ++i)
      mask.push_back(kind == Kind::Masked ? (i % 3 == 1 || i > tokens - 3 ? 0 : 1) : 1);
    tensors.push_back(hold("mask", "i8", {tokens}, mask));
    tensors.push_back(hold("seed", "i64", {}, std::vector<int64_t>{0x123456789abcdefll + seed}));
    tensors.push_back(hold("offset", "i64", {}, std::vector<int64_t>{(int64_t{1} << 40) + seed}));
  }

  const Holder &at(const std::string &name) const {
    for (const Holder &holder : tensors)
      if (holder.name == name)
        return holder;
    return tensors.front();
  }
  std::vector<FourfoldHostTensor> views(const std::vector<std::string> &names) const {
    std::vector<FourfoldHostTensor> result;
    for (const std::string &name : names)
      result.push_back(at(name).view());
    return result;
  }
};

/// A recipe linked, with or without its optional arguments, and lowered.
struct Linked {
  mlir::DialectRegistry registry;
  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<compiler::DiagnosticCollector> diagnostics;
  compiler::ParsedSpec spec;
  std::shared_ptr<const host::Program> program;

  Linked(const std::string &recipe, std::vector<std::string> absent) {
    compiler::registerSpecDialects(registry);
    context = std::make_unique<mlir::MLIRContext>(registry, mlir::MLIRContext::Threading::DISABLED);
    diagnostics = std::make_unique<compiler::DiagnosticCollector>(*context);
    std::vector<compiler::RecipeSource> sources;
    for (const char *pass : {"linear_forward", "linear_dgrad", "linear_wgrad"})
      sources.push_back({readSource("kernels_spec/" + recipe + "/" + pass + ".mlir"), pass});
    auto linked = compiler::linkRecipe(sources, absent, /*distributed=*/false, *context);
    if (failed(linked) || failed(compiler::expandMath(linked->function)))
      return;
    spec = std::move(*linked);
    if (auto lowered = host::lowerToHost(spec.function); succeeded(lowered))
      program = *lowered;
  }

  /// The arguments that there are, of those named.
  std::vector<std::string> argumentsAmong(const std::vector<std::string> &names) const {
    std::vector<std::string> result;
    for (size_t i = 0; i < program->numArguments; ++i)
      if (std::find(names.begin(), names.end(), program->values[i].name) != names.end())
        result.push_back(program->values[i].name);
    return result;
  }

  HandedOutParts evaluate(const Layer &layer, bool intermediates) {
    HandedOutParts parts;
    auto sink = [&](const char *part, const FourfoldHostTensor &tensor, const float *) { keepPart(parts, part, tensor); };
    EXPECT_TRUE(succeeded(compiler::evaluate(spec.function, layer.views(argumentsAmong(kAll)), intermediates, sink)))
        << diagnostics->str();
    return parts;
  }

  static const std::vector<std::string> kAll;
};
const std::vector<std::string> Linked::kAll = {"x", "w", "d", "bias", "mask", "dw_in", "seed", "offset"};

enum : uint32_t { kWeights = 1, kForward = 2, kGradient = 4, kDgrad = 8, kWgrad = 16 };

/// Runs phases with the arguments named; results go to `found`.
std::string runPhases(host::Environment &environment, const Linked &linked, const Layer &layer, uint32_t phases,
                      const std::vector<std::string> &names, HandedOutParts &found) {
  host::RunRequest request;
  std::vector<FourfoldHostTensor> inputs = layer.views(linked.argumentsAmong(names));
  request.phases = phases;
  request.inputs = inputs.data();
  request.numInputs = inputs.size();
  request.sink = [&](const char *part, const FourfoldHostTensor &tensor) { keepPart(found, part, tensor); };
  return host::tryRun(environment, request);
}

const char *const kRecipes[] = {"nvfp4", "nvidia", "averis", "averis_hadamard", "averis_v1", "mxfp4", "bf16"};
struct Size {
  int64_t tokens, in, out;
};

class HostRecipe : public ::testing::TestWithParam<std::tuple<const char *, Size, Kind>> {};

TEST_P(HostRecipe, EveryValueIsTheEvaluators) {
  auto [recipe, size, kind] = GetParam();
  Layer layer(size.tokens, size.in, size.out, kind, 11);
  for (bool optional : {false, true}) {
    Linked linked(recipe, optional ? std::vector<std::string>{} : std::vector<std::string>{"bias", "mask", "dw_in"});
    ASSERT_TRUE(linked.program) << linked.diagnostics->str();
    HandedOutParts expected = linked.evaluate(layer, /*intermediates=*/true);
    EXPECT_GE(expected.size(), 5u);
    EXPECT_EQ(hostDifference(linked.spec.function, layer.views(linked.argumentsAmong(Linked::kAll)), true, expected), "");

    // The results again, phase by phase, inputs only where they are used, wgrad before dgrad.
    expected = linked.evaluate(layer, false);
    auto weights = std::make_shared<host::Environment>(linked.program);
    HandedOutParts found;
    EXPECT_EQ(runPhases(*weights, linked, layer, kWeights, {"w", "seed", "offset"}, found), "");
    host::Environment batch(linked.program, weights);
    EXPECT_EQ(runPhases(batch, linked, layer, kForward, Linked::kAll, found), "");
    EXPECT_EQ(runPhases(batch, linked, layer, kGradient, {"d", "mask", "seed", "offset"}, found), "");
    EXPECT_EQ(runPhases(batch, linked, layer, kWgrad, Linked::kAll, found), "");
    EXPECT_EQ(runPhases(batch, linked, layer, kDgrad, Linked::kAll, found), "");
    EXPECT_EQ(differences(found, expected), "");
    EXPECT_EQ(batch.bytesHeld(), 0) << "values are left over";
  }
}

std::string nameOf(const ::testing::TestParamInfo<HostRecipe::ParamType> &info) {
  auto [recipe, size, kind] = info.param;
  return std::string(recipe) + "_" + std::to_string(size.tokens) + "x" + std::to_string(size.in) + "x" +
         std::to_string(size.out) + (kind == Kind::Plain ? "" : kind == Kind::Masked ? "_masked" : "_nonfinite");
}
INSTANTIATE_TEST_SUITE_P(Shapes, HostRecipe,
                         ::testing::Combine(::testing::ValuesIn(kRecipes),
                                            ::testing::Values(Size{1, 16, 40}, Size{17, 40, 16}, Size{100, 300, 72},
                                                              Size{130, 33, 259}),
                                            ::testing::Values(Kind::Plain, Kind::NonFinite, Kind::Masked)),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(Large, HostRecipe,
                         ::testing::Combine(::testing::ValuesIn(kRecipes), ::testing::Values(Size{4096, 33, 17}),
                                            ::testing::Values(Kind::Masked)),
                         nameOf);

/// Weights are quantized once and read by micro-batches whose passes are interleaved.
TEST(HostPhases, MicroBatchesShareWeights) {
  Linked linked("averis", {"bias", "mask", "dw_in"});
  ASSERT_TRUE(linked.program);
  Layer first(33, 48, 40, Kind::Plain, 1), second(20, 48, 40, Kind::Plain, 2);
  for (Holder &holder : second.tensors)
    if (holder.name == "w")
      holder = first.at("w");
  auto weights = std::make_shared<host::Environment>(linked.program);
  HandedOutParts none;
  ASSERT_EQ(runPhases(*weights, linked, first, kWeights, {"w"}, none), "");
  int64_t held = weights->bytesHeld();
  EXPECT_GT(held, 0);
  host::Environment a(linked.program, weights), b(linked.program, weights);
  HandedOutParts foundA, foundB;
  EXPECT_EQ(runPhases(a, linked, first, kForward, {"x", "w"}, foundA), "");
  EXPECT_EQ(runPhases(b, linked, second, kForward, {"x", "w"}, foundB), "");
  for (uint32_t phase : {kGradient, kDgrad, kWgrad}) {
    EXPECT_EQ(runPhases(a, linked, first, phase, {"d", "w", "x", "seed", "offset"}, foundA), "");
    EXPECT_EQ(runPhases(b, linked, second, phase, {"d", "w", "x", "seed", "offset"}, foundB), "");
  }
  EXPECT_EQ(differences(foundA, linked.evaluate(first, false)), "");
  EXPECT_EQ(differences(foundB, linked.evaluate(second, false)), "");
  EXPECT_EQ(weights->bytesHeld(), held);
}

/// Inputs of a phase may be gone when the next one runs.
TEST(HostPhases, NothingPointsIntoInputsOfAnEarlierRun) {
  for (const char *recipe : kRecipes) {
    Linked linked(recipe, {"bias", "mask", "dw_in"});
    ASSERT_TRUE(linked.program);
    Layer layer(40, 32, 24, Kind::Plain, 3);
    HandedOutParts expected = linked.evaluate(layer, false), found;
    host::Environment environment(linked.program);
    auto copyAndRun = [&](uint32_t phase) {
      Layer copy = layer;
      EXPECT_EQ(runPhases(environment, linked, copy, phase, Linked::kAll, found), "") << recipe;
      for (Holder &holder : copy.tensors)
        std::fill(holder.bytes.begin(), holder.bytes.end(), char(0x77));
    };
    for (uint32_t phase : {kWeights, kForward, kGradient, kDgrad, kWgrad})
      copyAndRun(phase);
    EXPECT_EQ(differences(found, expected), "") << recipe;
  }
}

TEST(HostPhases, MistakesAreNamed) {
  Linked linked("averis", {"bias", "mask", "dw_in"});
  ASSERT_TRUE(linked.program);
  Layer layer(20, 32, 16, Kind::Plain, 4), other(20, 48, 16, Kind::Plain, 4);
  host::Environment environment(linked.program);
  HandedOutParts found;
  auto phase = [&](uint32_t phases, std::vector<std::string> names, const Layer &tensors) {
    return runPhases(environment, linked, tensors, phases, names, found);
  };
  EXPECT_NE(phase(kForward, {"x", "w"}, layer).find("of phase 'weights', which has not run"), std::string::npos);
  EXPECT_EQ(phase(kWeights, {"w"}, layer), "");
  EXPECT_NE(phase(kForward, {"w"}, layer).find("needs input 'x'"), std::string::npos);
  EXPECT_NE(phase(kForward, {"x", "w"}, other).find("contracted extent"), std::string::npos);
  EXPECT_EQ(phase(kForward, {"x", "w"}, layer), "");
  EXPECT_NE(phase(kDgrad, {"d", "w", "seed", "offset"}, layer).find("of phase 'gradient'"), std::string::npos);
  EXPECT_NE(phase(1u << 5, {"w"}, layer).find("5 phases"), std::string::npos);
}

/// Results into memory of the caller, checked before anything is written.
TEST(HostOutputs, GoToTheCallersMemory) {
  Linked linked("nvfp4", {"bias", "mask", "dw_in"});
  ASSERT_TRUE(linked.program);
  Layer layer(20, 32, 24, Kind::Plain, 5);
  HandedOutParts expected = linked.evaluate(layer, false);
  host::Environment environment(linked.program);
  std::vector<FourfoldHostTensor> inputs = layer.views(linked.argumentsAmong(Linked::kAll));
  std::vector<char> y(20 * 24 * 2, 1), dw(24 * 32 * 4, 1);
  host::RunRequest request;
  request.inputs = inputs.data();
  request.numInputs = inputs.size();
  request.outputs = {{"y", "tensor", "bf16", {20, 24}, y.data()}, {"dw", "tensor", "f32", {24, 31}, dw.data()}};
  EXPECT_NE(host::tryRun(environment, request).find("gives result 'dw' as 24x32 of f32, but the caller expects 24x31"),
            std::string::npos);
  EXPECT_EQ(y, std::vector<char>(y.size(), 1)) << "written in spite of the error";
  request.outputs[1].shape = {24, 32};
  EXPECT_EQ(host::tryRun(environment, request), "");
  EXPECT_EQ(y, expected["y.tensor"].bytes);
  EXPECT_EQ(dw, expected["dw.tensor"].bytes);
  request.outputs[0].name = "z";
  EXPECT_NE(host::tryRun(environment, request).find("has no result 'z'; it gives y, dx, dw, db"), std::string::npos);
}

} // namespace
