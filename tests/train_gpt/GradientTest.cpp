// The trainer's hand-written backward pass against central differences, for every kind of parameter.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "examples/train_gpt/Gemm.h"
#include "examples/train_gpt/Model.h"
#include "examples/train_gpt/Random.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

using namespace traingpt;

namespace {

constexpr int64_t kSequences = 3, kLength = 7;

struct Fixture {
  ModelShape shape;
  std::unique_ptr<LinearFactory> factory = makeLinearFactory("fp32", "blas", 1);
  std::unique_ptr<Model> model;
  std::vector<uint16_t> ids, targets;

  explicit Fixture(bool tied) {
    initializeBlas();
    shape.vocabulary = 29;
    shape.layers = 2;
    shape.width = 16;
    shape.heads = 2;
    shape.hidden = 32;
    shape.context = 8;
    shape.tied = tied;
    shape.meanBias = 0.5;
    shape.normBias = 0.7;
    model = std::make_unique<Model>(shape, *factory, 7);
    for (auto &parameter : model->parameters) // gains of 1 and small weights would hide factors
      for (size_t i = 0; i < parameter->size(); ++i)
        parameter->value[i] += 0.2f * randomNormal(3, Stream::Parameters, 99, i);
    for (uint64_t i = 0; i < kSequences * kLength; ++i) {
      ids.push_back(static_cast<uint16_t>(randomBelow(5, Stream::DataOrder, 0, i, 29)));
      targets.push_back(static_cast<uint16_t>(randomBelow(5, Stream::DataOrder, 1, i, 29)));
    }
  }

  double loss() {
    model->refreshWeights(0);
    return model->forward(ids.data(), targets.data(), kSequences, kLength);
  }

  void gradients() {
    model->zeroGradients();
    loss();
    model->backward(ids.data(), targets.data(), kSequences, kLength, 1.0f);
  }

  /// The loss's slope along `direction` in one parameter.
  double slope(Parameter &parameter, const std::vector<float> &direction, float width) {
    std::vector<float> kept = parameter.value;
    double sides[2];
    for (int side = 0; side < 2; ++side) {
      for (size_t i = 0; i < kept.size(); ++i)
        parameter.value[i] = kept[i] + (side ? width : -width) * direction[i];
      sides[side] = loss();
    }
    parameter.value = kept;
    return (sides[1] - sides[0]) / (2.0 * static_cast<double>(width));
  }
};

double product(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// Along the gradient the slope is its norm, which a wrong direction misses; random directions find errors that are small in norm.
void checkGradients(bool tied) {
  Fixture fixture(tied);
  fixture.gradients();
  std::vector<std::vector<float>> gradients;
  for (auto &parameter : fixture.model->parameters)
    gradients.push_back(parameter->grad);
  for (size_t p = 0; p < gradients.size(); ++p) {
    Parameter &parameter = *fixture.model->parameters[p];
    double norm = std::sqrt(product(gradients[p], gradients[p]));
    ASSERT_GT(norm, 1e-3) << parameter.name;
    for (uint32_t trial = 0; trial < 4; ++trial) {
      std::vector<float> direction(parameter.size());
      for (size_t i = 0; i < direction.size(); ++i)
        direction[i] = trial == 0 ? gradients[p][i] / static_cast<float>(norm)
                                  : randomNormal(11, Stream::Parameters, trial, i) /
                                        std::sqrt(static_cast<float>(direction.size()));
      EXPECT_NEAR(fixture.slope(parameter, direction, 1e-2f), product(gradients[p], direction), 4e-3 * norm)
          << parameter.name << " along direction " << trial;
    }
  }
}

TEST(Gradient, EveryParameterUntied) { checkGradients(false); }
TEST(Gradient, EveryParameterTied) { checkGradients(true); }

TEST(Gradient, AccumulatesOverCalls) {
  Fixture fixture(false);
  fixture.gradients();
  std::vector<std::vector<float>> once;
  for (auto &parameter : fixture.model->parameters)
    once.push_back(parameter->grad);
  fixture.loss();
  fixture.model->backward(fixture.ids.data(), fixture.targets.data(), kSequences, kLength, 1.0f);
  for (size_t p = 0; p < once.size(); ++p)
    for (size_t i = 0; i < once[p].size(); ++i)
      ASSERT_NEAR(fixture.model->parameters[p]->grad[i], 2.0f * once[p][i], 1e-4f) << fixture.model->parameters[p]->name;
}

/// The first token's loss must not change with the last token: it is found as the difference that its target makes.
TEST(Gradient, AttentionIsCausal) {
  Fixture fixture(false);
  std::vector<uint16_t> ids = fixture.ids, targets = fixture.targets;
  double effect[2], total[2];
  for (int side = 0; side < 2; ++side) {
    total[side] = fixture.model->forward(ids.data(), fixture.targets.data(), 1, kLength);
    targets[0] = static_cast<uint16_t>((fixture.targets[0] + 1) % 29);
    effect[side] = total[side] - fixture.model->forward(ids.data(), targets.data(), 1, kLength);
    ids[kLength - 1] = static_cast<uint16_t>((ids[kLength - 1] + 1) % 29);
  }
  EXPECT_GT(std::fabs(total[0] - total[1]), 1e-3);
  EXPECT_GT(std::fabs(effect[0]), 1e-3);
  EXPECT_NEAR(effect[0], effect[1], 1e-6);
}

/// bf16 rounds operands and results, and nothing else: a small change against fp32.
TEST(Linear, BF16IsNearFloatAndNotEqual) {
  initializeBlas();
  constexpr int64_t tokens = 200, out = 48, in = 32;
  std::vector<float> w(out * in), x(tokens * in), dy(tokens * out);
  for (size_t i = 0; i < w.size(); ++i)
    w[i] = randomNormal(1, Stream::Parameters, 0, i);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = randomNormal(1, Stream::Parameters, 1, i);
  for (size_t i = 0; i < dy.size(); ++i)
    dy[i] = randomNormal(1, Stream::Parameters, 2, i);
  std::vector<float> y[2], dx[2], dw[2];
  for (int kind = 0; kind < 2; ++kind) {
    auto factory = makeLinearFactory(kind ? "bf16" : "fp32", "auto", 1);
    auto linear = factory->create("l", out, in);
    linear->setWeights(w.data());
    y[kind].resize(dy.size());
    dx[kind].resize(x.size());
    dw[kind].assign(w.size(), 1.0f);
    linear->forward(x.data(), y[kind].data(), tokens);
    linear->backward(dy.data(), dx[kind].data(), dw[kind].data());
  }
  for (auto *pair : {y, dx, dw}) {
    std::vector<float> difference(pair[0].size());
    for (size_t i = 0; i < difference.size(); ++i)
      difference[i] = pair[0][i] - pair[1][i];
    double relative = std::sqrt(product(difference, difference) / product(pair[0], pair[0]));
    EXPECT_GT(relative, 1e-4);
    EXPECT_LT(relative, 6e-3);
  }
}

} // namespace
