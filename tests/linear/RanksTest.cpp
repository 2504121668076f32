// Data parallel: two processes with half of the tokens each, reducing the statistics, against one with all tokens.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LinearHarness.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include <cmath>
#include <cstring>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

constexpr LayerShape kAll{128, 96, 48};
constexpr int kRanks = 2;
constexpr int64_t kPart = kAll.tokens / kRanks;

/// What the ranks share: a place for values to reduce, and for results.
struct Shared {
  pthread_barrier_t barrier;
  float values[kRanks][4096];
  int reductions[kRanks];
  char problem[kRanks][512];
  uint8_t y[kRanks][kPart * kAll.out * 2];
  uint8_t dx[kRanks][kPart * kAll.in * 2];
  float dw[kRanks][kAll.out * kAll.in];
  float db[kRanks][kAll.out];
};

struct Rank {
  Shared *shared;
  int number;
};

/// All ranks get the same bits: values are combined in the order of the ranks.
int reduceOverRanks(void *user, void *stream, uint64_t address, uint64_t count, ReduceOperation operation) {
  auto [shared, number] = *static_cast<Rank *>(user);
  if (count > std::size(shared->values[0]))
    return 1;
  if (!copyOut(emulatedDevice(), shared->values[number], address, count * 4, stream).ok())
    return 2;
  pthread_barrier_wait(&shared->barrier);
  std::vector<float> combined(shared->values[0], shared->values[0] + count);
  for (int rank = 1; rank < kRanks; ++rank)
    for (uint64_t i = 0; i < count; ++i) {
      float value = shared->values[rank][i];
      combined[i] = operation == ReduceOperation::Sum ? combined[i] + value : std::max(combined[i], value);
    }
  ++shared->reductions[number];
  pthread_barrier_wait(&shared->barrier);
  return copyIn(emulatedDevice(), address, combined.data(), count * 4, stream).ok() ? 0 : 3;
}

/// Data whose column sums are exact in fp32 in any order, and whose column means are too (a multiple of 1/4 times 128 tokens): codes
/// then depend on nothing but the values. d's residuals are code values, with a 6 in each block of 16 along rows and along columns, so
/// that stochastic rounding has no choice and the ranks' random bits do not matter.
std::map<std::string, Tensor> exactTensors() {
  std::map<std::string, Tensor> tensors = layerTensors(kAll, 21);
  uint32_t state = 5;
  auto fill = [&](const char *name, int64_t columns, auto value) {
    for (int64_t row = 0; row < kAll.tokens; ++row)
      for (int64_t column = 0; column < columns; ++column)
        setElement(tensors[name], row * columns + column, value(row, column));
  };
  fill("x", kAll.in, [&](int64_t, int64_t) { return static_cast<float>(nextRandom(state) % 64) * 0.0625f + 1.0f; });
  constexpr float kCodes[] = {6, 4, 3, 2, 1.5f, 1, 0.5f, 0};
  fill("d", kAll.out, [&](int64_t row, int64_t column) {
    // Rows come in pairs of opposite sign: the mean of each column is what is added, 1/8.
    float code = kCodes[(row / 2 + column) % 8];
    return (row % 2 ? -code : code) + 0.125f;
  });
  return tensors;
}

LinearDescriptor descriptor() {
  LinearDescriptor wanted = descriptorOf("averis", kAll);
  wanted.hasBias = true;
  return wanted;
}

/// Rows of a token-major tensor.
Tensor rowsOf(const Tensor &tensor, int64_t first, int64_t count) {
  Tensor part = tensor;
  auto row = static_cast<int64_t>(tensor.bytes.size()) / tensor.shape[0];
  part.shape[0] = count;
  part.bytes.assign(tensor.bytes.begin() + first * row, tensor.bytes.begin() + (first + count) * row);
  return part;
}

Status step(const Linear &linear, int64_t tokens, std::map<std::string, Tensor> inputs,
            std::unique_ptr<LayerMemory> *memory) {
  LinearPlan plan;
  if (Status status = linear.prepare(tokens, &plan); !status.ok())
    return status;
  *memory = std::make_unique<LayerMemory>(linear, plan);
  (*memory)->write(inputs);
  const LinearTensors &tensors = (*memory)->tensors;
  if (Status status = linear.quantizeWeights(nullptr, tensors); !status.ok())
    return status;
  if (Status status = linear.forward(plan, nullptr, tensors); !status.ok())
    return status;
  return linear.backward(plan, nullptr, tensors);
}

Status runRank(Shared *shared, int number) {
  Rank rank{shared, number};
  LinearDescriptor wanted = descriptor();
  wanted.reduceHook = reduceOverRanks;
  wanted.reduceUser = &rank;
  Linear linear;
  if (Status status = Linear::create(emulatedDevice(), theCompiler(), wanted, &linear); !status.ok())
    return status;
  std::map<std::string, Tensor> inputs = exactTensors();
  for (const char *name : {"x", "d", "mask"})
    inputs[name] = rowsOf(inputs[name], number * kPart, kPart);
  std::unique_ptr<LayerMemory> memory;
  if (Status status = step(linear, kPart, inputs, &memory); !status.ok())
    return status;
  auto keep = [&](const char *name, void *to) {
    std::vector<uint8_t> bytes = memory->read(name);
    std::memcpy(to, bytes.data(), bytes.size());
  };
  keep("y", shared->y[number]);
  keep("dx", shared->dx[number]);
  keep("dw", shared->dw[number]);
  keep("db", shared->db[number]);
  return {};
}

/// Runs the ranks in processes of their own; nothing of the emulated device or the compiler may live before.
Shared *runRanks() {
  auto *shared = static_cast<Shared *>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&shared->barrier, &attributes, kRanks);
  pid_t children[kRanks];
  for (int rank = 0; rank < kRanks; ++rank) {
    children[rank] = fork();
    if (children[rank] == 0) {
      alarm(120); // a rank that waits for one that died must not wait forever
      Status status = runRank(shared, rank);
      std::strncpy(shared->problem[rank], status.message().c_str(), sizeof(shared->problem[rank]) - 1);
      _exit(status.ok() ? 0 : 1);
    }
  }
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status)) << "a rank ended by signal " << WTERMSIG(status);
  }
  return shared;
}

float bf16At(const uint8_t *bytes, size_t index) {
  uint32_t wide = static_cast<uint32_t>(bytes[2 * index] | bytes[2 * index + 1] << 8) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

TEST(Ranks, TwoHalvesAreTheWhole) {
  Shared *shared = runRanks();
  for (const char *problem : shared->problem)
    ASSERT_STREQ(problem, "");
  // Sums and extremes of x and of d.
  EXPECT_EQ(shared->reductions[0], 4);
  EXPECT_EQ(shared->reductions[1], 4);

  Linear linear;
  std::unique_ptr<LayerMemory> memory;
  std::map<std::string, Tensor> inputs = exactTensors();
  ASSERT_OK(Linear::create(emulatedDevice(), theCompiler(), descriptor(), &linear));
  ASSERT_OK(step(linear, kAll.tokens, inputs, &memory));
  // Equal codes, scales and means give equal sums of products: tokens do not share them.
  std::vector<uint8_t> y = memory->read("y"), dx = memory->read("dx");
  for (size_t rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(std::memcmp(shared->y[rank], y.data() + rank * sizeof(shared->y[0]), sizeof(shared->y[0])), 0) << rank;
    EXPECT_EQ(std::memcmp(shared->dx[rank], dx.data() + rank * sizeof(shared->dx[0]), sizeof(shared->dx[0])), 0) << rank;
  }
  // The trainer sums dw and db over ranks. db is exact; dw is summed in another order and from two products.
  std::vector<uint8_t> dwBytes = memory->read("dw"), dbBytes = memory->read("db");
  std::vector<float> dw(kAll.out * kAll.in), db(kAll.out);
  std::memcpy(dw.data(), dwBytes.data(), dwBytes.size());
  std::memcpy(db.data(), dbBytes.data(), dbBytes.size());
  for (size_t i = 0; i < db.size(); ++i)
    EXPECT_EQ(shared->db[0][i] + shared->db[1][i], db[i]) << i;
  for (int64_t row = 0; row < kAll.out; ++row)
    for (int64_t column = 0; column < kAll.in; ++column) {
      float magnitude = 0;
      for (int64_t token = 0; token < kAll.tokens; ++token)
        magnitude += std::fabs(element(inputs["d"], token * kAll.out + row) *
                               element(inputs["x"], token * kAll.in + column));
      auto i = static_cast<size_t>(row * kAll.in + column);
      // Each of 128 additions and the products with the mean rounds by half of 2^-23 of what has been summed; 4 for the quantized
      // values being larger than the exact ones at most.
      ASSERT_NEAR(shared->dw[0][i] + shared->dw[1][i], dw[i], 4 * magnitude * 128 * std::ldexp(1.0f, -24)) << i;
    }
  // Without reductions the halves have other means: the comparison can fail.
  inputs["x"] = rowsOf(inputs["x"], 0, kPart);
  inputs["d"] = rowsOf(inputs["d"], 0, kPart);
  inputs["mask"] = rowsOf(inputs["mask"], 0, kPart);
  ASSERT_OK(step(linear, kPart, inputs, &memory));
  EXPECT_NE(std::memcmp(memory->read("y").data(), shared->y[0], sizeof(shared->y[0])), 0);
  EXPECT_NEAR(bf16At(shared->y[0], 0), bf16At(y.data(), 0), 0);
  munmap(shared, sizeof(Shared));
}

TEST(Ranks, AFailedReductionIsAnError) {
  LinearDescriptor wanted = descriptor();
  wanted.reduceHook = [](void *, void *, uint64_t, uint64_t, ReduceOperation) { return 42; };
  Linear linear;
  LinearPlan plan;
  ASSERT_OK(Linear::create(emulatedDevice(), theCompiler(), wanted, &linear));
  ASSERT_OK(linear.prepare(kAll.tokens, &plan));
  LayerMemory memory(linear, plan);
  memory.write(exactTensors());
  ASSERT_OK(linear.quantizeWeights(nullptr, memory.tensors));
  Status status = linear.forward(plan, nullptr, memory.tensors);
  EXPECT_EQ(status.code(), StatusCode::DeviceError);
  EXPECT_NE(status.message().find("the reduction over ranks returned 42"), std::string::npos) << status.message();
}

} // namespace
