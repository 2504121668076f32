// clusterlaunchcontrol.try_cancel and .query_cancel (PTX ISA 9.7.13.17 and 9.7.13.18).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "LaunchControl.h"

#include "BulkCopy.h"
#include "Cluster.h"
#include "Mbarrier.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

thread_local ClusterQueue *currentQueue = nullptr;

/// What try_cancel writes. PTX leaves the 16 bytes open: here the place of the cluster's first block, and a word that says whether there is one.
struct Response {
  uint32_t first[3], isCanceled;
};
static_assert(sizeof(Response) == 16);
constexpr uint32_t kCanceled = 0x4643434c, kNotCanceled = 0x4643434e; // else the bytes are no response

Response takeCluster(const Launch &launch) {
  Response response{{0, 0, 0}, kNotCanceled};
  // As many would-be takers come after the last as there are blocks.
  if (!currentQueue || *currentQueue->next >= currentQueue->total)
    return response;
  uint64_t cluster = currentQueue->take();
  if (cluster >= currentQueue->total)
    return response;
  response.isCanceled = kCanceled;
  for (int i = 0; i < 3; ++i) {
    unsigned clusters = launch.grid[i] / launch.cluster[i];
    response.first[i] = static_cast<uint32_t>(cluster % clusters) * launch.cluster[i];
    cluster /= clusters;
  }
  return response;
}

void tryCancel(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint64_t to = sharedAddress(warp, in, lane, 0, sizeof(Response), "destination"), barrier = sharedAddress(warp, in, lane, 1, 8, "mbarrier's address");
    Response response = takeCluster(*warp.launch);
    BulkCopy copy;
    copy.in = &in;
    copy.lane = lane;
    copy.bytes = sizeof(Response);
    copy.isValue = true;
    const auto *bytes = reinterpret_cast<const uint8_t *>(&response);
    copy.data.assign(bytes, bytes + sizeof(Response));
    bool toAll = in.variant && warp.block->cluster;
    if (toAll) {
      to &= (1u << kPeerShift) - 1;
      barrier &= (1u << kPeerShift) - 1;
    }
    size_t count = toAll ? warp.block->cluster->blocks.size() : 1;
    for (size_t rank = 0; rank < count; ++rank) {
      uint64_t place = to, signal = barrier;
      Block &target = toAll ? *sharedPlace(warp, in, lane, to | (rank + 1) << kPeerShift, true, false).block // at the same offsets in each
                            : copyTarget(warp, in, lane, place, signal);
      requireSignalable(warp, in, lane, target, signal);
      BulkCopy one = copy;
      one.barrier = static_cast<uint32_t>(signal);
      one.pieces.push_back({static_cast<uint32_t>(place), sizeof(Response), nullptr, nullptr});
      target.async->issueLoad(warp, std::move(one));
    }
  }
}

/// Instr::variant: the first of `count` words of the place, or kAsPredicate.
constexpr uint8_t kAsPredicate = 0xff;

void query(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as the response of a try_cancel");
  const uint64_t *low = warp.reg<uint64_t>(in.src[0]), *high = warp.reg<uint64_t>(in.src[0] + 2);
  uint32_t truth = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    Response response;
    std::memcpy(&response, &low[lane], 8);
    std::memcpy(reinterpret_cast<uint8_t *>(&response) + 8, &high[lane], 8);
    if (response.isCanceled != kCanceled && response.isCanceled != kNotCanceled)
      report(warp, in, lane, device::kErrorIllegalInstruction, "the operand is no response of clusterlaunchcontrol.try_cancel");
    if (in.variant == kAsPredicate) {
      truth |= static_cast<uint32_t>(response.isCanceled == kCanceled) << lane;
      continue;
    }
    if (response.isCanceled != kCanceled)
      report(warp, in, lane, device::kErrorIllegalInstruction,
             "no cluster was cancelled: its first block may be asked for only where .is_canceled says so");
    for (size_t i = 0; i < in.list.size(); ++i)
      if (in.list[i] != kSinkSlot)
        warp.reg<uint32_t>(in.list[i])[lane] = in.variant + i < 3 ? response.first[in.variant + i] : 0;
  }
  if (in.variant == kAsPredicate) {
    uint32_t &word = *warp.reg<uint32_t>(in.dst);
    word = (word & ~mask) | truth;
    warp.setInit(in.dst, mask, mask);
  }
  for (uint32_t slot : in.list)
    warp.setInit(slot, mask, mask);
}

} // namespace

void setClusterQueue(ClusterQueue *queue) { currentQueue = queue; }

bool decodeLaunchControl(Decoder &d) {
  if (d.ast().opcode != "clusterlaunchcontrol")
    return false;
  Instr &in = d.out();
  in.ownInit = true;
  if (d.take("try_cancel")) {
    if (!d.take("async") || !d.take("mbarrier::complete_tx::bytes") || !d.take("b128"))
      return false;
    d.take("shared::cta");
    in.variant = d.take("multicast::cluster::all");
    d.result().usesClusters |= in.variant != 0;
    d.result().usesMbarriers = d.result().usesAsyncProxy = true;
    d.expectOperands(2, 2);
    addAddress(d, d.operand(0), Space::Shared);
    addAddress(d, d.operand(1), Space::Shared);
    in.handler = tryCancel;
    in.instrClass = InstrClass::AsyncCopy;
    return true;
  }
  if (!d.take("query_cancel") || !d.take("b128"))
    return false;
  d.expectOperands(2, 2);
  in.src[0] = d.source(d.operand(1), Type::B128);
  in.handler = query;
  in.instrClass = InstrClass::Integer;
  if (d.take("is_canceled")) {
    if (!d.take("pred"))
      return false;
    in.variant = kAsPredicate;
    in.dst = d.predicateDestination(d.operand(0));
    return true;
  }
  if (!d.take("b32"))
    return false;
  static const char *const places[] = {"get_first_ctaid::x", "get_first_ctaid::y", "get_first_ctaid::z"};
  for (uint8_t i = 0; i < 3; ++i)
    if (d.take(places[i])) {
      in.variant = i;
      in.list.push_back(d.destination(d.operand(0), Type::B32));
      return true;
    }
  if (!d.take("get_first_ctaid") || !d.take("v4") || d.operand(0).kind != Operand::Vector || d.operand(0).elements.size() != 4)
    return false;
  for (const Operand &element : d.operand(0).elements)
    in.list.push_back(d.destination(element, Type::B32));
  return true;
}

} // namespace emulator
} // namespace fourfold
