// What copies on its own: order by mbarriers, bulk copies that land when they are waited for, fences between proxies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"

#include "Access.h"
#include "Cluster.h"
#include "Mbarrier.h"
#include "TensorMemory.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

AsyncProxy &asyncProxyOf(Warp &warp) { return *warp.block->async; }

AsyncProxy::AsyncProxy(Block &block) : block(block) {
  committed.assign(block.warps.size() * kLanes, 0);
  failed.resize(block.warps.size());
  times.assign(kNumCopiers, 0);
}

//===----------------------------------------------------------------------===//
// mbarrier objects
//===----------------------------------------------------------------------===//

void AsyncProxy::initialise(Warp &warp, const Instr &in, uint32_t address) {
  const Clocks &clocks = *block.shared.order;
  BarrierState state;
  state.agent = numBarriers++ % kNumCopiers;
  state.initWarp = warp.agent;
  state.initLine = in.line;
  if (clocks.areFollowed()) {
    state.initTime = clocks.now(warp.agent);
    state.arriving.clocks.assign(clocks.numAgents, 0);
    if (!clocks.fenced.empty())
      state.arriving.fenced.assign(clocks.numAgents, 0);
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
  const Clocks &clocks = *block.shared.order;
  auto found = barriers.find(address);
  if (!clocks.areFollowed() || found == barriers.end())
    return;
  const BarrierState &state = found->second;
  bool isPublished = block.cluster && state.publishedIn >= 0 && block.cluster->warps[warp.agent].seen > state.publishedIn;
  if (!isPublished && !clocks.ordered(warp.agent, state.initWarp, state.initTime))
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("the mbarrier at shared address {:#x} is used, which {} initialised at line {} without a barrier in between", address,
                       agentName(warp, state.initWarp), state.initLine));
}

void AsyncProxy::requireFenced(Warp &warp, const Instr &in, int lane, uint32_t address) {
  auto found = barriers.find(address);
  if (block.shared.order->fenced.empty() || found == barriers.end() || found->second.fenced)
    return;
  report(warp, in, lane, device::kErrorLaunchFailed,
         fmt::format("the copy signals the mbarrier at shared address {:#x}, initialised at line {}, which the async proxy may not see: "
                     "execute fence.mbarrier_init or fence.proxy.async after mbarrier.init, and a barrier",
                     address, found->second.initLine));
}

void AsyncProxy::arrive(Warp &warp, uint32_t address, bool releases) {
  Clocks &clocks = *block.shared.order;
  if (!clocks.areFollowed() || !releases)
    return;
  clocks.publish(warp.agent, barriers[address].arriving);
  clocks.advance(warp.agent);
}

void AsyncProxy::underWay(uint32_t address, int64_t *bytes, uint32_t *arrivals) const {
  *bytes = 0;
  *arrivals = 0;
  for (const BulkCopy &copy : loads)
    *bytes += copy.barrier == address ? copy.bytes : 0;
  for (const TrackedArrival &arrival : tracked)
    *arrivals += arrival.barrier == address;
  for (const Signal &signal : signals)
    *arrivals += signal.barrier == address;
}

void AsyncProxy::completePhase(Warp &waiter, const Instr &in, uint32_t address) {
  BarrierState &state = barriers[address];
  uint32_t time = ++times[state.agent], agent = agentOf(state);
  for (BulkCopy &copy : loads)
    if (copy.barrier == address)
      land(waiter, in, copy);
  loads.erase(std::remove_if(loads.begin(), loads.end(), [&](const BulkCopy &copy) { return copy.barrier == address; }), loads.end());
  for (const TrackedArrival &arrival : tracked)
    if (arrival.barrier == address)
      landCopies(*arrival.warp, in, arrival.lane, arrival.copies, agent, time);
  tracked.erase(std::remove_if(tracked.begin(), tracked.end(), [&](const TrackedArrival &a) { return a.barrier == address; }),
                tracked.end());
  std::vector<Signal> own;
  for (const Signal &signal : signals)
    if (signal.barrier == address)
      own.push_back(signal);
  signals.erase(std::remove_if(signals.begin(), signals.end(), [&](const Signal &s) { return s.barrier == address; }), signals.end());
  for (const Signal &signal : own) {
    signal.from->complete(waiter, in, signal.commit, agent, time, state.arriving);
    signal.from->forgetTarget(signal.commit, &block, address);
  }
  state.expected = state.transferred = 0;
  if (!block.shared.order->areFollowed())
    return;
  state.arriving.clocks[agent] = time;
  state.completed = state.arriving;
}

void AsyncProxy::waited(Warp &warp, const Instr &in, uint32_t address, uint32_t phase, bool isDone, bool acquires) {
  FailedWait &last = failed[warp.index];
  last = {isDone ? 0 : in.line, address, phase, last.count + !isDone};
  if (isDone && acquires && block.shared.order->areFollowed())
    block.shared.order->learn(warp.agent, barriers[address].completed);
  else if (isDone && warp.block->tensor && block.shared.order->areFollowed())
    warp.block->tensor->noteRelaxedWait(warp, barriers[address].completed);
}

void AsyncProxy::trackCopies(Warp &warp, int lane, uint32_t address) {
  tracked.push_back({&warp, lane, warp.copiesIssued, address});
  if (block.shared.order->areFollowed())
    block.shared.order->publish(warp.agent, barriers[address].arriving);
}

void AsyncProxy::addSignal(Warp &warp, const Instr &in, int lane, uint32_t address, std::shared_ptr<TensorMemory> from, uint64_t commit) {
  requireSignalable(warp, in, lane, block, address, false);
  // Where the phase takes no more arrivals, one before it must have taken place: it is of an earlier phase.
  int64_t bytes;
  uint32_t arrivals;
  for (underWay(address, &bytes, &arrivals); arrivals && arrivals >= pendingArrivals(block.shared, address); underWay(address, &bytes, &arrivals)) {
    auto oldest = std::find_if(signals.begin(), signals.end(), [&](const Signal &s) { return s.barrier == address; });
    if (oldest == signals.end())
      break;
    signal(warp, in, address, oldest->commit);
  }
  if (arrivals >= pendingArrivals(block.shared, address))
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("an arrival at an mbarrier that takes no more in this phase ({})", describeMbarrier(block.shared, address)));
  if (block.shared.order->areFollowed())
    block.shared.order->publish(warp.agent, barriers[address].arriving);
  signals.push_back({std::move(from), commit, address});
}

void AsyncProxy::signal(Warp &waiter, const Instr &in, uint32_t address, uint64_t commit) {
  auto found = std::find_if(signals.begin(), signals.end(), [&](const Signal &s) { return s.barrier == address && s.commit == commit; });
  if (found == signals.end())
    return;
  Signal own = *found;
  signals.erase(found);
  BarrierState &state = barriers[address];
  own.from->complete(waiter, in, commit, agentOf(state), times[state.agent] + 1, state.arriving);
  own.from->forgetTarget(commit, &block, address);
  arriveByCommit(waiter, in, block, address);
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
  copy.issuer = &warp;
  const BarrierState &state = barriers[copy.barrier];
  uint32_t agent = agentOf(state);
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
      if (shadow[i] == kByteMbarrier || (shadow[i] == kBytePending && !copy.reduces))
        report(warp, in, copy.lane, device::kErrorLaunchFailed,
               shadow[i] == kByteMbarrier
                   ? fmt::format("the copy writes shared address {:#x}, which holds an mbarrier", piece.shared + i)
                   : fmt::format("the copy writes shared address {:#x}, the destination of an asynchronous copy that has not been waited for{}",
                                 piece.shared + i, describePendingByte(warp, block, piece.shared + i)));
    requireUnread(warp, in, copy.lane, piece.shared, piece.bytes);
    for (uint32_t i = 0; copy.reduces && i < piece.bytes; ++i)
      if (shadow[i] == kByteUnwritten)
        report(warp, in, copy.lane, device::kErrorLaunchFailed,
               fmt::format("the reduction changes shared address {:#x}, which was never written", piece.shared + i));
    if (piece.data)
      copy.data.insert(copy.data.end(), piece.data, piece.data + piece.bytes);
    if (!shared.history.empty()) {
      if (!copy.isValue) // what was written before must be seen to be overwritten
        asyncProxyTouches(warp, in, copy.lane, shared, piece.shared, piece.bytes);
      shared.visitHistory(piece.shared, piece.bytes, [&](WordHistory &history, uint32_t at) {
        bool mayMeet = copy.reduces && history.writer >= shared.order->numWarps; // another reduction
        if (!mayMeet && !shared.order->ordered(warp.agent, history.writer, history.writeTime))
          report(warp, in, copy.lane, device::kErrorLaunchFailed,
                 fmt::format("shared-memory race: the copy writes address {:#x}, which {} wrote at line {} without a barrier in between", at,
                             agentName(warp, history.writer), history.writeLine));
        if (!shared.order->ordered(warp.agent, history.reader, history.readTime))
          report(warp, in, copy.lane, device::kErrorLaunchFailed,
                 fmt::format("shared-memory race: the copy writes address {:#x}, which {} read at line {} without a barrier in between", at,
                             agentName(warp, history.reader), history.readLine));
        history.writer = static_cast<uint16_t>(agent);
        history.writeTime = times[state.agent] + 1;
        history.writeLane = kUnknownLane;
        history.writeLine = in.line;
      });
    }
    if (!copy.reduces)
      std::memset(shadow, kBytePending, piece.bytes);
  }
  if (!copy.isFromShared)
    count(copy, true);
  loads.push_back(std::move(copy));
}

void AsyncProxy::land(Warp &waiter, const Instr &in, BulkCopy &copy) {
  SharedMemory &shared = block.shared;
  size_t done = 0;
  for (const CopyPiece &piece : copy.pieces) {
    uint8_t *data = &shared.data[piece.shared], *shadow = &shared.shadow[piece.shared];
    std::memset(shadow, kByteWritten, piece.bytes);
    if (piece.data && waiter.checks && std::memcmp(piece.data, &copy.data[done], piece.bytes) != 0)
      report(waiter, in, -1, device::kErrorLaunchFailed,
             fmt::format("the source of the asynchronous copy at line {}, by {}, was changed in {} memory before the copy was waited for",
                         copy.in->line, agentName(waiter, copy.issuer->agent), copy.isFromShared ? "shared" : "global"));
    if (copy.reduces) {
      auto size = static_cast<uint32_t>(typeBytes(copy.type));
      for (uint32_t i = 0; i < piece.bytes; i += size) {
        uint64_t operand = 0;
        std::memcpy(&operand, (piece.data ? piece.data : copy.data.data()) + i, size);
        applyAtomic(data + i, copy.op, copy.type, operand);
      }
      for (uint32_t i = 0; piece.shadow && i < piece.bytes; ++i)
        shadow[i] = piece.shadow[i] == kByteUnwritten ? uint8_t{kByteUnwritten} : shadow[i];
      continue;
    }
    if (copy.isValue) {
      std::memcpy(data, copy.data.data(), piece.bytes);
      continue;
    }
    if (!piece.data) {
      for (uint32_t i = 0; i < piece.bytes; ++i)
        data[i] = static_cast<uint8_t>(copy.fill >> (8 * (i % 8)));
      continue;
    }
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
        return fmt::format(": the copy at line {} by {}, to the mbarrier at shared address {:#x}", copy.in->line,
                           agentName(block.warps.front(), copy.issuer->agent), copy.barrier);
  return "";
}

std::string describePendingByte(const Warp &warp, const Block &block, uint32_t address) {
  std::string text = block.async ? block.async->describePending(address) : "";
  for (const Warp &other : block.warps)
    for (const PendingCopy &copy : other.copies)
      for (uint32_t lanes = copy.lanes; lanes && text.empty(); lanes &= lanes - 1)
        if (address - copy.to[__builtin_ctz(lanes)] < copy.bytes)
          text = fmt::format(": the copy at line {} by {}", copy.line, agentName(warp, other.agent));
  return text;
}

//===----------------------------------------------------------------------===//
// Proxies
//===----------------------------------------------------------------------===//

void AsyncProxy::fence(Warp &warp) {
  Clocks &clocks = *block.shared.order;
  if (clocks.fenced.empty())
    return;
  for (auto &entry : barriers)
    entry.second.fenced |= clocks.ordered(warp.agent, entry.second.initWarp, entry.second.initTime);
  size_t first = size_t{warp.agent} * clocks.numAgents;
  for (size_t i = 0; i < clocks.numAgents; ++i)
    clocks.fenced[first + i] = std::max(clocks.fenced[first + i], clocks.clocks[first + i]);
  ++clocks.at(warp.agent, warp.agent); // what it writes from now on was not shown
}

void AsyncProxy::fenceInits(Warp &warp) {
  for (auto &entry : barriers)
    if (entry.second.initWarp == warp.agent)
      entry.second.fenced = entry.second.initsFenced = true;
}

void AsyncProxy::publishInits(Warp &warp, uint32_t phase) {
  for (auto &entry : barriers)
    if (entry.second.initWarp == warp.agent && entry.second.initsFenced && entry.second.publishedIn < 0)
      entry.second.publishedIn = phase;
}

void asyncProxyReads(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) {
  asyncProxyTouches(warp, in, lane, warp.block->shared, address, bytes);
}

void asyncProxyTouches(Warp &warp, const Instr &in, int lane, SharedMemory &shared, uint32_t address, uint32_t bytes) {
  const Clocks &clocks = *shared.order;
  if (shared.history.empty() || clocks.fenced.empty())
    return;
  shared.visitHistory(address, bytes, [&](WordHistory &history, uint32_t at) {
    if (history.writer == kNobody)
      return;
    bool isCopy = history.writer >= clocks.numWarps;
    if (!clocks.ordered(warp.agent, history.writer, history.writeTime))
      report(warp, in, lane, device::kErrorLaunchFailed,
             isCopy ? fmt::format("shared-memory race: the async proxy accesses address {:#x}, which the copy at line {} wrote; this warp "
                                  "has not waited for its mbarrier",
                                  at, history.writeLine)
                    : fmt::format("shared-memory race: the async proxy accesses address {:#x}, which {} wrote at line {} without a "
                                  "barrier in between",
                                  at, agentName(warp, history.writer), history.writeLine));
    if (!isCopy && clocks.fenced[size_t{warp.agent} * clocks.numAgents + history.writer] < history.writeTime)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("fence.proxy.async is missing: the async proxy accesses shared address {:#x}, which {} wrote at line {}: "
                         "execute the fence after the write, and before the barrier that orders the two",
                         at, agentName(warp, history.writer), history.writeLine));
  });
}

} // namespace emulator
} // namespace fourfold
