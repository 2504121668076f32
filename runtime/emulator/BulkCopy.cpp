// cp.async.bulk and cp.reduce.async.bulk of bytes, their groups, and fences between proxies (PTX ISA 9.7.9.25.4 and 9.7.13.4).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "BulkCopy.h"

#include "Access.h"
#include "Cluster.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kWordsAnAddress = 3;
constexpr uint32_t kAlignment = 16;

/// Instr::variant.
enum : uint8_t { kCopy, kReduce };

uint32_t copySize(Warp &warp, const Instr &in, int lane) {
  uint32_t bytes = warp.reg<uint32_t>(in.src[2])[lane];
  if (bytes % kAlignment)
    report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the size {} of a bulk copy is not a multiple of 16", bytes));
  return bytes;
}

uint64_t globalAddress(Warp &warp, const Instr &in, int lane, uint32_t index, const char *what) {
  uint64_t address = anyAddress(warp, in, lane, index);
  if (address % kAlignment)
    report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the {} {:#x} of a bulk copy is not a multiple of 16", what, address));
  return address;
}

void load(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[2], mask, "as the size of a copy");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.bytes = copySize(warp, in, lane);
    uint64_t to = sharedAddress(warp, in, lane, 0, kAlignment, "destination");
    uint64_t from = globalAddress(warp, in, lane, 1, "source");
    uint64_t barrier = sharedAddress(warp, in, lane, 2, 8, "mbarrier's address");
    if (copy.bytes)
      copy.pieces.push_back(globalPiece(warp, in, lane, from, 0, copy.bytes));
    issueToBlocks(warp, in, std::move(copy), to, barrier);
  }
}

void store(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[2], mask, "as the size of a copy");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.bytes = copySize(warp, in, lane);
    uint64_t to = globalAddress(warp, in, lane, 0, "destination");
    uint64_t from = sharedAddress(warp, in, lane, 1, kAlignment, "source");
    if (copy.bytes)
      copy.pieces.push_back(globalPiece(warp, in, lane, to, sharedPlace(warp, in, lane, from, false).offset, copy.bytes));
    if (in.variant == kReduce) {
      copy.reduces = true;
      copy.op = static_cast<AtomicOp>(in.variant2);
      copy.type = static_cast<Type>(in.bytes);
    }
    asyncProxyOf(warp).issueStore(warp, std::move(copy));
  }
}

void prefetch(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[2], mask, "as the size of a prefetch");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint32_t bytes = copySize(warp, in, lane);
    uint64_t from = globalAddress(warp, in, lane, 0, "source");
    if (bytes)
      globalPiece(warp, in, lane, from, 0, bytes);
  }
}

void commit(Warp &warp, const Instr &, uint32_t mask) { asyncProxyOf(warp).commit(warp, mask); }

void wait(Warp &warp, const Instr &in, uint32_t mask) {
  asyncProxyOf(warp).wait(warp, in, mask, in.offset, in.flags == 0);
}

void fenceAsync(Warp &warp, const Instr &, uint32_t) {
  if (warp.block->async) // else nothing here uses the async proxy
    warp.block->async->fence(warp);
}

void fenceInits(Warp &warp, const Instr &, uint32_t) {
  if (warp.block->async)
    warp.block->async->fenceInits(warp);
}

void nothing(Warp &, const Instr &, uint32_t) {}

bool decodeFence(Decoder &d) {
  Instr &in = d.out();
  in.instrClass = InstrClass::Barrier;
  const std::vector<std::string> &mods = d.ast().mods;
  auto has = [&](const char *mod) { return std::find(mods.begin(), mods.end(), mod) != mods.end(); };
  if (has("mbarrier_init")) {
    d.take("mbarrier_init");
    if (!d.take("release") || !d.take("cluster"))
      d.fail("the fence is fence.mbarrier_init.release.cluster");
    d.expectOperands(0, 0);
    in.handler = fenceInits;
  } else if (has("proxy") && has("async")) {
    d.take("proxy");
    d.take("async");
    bool isGlobal = d.take("global");
    d.take("shared::cta");
    d.take("shared::cluster");
    d.expectOperands(0, 0);
    in.handler = isGlobal ? nothing : fenceAsync; // writes of global memory by the generic proxy are not followed
  } else if (has("proxy") && has("async::generic")) { // PTX ISA 9.7.13.4: with .acquire or .release of what mbarriers order
    d.take("proxy");
    d.take("async::generic");
    bool isAcquire = d.take("acquire");
    if ((!isAcquire && !d.take("release")) || !d.take(isAcquire ? "sync_restrict::shared::cluster" : "sync_restrict::shared::cta") || !d.take("cluster"))
      d.fail("fence.proxy.async::generic is .acquire.sync_restrict::shared::cluster.cluster or .release.sync_restrict::shared::cta.cluster");
    d.expectOperands(0, 0);
    in.handler = fenceAsync;
  } else if (has("proxy") && has("tensormap::generic")) {
    // Tensor maps are read when the instruction that uses them runs: a fence that is missing is not found.
    d.take("proxy");
    d.take("tensormap::generic");
    bool isAcquire = d.take("acquire");
    if (!isAcquire && !d.take("release"))
      d.fail("fence.proxy.tensormap needs .acquire or .release");
    if (!d.take("cta") && !d.take("cluster") && !d.take("gpu") && !d.take("sys"))
      d.fail("fence.proxy.tensormap needs a scope");
    d.expectOperands(isAcquire ? 2 : 0, isAcquire ? 2 : 0);
    if (isAcquire) {
      Space space = Space::Generic;
      d.address(d.operand(0), space);
      if (d.operand(1).kind != Operand::Integer || d.operand(1).value != 128)
        d.fail("the size of a tensor map is 128");
    }
    in.handler = nothing;
  } else {
    return false;
  }
  in.ownInit = true;
  return true;
}

bool decodeGroups(Decoder &d) {
  Instr &in = d.out();
  if (d.take("commit_group")) {
    d.expectOperands(0, 0);
    in.handler = commit;
    return true;
  }
  if (!d.take("wait_group"))
    return false;
  d.expectOperands(1, 1);
  if (d.operand(0).kind != Operand::Integer || d.operand(0).value < 0)
    d.fail("cp.async.bulk.wait_group takes an immediate");
  in.handler = wait;
  in.offset = d.operand(0).value;
  in.flags = d.take("read");
  return true;
}

bool decodePrefetch(Decoder &d) {
  Instr &in = d.out();
  if (!d.take("L2") || !d.take("global"))
    return false;
  size_t count = takePolicy(d);
  if (count != 2)
    d.fail("cp.async.bulk.prefetch takes an address and a size");
  addAddress(d, d.operand(0), Space::Global);
  in.src[2] = d.source32(d.operand(1));
  in.handler = prefetch;
  return true;
}

/// Types of reductions (PTX ISA, cp.reduce.async.bulk).
bool reduces(AtomicOp op, Type type) {
  switch (op) {
  case AtomicOp::Add:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 || type == Type::F16 || type == Type::BF16 || type == Type::F32 ||
           type == Type::F64;
  case AtomicOp::Min:
  case AtomicOp::Max:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 || type == Type::S64 || type == Type::F16 || type == Type::BF16;
  case AtomicOp::And:
  case AtomicOp::Or:
  case AtomicOp::Xor:
    return type == Type::B32 || type == Type::B64;
  default:
    return type == Type::U32;
  }
}

} // namespace

void addAddress(Decoder &d, const Operand &operand, Space space) {
  Instr &in = d.out();
  d.address(operand, space);
  if (in.offset < INT32_MIN || in.offset > INT32_MAX)
    d.fail("the offset of an address is too large");
  in.list.push_back(in.src[0]);
  in.list.push_back(static_cast<uint32_t>(in.offset));
  in.list.push_back(in.wideAddress);
  in.src[0] = kZeroSlot;
  in.offset = 0;
}

uint64_t anyAddress(Warp &warp, const Instr &in, int lane, uint32_t index) {
  const uint32_t *words = &in.list[index * kWordsAnAddress];
  requireInit(warp, in, words[0], 1u << lane, "as an address");
  if (!words[2])
    return warp.reg<uint32_t>(words[0])[lane] + words[1];
  return warp.reg<uint64_t>(words[0])[lane] + static_cast<uint64_t>(int64_t{static_cast<int32_t>(words[1])});
}

uint64_t sharedAddress(Warp &warp, const Instr &in, int lane, uint32_t index, uint32_t alignment, const char *what) {
  uint64_t address = anyAddress(warp, in, lane, index);
  splitGeneric(address);
  if (address % alignment)
    report(warp, in, lane, device::kErrorMisalignedAddress,
           fmt::format("the {} {:#x} of a bulk copy is not a multiple of {}", what, address, alignment));
  if (address >> 32)
    report(warp, in, lane, device::kErrorIllegalAddress, fmt::format("the {} {:#x} of a bulk copy is not in shared memory", what, address));
  return address;
}

void takeMulticast(Decoder &d, const Operand &operand) {
  d.out().flags |= kMulticast;
  d.out().src[3] = d.source(operand, Type::U16);
}

void issueToBlocks(Warp &warp, const Instr &in, BulkCopy copy, uint64_t to, uint64_t barrier) {
  auto issue = [&](Block &target, BulkCopy one) {
    requireSignalable(warp, in, one.lane, target, barrier);
    one.barrier = static_cast<uint32_t>(barrier);
    for (CopyPiece &piece : one.pieces)
      piece.shared += static_cast<uint32_t>(to);
    target.async->issueLoad(warp, std::move(one));
  };
  if (!(in.flags & kMulticast)) {
    Block &target = copyTarget(warp, in, copy.lane, to, barrier);
    return issue(target, std::move(copy));
  }
  // To the same offsets in each block of the mask (PTX ISA 9.7.9.25.4.1).
  requireInit(warp, in, in.src[3], 1u << copy.lane, "as a mask of blocks");
  constexpr uint32_t kOffset = (1u << kPeerShift) - 1;
  to &= kOffset;
  barrier &= kOffset;
  uint32_t mask = warp.reg<uint32_t>(in.src[3])[copy.lane] & 0xffff;
  size_t count = warp.block->cluster ? warp.block->cluster->blocks.size() : 1;
  if (mask >> count || !mask)
    report(warp, in, copy.lane, device::kErrorIllegalAddress,
           fmt::format("the mask {:#x} of a multicast copy {} in a cluster of {}", mask, mask ? "names blocks that do not exist" : "is empty", count));
  for (; mask; mask &= mask - 1) {
    uint64_t rank = static_cast<uint64_t>(__builtin_ctz(mask));
    issue(*sharedPlace(warp, in, copy.lane, to | (rank + 1) << kPeerShift, true, false).block, copy);
  }
}

CopyPiece globalPiece(Warp &warp, const Instr &in, int lane, uint64_t global, uint32_t shared, uint32_t bytes) {
  Allocation *allocation = warp.lastAllocation;
  if (!allocation || !allocation->contains(global, bytes))
    allocation = warp.launch->memory->find(global, bytes);
  if (!allocation)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("a bulk copy of {} bytes at global address {:#x} is out of bounds: {}", bytes, global,
                       warp.launch->memory->describe(global, bytes)));
  warp.lastAllocation = allocation;
  return {shared, bytes, allocation->at(global), allocation->shadowAt(global), global};
}

bool takeReduction(Decoder &d) {
  static const std::pair<const char *, AtomicOp> names[] = {{"add", AtomicOp::Add}, {"min", AtomicOp::Min}, {"max", AtomicOp::Max},
                                                            {"and", AtomicOp::And}, {"or", AtomicOp::Or},   {"xor", AtomicOp::Xor},
                                                            {"inc", AtomicOp::Inc}, {"dec", AtomicOp::Dec}};
  for (auto [name, op] : names)
    if (d.take(name)) {
      d.out().variant2 = static_cast<uint8_t>(op);
      return true;
    }
  return false;
}

size_t takePolicy(Decoder &d) {
  size_t count = d.numOperands();
  if (!d.take("L2::cache_hint"))
    return count;
  if (count == 0)
    d.fail("the cache policy is missing");
  d.source(d.operand(count - 1), Type::B64); // any policy serves: there is no cache
  return count - 1;
}

bool decodeBulkCopy(Decoder &d) {
  const std::string &opcode = d.ast().opcode;
  const std::vector<std::string> &mods = d.ast().mods;
  if (opcode == "fence")
    return decodeFence(d);
  if (opcode == "prefetch" && !mods.empty() && std::find(mods.begin(), mods.end(), "tensormap") != mods.end())
    return decodeTensorMapPrefetch(d);
  if (opcode != "cp" || std::find(mods.begin(), mods.end(), "bulk") == mods.end())
    return false;
  Instr &in = d.out();
  bool isReduction = d.take("reduce");
  if (!d.take("async") || !d.take("bulk"))
    return false;
  in.instrClass = InstrClass::AsyncCopy;
  in.ownInit = true;
  d.result().usesMbarriers = d.result().usesAsyncProxy = true;
  if (std::find(mods.begin(), mods.end(), "tensor") != mods.end())
    return decodeTensorCopy(d, isReduction);
  if (!isReduction && decodeGroups(d))
    return true;
  if (!isReduction && d.take("prefetch"))
    return decodePrefetch(d);
  d.result().usesClusters |= std::find(mods.begin(), mods.end(), "multicast::cluster") != mods.end();

  // The order of the spaces says the direction: destination, source.
  if (mods.size() < 4)
    return false;
  size_t at = isReduction ? 3 : 2;
  bool toShared = mods[at] == "shared::cluster" || mods[at] == "shared::cta";
  if (toShared && mods[at] == "shared::cluster" && mods[at + 1] == "shared::cta") {
    d.take("shared::cluster");
    d.take("shared::cta");
    if (!d.take("mbarrier::complete_tx::bytes"))
      return false;
    if (isReduction) {
      in.variant = kReduce;
      if (!takeReduction(d))
        return false;
      Type type = d.requireType();
      if (!reducesPeers(static_cast<AtomicOp>(in.variant2), type))
        d.fail("no cp.reduce.async.bulk in distributed shared memory has this operation and type");
      in.bytes = static_cast<uint8_t>(type);
    }
    d.expectOperands(4, 4);
    addAddress(d, d.operand(0), Space::Shared);
    addAddress(d, d.operand(1), Space::Shared);
    in.src[2] = d.source32(d.operand(2));
    addAddress(d, d.operand(3), Space::Shared);
    in.handler = copyToPeer;
    in.takesPeers = true;
    return true;
  }
  if (toShared) {
    in.takesPeers = mods[at] == "shared::cluster";
    d.take(mods[at]);
    if (isReduction || !d.take("global") || !d.take("mbarrier::complete_tx::bytes"))
      return false;
    bool isMulticast = in.takesPeers && d.take("multicast::cluster");
    if (takePolicy(d) != (isMulticast ? 5 : 4))
      d.fail("the copy takes destination, source, size, mbarrier, and a mask of blocks where it is a multicast");
    if (isMulticast)
      takeMulticast(d, d.operand(4));
    addAddress(d, d.operand(0), Space::Shared);
    addAddress(d, d.operand(1), Space::Global);
    in.src[2] = d.source32(d.operand(2));
    addAddress(d, d.operand(3), Space::Shared);
    in.handler = load;
    return true;
  }
  if (!d.take("global") || !d.take("shared::cta") || !d.take("bulk_group"))
    return false;
  if (takePolicy(d) != 3)
    d.fail("the copy takes destination, source and size");
  addAddress(d, d.operand(0), Space::Global);
  addAddress(d, d.operand(1), Space::Shared);
  in.src[2] = d.source32(d.operand(2));
  in.handler = store;
  in.variant = isReduction ? kReduce : kCopy;
  if (isReduction) {
    bool hasNoFtz = d.take("noftz");
    if (!takeReduction(d))
      return false;
    Type type = d.requireType();
    if (!reduces(static_cast<AtomicOp>(in.variant2), type) ||
        hasNoFtz != (in.variant2 == static_cast<uint8_t>(AtomicOp::Add) && (type == Type::F16 || type == Type::BF16)))
      d.fail("no cp.reduce.async.bulk has this operation and type");
    in.bytes = static_cast<uint8_t>(type);
  }
  return true;
}

} // namespace emulator
} // namespace fourfold
