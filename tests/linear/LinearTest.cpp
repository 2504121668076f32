// The linear layer against its recipe run as a whole: phases, areas, options, errors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LinearHarness.h"

#include "fourfold/Recipe.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr LayerShape kShape{80, 96, 48};

Linear makeLayer(const LinearDescriptor &descriptor) {
  static std::vector<Linear> made; // so that the next test finds the recipe loaded
  Linear linear;
  Status status = Linear::create(emulatedDevice(), theCompiler(), descriptor, &linear);
  EXPECT_TRUE(status.ok()) << status.message();
  made.push_back(linear);
  return linear;
}

LinearPlan planFor(const Linear &linear, int64_t tokens) {
  LinearPlan plan;
  Status status = linear.prepare(tokens, &plan);
  EXPECT_TRUE(status.ok()) << status.message();
  return plan;
}

std::vector<float> floats(const std::vector<uint8_t> &bytes) {
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

//===----------------------------------------------------------------------===//
// Every recipe
//===----------------------------------------------------------------------===//

class LinearRecipe : public ::testing::TestWithParam<const char *> {};

TEST_P(LinearRecipe, PhasesEqualTheRecipeAsAWhole) {
  LinearDescriptor descriptor = descriptorOf(GetParam(), kShape);
  Linear linear = makeLayer(descriptor);
  LinearPlan plan = planFor(linear, kShape.tokens);
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 3);
  LayerMemory memory(linear, plan);
  memory.write(inputs);
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
  auto expected = wholeRun(descriptor, inputs);
  EXPECT_EQ(expected.size(), 3u);
  for (const auto &[name, bytes] : expected)
    EXPECT_TRUE(memory.read(name) == bytes) << name;
}

/// Where the plan says that backward does without x or w, their memory may hold anything by then.
TEST_P(LinearRecipe, ReadsOnlyWhatThePlanSays) {
  LinearDescriptor descriptor = descriptorOf(GetParam(), kShape);
  Linear linear = makeLayer(descriptor);
  LinearPlan plan = planFor(linear, kShape.tokens);
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 4);
  LayerMemory memory(linear, plan);
  memory.write(inputs);
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  LinearTensors tensors = memory.tensors;
  if (!plan.forwardReadsW())
    tensors.w = 0;
  ASSERT_OK(linear.forward(plan, nullptr, tensors));
  tensors.w = plan.backwardReadsW() ? memory.tensors.w : 0;
  tensors.x = plan.backwardReadsX() ? memory.tensors.x : 0;
  ASSERT_OK(linear.backward(plan, nullptr, tensors));
  auto expected = wholeRun(descriptor, inputs);
  for (const auto &[name, bytes] : expected)
    EXPECT_TRUE(memory.read(name) == bytes) << name;
  // And what is said to be read is asked for.
  if (plan.backwardReadsW()) {
    tensors.w = 0;
    EXPECT_FALSE(linear.backward(plan, nullptr, tensors).ok());
  }
}

TEST_P(LinearRecipe, OneWeightServesManyTokenCounts) {
  LinearDescriptor descriptor = descriptorOf(GetParam(), kShape);
  Linear linear = makeLayer(descriptor);
  LayerMemory weights(linear, planFor(linear, 1));
  for (const char *name : {"w", "seed", "offset"})
    weights.write(name, layerTensors(kShape, 5).at(name));
  ASSERT_OK(linear.quantizeWeights(nullptr, weights.tensors));
  for (int64_t tokens : {17, 80, 200}) {
    LayerShape shape = kShape;
    shape.tokens = tokens;
    LinearPlan plan = planFor(linear, tokens);
    EXPECT_EQ(plan.weightsBytes(), linear.weightsBytes());
    std::map<std::string, Tensor> inputs = layerTensors(shape, 5);
    inputs["w"] = layerTensors(kShape, 5).at("w");
    LayerMemory memory(linear, plan);
    memory.write(inputs);
    LinearTensors tensors = memory.tensors;
    tensors.weights = weights.tensors.weights;
    ASSERT_OK(linear.forward(plan, nullptr, tensors));
    ASSERT_OK(linear.backward(plan, nullptr, tensors));
    for (const auto &[name, bytes] : wholeRun(descriptor, inputs))
      EXPECT_TRUE(memory.read(name) == bytes) << name << " of " << tokens << " tokens";
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, LinearRecipe,
                         ::testing::Values("nvfp4", "nvidia", "averis", "averis_hadamard", "averis_v1", "mxfp4", "bf16"),
                         [](const auto &info) { return std::string(info.param); });

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

TEST(Linear, BiasMaskAndAccumulation) {
  LinearDescriptor descriptor = descriptorOf("averis", kShape);
  descriptor.hasBias = descriptor.hasMask = descriptor.accumulate = true;
  Linear linear = makeLayer(descriptor);
  LinearPlan plan = planFor(linear, kShape.tokens);
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 6);
  LayerMemory memory(linear, plan);
  memory.write(inputs);
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
  // dw holds dw_in: it is added to. db holds noise, which counts as much.
  memory.write("db", inputs.at("bias"));
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors, /*accumulate=*/true));
  auto expected = wholeRun(descriptor, inputs);
  for (const char *name : {"y", "dx", "dw"})
    EXPECT_TRUE(memory.read(name) == expected.at(name)) << name;
  std::vector<float> db = floats(memory.read("db")), part = floats(expected.at("db")),
                     before = floats(inputs.at("bias").bytes);
  for (size_t i = 0; i < db.size(); ++i)
    EXPECT_EQ(db[i], before[i] + part[i]) << i;

  // Written, not added to: as without a dw_in.
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors, /*accumulate=*/false));
  descriptor.accumulate = false;
  expected = wholeRun(descriptor, inputs);
  for (const char *name : {"dw", "db"})
    EXPECT_TRUE(memory.read(name) == expected.at(name)) << name;
  Linear other = makeLayer(descriptor);
  EXPECT_NE(other.wgrad(planFor(other, kShape.tokens), nullptr, memory.tensors, true).message().find("accumulate"),
            std::string::npos);
}

/// A layer on a GPU without FP4 tensor cores, made to sum as those with them do (that the mode arrives, a wrong one shows below), and on one
/// with others: the bits of sm_120a.
TEST(Linear, FaithfulModeGivesTheBitsOfFP4TensorCores) {
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 12);
  auto expected = wholeRun(descriptorOf("averis", kShape), inputs);
  for (const char *name : {"emulated:sm_90a", "emulated:sm_100a"}) {
    Device device;
    ASSERT_OK(Device::open(name, &device));
    LinearDescriptor descriptor = descriptorOf("averis", kShape);
    descriptor.mode = "faithful";
    Linear linear;
    ASSERT_OK(Linear::create(device, theCompiler(), descriptor, &linear));
    LinearPlan plan = planFor(linear, kShape.tokens);
    LayerMemory memory(linear, plan);
    memory.write(inputs);
    ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
    ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
    ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
    for (const char *result : {"y", "dx", "dw"})
      EXPECT_TRUE(memory.read(result) == expected.at(result)) << name << " " << result;
  }
}

TEST(Linear, MaskedTokensCountForNothing) {
  LinearDescriptor descriptor = descriptorOf("averis", kShape);
  descriptor.hasMask = true;
  Linear linear = makeLayer(descriptor);
  LinearPlan plan = planFor(linear, kShape.tokens);
  std::vector<std::vector<uint8_t>> results;
  for (float padding : {0.0f, 1000.0f}) {
    std::map<std::string, Tensor> inputs = layerTensors(kShape, 7);
    for (int64_t token = 0; token < kShape.tokens; ++token) {
      if (inputs["mask"].bytes[static_cast<size_t>(token)])
        continue;
      for (int64_t i = 0; i < kShape.in; ++i)
        setElement(inputs["x"], token * kShape.in + i, padding);
      for (int64_t i = 0; i < kShape.out; ++i)
        setElement(inputs["d"], token * kShape.out + i, padding);
    }
    LayerMemory memory(linear, plan);
    memory.write(inputs);
    ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
    ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
    ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
    for (const char *name : {"y", "dx", "dw"})
      results.push_back(memory.read(name));
  }
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(results[i], results[i + 3]) << i;
}

TEST(Linear, TheOffsetAdvancesOnTheDevice) {
  LinearDescriptor descriptor = descriptorOf("averis", kShape);
  Linear linear = makeLayer(descriptor);
  LinearPlan plan = planFor(linear, kShape.tokens);
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 8);
  inputs["offset"] = integerTensor("offset", (int64_t{1} << 32) - 1); // carries into the upper half
  LayerMemory memory(linear, plan);
  memory.write(inputs);
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
  std::vector<uint8_t> first = memory.read("dx");
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
  EXPECT_EQ(memory.read("dx"), first);
  ASSERT_OK(linear.advanceOffset(nullptr, memory.tensors.offset, 3));
  EXPECT_EQ(memory.read("offset"), integerTensor("offset", (int64_t{1} << 32) + 2).bytes);
  ASSERT_OK(linear.backward(plan, nullptr, memory.tensors));
  EXPECT_NE(memory.read("dx"), first);
  inputs["offset"] = integerTensor("offset", (int64_t{1} << 32) + 2);
  EXPECT_EQ(memory.read("dx"), wholeRun(descriptor, inputs).at("dx"));
}

//===----------------------------------------------------------------------===//
// Sizes and errors
//===----------------------------------------------------------------------===//

TEST(Linear, WhatIsKeptIsSmall) {
  LayerShape shape{1024, 512, 256};
  Linear linear = makeLayer(descriptorOf("averis", shape));
  LinearPlan plan = planFor(linear, shape.tokens);
  EXPECT_EQ(plan.tokens(), shape.tokens);
  EXPECT_EQ(plan.activationBytesBF16(), 1024u * 512 * 2);
  // Codes and scales, 0.5625 bytes an element, and the mean.
  EXPECT_GE(plan.savedBytes(), 1024u * 512 * 9 / 16);
  EXPECT_LE(plan.savedBytes(), 1024u * 512 * 9 / 16 + 512 * 4 + 4 * 256);
  // Rows and columns.
  EXPECT_GE(plan.gradientBytes(), 1024u * 256 * 9 / 8);
  EXPECT_LE(plan.gradientBytes(), 1024u * 256 * 9 / 8 + 4 * 256 * 4);
  EXPECT_FALSE(plan.backwardReadsX());
  EXPECT_TRUE(plan.backwardReadsW());
  EXPECT_TRUE(plan.forwardReadsW());
  Linear plain = makeLayer(descriptorOf("nvfp4", shape));
  EXPECT_FALSE(planFor(plain, 1).forwardReadsW());
  EXPECT_FALSE(planFor(plain, 1).backwardReadsW());
  Linear bf16 = makeLayer(descriptorOf("bf16", shape));
  LinearPlan dense = planFor(bf16, shape.tokens);
  EXPECT_TRUE(dense.backwardReadsX());
  EXPECT_TRUE(dense.backwardReadsW());
  EXPECT_EQ(dense.weightsBytes() + dense.savedBytes() + dense.gradientBytes(), 0u);
}

TEST(Linear, AddressesAreChecked) {
  Linear linear = makeLayer(descriptorOf("averis", kShape));
  LinearPlan plan = planFor(linear, kShape.tokens);
  LayerMemory memory(linear, plan);
  memory.write(layerTensors(kShape, 9));
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  ASSERT_OK(linear.forward(plan, nullptr, memory.tensors));
  auto without = [&](uint64_t LinearTensors::*member, uint64_t value) {
    LinearTensors tensors = memory.tensors;
    tensors.*member = value;
    return tensors;
  };
  EXPECT_EQ(linear.forward(plan, nullptr, without(&LinearTensors::x, 0)).message(),
            "forward: input 'x' has no device memory");
  EXPECT_EQ(linear.forward(plan, nullptr, without(&LinearTensors::y, 0)).message(),
            "forward: output 'y' has no device memory");
  EXPECT_NE(linear.forward(plan, nullptr, without(&LinearTensors::x, memory.tensors.x + 2)).message().find("multiple"),
            std::string::npos);
  for (auto area : {&LinearTensors::weights, &LinearTensors::saved, &LinearTensors::workspace}) {
    EXPECT_EQ(linear.forward(plan, nullptr, without(area, 0)).code(), StatusCode::InvalidArgument);
    EXPECT_NE(linear.forward(plan, nullptr, without(area, 64)).message().find("aligned to 256"), std::string::npos);
  }
  EXPECT_EQ(linear.prepareGradient(plan, nullptr, without(&LinearTensors::gradient, 0)).code(),
            StatusCode::InvalidArgument);
  EXPECT_EQ(linear.prepareGradient(plan, nullptr, without(&LinearTensors::seed, 0)).message(),
            "prepareGradient: input 'seed' has no device memory");
  EXPECT_EQ(linear.quantizeWeights(nullptr, without(&LinearTensors::w, 0)).message(),
            "quantizeWeights: input 'w' has no device memory");
  EXPECT_EQ(linear.advanceOffset(nullptr, 0).code(), StatusCode::InvalidArgument);
  EXPECT_EQ(linear.advanceOffset(nullptr, memory.tensors.offset + 4).code(), StatusCode::InvalidArgument);
  // What a phase does not use may be absent.
  LinearTensors few;
  few.w = memory.tensors.w;
  few.weights = memory.tensors.weights;
  few.workspace = memory.tensors.workspace;
  EXPECT_TRUE(linear.quantizeWeights(nullptr, few).ok());
}

TEST(Linear, SeedAndOffsetNeedEightBytesOfAlignmentOnly) {
  Linear linear = makeLayer(descriptorOf("averis", kShape));
  LinearPlan plan = planFor(linear, kShape.tokens);
  LayerMemory memory(linear, plan);
  std::map<std::string, Tensor> inputs = layerTensors(kShape, 10);
  memory.write(inputs);
  DeviceBytes both(emulatedDevice(), 256);
  std::vector<uint8_t> bytes(256);
  std::memcpy(&bytes[8], inputs.at("seed").bytes.data(), 8);
  std::memcpy(&bytes[16], inputs.at("offset").bytes.data(), 8);
  both.write(bytes);
  LinearTensors tensors = memory.tensors;
  tensors.seed = both.address() + 8;
  tensors.offset = both.address() + 16;
  ASSERT_OK(linear.quantizeWeights(nullptr, tensors));
  ASSERT_OK(linear.forward(plan, nullptr, tensors));
  ASSERT_OK(linear.backward(plan, nullptr, tensors));
  EXPECT_EQ(memory.read("dx"), wholeRun(descriptorOf("averis", kShape), inputs).at("dx"));
}

TEST(Linear, WrongPlansAndDescriptors) {
  Linear linear = makeLayer(descriptorOf("averis", kShape)), other = makeLayer(descriptorOf("averis", {80, 48, 96}));
  LinearPlan plan = planFor(linear, kShape.tokens), otherPlan = planFor(other, kShape.tokens);
  LayerMemory memory(linear, plan);
  EXPECT_EQ(linear.forward(otherPlan, nullptr, memory.tensors).message(),
            "forward: the plan was prepared by another layer");
  EXPECT_EQ(linear.forward(LinearPlan(), nullptr, memory.tensors).message(), "forward: the plan was not prepared");
  EXPECT_EQ(Linear().forward(plan, nullptr, memory.tensors).message(), "forward: the layer was not created");
  EXPECT_EQ(linear.prepare(0, &plan).message(), "a linear layer for 0 tokens: expected 1 or more");
  LinearTensors tensors = memory.tensors;
  tensors.structSize = sizeof(LinearTensors) + 8;
  EXPECT_NE(linear.forward(planFor(linear, 80), nullptr, tensors).message().find("structSize"), std::string::npos);

  auto failure = [](LinearDescriptor descriptor) {
    Linear made;
    Status status = Linear::create(emulatedDevice(), theCompiler(), descriptor, &made);
    EXPECT_FALSE(status.ok());
    return status.message();
  };
  EXPECT_NE(failure(descriptorOf("averis", {1, 0, 4})).find("0 to 4 features"), std::string::npos);
  EXPECT_NE(failure(descriptorOf("nothing", kShape)).find("there is no recipe 'nothing'; there are averis"),
            std::string::npos);
  EXPECT_NE(failure(descriptorOf("/nowhere/averis", kShape)).find("'/nowhere/averis' is not the folder"),
            std::string::npos);
  EXPECT_NE(failure(descriptorOf(nullptr, kShape)).find("names no recipe"), std::string::npos);
  LinearDescriptor masked = descriptorOf("nvfp4", kShape);
  masked.hasMask = true; // plain quantization has no mean to leave padding out of
  EXPECT_NE(failure(masked).find("'nvfp4' has no input 'mask', which the descriptor asks for"), std::string::npos);
  LinearDescriptor sloppy = descriptorOf("averis", kShape);
  sloppy.mode = "sloppy";
  EXPECT_NE(failure(sloppy).find("unknown mode 'sloppy'; expects fast or faithful"), std::string::npos);
  LinearDescriptor future = descriptorOf("averis", kShape);
  future.structSize = 1000;
  EXPECT_NE(failure(future).find("structSize is 1000"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// Packs
//===----------------------------------------------------------------------===//

const CompiledSpec &compiledAveris() {
  static CompiledSpec compiled;
  if (!compiled.ptx.empty())
    return compiled;
  Recipe recipe;
  Spec linked;
  EXPECT_TRUE(readRecipe("averis", {}, &recipe).ok());
  EXPECT_TRUE(theCompiler().link(recipe, &linked).ok());
  EXPECT_TRUE(theCompiler().compile(linked, "sm_120a", &compiled).ok());
  return compiled;
}

/// The pack with its plan changed.
Status createChanged(void (*change)(plan::Plan *), LinearDescriptor descriptor = descriptorOf(nullptr, kShape)) {
  CompiledSpec pack = compiledAveris();
  plan::Plan plan;
  std::string error;
  EXPECT_TRUE(plan::Plan::fromJson(pack.manifest, &plan, &error)) << error;
  change(&plan);
  pack.manifest = plan.toJson();
  Linear linear;
  LinearPlan prepared;
  if (Status status = Linear::create(emulatedDevice(), pack, descriptor, &linear); !status.ok())
    return status;
  return linear.prepare(kShape.tokens, &prepared);
}

TEST(LinearPack, ServesWithoutACompiler) {
  EXPECT_TRUE(createChanged([](plan::Plan *) {}).ok());
  LinearDescriptor descriptor = descriptorOf(nullptr, kShape);
  descriptor.hasBias = true;
  EXPECT_NE(createChanged([](plan::Plan *) {}, descriptor).message().find("has no input 'bias'"), std::string::npos);
  descriptor = descriptorOf(nullptr, kShape);
  descriptor.reduceHook = [](void *, void *, uint64_t, uint64_t, ReduceOperation) { return 0; };
  EXPECT_NE(createChanged([](plan::Plan *) {}, descriptor).message().find("compile it with --distributed"),
            std::string::npos);
}

TEST(LinearPack, BrokenPlansAreRefused) {
  auto message = [](void (*change)(plan::Plan *)) { return createChanged(change).message(); };
  EXPECT_NE(message([](plan::Plan *plan) {
              for (plan::Buffer &buffer : plan->buffers)
                if (buffer.kind == plan::Buffer::Kind::Weights)
                  buffer.bytes = buffer.bytes + plan->inputs[0].shape[0]; // tokens
            }).find("depends on the number of tokens"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan *plan) {
              for (plan::Buffer &buffer : plan->buffers)
                if (buffer.kind == plan::Buffer::Kind::Saved)
                  buffer.kind = plan::Buffer::Kind::Workspace; // would be overwritten in between
            }).find("is used in phases 'forward' and 'wgrad'"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan *plan) { plan->phases[0] = "warm-up"; }).find("a phase 'warm-up'"),
            std::string::npos);
  EXPECT_NE(message([](plan::Plan *plan) { plan->inputs[0].name = "z"; }).find("an input 'z', which a layer has not"),
            std::string::npos);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

/// Three steps of a layer, the offset advancing.
void train(const Linear &linear, LayerMemory *memory) {
  for (int step = 0; step < 3; ++step) {
    LinearPlan plan;
    ASSERT_OK(linear.prepare(kShape.tokens, &plan));
    ASSERT_OK(linear.quantizeWeights(nullptr, memory->tensors));
    ASSERT_OK(linear.forward(plan, nullptr, memory->tensors));
    ASSERT_OK(linear.backward(plan, nullptr, memory->tensors));
    ASSERT_OK(linear.advanceOffset(nullptr, memory->tensors.offset));
  }
}

TEST(Linear, TwoThreadsGiveTheBitsOfOne) {
  const char *recipes[] = {"averis", "nvfp4"};
  std::map<std::string, std::vector<uint8_t>> serial[2];
  for (bool parallel : {false, true}) {
    Linear layers[2];
    std::vector<LayerMemory> memories;
    for (int i : {0, 1}) {
      layers[i] = makeLayer(descriptorOf(recipes[i], kShape));
      memories.emplace_back(layers[i], planFor(layers[i], kShape.tokens));
      memories.back().write(layerTensors(kShape, 11 + static_cast<uint32_t>(i)));
    }
    if (parallel) {
      std::thread second([&] { train(layers[1], &memories[1]); });
      train(layers[0], &memories[0]);
      second.join();
    } else {
      for (int i : {0, 1})
        train(layers[i], &memories[static_cast<size_t>(i)]);
    }
    for (size_t i : {0, 1})
      for (const char *name : {"y", "dx", "dw", "offset"}) {
        std::vector<uint8_t> bytes = memories[i].read(name);
        if (parallel)
          EXPECT_EQ(bytes, serial[i][name]) << recipes[i] << " " << name;
        else
          serial[i][name] = bytes;
      }
  }
}

/// One layer in many threads, each with memory of its own: plans are cached under a lock.
TEST(Linear, OneLayerServesManyThreads) {
  Linear linear = makeLayer(descriptorOf("averis", kShape));
  LayerMemory alone(linear, planFor(linear, kShape.tokens));
  alone.write(layerTensors(kShape, 13));
  train(linear, &alone);
  std::vector<LayerMemory> memories;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    memories.emplace_back(linear, planFor(linear, kShape.tokens));
    memories.back().write(layerTensors(kShape, 13));
  }
  for (LayerMemory &memory : memories)
    threads.emplace_back([&linear, &memory] { train(linear, &memory); });
  for (std::thread &thread : threads)
    thread.join();
  for (const LayerMemory &memory : memories)
    for (const char *name : {"y", "dx", "dw"})
      EXPECT_EQ(memory.read(name), alone.read(name)) << name;
}

} // namespace
