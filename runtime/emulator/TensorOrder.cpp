// Tensor memory: what is allocated, and whether accesses are ordered with what others do (PTX ISA 9.7.16.6).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loads and stores end with tcgen05.wait, what runs on its own with a commit's mbarrier. Across warps both also need a barrier, and
// tcgen05.fence on either side of it; a commit implies the one before. Kernels without any tcgen05.fence, as CUTLASS and Triton write them, rely on
// the barrier alone: of them none is asked.

#include "TensorMemory.h"

#include "Cluster.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

const char *nameOf(TensorOperation::Kind kind) {
  return kind == TensorOperation::Product ? "mma" : "copy";
}

} // namespace

void TensorMemory::requireAllocated(Warp &warp, const Instr &in, int lane, uint32_t column, uint32_t count) const {
  for (const Allocation &a : allocations)
    if (column >= a.column && column + count <= a.column + a.columns)
      return;
  std::string all;
  for (const Allocation &a : allocations)
    all += fmt::format("{}[{:#x}, {:#x}) (line {})", all.empty() ? "" : ", ", a.column, a.column + a.columns, a.in->line);
  report(warp, in, lane, device::kErrorIllegalAddress,
         fmt::format("columns [{:#x}, {:#x}) of tensor memory are not allocated: {}", column, column + count,
                     all.empty() ? "nothing is" : "allocated are " + all));
}

void TensorMemory::requireOrdered(Warp &warp, const Instr &in, int lane, uint16_t agent, uint32_t time, int32_t line, bool isWrite, uint32_t column,
                                  bool needsFence) {
  const Clocks &clocks = *block.shared.order;
  if (agent == kNobody || agent == warp.agent || !clocks.areFollowed())
    return;
  PerWarp &self = warps[warp.index];
  bool isOperation = agent >= clocks.numWarps;
  needsFence = needsFence && warp.kernel->usesTensorFences;
  if (needsFence ? agent < self.after.size() && self.after[agent] >= time : clocks.ordered(warp.agent, agent, time))
    return;
  bool waited = clocks.ordered(warp.agent, agent, time) || (agent < self.relaxed.clocks.size() && self.relaxed.clocks[agent] >= time);
  std::string who = isOperation ? fmt::format("the operation at line {}", line) : fmt::format("{} at line {}", agentName(warp, agent), line);
  const char *did = isWrite ? "wrote" : "read";
  if (!waited)
    report(warp, in, lane, device::kErrorLaunchFailed,
           isOperation ? fmt::format("tensor memory race: column {:#x}, which {} {}: this warp has not waited for the mbarrier of its commit", column, who, did)
                       : fmt::format("tensor memory race: column {:#x}, which {} {} without a barrier in between", column, who, did));
  bool isReleased = isOperation || clocks.released[size_t{warp.agent} * clocks.numAgents + agent] >= time;
  report(warp, in, lane, device::kErrorLaunchFailed,
         isReleased ? fmt::format("tcgen05.fence::after_thread_sync is missing: column {:#x} of tensor memory, which {} {}; execute it after the barrier, "
                                  "and before this instruction",
                                  column, who, did)
                    : fmt::format("tcgen05.fence::before_thread_sync is missing: column {:#x} of tensor memory, which {} {}; execute it after that "
                                  "(and its tcgen05.wait), and before the barrier",
                                  column, who, did));
}

void TensorMemory::access(Warp &warp, const Instr &in, int lane, const TensorRange &range, TensorAccess kind, const TensorOperation *operation) {
  requireAllocated(warp, in, lane, range.column, range.count);
  if (!warp.checks)
    return;
  using A = TensorAccess;
  bool writes = kind != A::Load && kind != A::ReadByOperation, isFree = kind == A::Free;
  auto fail = [&](std::string text) { report(warp, in, lane, device::kErrorLaunchFailed, text); };
  auto unfinished = [&](uint32_t column, const TensorOperation &other, const char *does) {
    fail(fmt::format("column {:#x} of tensor memory, which the {} at line {} by warp {} {}: wait for the mbarrier of a tcgen05.commit after it",
                     column, nameOf(other.kind), other.in->line, other.warp->index, does));
  };
  bool tracksRaces = block.shared.order->areFollowed();
  uint32_t now = tracksRaces ? block.shared.order->now(warp.agent) : 0;
  visit(range, [&](Unit &unit, uint32_t, uint32_t column) {
    if (unit.storing != kNobody)
      fail(fmt::format("column {:#x} of tensor memory, which warp {} stores to at line {}: it has not executed tcgen05.wait::st", column, unit.storing,
                       unit.writeLine));
    if (writes && unit.loading != kNobody)
      fail(fmt::format("column {:#x} of tensor memory, which warp {} loads at line {}: it has not executed tcgen05.wait::ld", column, unit.loading,
                       unit.readLine));
    if (const TensorOperation *other = unit.writing ? find(unit.writing) : nullptr) {
      // Carried out in order are, of a thread, products on the same accumulators, and copies before products (PTX ISA 9.7.16.6.2.1).
      bool isOwn = operation && operation->thread() == other->thread();
      bool isSame = kind == A::Accumulator && other->pipeline() == operation->pipeline();
      bool isPipelined = isSame || (other->kind != TensorOperation::Product && operation);
      if (!isOwn || !isPipelined)
        unfinished(column, *other, "may still write");
    }
    if (const TensorOperation *other = writes && unit.reading ? find(unit.reading) : nullptr) {
      // A copy may replace scales that products before it read: CUTLASS's main loops rely on it.
      bool isOwn = operation && operation->thread() == other->thread();
      if (!isOwn || (operation->kind == TensorOperation::Product && !(kind == A::Accumulator && unit.reading == unit.writing)))
        unfinished(column, *other, "may still read");
    }
    if (tracksRaces) {
      // The same pairs are in order where the first has been carried out, because another warp has waited for it.
      bool followsOwn = operation && unit.writeThread == operation->thread() &&
                        (unit.writePipeline == 0 || (kind == A::Accumulator && unit.writePipeline == operation->pipeline()));
      bool replacesOwn = operation && unit.readThread == operation->thread() && operation->kind == TensorOperation::Copy;
      if (!followsOwn)
        requireOrdered(warp, in, lane, unit.writer, unit.writeTime, unit.writeLine, true, column, !isFree);
      if (writes && !replacesOwn)
        requireOrdered(warp, in, lane, unit.reader, unit.readTime, unit.readLine, false, column, !isFree);
    }
    switch (kind) {
    case A::Load:
      unit.loading = static_cast<uint16_t>(warp.index);
      unit.reader = static_cast<uint16_t>(warp.agent);
      unit.readTime = now;
      unit.readLine = in.line;
      unit.readThread = kNoThread;
      break;
    case A::Store:
      unit.storing = static_cast<uint16_t>(warp.index);
      unit.writer = static_cast<uint16_t>(warp.agent);
      unit.writeTime = now;
      unit.writeLine = in.line;
      unit.writeThread = kNoThread;
      break;
    case A::ReadByOperation:
      unit.reading = operation->serial;
      break;
    case A::Accumulator:
    case A::WriteByOperation:
      unit.writing = operation->serial;
      break;
    case A::Free:
      break;
    }
  });
  if (kind == A::Load)
    warps[warp.index].loads.push_back(range);
  else if (kind == A::Store)
    warps[warp.index].stores.push_back(range);
}

namespace {

[[noreturn]] void reportEarlyUse(const Warp &warp, const Instr &use, const Instr &load) {
  report(warp, use, -1, device::kErrorLaunchFailed,
         fmt::format("the instruction uses a register that the tcgen05.ld at line {} loads, and the warp does not execute tcgen05.wait::ld", load.line));
}

} // namespace

void TensorMemory::noteEarlyUse(const Warp &warp, const Instr &in, const Instr &load) {
  PerWarp &self = warps[warp.index];
  if (self.earlyUse)
    return;
  self.earlyUse = &in;
  self.earlyLoad = &load;
}

void TensorMemory::noteLoad(const Warp &warp, const Instr &in) {
  PerWarp &self = warps[warp.index];
  for (uint32_t slot : in.list2)
    if (slot >= kFirstSlot) {
      if (self.loading[slot] && self.earlyUse && warp.checks)
        reportEarlyUse(warp, *self.earlyUse, *self.earlyLoad);
      self.loading[slot] = &in;
      self.slots.push_back(slot);
    }
}

void TensorMemory::waitLoads(Warp &warp) {
  PerWarp &self = warps[warp.index];
  uint32_t now = block.shared.order->areFollowed() ? block.shared.order->now(warp.agent) : 0;
  for (const TensorRange &range : self.loads)
    visit(range, [&](Unit &unit, uint32_t, uint32_t) {
      if (unit.loading != warp.index)
        return;
      unit.loading = kNobody;
      unit.readTime = now; // here it ends
    });
  self.loads.clear();
  for (uint32_t slot : self.slots)
    self.loading[slot] = nullptr;
  self.slots.clear();
  self.earlyUse = nullptr;
}

void TensorMemory::requireWaits() const {
  for (size_t i = 0; i < warps.size(); ++i)
    if (warps[i].earlyUse && block.warps[i].checks)
      reportEarlyUse(block.warps[i], *warps[i].earlyUse, *warps[i].earlyLoad);
}

void TensorMemory::waitStores(Warp &warp) {
  PerWarp &self = warps[warp.index];
  uint32_t now = block.shared.order->areFollowed() ? block.shared.order->now(warp.agent) : 0;
  for (const TensorRange &range : self.stores)
    visit(range, [&](Unit &unit, uint32_t, uint32_t) {
      if (unit.storing != warp.index)
        return;
      unit.storing = kNobody;
      unit.writeTime = now;
    });
  self.stores.clear();
}

void TensorMemory::fenceBefore(Warp &warp) {
  Clocks &clocks = *block.shared.order;
  if (clocks.released.empty())
    return;
  clocks.released[size_t{warp.agent} * clocks.numAgents + warp.agent] = clocks.now(warp.agent);
  ++clocks.at(warp.agent, warp.agent); // what it does from now on is not covered
}

void TensorMemory::fenceAfter(Warp &warp) {
  const Clocks &clocks = *block.shared.order;
  if (!clocks.areFollowed() || clocks.released.empty())
    return;
  PerWarp &self = warps[warp.index];
  self.after.resize(clocks.numAgents, 0);
  size_t first = size_t{warp.agent} * clocks.numAgents;
  auto raise = [&](uint32_t agent, const std::vector<uint32_t> &known, size_t at) {
    if (at < known.size())
      self.after[agent] = std::max(self.after[agent], known[at]);
  };
  for (uint32_t agent = 0; agent < clocks.numAgents; ++agent) {
    bool isOperation = agent >= clocks.numWarps; // a commit implies the fence before
    raise(agent, isOperation ? clocks.clocks : clocks.released, first + agent);
    raise(agent, isOperation ? self.relaxed.clocks : self.relaxed.released, agent);
  }
}

void TensorMemory::noteRelaxedWait(const Warp &warp, const Knowledge &known) {
  Knowledge &own = warps[warp.index].relaxed;
  for (auto [into, from] : {std::pair{&own.clocks, &known.clocks}, std::pair{&own.released, &known.released}}) {
    into->resize(std::max(into->size(), from->size()));
    for (size_t i = 0; i < from->size(); ++i)
      (*into)[i] = std::max((*into)[i], (*from)[i]);
  }
}

} // namespace emulator
} // namespace fourfold
