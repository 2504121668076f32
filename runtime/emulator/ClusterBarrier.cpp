// barrier.cluster, mapa, getctarank (PTX ISA 9.7.13.4, 9.7.9.23, 9.7.9.24).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "AsyncProxy.h"
#include "Access.h"
#include "Cluster.h"
#include "Decoder.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Instr::flags of barrier.cluster.
constexpr uint32_t kAligned = 1, kRelaxedOrder = 2;

void requireAligned(const Warp &warp, const Instr &in, uint32_t mask) {
  if ((in.flags & kAligned) && mask != warp.live)
    report(warp, in, __builtin_ctz(mask), device::kErrorLaunchFailed,
           fmt::format("barrier.cluster.aligned under divergence: lanes {:#010x} of the live lanes {:#010x} execute it", mask, warp.live));
}

void completeIfDone(Cluster &cluster) {
  if (cluster.arrived != cluster.live || !cluster.arrived)
    return;
  ++cluster.phase;
  cluster.arrived = 0;
  cluster.completed = cluster.arriving;
  for (Block *block : cluster.blocks)
    for (Warp &warp : block->warps)
      if (warp.state == Warp::State::AtBarrier && warp.barrier == kClusterBarrier)
        warp.state = Warp::State::Ready;
}

void arriveCluster(Warp &warp, const Instr &in, uint32_t mask) {
  Cluster &cluster = *warp.block->cluster;
  Cluster::OfWarp &own = cluster.warps[warp.agent];
  requireAligned(warp, in, mask);
  if (uint32_t twice = own.pending & mask)
    report(warp, in, __builtin_ctz(twice), device::kErrorLaunchFailed,
           fmt::format("the thread arrives at barrier.cluster again, after line {}, without barrier.cluster.wait in between", own.arriveLine));
  own.pending |= mask;
  own.arriveLine = in.line;
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      own.lanePhase[lane] = cluster.phase;
  cluster.arrived += static_cast<uint32_t>(__builtin_popcount(mask));
  if (warp.block->async)
    warp.block->async->publishInits(warp, cluster.phase);
  if (cluster.clocks.areFollowed()) {
    // A relaxed arrival passes on what a fence before it covers (PTX ISA 8.8, release patterns).
    auto join = [](std::vector<uint32_t> &into, const std::vector<uint32_t> &row) {
      into.resize(std::max(into.size(), row.size()));
      for (size_t i = 0; i < row.size(); ++i)
        into[i] = std::max(into[i], row[i]);
    };
    if (in.flags & kRelaxedOrder) {
      join(cluster.arriving.clocks, own.fenced.clocks);
      join(cluster.arriving.fenced, own.fenced.fenced);
      join(cluster.arriving.released, own.fenced.released);
    } else {
      cluster.clocks.publish(warp.agent, cluster.arriving);
      cluster.clocks.advance(warp.agent);
    }
  }
  completeIfDone(cluster);
}

/// Blocks the warp where all of it waits; where it has diverged, the other side of the branch goes on, which may have to arrive.
void waitCluster(Warp &warp, const Instr &in, uint32_t mask) {
  Cluster &cluster = *warp.block->cluster;
  Cluster::OfWarp &own = cluster.warps[warp.agent];
  requireAligned(warp, in, mask);
  if (uint32_t never = mask & ~own.pending)
    report(warp, in, __builtin_ctz(never), device::kErrorLaunchFailed,
           "barrier.cluster.wait by a thread that has not arrived: barrier.cluster.arrive comes first");
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    if (own.lanePhase[__builtin_ctz(rest)] == cluster.phase) {
      warp.yields = warp.repeats = true;
      if (mask == warp.live) {
        warp.state = Warp::State::AtBarrier;
        warp.barrier = kClusterBarrier;
      }
      return;
    }
  own.pending &= ~mask;
  own.seen = cluster.phase;
  if (cluster.clocks.areFollowed())
    cluster.clocks.learn(warp.agent, cluster.completed);
}

uint64_t addressOf(const Warp &warp, const Instr &in, int lane) {
  return in.wideAddress ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
}

/// The offset of a shared address in its block, and the block's rank.
uint32_t splitPeer(Warp &warp, const Instr &in, int lane, uint64_t address, uint32_t *rank) {
  Space space = in.space == Space::Generic ? splitGeneric(address) : Space::Shared;
  if (space != Space::Shared || address >> 32)
    report(warp, in, lane, device::kErrorIllegalAddress, fmt::format("address {:#x} is not in shared memory", address));
  *rank = address >> kPeerShift ? static_cast<uint32_t>(address >> kPeerShift) - 1 : warp.block->rank;
  return static_cast<uint32_t>(address) & ((1u << kPeerShift) - 1);
}

void mapAddress(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as an address");
  requireInit(warp, in, in.src[1], mask, "as the rank of a block");
  size_t count = warp.block->cluster->blocks.size();
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint32_t wanted = warp.reg<uint32_t>(in.src[1])[lane], rank;
    if (wanted >= count)
      report(warp, in, lane, device::kErrorIllegalAddress,
             fmt::format("mapa to the block of rank {} in a cluster of {}: ranks are below that", wanted, count));
    uint64_t value = splitPeer(warp, in, lane, addressOf(warp, in, lane), &rank);
    value |= uint64_t{wanted + 1} << kPeerShift;
    value += in.space == Space::Generic ? kSharedWindow : 0;
    if (in.wideAddress)
      warp.reg<uint64_t>(in.dst)[lane] = value;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(value);
  }
}

void rankOfAddress(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as an address");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    splitPeer(warp, in, lane, addressOf(warp, in, lane), &warp.reg<uint32_t>(in.dst)[lane]);
  }
}

bool decodeMap(Decoder &d, bool isMap) {
  Instr &in = d.out();
  in.space = d.take("shared::cluster") ? Space::Shared : Space::Generic;
  Type type = d.requireType();
  if (type != Type::U32 && type != Type::U64)
    d.fail("the address has type .u32 or .u64");
  if (in.space == Space::Generic && type != Type::U64)
    d.fail("generic addresses have type .u64");
  d.expectOperands(isMap ? 3 : 2, isMap ? 3 : 2);
  in.instrClass = InstrClass::Integer;
  in.handler = isMap ? mapAddress : rankOfAddress;
  in.wideAddress = type == Type::U64;
  in.dst = d.destination(d.operand(0), isMap ? type : Type::U32);
  in.src[0] = d.source(d.operand(1), type);
  if (isMap)
    in.src[1] = d.source32(d.operand(2));
  return true;
}

} // namespace

void leaveCluster(Warp &warp, uint32_t mask) {
  Cluster *cluster = warp.block->cluster;
  if (!cluster)
    return;
  const Cluster::OfWarp &own = cluster->warps[warp.agent];
  cluster->live -= static_cast<uint32_t>(__builtin_popcount(mask));
  for (uint32_t rest = mask & own.pending; rest; rest &= rest - 1)
    cluster->arrived -= own.lanePhase[__builtin_ctz(rest)] == cluster->phase;
  completeIfDone(*cluster);
}

std::string describeClusterBarrier(const Block &block) {
  return fmt::format("barrier.cluster ({} of {} threads arrived)", block.cluster->arrived, block.cluster->live);
}

bool decodeCluster(Decoder &d) {
  const std::string &opcode = d.ast().opcode;
  Instr &in = d.out();
  if (opcode == "mapa" || opcode == "getctarank") {
    d.result().usesClusters = true;
    return decodeMap(d, opcode == "mapa");
  }
  if (opcode != "barrier" || !d.take("cluster"))
    return false;
  d.result().usesClusters = true;
  bool isArrive = d.take("arrive");
  if (!isArrive && !d.take("wait"))
    d.fail("barrier.cluster is .arrive or .wait");
  if (isArrive && !d.take("release") && d.take("relaxed"))
    in.flags |= kRelaxedOrder;
  if (!isArrive)
    d.take("acquire");
  if (d.take("aligned"))
    in.flags |= kAligned;
  d.expectOperands(0, 0);
  in.handler = isArrive ? arriveCluster : waitCluster;
  in.flow = isArrive ? Flow::Next : Flow::Wait;
  in.ownInit = true;
  in.instrClass = InstrClass::Barrier;
  return true;
}

} // namespace emulator
} // namespace fourfold
