// cp.async: copies that land when they are waited for, as late as the program permits (PTX ISA 9.7.9.25.3).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "AsyncProxy.h"
#include "Cluster.h"
#include "Decoder.h"
#include "Mbarrier.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

void issue(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t to[kLanes];
  laneAddresses(warp, in, mask, to);
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1) && to[lane] >= kSharedWindow)
      to[lane] -= kSharedWindow;
  requireInit(warp, in, in.src[1], mask, "as an address");
  requireInit(warp, in, in.src[2], mask, "as a source size");
  warp.copies.emplace_back();
  PendingCopy &copy = warp.copies.back();
  copy.lanes = mask;
  copy.line = in.line;
  copy.bytes = in.bytes;
  copy.serial = warp.copiesIssued++;
  const uint64_t *from = warp.reg<uint64_t>(in.src[1]);
  const uint32_t *size = warp.reg<uint32_t>(in.src[2]);
  uint32_t ignore = in.flags & 2 ? warp.predicate(in.src[3]) : 0;
  uint64_t sources[kLanes], requested = 0;
  uint32_t reading = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    LanePointer target = checkedPointer(warp, in, lane, Space::Shared, to[lane], in.bytes, AccessKind::Write);
    to[lane] = sharedPlace(warp, in, lane, to[lane], false).offset; // without the block's own rank
    uint32_t bytes = in.flags & 1 ? size[lane] : in.bytes;
    if (bytes > in.bytes)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("the source size {} of the copy is above its {} bytes", bytes, in.bytes));
    bytes = ignore >> lane & 1 ? 0 : bytes;
    copy.to[lane] = static_cast<uint32_t>(to[lane]);
    copy.from[lane] = sources[lane] =
        from[lane] + static_cast<uint64_t>(in.target == 0 ? 0 : static_cast<int32_t>(in.target));
    copy.sourceBytes[lane] = bytes;
    copy.group[lane] = -1;
    if (sources[lane] % in.bytes)
      report(warp, in, lane, device::kErrorMisalignedAddress,
             fmt::format("the source {:#x} of a copy of {} bytes is misaligned", sources[lane], in.bytes));
    if (bytes) {
      Allocation *allocation = warp.launch->memory->find(sources[lane], bytes);
      if (!allocation)
        report(warp, in, lane, device::kErrorIllegalAddress,
               fmt::format("copy of {} bytes from global address {:#x} is out of bounds: {}", bytes, sources[lane],
                           warp.launch->memory->describe(sources[lane], bytes)));
      std::memcpy(copy.snapshot[lane], allocation->at(sources[lane]), bytes);
      reading |= 1u << lane;
      requested += bytes;
    }
    if (warp.checks)
      std::memset(target.shadow, kBytePending, in.bytes);
  }
  Counters &counters = warp.block->counters;
  countShared(counters.asyncCopies, mask, to, in.bytes);
  countGlobal(*warp.block, GlobalAccess::Copy, reading, sources, in.bytes, requested);
}

/// As a write of the agent at the time.
void land(Warp &warp, const Instr &in, PendingCopy &copy, int lane, uint32_t agent, uint32_t time) {
  SharedMemory &shared = warp.block->shared;
  uint8_t *data = &shared.data[copy.to[lane]], *shadow = &shared.shadow[copy.to[lane]];
  std::memset(data, 0, copy.bytes);
  std::memset(shadow, kByteWritten, copy.bytes);
  if (uint32_t bytes = copy.sourceBytes[lane]) {
    Allocation *allocation = warp.launch->memory->find(copy.from[lane], bytes);
    const uint8_t *source = allocation->at(copy.from[lane]), *written = allocation->shadowAt(copy.from[lane]);
    if (warp.checks && std::memcmp(source, copy.snapshot[lane], bytes) != 0)
      report(
          warp, in, lane, device::kErrorLaunchFailed,
          fmt::format("the source {:#x} of the asynchronous copy at line {} was changed before the copy was waited for",
                      copy.from[lane], copy.line));
    std::memcpy(data, source, bytes);
    if (warp.checks)
      for (uint32_t i = 0; i < bytes; ++i)
        if (!written[i]) {
          shadow[i] = kByteUnwritten;
          warp.uninitLine = copy.line;
          warp.uninitAddress = copy.from[lane] + i;
        }
  }
  if (!shared.history.empty())
    shared.visitHistory(copy.to[lane], copy.bytes, [&](WordHistory &history, uint32_t) {
      history.writer = static_cast<uint16_t>(agent);
      history.writeTime = time;
      history.writeLane = agent == warp.agent ? static_cast<uint8_t>(lane) : kUnknownLane;
      history.writeStep = shared.order->steps[warp.agent];
      history.writeLine = copy.line;
    });
  copy.lanes &= ~(1u << lane);
}

void commit(Warp &warp, const Instr &, uint32_t mask) {
  for (PendingCopy &copy : warp.copies)
    for (uint32_t lanes = copy.lanes & mask; lanes; lanes &= lanes - 1) {
      int lane = __builtin_ctz(lanes);
      if (copy.group[lane] < 0)
        copy.group[lane] = warp.committed[lane];
    }
  for (int lane = 0; lane < kLanes; ++lane)
    warp.committed[lane] += mask >> lane & 1;
}

void dropLanded(Warp &warp) {
  warp.copies.erase(std::remove_if(warp.copies.begin(), warp.copies.end(), [](const PendingCopy &copy) { return copy.lanes == 0; }),
                    warp.copies.end());
}

/// wait_group N: all but the N youngest groups of each thread have landed. `flags`: everything, committed or not.
void wait(Warp &warp, const Instr &in, uint32_t mask) {
  for (PendingCopy &copy : warp.copies)
    for (uint32_t lanes = copy.lanes & mask; lanes; lanes &= lanes - 1) {
      int lane = __builtin_ctz(lanes);
      bool old = copy.group[lane] >= 0 && copy.group[lane] < warp.committed[lane] - in.offset;
      if (in.flags || old) // it lands now, as a write of the waiting warp
        land(warp, in, copy, lane, warp.agent, warp.block->shared.history.empty() ? 0 : warp.block->shared.order->now(warp.agent));
    }
  dropLanded(warp);
}

} // namespace

void landCopies(Warp &warp, const Instr &in, int lane, uint64_t before, uint32_t agent, uint32_t time) {
  for (PendingCopy &copy : warp.copies)
    if ((copy.lanes >> lane & 1) && copy.serial < before)
      land(warp, in, copy, lane, agent, time);
  dropLanded(warp);
}

bool decodeAsyncCopy(Decoder &d) {
  if (d.ast().opcode != "cp" || !d.take("async"))
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::AsyncCopy;
  in.ownInit = true;
  if (d.take("mbarrier"))
    return decodeTrackingArrival(d);
  if (d.take("commit_group")) {
    d.expectOperands(0, 0);
    in.handler = commit;
    return true;
  }
  if (d.take("wait_all")) {
    d.expectOperands(0, 0);
    in.handler = wait;
    in.flags = 1;
    return true;
  }
  if (d.take("wait_group")) {
    d.expectOperands(1, 1);
    if (d.operand(0).kind != Operand::Integer)
      d.fail("cp.async.wait_group takes an immediate");
    in.handler = wait;
    in.offset = d.operand(0).value;
    return true;
  }
  bool cg = d.take("cg");
  if (!cg && !d.take("ca"))
    return false;
  if (!d.take("shared") && !d.take("shared::cta"))
    return false;
  if (!d.take("global"))
    return false;
  bool hasPolicy = d.take("L2::cache_hint");
  while (!d.takePrefix("L2::").empty()) {
  }
  // A cache policy is the last operand; it changes no result.
  d.expectOperands(hasPolicy ? 4 : 3, hasPolicy ? 5 : 4);
  size_t count = d.numOperands() - hasPolicy;
  if (hasPolicy)
    d.source(d.operand(count), Type::B64);
  Space space = Space::Shared;
  in.handler = issue;
  in.space = space;
  const Operand &size = d.operand(2);
  if (size.kind != Operand::Integer || (size.value != 4 && size.value != 8 && size.value != 16) ||
      (cg && size.value != 16))
    d.fail(cg ? "cp.async.cg copies 16 bytes" : "cp.async.ca copies 4, 8 or 16 bytes");
  // The source goes first through the same slots as the destination.
  Space sourceSpace = Space::Global;
  d.address(d.operand(1), sourceSpace);
  if (!in.wideAddress)
    d.fail("the source address must be a 64-bit register");
  if (in.offset < INT32_MIN || in.offset > INT32_MAX)
    d.fail("the offset of the source address is too large");
  in.src[1] = in.src[0];
  in.target = static_cast<uint32_t>(in.offset);
  d.address(d.operand(0), space);
  in.bytes = static_cast<uint8_t>(size.value);
  if (count == 4) {
    const Operand &last = d.operand(3);
    if (d.registerType(last) == Type::Pred) {
      bool negated;
      in.src[3] = d.predicate(last, negated);
      in.flags = 2;
      if (negated)
        d.fail("a negated ignore-src predicate is not supported");
    } else {
      in.src[2] = d.source32(last);
      in.flags = 1;
    }
  }
  return true;
}

} // namespace emulator
} // namespace fourfold
