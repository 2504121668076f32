// What copies on its own: order by mbarriers, bulk copies that land when they are waited for, fences between proxies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"

#include "Access.h"
#include "Mbarrier.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

void joinRow(std::vector<uint32_t> &into, const uint32_t *row) {
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = std::max(into[i], row[i]);
}

} // namespace

AsyncProxy &asyncProxyOf(Warp &warp) { return *warp.block->async; }

AsyncProxy::AsyncProxy(Block &block) : block(block) {
  committed.assign(block.warps.size() * kLanes, 0);
  failed.resize(block.warps.size());
  turns.assign(block.warps.size(), 0);
  times.assign(kNumCopiers, 0);
}

//===----------------------------------------------------------------------===//
// mbarrier objects
//===----------------------------------------------------------------------===//

void AsyncProxy::initialise(Warp &warp, const Instr &in, uint32_t address) {
  SharedMemory &shared = block.shared;
  BarrierState state;
  state.agent = numBarriers++ % kNumCopiers;
  state.initWarp = warp.index;
  state.initLine = in.line;
  if (!shared.history.empty()) {
    state.initTime = shared.now(warp.index);
    state.arriving.clocks.assign(shared.numAgents, 0);
    if (!shared.fenced.empty())
      state.arriving.fenced.assign(shared.numAgents, 0);
    state.completed = state.arriving;
  }
  barriers[address] = state;
}

void AsyncProxy::invalidate(Warp &warp, const Instr &in, int lane, uint32_t address) {
  int64_t bytes;
  uint32_t arrivals;
  underWay(address, &bytes, &arrivals);
  if (bytes || arrivals)
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("mbarrier.inval of the mbarrier at shared address {:#x} while copies of {} bytes and {} arrivals are under way to it",
                       address, bytes, arrivals));
  barriers.erase(address);
}

void AsyncProxy::requireOrdered(Warp &warp, const Instr &in, int lane, uint32_t address) {
  const SharedMemory &shared = block.shared;
  auto found = barriers.find(address);
  if (shared.history.empty() || found == barriers.end())
    return;
  const BarrierState &state = found->second;
  if (!shared.ordered(warp.index, state.initWarp, state.initTime))
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("the mbarrier at shared address {:#x} is used, which warp {} initialised at line {} without a barrier in between",
                       address, state.initWarp, state.initLine));
}

void AsyncProxy::requireFenced(Warp &warp, const Instr &in, int lane, uint32_t address) {
  auto found = barriers.find(address);
  if (block.shared.fenced.empty() || found == barriers.end() || found->second.fenced)
    return;
  report(warp, in, lane, device::kErrorLaunchFailed,
         fmt::format("the copy signals the mbarrier at shared address {:#x}, initialised at line {}, which the async proxy may not see: "
                     "execute fence.mbarrier_init or fence.proxy.async after mbarrier.init, and a barrier",
                     address, found->second.initLine));
}

void AsyncProxy::join(Warp &warp, Knowledge &into) const {
  const SharedMemory &shared = block.shared;
  joinRow(into.clocks, &shared.clocks[warp.index * shared.numAgents]);
  if (!shared.fenced.empty())
    joinRow(into.fenced, &shared.fenced[warp.index * shared.numAgents]);
}

void AsyncProxy::arrive(Warp &warp, uint32_t address, bool releases) {
  SharedMemory &shared = block.shared;
  if (shared.history.empty() || !releases)
    return;
  join(warp, barriers[address].arriving);
  ++shared.clocks[warp.index * shared.numAgents + warp.index];
  ++shared.steps[warp.index];
}

void AsyncProxy::underWay(uint32_t address, int64_t *bytes, uint32_t *arrivals) const {
  *bytes = 0;
  *arrivals = 0;
  for (const BulkCopy &copy : loads)
    *bytes += copy.barrier == address ? copy.bytes : 0;
  for (const TrackedArrival &arrival : tracked)
    *arrivals += arrival.barrier == address;
}

void AsyncProxy::completePhase(Warp &waiter, const Instr &in, uint32_t address) {
  BarrierState &state = barriers[address];
  uint32_t time = ++times[state.agent], agent = block.shared.numWarps + state.agent;
  for (BulkCopy &copy : loads)
    if (copy.barrier == address)
      land(waiter, in, copy);
  loads.erase(std::remove_if(loads.begin(), loads.end(), [&](const BulkCopy &copy) { return copy.barrier == address; }), loads.end());
  for (const TrackedArrival &arrival : tracked)
    if (arrival.barrier == address)
      landCopies(*arrival.warp, in, arrival.lane, arrival.copies, agent, time);
  tracked.erase(std::remove_if(tracked.begin(), tracked.end(), [&](const TrackedArrival &a) { return a.barrier == address; }),
                tracked.end());
  state.expected = state.transferred = 0;
  if (block.shared.history.empty())
    return;
  state.arriving.clocks[agent] = time;
  state.completed = state.arriving;
}

void AsyncProxy::waited(Warp &warp, const Instr &in, uint32_t address, uint32_t phase, bool isDone, bool acquires) {
  FailedWait &last = failed[warp.index];
  last = {isDone ? 0 : in.line, address, phase, last.count + !isDone};
  SharedMemory &shared = block.shared;
  if (!isDone || !acquires || shared.history.empty())
    return;
  const Knowledge &known = barriers[address].completed;
  auto learn = [&](std::vector<uint32_t> &table, const std::vector<uint32_t> &row) {
    uint32_t *own = &table[warp.index * shared.numAgents];
    for (size_t i = 0; i < row.size(); ++i)
      own[i] = std::max(own[i], row[i]);
  };
  learn(shared.clocks, known.clocks);
  if (!shared.fenced.empty())
    learn(shared.fenced, known.fenced);
  ++shared.steps[warp.index];
}

void AsyncProxy::trackCopies(Warp &warp, int lane, uint32_t address) {
  tracked.push_back({&warp, lane, warp.copiesIssued, address});
  if (!block.shared.history.empty())
    join(warp, barriers[address].arriving);
}

std::string AsyncProxy::describeWaits() const {
  std::string text;
  for (size_t i = 0; i < failed.size(); ++i) {
    const FailedWait &wait = failed[i];
    auto found = barriers.find(wait.address);
    if (!wait.line || found == barriers.end() || block.warps[i].state == Warp::State::Done)
      continue;
    int64_t bytes;
    uint32_t arrivals;
    underWay(wait.address, &bytes, &arrivals);
    text += fmt::format("; warp {} waits at line {} for the phase of parity {} of the mbarrier at shared address {:#x}: it is in a {}; "
                        "{} bytes are expected in this phase, {} arrived or are under way",
                        i, wait.line, wait.phase, wait.address, describeMbarrier(block.shared, wait.address), found->second.expected,
                        found->second.transferred + bytes);
  }
  return text;
}

//===----------------------------------------------------------------------===//
// Copies into shared memory
//===----------------------------------------------------------------------===//

void AsyncProxy::count(const BulkCopy &copy, bool isLoad) {
  // Rows of a box follow each other: what is contiguous is one range, so that a sector that two of them share counts once.
  uint64_t start = 0, end = 0, sharedBytes = 0;
  for (const CopyPiece &piece : copy.pieces) {
    sharedBytes += piece.bytes;
    if (!piece.data)
      continue;
    if (piece.global != end) {
      countGlobalRange(block, isLoad, start, end - start);
      start = piece.global;
    }
    end = piece.global + piece.bytes;
  }
  countGlobalRange(block, isLoad, start, end - start);
  countSharedBytes(block.counters.bulkCopies, sharedBytes);
}

void AsyncProxy::issueLoad(Warp &warp, BulkCopy copy) {
  SharedMemory &shared = block.shared;
  const Instr &in = *copy.in;
  copy.warp = warp.index;
  const BarrierState &state = barriers[copy.barrier];
  uint32_t agent = shared.numWarps + state.agent;
  for (const CopyPiece &piece : copy.pieces) {
    uint64_t end = uint64_t{piece.shared} + piece.bytes;
    if (piece.shared < kSharedStart || end > warp.launch->sharedBytes)
      report(warp, in, copy.lane, device::kErrorIllegalAddress,
             fmt::format("the copy writes shared addresses [{:#x}, {:#x}), out of bounds: the block's shared memory is [{:#x}, {:#x})",
                         piece.shared, end, kSharedStart, warp.launch->sharedBytes));
    if (!warp.checks)
      continue;
    uint8_t *shadow = &shared.shadow[piece.shared];
    for (uint32_t i = 0; i < piece.bytes; ++i)
      if (shadow[i] == kByteMbarrier || shadow[i] == kBytePending)
        report(warp, in, copy.lane, device::kErrorLaunchFailed,
               shadow[i] == kByteMbarrier
                   ? fmt::format("the copy writes shared address {:#x}, which holds an mbarrier", piece.shared + i)
                   : fmt::format("the copy writes shared address {:#x}, the destination of an asynchronous copy that has not been waited for{}",
                                 piece.shared + i, describePendingByte(warp, piece.shared + i)));
    requireUnread(warp, in, copy.lane, piece.shared, piece.bytes);
    if (piece.data)
      copy.data.insert(copy.data.end(), piece.data, piece.data + piece.bytes);
    if (!shared.history.empty()) {
      asyncProxyReads(warp, in, copy.lane, piece.shared, piece.bytes); // what was written before must be seen to be overwritten
      shared.visitHistory(piece.shared, piece.bytes, [&](WordHistory &history, uint32_t at) {
        if (!shared.ordered(warp.index, history.reader, history.readTime))
          report(warp, in, copy.lane, device::kErrorLaunchFailed,
                 fmt::format("shared-memory race: the copy writes address {:#x}, which warp {} read at line {} without a barrier in between",
                             at, history.reader, history.readLine));
        history.writer = static_cast<uint8_t>(agent);
        history.writeTime = times[state.agent] + 1;
        history.writeLane = kUnknownLane;
        history.writeLine = in.line;
      });
    }
    std::memset(shadow, kBytePending, piece.bytes);
  }
  count(copy, true);
  loads.push_back(std::move(copy));
}

void AsyncProxy::land(Warp &waiter, const Instr &in, BulkCopy &copy) {
  SharedMemory &shared = block.shared;
  size_t done = 0;
  for (const CopyPiece &piece : copy.pieces) {
    uint8_t *data = &shared.data[piece.shared], *shadow = &shared.shadow[piece.shared];
    std::memset(shadow, kByteWritten, piece.bytes);
    if (!piece.data) {
      for (uint32_t i = 0; i < piece.bytes; ++i)
        data[i] = static_cast<uint8_t>(copy.fill >> (8 * (i % 8)));
      continue;
    }
    if (waiter.checks && std::memcmp(piece.data, &copy.data[done], piece.bytes) != 0)
      report(waiter, in, -1, device::kErrorLaunchFailed,
             fmt::format("the source of the asynchronous copy at line {}, by warp {}, was changed in global memory before the copy was "
                         "waited for",
                         copy.in->line, copy.warp));
    done += piece.bytes;
    std::memcpy(data, piece.data, piece.bytes);
    for (uint32_t i = 0; waiter.checks && i < piece.bytes; ++i)
      if (!piece.shadow[i]) {
        shadow[i] = kByteUnwritten;
        waiter.uninitLine = copy.in->line;
        waiter.uninitAddress = piece.shared + i;
      }
  }
  barriers[copy.barrier].transferred += copy.bytes;
}

std::string AsyncProxy::describePending(uint32_t address) const {
  for (const BulkCopy &copy : loads)
    for (const CopyPiece &piece : copy.pieces)
      if (address - piece.shared < piece.bytes)
        return fmt::format(": the copy at line {} by warp {}, to the mbarrier at shared address {:#x}", copy.in->line, copy.warp,
                           copy.barrier);
  return "";
}

std::string describePendingByte(const Warp &warp, uint32_t address) {
  std::string text = warp.block->async ? warp.block->async->describePending(address) : "";
  for (const Warp &other : warp.block->warps)
    for (const PendingCopy &copy : other.copies)
      for (uint32_t lanes = copy.lanes; lanes && text.empty(); lanes &= lanes - 1)
        if (address - copy.to[__builtin_ctz(lanes)] < copy.bytes)
          text = fmt::format(": the copy at line {} by warp {}", copy.line, other.index);
  return text;
}

//===----------------------------------------------------------------------===//
// Proxies
//===----------------------------------------------------------------------===//

void AsyncProxy::fence(Warp &warp) {
  SharedMemory &shared = block.shared;
  if (shared.fenced.empty())
    return;
  for (auto &entry : barriers)
    entry.second.fenced |= shared.ordered(warp.index, entry.second.initWarp, entry.second.initTime);
  uint32_t first = warp.index * shared.numAgents;
  for (uint32_t i = 0; i < shared.numAgents; ++i)
    shared.fenced[first + i] = std::max(shared.fenced[first + i], shared.clocks[first + i]);
  ++shared.clocks[first + warp.index]; // what it writes from now on was not shown
}

void AsyncProxy::fenceInits(Warp &warp) {
  for (auto &entry : barriers)
    entry.second.fenced |= entry.second.initWarp == warp.index;
}

void asyncProxyReads(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) {
  SharedMemory &shared = warp.block->shared;
  if (shared.history.empty() || shared.fenced.empty())
    return;
  shared.visitHistory(address, bytes, [&](WordHistory &history, uint32_t at) {
    if (history.writer == 0xff)
      return;
    bool isCopy = history.writer >= shared.numWarps;
    if (!shared.ordered(warp.index, history.writer, history.writeTime))
      report(warp, in, lane, device::kErrorLaunchFailed,
             isCopy ? fmt::format("shared-memory race: the async proxy accesses address {:#x}, which the copy at line {} wrote; this warp "
                                  "has not waited for its mbarrier",
                                  at, history.writeLine)
                    : fmt::format("shared-memory race: the async proxy accesses address {:#x}, which warp {} wrote at line {} without a "
                                  "barrier in between",
                                  at, history.writer, history.writeLine));
    if (!isCopy && shared.fenced[warp.index * shared.numAgents + history.writer] < history.writeTime)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("fence.proxy.async is missing: the async proxy accesses shared address {:#x}, which warp {} wrote at line {}: "
                         "execute the fence after the write, and before the barrier that orders the two",
                         at, history.writer, history.writeLine));
  });
}

} // namespace emulator
} // namespace fourfold
