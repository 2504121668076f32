// The C interface through libfourfold.so alone: codes, messages, handles; numbers against the C++ interface.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "fourfold/Fourfold.h"
#include "fourfold/c/linear.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int64_t kTokens = 32, kIn = 64, kOut = 48;

std::string message() { return fourfoldLastMessage(); }

#define ASSERT_C_OK(call) ASSERT_EQ(call, FOURFOLD_OK) << message()

class CApi : public ::testing::Test {
protected:
  void SetUp() override { ASSERT_C_OK(fourfoldDeviceOpen("emulated:sm_120a", &device)); }
  void TearDown() override { fourfoldDeviceClose(device); }

  static FourfoldLinearDescriptor descriptor() {
    FourfoldLinearDescriptor wanted = {};
    wanted.structSize = sizeof(wanted);
    wanted.inFeatures = kIn;
    wanted.outFeatures = kOut;
    wanted.recipe = "averis";
    return wanted;
  }

  uint64_t allocate(uint64_t bytes) {
    uint64_t address = 0;
    EXPECT_EQ(fourfoldAllocate(device, bytes, &address), FOURFOLD_OK) << message();
    EXPECT_EQ(address % 256, 0u);
    EXPECT_EQ(fourfoldClear(device, address, bytes, nullptr), FOURFOLD_OK) << message();
    return address;
  }

  FourfoldLinearTensors memoryFor(const FourfoldLinearSizes &sizes) {
    FourfoldLinearTensors t = {};
    t.structSize = sizeof(t);
    t.x = allocate(kTokens * kIn * 2), t.w = allocate(kOut * kIn * 2), t.d = allocate(kTokens * kOut * 2);
    t.y = allocate(kTokens * kOut * 2), t.dx = allocate(kTokens * kIn * 2), t.dw = allocate(kOut * kIn * 4);
    t.seed = allocate(8), t.offset = allocate(8);
    t.weights = allocate(sizes.weightsBytes), t.saved = allocate(sizes.savedBytes);
    t.gradient = allocate(sizes.gradientBytes), t.workspace = allocate(sizes.workspaceBytes);
    return t;
  }

  FourfoldDevice *device = nullptr;
};

TEST_F(CApi, AStepWithAHookAndEarlyRelease) {
  struct Calls {
    int sums = 0, maxima = 0;
  } calls;
  FourfoldLinearDescriptor wanted = descriptor();
  wanted.reduceUser = &calls;
  wanted.reduceHook = [](void *user, void *, uint64_t address, uint64_t count, int operation) {
    auto *counted = static_cast<Calls *>(user);
    ++(operation == FOURFOLD_REDUCE_MAX ? counted->maxima : counted->sums);
    return address != 0 && count > 0 ? 0 : 1;
  };
  FourfoldLinear *layer = nullptr;
  FourfoldLinearPlan *plan = nullptr;
  FourfoldLinearSizes sizes = {};
  sizes.structSize = sizeof(sizes);
  ASSERT_C_OK(fourfoldLinearCreate(device, &wanted, &layer));
  ASSERT_C_OK(fourfoldLinearPrepare(layer, kTokens, &plan));
  ASSERT_C_OK(fourfoldLinearPlanSizes(plan, &sizes));
  EXPECT_EQ(sizes.weightsBytes, fourfoldLinearWeightsBytes(layer));
  EXPECT_EQ(sizes.activationBytesBF16, static_cast<uint64_t>(kTokens * kIn * 2));
  EXPECT_EQ(sizes.backwardReadsX, 0);
  EXPECT_EQ(sizes.backwardReadsW, 1);

  FourfoldLinearTensors t = memoryFor(sizes);
  std::vector<uint16_t> ones(kOut * kIn, 0x3f80), y(kTokens * kOut);
  ASSERT_C_OK(fourfoldCopyIn(device, t.x, ones.data(), kTokens * kIn * 2, nullptr));
  ASSERT_C_OK(fourfoldCopyIn(device, t.w, ones.data(), kOut * kIn * 2, nullptr));
  ASSERT_C_OK(fourfoldLinearQuantizeWeights(layer, nullptr, &t));
  ASSERT_C_OK(fourfoldLinearForward(layer, plan, nullptr, &t));
  EXPECT_EQ(calls.sums, 1);
  EXPECT_EQ(calls.maxima, 1);
  ASSERT_C_OK(fourfoldLinearPrepareGradient(layer, plan, nullptr, &t));
  ASSERT_C_OK(fourfoldLinearDgrad(layer, plan, nullptr, &t));
  ASSERT_C_OK(fourfoldLinearWgrad(layer, plan, nullptr, &t, 0));
  ASSERT_C_OK(fourfoldLinearBackward(layer, plan, nullptr, &t, 0));
  EXPECT_EQ(calls.sums, 3);
  ASSERT_C_OK(fourfoldLinearAdvanceOffset(layer, nullptr, t.offset, 5));
  ASSERT_C_OK(fourfoldSynchronize(device, nullptr));
  ASSERT_C_OK(fourfoldCopyOut(device, y.data(), t.y, y.size() * 2, nullptr));
  for (uint16_t value : y)
    ASSERT_EQ(value, 0x4280); // 64 ones: all mean, which is exact
  int64_t offset = 0;
  ASSERT_C_OK(fourfoldCopyOut(device, &offset, t.offset, 8, nullptr));
  EXPECT_EQ(offset, 5);
  ASSERT_C_OK(fourfoldFree(device, t.y));
  // Each handle lives by itself.
  fourfoldDeviceClose(device);
  device = nullptr;
  t.y = t.dw; // as large, and still there
  ASSERT_C_OK(fourfoldLinearForward(layer, plan, nullptr, &t));
  fourfoldLinearDestroy(layer);
  fourfoldLinearPlanRelease(plan);
}

TEST_F(CApi, NullsAndMistakesAreErrors) {
  FourfoldLinear *layer = nullptr;
  FourfoldLinearPlan *plan = nullptr;
  FourfoldLinearDescriptor wanted = descriptor();
  FourfoldDevice *none = device;
  EXPECT_EQ(fourfoldDeviceOpen(nullptr, &none), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(message(), "argument 'name' is null");
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(fourfoldDeviceOpen("emulated:sm_1", &none), FOURFOLD_NOT_FOUND);
  EXPECT_EQ(none, nullptr);
  EXPECT_STREQ(fourfoldDeviceName(device), "emulated:sm_120a");
  EXPECT_EQ(fourfoldAllocate(device, 1, nullptr), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldCopyIn(device, 0x1000, nullptr, 8, nullptr), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldFree(device, 0), FOURFOLD_OK);
  EXPECT_NE(fourfoldFree(device, 0x12345), FOURFOLD_OK);
  uint64_t address = 0;
  EXPECT_EQ(fourfoldAllocate(device, uint64_t{1} << 60, &address), FOURFOLD_OUT_OF_MEMORY) << message();

  EXPECT_EQ(fourfoldLinearCreate(device, nullptr, &layer), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldLinearCreate(nullptr, &wanted, &layer), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldLinearCreate(device, &wanted, nullptr), FOURFOLD_INVALID_ARGUMENT);
  wanted.structSize = 0;
  EXPECT_EQ(fourfoldLinearCreate(device, &wanted, &layer), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_NE(message().find("FourfoldLinearDescriptor.structSize is 0"), std::string::npos);
  wanted = descriptor();
  wanted.recipe = "nothing";
  EXPECT_EQ(fourfoldLinearCreate(device, &wanted, &layer), FOURFOLD_NOT_FOUND);
  wanted = descriptor();
  EXPECT_EQ(fourfoldLinearCreateFromPack(device, "{}", "", &wanted, &layer), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(layer, nullptr);

  EXPECT_EQ(fourfoldLinearPrepare(nullptr, 1, &plan), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldLinearWeightsBytes(nullptr), 0u);
  fourfoldLinearDestroy(nullptr);
  fourfoldLinearPlanRelease(nullptr);
  ASSERT_C_OK(fourfoldLinearCreate(device, &wanted, &layer));
  EXPECT_EQ(fourfoldLinearPrepare(layer, -1, &plan), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(plan, nullptr);
  ASSERT_C_OK(fourfoldLinearPrepare(layer, kTokens, &plan));
  FourfoldLinearTensors t = {};
  EXPECT_EQ(fourfoldLinearForward(layer, plan, nullptr, nullptr), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldLinearForward(layer, plan, nullptr, &t), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_NE(message().find("structSize is 0"), std::string::npos);
  t.structSize = sizeof(t);
  EXPECT_EQ(fourfoldLinearForward(layer, nullptr, nullptr, &t), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(fourfoldLinearForward(layer, plan, nullptr, &t), FOURFOLD_INVALID_ARGUMENT);
  EXPECT_EQ(message(), "forward: input 'x' has no device memory");
  // Another thread has messages of its own.
  std::thread([] { EXPECT_EQ(message(), ""); }).join();
  EXPECT_EQ(message(), "forward: input 'x' has no device memory");
  fourfoldLinearPlanRelease(plan);
  fourfoldLinearDestroy(layer);
}

/// A caller of an earlier version, whose struct ended before the hook.
TEST_F(CApi, EarlierStructsServe) {
  FourfoldLinearDescriptor wanted = descriptor();
  wanted.structSize = offsetof(FourfoldLinearDescriptor, reduceHook);
  wanted.reduceHook = reinterpret_cast<FourfoldReduceHook>(1); // whatever lies there in the caller's memory
  FourfoldLinear *layer = nullptr;
  FourfoldLinearPlan *plan = nullptr;
  ASSERT_C_OK(fourfoldLinearCreate(device, &wanted, &layer));
  ASSERT_C_OK(fourfoldLinearPrepare(layer, kTokens, &plan));
  FourfoldLinearSizes sizes;
  std::memset(&sizes, 0x55, sizeof(sizes));
  sizes.structSize = offsetof(FourfoldLinearSizes, savedBytes);
  ASSERT_C_OK(fourfoldLinearPlanSizes(plan, &sizes));
  EXPECT_EQ(sizes.weightsBytes, fourfoldLinearWeightsBytes(layer));
  EXPECT_EQ(sizes.savedBytes, 0x5555555555555555u);
  fourfoldLinearPlanRelease(plan);
  fourfoldLinearDestroy(layer);
}

} // namespace
