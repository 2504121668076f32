// fourfold::HostProgram through the plug-in: phases into the caller's memory, errors, threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"
#include "fourfold/HostProgram.h"
#include "fourfold/Recipe.h"

#include "dialect/Numerics.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

using namespace fourfold;

namespace {

constexpr int64_t kTokens = 70, kIn = 96, kOut = 80;

std::vector<uint16_t> randomBF16(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(numerics::encodeBF16(normal(random)));
  return values;
}

struct Step {
  std::vector<uint16_t> x, w = randomBF16(kOut * kIn, 7), d;
  int64_t seed = 3, offset = 5;
  std::vector<uint16_t> y, dx;
  std::vector<float> dw, db;

  explicit Step(uint32_t number)
      : x(randomBF16(kTokens * kIn, number)), d(randomBF16(kTokens * kOut, number + 100)), y(kTokens * kOut),
        dx(kTokens * kIn), dw(kOut * kIn), db(kOut) {}

  HostInput input(const std::string &name) const {
    if (name == "x")
      return {"x", ElementType::BF16, {kTokens, kIn}, x.data()};
    if (name == "w")
      return {"w", ElementType::BF16, {kOut, kIn}, w.data()};
    if (name == "d")
      return {"d", ElementType::BF16, {kTokens, kOut}, d.data()};
    return {name, ElementType::I64, {}, name == "seed" ? &seed : &offset};
  }
  Tensor tensor(const std::string &name) const {
    HostInput source = input(name);
    Tensor result;
    result.name = name;
    result.type = source.type;
    result.shape = source.shape;
    const auto *bytes = static_cast<const uint8_t *>(source.data);
    result.bytes.assign(bytes, bytes + countElements(source.shape) * elementTypeBytes(source.type));
    return result;
  }

  Status quantizeWeights(HostEnvironment weights) const { return weights.run(hostPhase(0), {input("w")}, {}); }
  Status forward(HostEnvironment batch) {
    return batch.run(hostPhase(1), {input("x"), input("w")}, {{"y", ElementType::BF16, {kTokens, kOut}, y.data()}});
  }
  Status backward(HostEnvironment batch) {
    return batch.run(hostPhase(2) | hostPhase(3) | hostPhase(4),
                     {input("x"), input("w"), input("d"), input("seed"), input("offset")},
                     {{"dx", ElementType::BF16, {kTokens, kIn}, dx.data()},
                      {"dw", ElementType::F32, {kOut, kIn}, dw.data()},
                      {"db", ElementType::F32, {kOut}, db.data()}});
  }
};

class HostProgramTest : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(Compiler::open(&compiler).message(), "");
    Recipe recipe;
    RecipeOptions options;
    ASSERT_EQ(readRecipe(std::string(FOURFOLD_SOURCE_DIR) + "/kernels_spec/averis_hadamard", options, &recipe).message(), "");
    recipe.absent = {"bias", "mask", "dw_in"};
    ASSERT_EQ(compiler.link(recipe, &spec).message(), "");
    ASSERT_EQ(HostProgram::prepare(compiler, spec, &program).message(), "");
    ASSERT_EQ(HostEnvironment::create(program, &weights).message(), "");
  }

  /// The bytes that the evaluator gives for a result.
  std::vector<uint8_t> evaluated(const Step &step, const std::string &name) {
    std::vector<Tensor> inputs;
    for (const std::string &input : program.inputs())
      inputs.push_back(step.tensor(input));
    std::vector<EvaluatedValue> values;
    EXPECT_EQ(compiler.evaluate(spec, inputs, false, &values).message(), "");
    for (EvaluatedValue &value : values)
      if (value.tensor.name == name)
        return value.tensor.bytes;
    return {};
  }
  template <typename T>
  static std::vector<uint8_t> bytesOf(const std::vector<T> &values) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
    return {bytes, bytes + values.size() * sizeof(T)};
  }
  void expectEvaluated(const Step &step) {
    EXPECT_EQ(bytesOf(step.y), evaluated(step, "y"));
    EXPECT_EQ(bytesOf(step.dx), evaluated(step, "dx"));
    EXPECT_EQ(bytesOf(step.dw), evaluated(step, "dw"));
    EXPECT_EQ(bytesOf(step.db), evaluated(step, "db"));
  }

  Compiler compiler;
  Spec spec;
  HostProgram program;
  HostEnvironment weights;
};

TEST_F(HostProgramTest, NamesAreThoseOfTheRecipe) {
  EXPECT_EQ(program.phases(), (std::vector<std::string>{"weights", "forward", "gradient", "dgrad", "wgrad"}));
  EXPECT_EQ(program.results(), (std::vector<std::string>{"y", "dx", "dw", "db"}));
  EXPECT_EQ(program.inputs().size(), 5u);
}

TEST_F(HostProgramTest, AStepHasTheEvaluatorsBits) {
  Step step(1);
  HostEnvironment batch;
  ASSERT_EQ(HostEnvironment::create(program, weights, &batch).message(), "");
  EXPECT_EQ(step.quantizeWeights(weights).message(), "");
  EXPECT_EQ(step.forward(batch).message(), "");
  EXPECT_GT(batch.bytesHeld(), 0u);
  EXPECT_EQ(step.backward(batch).message(), "");
  EXPECT_EQ(batch.bytesHeld(), 0u);
  expectEvaluated(step);

  HostEnvironment whole;
  std::vector<Tensor> inputs, outputs;
  for (const std::string &name : program.inputs())
    inputs.push_back(step.tensor(name));
  ASSERT_EQ(HostEnvironment::create(program, &whole).message(), "");
  EXPECT_EQ(whole.run(inputs, &outputs).message(), "");
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(outputs[1].bytes, bytesOf(step.dx));
}

/// Threads with environments of their own share one set of weights.
TEST_F(HostProgramTest, ThreadsShareWeights) {
  ASSERT_EQ(Step(0).quantizeWeights(weights).message(), "");
  std::vector<Step> steps;
  for (uint32_t i = 0; i < 4; ++i)
    steps.emplace_back(i + 10);
  std::vector<std::string> errors(steps.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < steps.size(); ++i)
    threads.emplace_back([&, i] {
      HostEnvironment batch;
      errors[i] = HostEnvironment::create(program, weights, &batch).message();
      for (int repetition = 0; repetition < 20; ++repetition) {
        errors[i] += steps[i].forward(batch).message();
        errors[i] += steps[i].backward(batch).message();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(errors[i], "");
    expectEvaluated(steps[i]);
  }
}

TEST_F(HostProgramTest, MistakesHaveOneMessage) {
  Step step(1);
  HostEnvironment batch, none;
  EXPECT_NE(step.forward(none).message().find("not created"), std::string::npos);
  ASSERT_EQ(HostEnvironment::create(program, weights, &batch).message(), "");
  Status early = step.forward(batch);
  EXPECT_EQ(early.code(), StatusCode::InvalidArgument);
  EXPECT_NE(early.message().find("'weights', which has not run"), std::string::npos) << early.message();
  ASSERT_EQ(step.quantizeWeights(weights).message(), "");
  HostInput wrong = step.input("x");
  wrong.type = ElementType::F16;
  EXPECT_NE(batch.run(hostPhase(1), {wrong, step.input("w")}, {}).message().find("expects elements of bf16 for input 'x'"),
            std::string::npos);
  EXPECT_NE(batch.run(hostPhase(1), {step.input("x"), step.input("x"), step.input("w")}, {}).message().find("'x' twice"),
            std::string::npos);
  EXPECT_NE(batch.run(hostPhase(1), {step.input("x"), step.input("w")}, {{"dx", ElementType::BF16, {kTokens, kIn}, step.dx.data()}})
                .message().find("does not give result 'dx' in this phase"),
            std::string::npos);
  weights.reset();
  EXPECT_NE(step.forward(batch).message(), "");
  HostProgram broken;
  Status status = HostProgram::prepare(compiler, {"func.func @f(", "broken.mlir", "", {}}, &broken);
  EXPECT_EQ(status.code(), StatusCode::CompileError);
  EXPECT_NE(status.message().find("broken.mlir:1:"), std::string::npos);
  HostEnvironment unprepared;
  EXPECT_NE(HostEnvironment::create(broken, &unprepared).message().find("not prepared"), std::string::npos);
}

} // namespace
