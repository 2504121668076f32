// The trainer's linears on the emulated device and on the host: every recipe near the plain products, and training that repeats bit for bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "examples/train_gpt/Data.h"
#include "examples/train_gpt/Gemm.h"
#include "examples/train_gpt/Model.h"
#include "examples/train_gpt/Optimizer.h"
#include "examples/train_gpt/Random.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace traingpt;

namespace {

constexpr int64_t kTokens = 80, kOut = 48, kIn = 32;
const char *const kDevice = "emulated:sm_120a", *const kHost = "host";

std::vector<float> randomValues(size_t count, uint32_t part, float mean) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = mean + randomNormal(1, Stream::Parameters, part, i);
  return values;
}

struct Products {
  std::vector<float> y, dx, dw;
};

/// One step of a layer: weights, forward, backward. dw starts at 1.
Products step(LinearFactory &factory, uint64_t offset) {
  initializeBlas();
  std::vector<float> w = randomValues(kOut * kIn, 0, 0.0f), x = randomValues(kTokens * kIn, 1, 1.0f),
                     dy = randomValues(kTokens * kOut, 2, 0.0f);
  auto linear = factory.create("layer", kOut, kIn);
  linear->setRandomOffset(offset);
  linear->setWeights(w.data());
  Products p{std::vector<float>(kTokens * kOut), std::vector<float>(kTokens * kIn), std::vector<float>(kOut * kIn, 1.0f)};
  linear->forward(x.data(), p.y.data(), kTokens);
  linear->backward(dy.data(), p.dx.data(), p.dw.data());
  return p;
}

double relativeError(const std::vector<float> &found, const std::vector<float> &expected) {
  double off = 0.0, all = 0.0;
  for (size_t i = 0; i < expected.size(); ++i) {
    off += std::pow(static_cast<double>(found[i]) - static_cast<double>(expected[i]), 2.0);
    all += std::pow(static_cast<double>(expected[i]), 2.0);
  }
  return std::sqrt(off / all);
}

class DeviceRecipe : public ::testing::TestWithParam<const char *> {};

TEST_P(DeviceRecipe, IsNearThePlainProducts) {
  auto blas = makeLinearFactory("fp32", "blas", 1), host = makeLinearFactory(GetParam(), kHost, 1);
  Products plain = step(*blas, 0), found = step(*host, 5);
  EXPECT_LT(relativeError(found.y, plain.y), 0.2);
  EXPECT_LT(relativeError(found.dx, plain.dx), 0.25);
  EXPECT_LT(relativeError(found.dw, plain.dw), 0.3);
  EXPECT_GT(relativeError(found.y, plain.y), 0.01);
}

TEST_P(DeviceRecipe, DrawsBySeedAndOffset) {
  auto host = makeLinearFactory(GetParam(), kHost, 1), reseeded = makeLinearFactory(GetParam(), kHost, 2);
  Products one = step(*host, 5), again = step(*host, 5);
  EXPECT_EQ(one.y, again.y);
  EXPECT_EQ(one.dx, again.dx);
  EXPECT_EQ(one.dw, again.dw);
  for (const Products &other : {step(*host, 6), step(*reseeded, 5)}) {
    EXPECT_EQ(one.y == other.y, std::string(GetParam()) != "averis_v1"); // which rounds stochastically everywhere
    EXPECT_NE(one.dx, other.dx);
    EXPECT_NE(one.dw, other.dw);
  }
}

/// The host rounds as the device does, so the two differ by the order of sums alone, and y and dx by bf16's last bit.
TEST_P(DeviceRecipe, HostAgreesWithTheDevice) {
  auto host = makeLinearFactory(GetParam(), kHost, 1), device = makeLinearFactory(GetParam(), kDevice, 1);
  for (uint64_t offset : {0, 7}) {
    Products one = step(*host, offset), other = step(*device, offset);
    EXPECT_LT(relativeError(one.y, other.y), 5e-4);
    EXPECT_LT(relativeError(one.dx, other.dx), 5e-4);
    EXPECT_LT(relativeError(one.dw, other.dw), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceRecipe,
                         ::testing::Values("nvfp4", "averis", "nvidia", "averis_hadamard", "averis_v1", "mxfp4"),
                         [](const auto &info) { return std::string(info.param); });

/// The baseline differs from BLAS by the order of sums and the last bit of bf16.
TEST(Device, BF16IsTheBaseline) {
  auto blas = makeLinearFactory("bf16", "blas", 1);
  Products plain = step(*blas, 0);
  for (const char *name : {kDevice, kHost}) {
    auto device = makeLinearFactory("bf16", name, 1);
    Products found = step(*device, 0);
    EXPECT_LT(relativeError(found.y, plain.y), 5e-4) << name;
    EXPECT_LT(relativeError(found.dx, plain.dx), 5e-4) << name;
    EXPECT_LT(relativeError(found.dw, plain.dw), 1e-5) << name;
  }
}

/// dw of two micro-batches is the sum; a smaller last batch has a plan of its own.
void checkAccumulation(const char *device) {
  initializeBlas();
  std::vector<float> w = randomValues(kOut * kIn, 0, 0.0f), x = randomValues(kTokens * kIn, 1, 1.0f),
                     dy = randomValues(kTokens * kOut, 2, 0.0f);
  auto factory = makeLinearFactory("averis", device, 1);
  auto linear = factory->create("layer", kOut, kIn);
  linear->setWeights(w.data());
  std::vector<float> y(kTokens * kOut), dx(kTokens * kIn), sum(kOut * kIn), parts(kOut * kIn);
  for (int64_t tokens : {kTokens, kTokens / 2, kTokens}) {
    std::vector<float> part(kOut * kIn);
    for (std::vector<float> *dw : {&sum, &part}) {
      linear->forward(x.data(), y.data(), tokens);
      linear->backward(dy.data(), dx.data(), dw->data());
    }
    for (size_t i = 0; i < part.size(); ++i)
      parts[i] += part[i];
  }
  EXPECT_EQ(sum, parts);
}

TEST(Device, AccumulatesOverBatchesOfUnlikeSize) { checkAccumulation(kDevice); }
TEST(Host, AccumulatesOverBatchesOfUnlikeSize) { checkAccumulation(kHost); }

TEST(Device, SaysWhichRecipesThereAre) {
  try {
    auto factory = makeLinearFactory("fp5", kDevice, 1);
    factory->create("layer", kOut, kIn);
    FAIL();
  } catch (const std::runtime_error &error) {
    EXPECT_NE(std::string(error.what()).find("averis"), std::string::npos) << error.what();
  }
  EXPECT_THROW(makeLinearFactory("averis", "cuda:99", 1), std::runtime_error);
}

/// Eight steps learn, by the same losses each time.
void checkTraining(const char *device) {
  initializeBlas();
  Data data(std::string(FOURFOLD_SOURCE_DIR) + "/tests/data/genesis.txt", 256, 32, "");
  ModelShape shape;
  shape.vocabulary = 256;
  shape.layers = 1;
  shape.width = 32;
  shape.heads = 2;
  shape.hidden = 64;
  shape.context = 32;
  std::vector<double> losses[2];
  for (auto &run : losses) {
    auto factory = makeLinearFactory("averis", device, 1);
    Model model(shape, *factory, 1);
    OptimizerSettings settings;
    settings.learningRate = 1e-2;
    settings.warmup = 0;
    Batch batch = data.trainingBatch(1, 0, 4);
    for (int64_t step = 1; step <= 8; ++step) {
      model.zeroGradients();
      run.push_back(model.forward(batch.ids.data(), batch.targets.data(), 4, 32) / 128.0);
      model.backward(batch.ids.data(), batch.targets.data(), 4, 32, 1.0f / 128.0f);
      adamwStep(model.parameters, settings, step, gradientNorm(model.parameters));
      model.refreshWeights(static_cast<uint64_t>(step));
    }
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_LT(losses[0].back(), losses[0].front() - 1.5);
}

TEST(Device, Trains) { checkTraining(kDevice); }
TEST(Host, Trains) { checkTraining(kHost); }

} // namespace
