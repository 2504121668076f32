// A launch allocates nothing, waits for nothing and changes nothing: each driver call and each allocation is watched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LinearHarness.h"

#include "fourfold/c/linear.h"
#include "runtime/device/DeviceImpl.h"
#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

using namespace fourfold;
using namespace fourfold::tests;

namespace {

/// What the calling thread did while it was watched.
struct Watch {
  bool watching = false;
  size_t allocations = 0;
  std::map<std::string, int> calls;
};
thread_local Watch watch;

} // namespace

// AddressSanitizer has operators of its own, and takes malloc behind them for a mismatch: allocations are not counted there.
#ifndef __SANITIZE_ADDRESS__
constexpr bool kCountsAllocations = true;
// Allocations of the emulated device itself do not count: a GPU makes none. Not inlined: the compiler would take malloc and delete for
// a mismatch.
#define FOURFOLD_APART __attribute__((noinline))
FOURFOLD_APART void *operator new(size_t bytes) {
  if (watch.watching)
    ++watch.allocations;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
FOURFOLD_APART void *operator new[](size_t bytes) { return operator new(bytes); }
FOURFOLD_APART void operator delete(void *memory) noexcept { std::free(memory); }
FOURFOLD_APART void operator delete[](void *memory) noexcept { std::free(memory); }
FOURFOLD_APART void operator delete(void *memory, size_t) noexcept { std::free(memory); }
FOURFOLD_APART void operator delete[](void *memory, size_t) noexcept { std::free(memory); }
#else
constexpr bool kCountsAllocations = false;
#endif

namespace {

using namespace fourfold::device;

/// The emulated driver's function, noted while watching. `ctxGetCurrent` is noted too, and asks without changing.
template <typename Member, Member member>
struct Noted;
template <typename... Args, CUresult (*DriverTable::*member)(Args...)>
struct Noted<CUresult (*DriverTable::*)(Args...), member> {
  static inline const char *name = "";
  static CUresult call(Args... args) {
    bool watched = watch.watching;
    watch.watching = false;
    if (watched)
      ++watch.calls[name];
    CUresult result = (emulator::driver().*member)(args...);
    watch.watching = watched;
    return result;
  }
};

const Device &watchedDevice() {
  static DriverTable table;
  static const Device device = [] {
#define FOURFOLD_NOTE(function, symbol, params)                                                                        \
  Noted<decltype(&DriverTable::function), &DriverTable::function>::name = #function;                                   \
  table.function = Noted<decltype(&DriverTable::function), &DriverTable::function>::call;
    FOURFOLD_DRIVER_FUNCTIONS(FOURFOLD_NOTE)
#undef FOURFOLD_NOTE
    Device opened;
    Status status = openDevice(table, emulator::deviceOrdinal("sm_120a"), "watched", "sm_120a", emulator::lastFinding,
                               &opened);
    EXPECT_TRUE(status.ok()) << status.message();
    return opened;
  }();
  return device;
}

/// Watches while it lives.
struct Watching {
  Watching() {
    watch = Watch();
    watch.watching = true;
  }
  ~Watching() { watch.watching = false; }
};

constexpr LayerShape kShape{48, 64, 32};

class Launches : public ::testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    LinearDescriptor descriptor = descriptorOf(GetParam(), kShape);
    descriptor.hasBias = descriptor.accumulate = true;
    ASSERT_OK(Linear::create(watchedDevice(), theCompiler(), descriptor, &linear));
    ASSERT_OK(linear.prepare(kShape.tokens, &plan));
    memory = std::make_unique<LayerMemory>(linear, plan);
    memory->write(layerTensors(kShape, 1));
    const Device::Impl &device = *DeviceAccess::of(watchedDevice());
    device.driver->ctxSetCurrent(device.context);
  }
  void TearDown() override {
    EXPECT_EQ(watch.allocations, 0u);
    for (const auto &[name, count] : watch.calls)
      EXPECT_TRUE(name == "launchKernel" || name == "memsetD8Async" || name == "ctxGetCurrent")
          << name << " was called " << count << " times";
  }
  Linear linear;
  LinearPlan plan;
  std::unique_ptr<LayerMemory> memory;
};

TEST_P(Launches, OfATrainingStep) {
  Status status;
  {
    Watching watching;
    status = linear.quantizeWeights(nullptr, memory->tensors);
    if (status.ok())
      status = linear.forward(plan, nullptr, memory->tensors);
    if (status.ok())
      status = linear.backward(plan, nullptr, memory->tensors, false);
    if (status.ok())
      status = linear.backward(plan, nullptr, memory->tensors, true);
    if (status.ok())
      status = linear.advanceOffset(nullptr, memory->tensors.offset);
  }
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_GE(watch.calls["launchKernel"], 8);
}

INSTANTIATE_TEST_SUITE_P(Recipes, Launches, ::testing::Values("averis", "nvfp4"),
                         [](const auto &info) { return std::string(info.param); });

/// The watch itself sees what it must.
TEST(Watch, SeesAllocationsAndCalls) {
  DeviceBytes bytes(watchedDevice(), 256);
  {
    Watching watching;
    auto number = std::make_unique<int>(1);
    EXPECT_TRUE(synchronize(watchedDevice()).ok());
  }
  EXPECT_EQ(watch.allocations >= 1, kCountsAllocations);
  EXPECT_EQ(watch.calls["streamSynchronize"], 1);
  watch = Watch();
}

} // namespace
