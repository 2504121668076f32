// Calls in earnest: through pointers and of functions that call themselves (PTX ISA 9.7.12.5, 7.1).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A call pushes an entry on the stack of divergence that nothing but returns and exits empties; lanes that call different functions take
// turns. Registers belong to functions, not activations: an inner activation of the same function saves those of the outer one, and each
// lane has its own back when it returns.

#include "Warp.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

uint8_t *localBytes(Warp &warp, int lane, uint32_t offset) {
  return warp.local.data() + static_cast<uint64_t>(lane) * warp.kernel->localBytes + offset;
}

template <class Visit>
void eachLane(uint32_t mask, Visit visit) {
  for (; mask; mask &= mask - 1)
    visit(__builtin_ctz(mask));
}

size_t storedBytes(const Callee::Register &reg) { return reg.bytes ? size_t{reg.bytes} * kLanes : sizeof(uint32_t); }

void save(Warp &warp, const Callee &callee, CallRecord &record) {
  for (const Callee::Register &reg : callee.registers) {
    const uint8_t *bytes = warp.registers + size_t{reg.slot} * kSlotBytes;
    record.savedRegisters.insert(record.savedRegisters.end(), bytes, bytes + storedBytes(reg));
    record.savedInit.push_back(warp.init[reg.slot]);
  }
}

/// Lanes that return have their registers back; the others are still inside.
void restore(Warp &warp, const Callee &callee, const CallRecord &record, uint32_t mask) {
  const uint8_t *saved = record.savedRegisters.data();
  for (size_t i = 0; i < callee.registers.size(); ++i) {
    const Callee::Register &reg = callee.registers[i];
    uint8_t *bytes = warp.registers + size_t{reg.slot} * kSlotBytes;
    if (reg.bytes == 0) {
      uint32_t word;
      std::memcpy(&word, saved, sizeof(word));
      *warp.reg<uint32_t>(reg.slot) = (warp.predicate(reg.slot) & ~mask) | (word & mask);
    } else {
      eachLane(mask, [&](int lane) {
        std::memcpy(bytes + static_cast<size_t>(lane) * reg.bytes, saved + static_cast<size_t>(lane) * reg.bytes, reg.bytes);
      });
    }
    warp.setInit(reg.slot, mask, record.savedInit[i]);
    saved += storedBytes(reg);
  }
}

void enter(Warp &warp, const Instr &in, uint32_t mask, uint32_t index) {
  const Callee &callee = warp.kernel->callees[index];
  if (!callee.missing.empty())
    report(warp, in, __builtin_ctz(mask), device::kErrorIllegalInstruction,
           fmt::format("function '{}' cannot be called here: {}", callee.name, callee.missing.front().message));
  if (callee.params.size() != in.list.size() || callee.returns.size() != in.list2.size())
    report(warp, in, __builtin_ctz(mask), device::kErrorIllegalInstruction,
           fmt::format("function '{}' has {} parameters and {} return values, the call gives {} and takes {}", callee.name,
                       callee.params.size(), callee.returns.size(), in.list.size(), in.list2.size()));
  CallRecord record{&in, index, warp.stack.size() + 1, {}, {}, {}};
  bool isActive = false;
  for (const CallRecord &outer : warp.calls)
    isActive |= outer.callee == index;
  if (isActive)
    save(warp, callee, record);
  std::memcpy(record.callerBase, warp.reg<uint32_t>(in.src[2]), sizeof(record.callerBase));

  for (const Callee::Register &reg : callee.registers)
    warp.setInit(reg.slot, mask, 0);
  eachLane(mask, [&](int lane) {
    uint32_t base = (warp.stackTop[lane] + 15) / 16 * 16;
    if (uint64_t{base} + callee.frameBytes > warp.kernel->localBytes)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("stack overflow: the call of '{}' needs a frame of {} bytes, and {} of the thread's {} are in use, by {} calls",
                         callee.name, callee.frameBytes, base - warp.kernel->stackStart, warp.kernel->localBytes - warp.kernel->stackStart,
                         warp.calls.size()));
    warp.stackTop[lane] = base + callee.frameBytes;
    for (size_t i = 0; i < in.list.size(); ++i)
      std::memmove(localBytes(warp, lane, base + callee.params[i].offset), localBytes(warp, lane, record.callerBase[lane] + in.list[i]),
                   callee.params[i].bytes);
    warp.reg<uint32_t>(callee.baseSlot)[lane] = base;
    for (const auto &[slot, offset] : callee.addresses)
      warp.reg<uint64_t>(slot)[lane] = base + offset;
  });
  warp.setInit(callee.baseSlot, mask, mask);
  for (const auto &[slot, offset] : callee.addresses)
    warp.setInit(slot, mask, mask);
  warp.stack.push_back({callee.start, kNone, mask});
  warp.calls.push_back(std::move(record));
}

} // namespace

void enterCall(Warp &warp, const Instr &in, uint32_t mask) {
  if (in.src[0] == kZeroSlot)
    return enter(warp, in, mask, in.target);
  requireInit(warp, in, in.src[0], mask, "as the address of a function");
  const uint64_t *addresses = warp.reg<uint64_t>(in.src[0]);
  uint64_t target[kLanes];
  std::memcpy(target, addresses, sizeof(target)); // entering may change the register
  while (mask) {
    int first = __builtin_ctz(mask);
    auto found = warp.kernel->calleeAt.find(target[first]);
    if (found == warp.kernel->calleeAt.end())
      report(warp, in, first, device::kErrorIllegalAddress, fmt::format("call of {:#x}, which is not the address of a function", target[first]));
    uint32_t same = 0;
    eachLane(mask, [&](int lane) { same |= target[lane] == target[first] ? 1u << lane : 0; });
    enter(warp, in, same, found->second);
    mask &= ~same;
  }
}

void leaveCall(Warp &warp, const Instr &in, uint32_t mask) {
  if (warp.calls.empty())
    report(warp, in, __builtin_ctz(mask), device::kErrorIllegalInstruction, "a return without a call");
  CallRecord &record = warp.calls.back();
  const Callee &callee = warp.kernel->callees[record.callee];
  const uint32_t *base = warp.reg<uint32_t>(callee.baseSlot);
  eachLane(mask, [&](int lane) {
    for (size_t i = 0; i < callee.returns.size(); ++i)
      std::memmove(localBytes(warp, lane, record.callerBase[lane] + record.in->list2[i]),
                   localBytes(warp, lane, base[lane] + callee.returns[i].offset), callee.returns[i].bytes);
    warp.stackTop[lane] = base[lane];
  });
  if (!record.savedInit.empty())
    restore(warp, callee, record, mask);
  for (size_t i = record.depth - 1; i < warp.stack.size(); ++i)
    warp.stack[i].mask &= ~mask;
  while (warp.stack.size() >= record.depth && warp.stack.back().mask == 0)
    warp.stack.pop_back();
  dropFinishedCalls(warp);
}

void dropFinishedCalls(Warp &warp) {
  while (!warp.calls.empty() && warp.stack.size() < warp.calls.back().depth)
    warp.calls.pop_back();
}

} // namespace emulator
} // namespace fourfold
