// Checked memory accesses of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"

#include "Traffic.h"

#include "AsyncProxy.h"
#include "Cluster.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

const char *verb(AccessKind kind) {
  return kind == AccessKind::Read ? "read" : kind == AccessKind::Write ? "write" : "atomic access";
}

/// Lanes of one warp are ordered by bar.warp.sync and barriers of the block alone, not by the order of instructions (PTX ISA,
/// bar.warp.sync): since sm_70 a lane may be ahead of another.
void checkRaceInWarp(Warp &warp, const Instr &in, int lane, uint32_t address, AccessKind kind, const WordHistory &history) {
  uint32_t step = warp.block->shared.order->steps[warp.agent];
  auto other = [&](uint16_t owner, uint32_t when, uint8_t who) {
    return owner == warp.agent && when == step && who != kUnknownLane && who != lane;
  };
  auto name = [](uint8_t who) { return who == kSeveralLanes ? std::string("several lanes") : fmt::format("lane {}", who); };
  bool written = kind == AccessKind::Read && other(history.writer, history.writeStep, history.writeLane);
  bool read = kind == AccessKind::Write && other(history.reader, history.readStep, history.readLane);
  if (written || read)
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("shared-memory race inside a warp: {} of address {:#x} by lane {}, which {} {} at line {} without bar.warp.sync in "
                       "between",
                       verb(kind), address, lane, name(written ? history.writeLane : history.readLane), written ? "wrote" : "read",
                       written ? history.writeLine : history.readLine));
}

/// `repeats`: a write of the bytes that stand there. Warps that hold the same data and all write it do no harm, in whatever order they come
/// (CUDA C++ Programming Guide, which of several writes lands is undefined, that one does is not).
void checkRace(Warp &warp, const Instr &in, int lane, SharedMemory &shared, uint32_t address, uint32_t bytes, AccessKind kind, bool repeats) {
  uint32_t self = warp.agent, now = shared.order->now(self), step = shared.order->steps[self];
  uint8_t who = static_cast<uint8_t>(lane);
  shared.visitHistory(address, bytes, [&](WordHistory &history, uint32_t at) {
    if (!shared.order->ordered(self, history.writer, history.writeTime) && history.writer >= shared.order->numWarps)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("shared-memory race: {} of address {:#x}, which the asynchronous copy at line {} wrote: this warp has not waited "
                         "for the copy's mbarrier",
                         verb(kind), at, history.writeLine));
    bool isOrdered = shared.order->ordered(self, history.writer, history.writeTime);
    if (!isOrdered && !repeats)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format(
                 "shared-memory race: {} of address {:#x}, which {} wrote at line {} without a barrier in between",
                 verb(kind), at, agentName(warp, history.writer), history.writeLine));
    if (kind != AccessKind::Read && !shared.order->ordered(self, history.reader, history.readTime))
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format(
                 "shared-memory race: {} of address {:#x}, which {} read at line {} without a barrier in between",
                 verb(kind), at, agentName(warp, history.reader), history.readLine));
    checkRaceInWarp(warp, in, lane, at, kind, history);
    if (kind == AccessKind::Read) {
      // One reader is remembered. Keep one that is not ordered before a later writer would be.
      if (history.reader == kNobody || history.reader == self || shared.order->ordered(self, history.reader, history.readTime)) {
        bool again = history.reader == self && history.readStep == step;
        history.readLane = again && history.readLane != who ? kSeveralLanes : who;
        history.readStep = step;
        history.reader = static_cast<uint16_t>(self);
        history.readTime = now;
        history.readLine = in.line;
      }
    } else if (isOrdered) { // else readers have to wait for the other, who wrote the same
      history.writer = static_cast<uint16_t>(self);
      history.writeLane = kind == AccessKind::Write ? who : kUnknownLane;
      history.writeStep = step;
      history.writeTime = now;
      history.writeLine = in.line;
    }
  });
}

LanePointer sharedPointer(Warp &warp, const Instr &in, int lane, uint64_t address, uint32_t bytes, AccessKind kind, const uint8_t *value) {
  SharedPlace place = sharedPlace(warp, in, lane, address, in.takesPeers);
  SharedMemory &shared = place.block->shared;
  address = place.offset;
  uint64_t limit = warp.launch->sharedBytes;
  if (address < warp.kernel->sharedBegin || address + bytes > limit || address + bytes < address)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format(
               "{} of {} bytes at shared address {:#x} is out of bounds: the block's shared memory is [{:#x}, {:#x})",
               verb(kind), bytes, address, warp.kernel->sharedBegin, limit));
  uint8_t *shadow = &shared.shadow[address];
  if (warp.checks) {
    for (uint32_t i = 0; i < bytes; ++i) {
      if (shadow[i] == kByteMbarrier && !isMbarrier(in))
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("{} of {} bytes at shared address {:#x}, which holds an mbarrier: only mbarrier "
                           "instructions may touch it until mbarrier.inval",
                           verb(kind), bytes, address));
      if (shadow[i] == kBytePending)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format(
                   "{} of {} bytes at shared address {:#x}, the destination of an asynchronous copy that has not been "
                   "waited for{}",
                   verb(kind), bytes, address, describePendingByte(warp, *place.block, static_cast<uint32_t>(address) + i)));
    }
    if (kind != AccessKind::Read && place.block->async)
      place.block->async->requireUnread(warp, in, lane, static_cast<uint32_t>(address), bytes);
    if (!shared.history.empty() && !isMbarrierUse(in)) // arrivals and waits are what orders others
      checkRace(warp, in, lane, shared, static_cast<uint32_t>(address), bytes, kind,
                value && std::memcmp(value, &shared.data[address], bytes) == 0);
  }
  return {&shared.data[address], shadow};
}

LanePointer globalPointer(Warp &warp, const Instr &in, int lane, uint64_t address, uint32_t bytes, AccessKind kind) {
  Allocation *allocation = warp.lastAllocation;
  if (!allocation || !allocation->contains(address, bytes)) {
    allocation = warp.launch->memory->find(address, bytes);
    if (!allocation)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("{} of {} bytes at global address {:#x} is out of bounds: {}", verb(kind), bytes, address,
                         warp.launch->memory->describe(address, bytes)));
    warp.lastAllocation = allocation;
  }
  return {allocation->at(address), allocation->shadowAt(address)};
}

} // namespace

Space splitGeneric(uint64_t &address) {
  auto within = [&](uint64_t window) { return address >= window && address - window < kWindowBytes; };
  if (within(kSharedWindow)) {
    address -= kSharedWindow;
    return Space::Shared;
  }
  if (within(kLocalWindow)) {
    address -= kLocalWindow;
    return Space::Local;
  }
  if (within(kParamWindow)) {
    address -= kParamWindow;
    return Space::Param;
  }
  return Space::Global;
}

void laneAddresses(Warp &warp, const Instr &in, uint32_t mask, uint64_t *addresses) {
  requireInit(warp, in, in.src[0], mask, "as an address");
  if (in.wideAddress) {
    const uint64_t *base = warp.reg<uint64_t>(in.src[0]);
    for (int i = 0; i < kLanes; ++i)
      addresses[i] = base[i] + static_cast<uint64_t>(in.offset);
  } else {
    const uint32_t *base = warp.reg<uint32_t>(in.src[0]);
    for (int i = 0; i < kLanes; ++i)
      addresses[i] = base[i] + static_cast<uint32_t>(in.offset);
  }
  for (int i = 0; i < kLanes && in.wideAddress; ++i)
    if (in.space == Space::Shared)
      addresses[i] &= 0xffffffffu;
}

LanePointer checkedPointer(Warp &warp, const Instr &in, int lane, Space space, uint64_t address, uint32_t bytes,
                           AccessKind kind, const uint8_t *value) {
  if (address % bytes != 0)
    report(warp, in, lane, device::kErrorMisalignedAddress,
           fmt::format("{} of {} bytes at address {:#x} is misaligned", verb(kind), bytes, address));
  switch (space) {
  case Space::Shared:
    return sharedPointer(warp, in, lane, address, bytes, kind, value);
  case Space::Local: {
    uint64_t limit = warp.kernel->localBytes;
    if (address + bytes > limit || address + bytes < address)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("{} of {} bytes at local address {:#x} is out of bounds: a thread has {} bytes", verb(kind),
                         bytes, address, limit));
    return {warp.local.data() + static_cast<uint64_t>(lane) * limit + address, nullptr};
  }
  case Space::Param: {
    uint64_t limit = warp.launch->params.size();
    if (address + bytes > limit || address + bytes < address || kind != AccessKind::Read)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format(
                 "{} of {} bytes at parameter address {:#x} is out of bounds: the kernel has {} bytes of parameters",
                 verb(kind), bytes, address, limit));
    return {const_cast<uint8_t *>(warp.launch->params.data()) + address, nullptr};
  }
  default:
    return globalPointer(warp, in, lane, address, bytes, kind);
  }
}

/// Where the accesses of all lanes are, when each is aligned, in bounds and needs no other check: `data` and `shadow` at `origin`.
struct PlainAccess {
  const uint8_t *data, *shadow;
  uint64_t origin;
};

/// False for anything unusual, which is left to checkedPointer: it reports.
bool plainAccess(Warp &warp, uint32_t mask, Space space, const uint64_t *addresses, uint32_t bytes, PlainAccess *plain) {
  uint64_t low = ~uint64_t{0}, high = 0, bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    bool active = mask >> lane & 1;
    uint64_t address = addresses[lane];
    low = active && address < low ? address : low;
    high = active && address > high ? address : high;
    bits |= active ? address : 0;
  }
  if (!mask || bits & (bytes - 1) || bytes & (bytes - 1))
    return false;
  if (space == Space::Shared) {
    SharedMemory &shared = warp.block->shared;
    if (warp.checks || low < warp.kernel->sharedBegin || high > warp.launch->sharedBytes || high + bytes > warp.launch->sharedBytes)
      return false;
    *plain = {shared.data.data(), shared.shadow.data(), 0};
    return true;
  }
  Allocation *allocation = warp.lastAllocation;
  if (space != Space::Global || !allocation || !allocation->contains(low, bytes) || !allocation->contains(high, bytes))
    return false;
  *plain = {allocation->at(low), allocation->shadowAt(low), low};
  return true;
}

template <uint32_t kBytes>
uint32_t loadPlain(Warp &warp, const Instr &in, uint32_t mask, const PlainAccess &plain, const uint64_t *addresses,
                   uint8_t (*data)[kMaxLaneBytes]) {
  uint32_t good = mask;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    std::memcpy(data[lane], plain.data + (addresses[lane] - plain.origin), kBytes);
    if (!warp.checks)
      continue;
    uint8_t written[kBytes];
    static_assert(kByteUnwritten == 0);
    std::memcpy(written, plain.shadow + (addresses[lane] - plain.origin), kBytes);
    bool all = true;
    for (uint8_t byte : written)
      all &= byte != kByteUnwritten;
    if (all)
      continue;
    good &= ~(1u << lane);
    warp.uninitLine = in.line;
    warp.uninitAddress = addresses[lane] + static_cast<uint64_t>(std::find(written, written + kBytes, 0) - written);
  }
  return good;
}

uint32_t loadLanes(Warp &warp, const Instr &in, uint32_t mask, Space space, const uint64_t *addresses, uint32_t bytes,
                   uint8_t (*data)[kMaxLaneBytes]) {
  uint32_t good = mask;
  PlainAccess plain;
  bool isPlain = bytes >= 4 && bytes <= 16 && plainAccess(warp, mask, space, addresses, bytes, &plain);
  if (isPlain)
    good = bytes == 4   ? loadPlain<4>(warp, in, mask, plain, addresses, data)
           : bytes == 8 ? loadPlain<8>(warp, in, mask, plain, addresses, data)
                        : loadPlain<16>(warp, in, mask, plain, addresses, data);
  for (int lane = 0; lane < kLanes && !isPlain; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    LanePointer pointer = checkedPointer(warp, in, lane, space, addresses[lane], bytes, AccessKind::Read);
    std::memcpy(data[lane], pointer.data, bytes);
    if (!warp.checks || !pointer.shadow)
      continue;
    for (uint32_t i = 0; i < bytes; ++i)
      if (pointer.shadow[i] == kByteUnwritten) {
        good &= ~(1u << lane);
        warp.uninitLine = in.line;
        warp.uninitAddress = addresses[lane] + i;
        break;
      }
  }
  Counters &counters = warp.block->counters;
  if (space == Space::Shared) {
    countShared(counters.sharedLoads, mask, addresses, bytes);
  } else if (space == Space::Global || space == Space::Const) {
    countGlobal(*warp.block, GlobalAccess::Load, mask, addresses, bytes);
  }
  return good;
}

void storeLanes(Warp &warp, const Instr &in, uint32_t mask, Space space, const uint64_t *addresses, uint32_t bytes,
                const uint8_t (*data)[kMaxLaneBytes]) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    LanePointer pointer = checkedPointer(warp, in, lane, space, addresses[lane], bytes, AccessKind::Write, data[lane]);
    std::memcpy(pointer.data, data[lane], bytes);
    if (pointer.shadow)
      std::memset(pointer.shadow, kByteWritten, bytes);
  }
  Counters &counters = warp.block->counters;
  if (space == Space::Shared) {
    countShared(counters.sharedStores, mask, addresses, bytes);
  } else if (space == Space::Global) {
    countGlobal(*warp.block, GlobalAccess::Store, mask, addresses, bytes);
  }
}

void countShared(SharedTraffic &traffic, uint32_t mask, const uint64_t *addresses, uint32_t bytes) {
  // 8-byte accesses are served by half warps, 16-byte ones by quarter warps.
  int group = bytes <= 4 ? 32 : bytes <= 8 ? 16 : bytes <= 16 ? 8 : 4;
  for (int first = 0; first < kLanes; first += group) {
    // A bank serves one of its words a wavefront, to any number of lanes. Words of a bank, each once:
    uint32_t words[32][64];
    uint8_t counts[32] = {};
    int distinct = 0, most = 0;
    for (int lane = first; lane < first + group; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      auto last = static_cast<uint32_t>((addresses[lane] + bytes - 1) / 4);
      for (auto word = static_cast<uint32_t>(addresses[lane] / 4); word <= last; ++word) {
        uint32_t bank = word % 32;
        int i = 0, count = counts[bank];
        while (i < count && words[bank][i] != word)
          ++i;
        if (i < count)
          continue;
        words[bank][count] = word;
        counts[bank] = static_cast<uint8_t>(++count);
        ++distinct;
        most = std::max(most, count);
      }
    }
    traffic.wavefronts += static_cast<uint64_t>(most);
    traffic.minimum += static_cast<uint64_t>((distinct + 31) / 32);
  }
}

} // namespace emulator
} // namespace fourfold
