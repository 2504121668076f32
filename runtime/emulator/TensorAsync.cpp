// Tensor memory: operations under way, and the commits whose mbarriers say that they are complete (PTX ISA 9.7.16.6.2.1, 9.7.16.11).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An operation is carried out when the phase of an mbarrier that a commit after it signals is seen to be complete: as late as the program permits.
// Until then nobody else may touch what it reads and writes, so that it finds what lay there when it was issued.

#include "TensorMemory.h"

#include "Access.h"
#include "AsyncProxy.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

const TensorOperation *TensorMemory::find(uint64_t serial) const {
  for (auto operation = operations.rbegin(); operation != operations.rend(); ++operation) // it is most often a young one
    if (operation->serial == serial)
      return &*operation;
  return nullptr;
}

void TensorMemory::issue(TensorOperation operation) {
  Warp &warp = *operation.warp;
  const Instr &in = *operation.in;
  operation.serial = ++numOperations;
  SharedMemory &shared = block.shared;
  for (size_t number = 0; number < operation.chunks.size(); ++number) {
    uint32_t address = operation.chunks[number], used = number < operation.numChunksA ? operation.usedA : operation.usedB;
    if (address < warp.kernel->sharedBegin || address + 16 > warp.launch->sharedBytes)
      report(warp, in, operation.lane, device::kErrorIllegalAddress,
             fmt::format("the operation reads 16 bytes at shared address {:#x}, out of bounds: the block's shared memory is [{:#x}, {:#x})", address,
                         warp.kernel->sharedBegin, warp.launch->sharedBytes));
    if (!warp.checks)
      continue;
    const uint8_t *shadow = &shared.shadow[address];
    for (uint32_t i = 0; i < used; ++i)
      if (shadow[i] == kByteMbarrier || shadow[i] == kBytePending || (shadow[i] == kByteUnwritten && operation.kind == TensorOperation::Product))
        report(warp, in, operation.lane, device::kErrorLaunchFailed,
               shadow[i] == kByteMbarrier ? fmt::format("the operation reads shared address {:#x}, which holds an mbarrier", address + i)
               : shadow[i] == kBytePending
                   ? fmt::format("the operation reads shared address {:#x}, the destination of an asynchronous copy that has not been waited for{}",
                                 address + i, describePendingByte(warp, block, address + i))
                   : fmt::format("the operation reads shared address {:#x}, which was never written", address + i));
    asyncProxyReads(warp, in, operation.lane, address, used);
    ++readers[address / 16];
  }
  for (const TensorRange &range : operation.reads)
    access(warp, in, operation.lane, range, TensorAccess::ReadByOperation, &operation);
  for (const TensorRange &range : operation.writes)
    access(warp, in, operation.lane, range, operation.kind == TensorOperation::Product ? TensorAccess::Accumulator : TensorAccess::WriteByOperation,
           &operation);
  operations.push_back(std::move(operation));
}

void TensorMemory::requireUnread(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) const {
  if (operations.empty())
    return;
  for (uint32_t chunk = address / 16; chunk <= (address + bytes - 1) / 16; ++chunk)
    if (readers[chunk])
      for (const TensorOperation &operation : operations)
        if (std::find(operation.chunks.begin(), operation.chunks.end(), chunk * 16) != operation.chunks.end())
          report(warp, in, lane, device::kErrorLaunchFailed,
                 fmt::format("write of {} bytes at shared address {:#x}, which the {} at line {}, by warp {}, may still read: wait for the mbarrier of a "
                             "tcgen05.commit after it",
                             bytes, address, operation.kind == TensorOperation::Product ? "mma" : "copy", operation.in->line, operation.warp->index));
}

void TensorMemory::commit(Warp &warp, const Instr &in, int lane, const std::vector<std::pair<Block *, uint32_t>> &barriers) {
  fenceBefore(warp); // implied
  Commit commit{++numCommits, warp.index * kLanes + static_cast<uint32_t>(lane), numOperations, barriers};
  commits.push_back(commit);
  for (auto [target, address] : barriers)
    target->async->addSignal(warp, in, lane, address, block.tensor, commit.id);
}

void TensorMemory::land(uint32_t thread, uint64_t serial, uint32_t agent, uint32_t time) {
  SharedMemory &shared = block.shared;
  for (TensorOperation &operation : operations) {
    if (operation.serial > serial)
      break;
    if (operation.thread() != thread)
      continue;
    execute(operation);
    for (uint32_t address : operation.chunks) {
      if (operation.warp->checks)
        --readers[address / 16];
      if (!shared.history.empty())
        shared.visitHistory(address, 16, [&](WordHistory &history, uint32_t) {
          history.reader = static_cast<uint16_t>(agent);
          history.readTime = time;
          history.readLane = kUnknownLane;
          history.readLine = operation.in->line;
        });
    }
    for (const TensorRange &range : operation.writes)
      visit(range, [&](Unit &unit, uint32_t, uint32_t) {
        unit.writer = static_cast<uint16_t>(agent);
        unit.writeTime = time;
        unit.writeLine = operation.in->line;
        unit.writeThread = thread;
        unit.writePipeline = operation.pipeline();
        unit.writing = unit.writing == operation.serial ? 0 : unit.writing;
      });
    for (const TensorRange &range : operation.reads)
      visit(range, [&](Unit &unit, uint32_t, uint32_t) {
        unit.reader = static_cast<uint16_t>(agent);
        unit.readTime = time;
        unit.readLine = operation.in->line;
        unit.readThread = thread;
        unit.reading = unit.reading == operation.serial ? 0 : unit.reading;
      });
    uint32_t &last = landed[thread][agent];
    last = std::max(last, time);
  }
  operations.erase(std::remove_if(operations.begin(), operations.end(),
                                  [&](const TensorOperation &o) { return o.serial <= serial && o.thread() == thread; }),
                   operations.end());
}

void TensorMemory::complete(Warp &waiter, const Instr &in, uint64_t id, uint32_t agent, uint32_t time, Knowledge &known) {
  auto position = [&](uint64_t which) { return std::find_if(commits.begin(), commits.end(), [&](const Commit &c) { return c.id == which; }); };
  auto own = position(id);
  if (own == commits.end())
    return;
  uint32_t thread = own->thread;
  uint64_t serial = own->serial;
  // Commits of the thread before it are complete as well: their mbarriers get their arrivals.
  std::vector<std::pair<uint64_t, std::pair<Block *, uint32_t>>> earlier;
  for (const Commit &commit : commits)
    for (auto target : commit.barriers)
      if (commit.id < id && commit.thread == thread)
        earlier.emplace_back(commit.id, target);
  for (auto [which, target] : earlier)
    target.first->async->signal(waiter, in, target.second, which);
  land(thread, serial, agent, time);
  if (!block.shared.order->areFollowed())
    return;
  known.clocks.resize(std::max<size_t>(known.clocks.size(), block.shared.order->numAgents), 0);
  for (auto [other, when] : landed[thread])
    known.clocks[other] = std::max(known.clocks[other], when);
}

void TensorMemory::forgetTarget(uint64_t id, const Block *target, uint32_t address) {
  for (auto commit = commits.begin(); commit != commits.end(); ++commit)
    if (commit->id == id) {
      auto &left = commit->barriers;
      left.erase(std::remove(left.begin(), left.end(), std::pair{const_cast<Block *>(target), address}), left.end());
      if (left.empty())
        commits.erase(commit);
      return;
    }
}

void TensorMemory::execute(const TensorOperation &operation) {
  if (operation.kind == TensorOperation::Product)
    multiply(*this, block.shared, operation);
  else
    copyToTensor(*this, block.shared, operation);
}

} // namespace emulator
} // namespace fourfold
