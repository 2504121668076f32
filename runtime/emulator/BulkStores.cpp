// Bulk copies out of shared memory: they read, and write, when their group is waited for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"

#include "Cluster.h"
#include "Mbarrier.h"
#include "TensorMemory.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

void AsyncProxy::requireSource(Warp &warp, const BulkCopy &copy, uint32_t address, uint32_t bytes) {
  uint64_t end = uint64_t{address} + bytes;
  if (address < kSharedStart || end > warp.launch->sharedBytes)
    report(warp, *copy.in, copy.lane, device::kErrorIllegalAddress,
           fmt::format("the copy reads shared addresses [{:#x}, {:#x}), out of bounds: the block's shared memory is [{:#x}, {:#x})", address, end,
                       kSharedStart, warp.launch->sharedBytes));
  if (!warp.checks)
    return;
  for (uint32_t i = 0; i < bytes; ++i)
    if (uint8_t state = block.shared.shadow[address + i]; state == kByteMbarrier || state == kBytePending)
      report(warp, *copy.in, copy.lane, device::kErrorLaunchFailed,
             state == kByteMbarrier
                 ? fmt::format("the copy reads shared address {:#x}, which holds an mbarrier", address + i)
                 : fmt::format("the copy reads shared address {:#x}, the destination of an asynchronous copy that has not been waited for{}",
                               address + i, describePendingByte(warp, block, address + i)));
  asyncProxyReads(warp, *copy.in, copy.lane, address, bytes);
}

void AsyncProxy::issueStore(Warp &warp, BulkCopy copy) {
  copy.warp = warp.index;
  copy.issuer = &warp;
  for (const CopyPiece &piece : copy.pieces) {
    requireSource(warp, copy, piece.shared, piece.bytes);
    copy.low = std::min(copy.low, piece.shared);
    copy.high = std::max(copy.high, piece.shared + piece.bytes);
  }
  count(copy, false);
  stores.push_back(std::move(copy));
}

void AsyncProxy::noteSource(SharedMemory &source, const BulkCopy &copy, uint32_t address) {
  if (source.history.empty())
    return;
  const BarrierState &state = barriers[copy.barrier];
  source.visitHistory(address, copy.bytes, [&](WordHistory &history, uint32_t) {
    history.reader = static_cast<uint16_t>(agentOf(state));
    history.readTime = times[state.agent] + 1;
    history.readLane = kUnknownLane;
    history.readLine = copy.in->line;
  });
}

void AsyncProxy::commit(Warp &warp, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    int64_t &groups = committed[warp.index * kLanes + static_cast<uint32_t>(lane)];
    for (BulkCopy &copy : stores)
      if (copy.warp == warp.index && copy.lane == lane && copy.group < 0)
        copy.group = groups;
    ++groups;
  }
}

void AsyncProxy::readSource(Warp &warp, const Instr &in, BulkCopy &copy) {
  if (copy.isRead)
    return;
  SharedMemory &shared = block.shared;
  copy.isRead = true;
  for (const CopyPiece &piece : copy.pieces) {
    if (!piece.data)
      continue;
    copy.data.insert(copy.data.end(), &shared.data[piece.shared], &shared.data[piece.shared] + piece.bytes);
    copy.written.insert(copy.written.end(), &shared.shadow[piece.shared], &shared.shadow[piece.shared] + piece.bytes);
    if (!shared.history.empty()) // as a read of the thread that waits: others are ordered after it by the usual means
      shared.visitHistory(piece.shared, piece.bytes, [&](WordHistory &history, uint32_t) {
        if (!shared.order->ordered(warp.agent, history.reader, history.readTime))
          return;
        history.reader = static_cast<uint16_t>(warp.agent);
        history.readTime = shared.order->now(warp.agent);
        history.readStep = shared.order->steps[warp.agent];
        history.readLane = kUnknownLane;
        history.readLine = in.line;
      });
  }
}

void AsyncProxy::writeGlobal(const BulkCopy &copy) {
  size_t at = 0;
  for (const CopyPiece &piece : copy.pieces) {
    if (!piece.data)
      continue;
    const uint8_t *data = &copy.data[at], *written = &copy.written[at];
    at += piece.bytes;
    uint32_t size = static_cast<uint32_t>(typeBytes(copy.type));
    for (uint32_t i = 0; copy.reduces && i < piece.bytes; i += size) {
      uint64_t operand = 0;
      std::memcpy(&operand, data + i, size);
      applyAtomic(piece.data + i, copy.op, copy.type, operand);
    }
    if (!copy.reduces)
      std::memcpy(piece.data, data, piece.bytes);
    for (uint32_t i = 0; i < piece.bytes; ++i)
      piece.shadow[i] = written[i] == kByteUnwritten ? uint8_t{kByteUnwritten} : copy.reduces ? piece.shadow[i] : uint8_t{kByteWritten};
  }
}

void AsyncProxy::wait(Warp &warp, const Instr &in, uint32_t mask, int64_t left, bool written) {
  size_t keep = 0;
  for (size_t i = 0; i < stores.size(); ++i) {
    BulkCopy &copy = stores[i];
    bool isWaitedFor = copy.warp == warp.index && (mask >> copy.lane & 1) && copy.group >= 0 &&
                       copy.group < committed[warp.index * kLanes + static_cast<uint32_t>(copy.lane)] - left;
    if (isWaitedFor)
      readSource(warp, in, copy);
    if (isWaitedFor && written) {
      writeGlobal(copy);
      continue;
    }
    if (keep != i)
      stores[keep] = std::move(copy);
    ++keep;
  }
  stores.resize(keep);
}

void AsyncProxy::finish() {
  auto left = [&](const BulkCopy &copy, const char *what, const char *cure) {
    const Warp &warp = *copy.issuer;
    if (warp.checks)
      report(warp, *copy.in, copy.lane, device::kErrorLaunchFailed,
             fmt::format("the block {}ends while this copy may still {} its shared memory: {}", block.cluster ? blockName(block) + " " : "", what, cure));
  };
  for (const BulkCopy &copy : loads)
    left(copy, "write", "wait for the phase of its mbarrier that it completes");
  for (size_t rank = 0; block.cluster && rank < block.cluster->blocks.size(); ++rank)
    if (const AsyncProxy *peer = block.cluster->blocks[rank]->async.get(); peer && peer != this)
      for (const BulkCopy &copy : peer->loads)
        if (copy.isFromShared && copy.issuer->block == &block)
          left(copy, "read", "wait until the block that it copies to has seen its mbarrier's phase complete");
  for (BulkCopy &copy : stores) {
    if (!copy.isRead)
      left(copy, "read", "commit its group (cp.async.bulk.commit_group), and wait for it (cp.async.bulk.wait_group.read)");
    readSource(block.warps[copy.warp], *copy.in, copy);
    writeGlobal(copy); // the end of the kernel waits for it
  }
  stores.clear();
}

void AsyncProxy::requireUnread(Warp &warp, const Instr &in, int lane, uint32_t address, uint32_t bytes) const {
  if (block.tensor)
    block.tensor->requireUnread(warp, in, lane, address, bytes);
  for (const BulkCopy &copy : stores)
    for (const CopyPiece &piece : copy.pieces) {
      if (copy.isRead || address >= copy.high || address + bytes <= copy.low)
        break;
      if (piece.data && piece.shared < address + bytes && address < piece.shared + piece.bytes)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("write of {} bytes at shared address {:#x}, which the asynchronous copy at line {}, by warp {}, may still read: "
                           "wait for its group before (cp.async.bulk.wait_group.read)",
                           bytes, address, copy.in->line, copy.warp));
    }
}

} // namespace emulator
} // namespace fourfold
