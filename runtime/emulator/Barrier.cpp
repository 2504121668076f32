// Barriers of a block (PTX ISA 9.7.13.1, bar and barrier).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Barrier.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

uint32_t uniformValue(Warp &warp, const Instr &in, uint32_t slot, uint32_t mask, const char *what) {
  requireInit(warp, in, slot, mask, "as a barrier operand");
  const uint32_t *values = warp.reg<uint32_t>(slot);
  uint32_t value = values[__builtin_ctz(mask)];
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) && values[lane] != value)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("the {} differs among the threads of a warp: {} and {}", what, value, values[lane]));
  return value;
}

void deliver(Warp &warp, const Barrier &barrier) {
  const Instr &in = warp.kernel->code[warp.pc];
  uint32_t mask = warp.live;
  if (in.variant2 == kReducePopc) {
    uint32_t *out = warp.reg<uint32_t>(in.dst);
    for (int lane = 0; lane < kLanes; ++lane)
      if (mask >> lane & 1)
        out[lane] = barrier.popcount;
  } else if (in.variant2 != kReduceNone) {
    bool value = in.variant2 == kReduceAnd ? barrier.all : barrier.any;
    uint32_t *out = warp.reg<uint32_t>(in.dst);
    *out = (*out & ~mask) | (value ? mask : 0);
  }
  warp.setInit(in.dst, mask, mask);
}

void complete(Block &block, uint32_t id) {
  Barrier &barrier = block.barriers[id];
  block.shared.order->synchronize(block.warps.front().agent, barrier.joined);
  for (Warp &warp : block.warps)
    if (barrier.waiting >> warp.index & 1) {
      deliver(warp, barrier);
      warp.state = Warp::State::Ready;
    }
  barrier = Barrier();
}

} // namespace

void releaseBarriers(Block &block) {
  uint32_t live = 0;
  for (const Warp &warp : block.warps)
    live += warp.state == Warp::State::Done ? 0 : kLanes;
  for (uint32_t id = 0; id < 16; ++id) {
    Barrier &barrier = block.barriers[id];
    // Without a count the barrier is for the threads that are left: warps that ended no longer take part.
    if (barrier.waiting && barrier.expected == kAllThreads && barrier.arrived >= live)
      complete(block, id);
  }
}

void arriveAtBarrier(Warp &warp, const Instr &in, uint32_t mask) {
  Block &block = *warp.block;
  if (mask != warp.live)
    report(
        warp, in, __builtin_ctz(mask), device::kErrorLaunchFailed,
        fmt::format("barrier under divergence: lanes {:#010x} of the live lanes {:#010x} execute it", mask, warp.live));
  uint32_t id = uniformValue(warp, in, in.src[0], mask, "barrier number");
  if (id > 15)
    report(warp, in, -1, device::kErrorLaunchFailed, fmt::format("barrier number {} is above 15", id));
  uint32_t expected = kAllThreads;
  if (in.src[1] != kZeroSlot) {
    expected = uniformValue(warp, in, in.src[1], mask, "thread count");
    if (expected == 0 || expected % kLanes || expected > block.warps.size() * kLanes)
      report(
          warp, in, -1, device::kErrorLaunchFailed,
          fmt::format("thread count {} of a barrier is not a positive multiple of 32 up to the {} threads of the block",
                      expected, block.warps.size() * kLanes));
  }
  Barrier &barrier = block.barriers[id];
  if (barrier.joined && barrier.expected != expected)
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("barrier {} is awaited with two thread counts, {} and {}", id,
                       static_cast<int32_t>(barrier.expected), static_cast<int32_t>(expected)));
  if (barrier.joined >> warp.index & 1)
    report(warp, in, -1, device::kErrorLaunchFailed,
           fmt::format("the warp arrives twice at barrier {} before it completes", id));
  barrier.expected = expected;
  // PTX counts whole warps: "the arrival count is incremented by the warp size, not the number of active threads".
  barrier.arrived += kLanes;
  barrier.joined |= 1u << warp.index;
  if (in.variant2 != kReduceNone) {
    requireInit(warp, in, in.src[2], mask, "as a barrier operand");
    uint32_t value = warp.predicate(in.src[2]);
    value = (in.flags & kBarrierNegate ? ~value : value) & mask;
    barrier.popcount += static_cast<uint32_t>(__builtin_popcount(value));
    barrier.all &= value == mask;
    barrier.any |= value != 0;
  }
  if (in.variant != kBarrierArrive) {
    barrier.waiting |= 1u << warp.index;
    warp.state = Warp::State::AtBarrier;
    warp.barrier = id;
  }
  if (expected == kAllThreads)
    releaseBarriers(block);
  else if (barrier.arrived >= expected)
    complete(block, id);
}

} // namespace emulator
} // namespace fourfold
