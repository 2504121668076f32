// Barrier objects in shared memory (PTX ISA 9.7.13.15, mbarrier): phases, arrivals and transaction counts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Mbarrier.h"

#include "Access.h"
#include "AsyncProxy.h"
#include "Cluster.h"

#include "runtime/device/Driver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

constexpr uint32_t kMaxCount = (1u << 20) - 1;
constexpr uint32_t kAddressBytes = 8;

/// Instr::variant.
enum : uint8_t { kInit, kInval, kArrive, kArriveDrop, kExpectTx, kCompleteTx, kWait, kPendingCount, kTrack };
/// Instr::flags.
constexpr uint32_t kAddsTx = 1, kNoComplete = 2, kParity = 4, kRelaxed = 8, kNoInc = 16;

/// An mbarrier is one 64-bit word of shared memory, which is also the state token that an arrival returns: pending
/// arrivals (20 bits), arrivals of the next phase (20), transaction count (21, signed), parity of the phase (1).
struct Object {
  uint32_t pending, expected;
  int32_t tx;
  uint32_t phase;

  static Object unpack(uint64_t word) {
    return {static_cast<uint32_t>(word & kMaxCount), static_cast<uint32_t>(word >> 20 & kMaxCount),
            static_cast<int32_t>(static_cast<uint32_t>(word >> 40 & 0x1fffff) << 11) >> 11,
            static_cast<uint32_t>(word >> 61 & 1)};
  }
  uint64_t pack() const {
    return uint64_t{pending} | uint64_t{expected} << 20 | uint64_t{static_cast<uint32_t>(tx) & 0x1fffff} << 40 |
           uint64_t{phase} << 61;
  }
  bool completeIfDone() {
    if (pending || tx)
      return false;
    phase ^= 1;
    pending = expected;
    return true;
  }
  std::string describe() const {
    return fmt::format("phase of parity {}, {} of {} arrivals pending, transaction count {}", phase, pending, expected,
                       tx);
  }
};

struct Place {
  Block *block;
  uint8_t *data;
  uint8_t *shadow;
  uint64_t address; // in the block's shared memory
};

Place placeOf(Warp &warp, const Instr &in, int lane, uint64_t address) {
  Space space = in.space == Space::Generic ? splitGeneric(address) : in.space;
  if (space != Space::Shared)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("address {:#x} of an mbarrier is not in shared memory", address));
  LanePointer pointer = checkedPointer(warp, in, lane, Space::Shared, address, kAddressBytes, AccessKind::Atomic);
  SharedPlace place = sharedPlace(warp, in, lane, address, in.takesPeers, !(in.flags & kRelaxed));
  return {place.block, pointer.data, pointer.shadow, place.offset};
}

Object objectAt(Warp &warp, const Instr &in, int lane, const Place &place) {
  for (uint32_t i = 0; i < kAddressBytes; ++i)
    if (place.shadow[i] != kByteMbarrier)
      report(warp, in, lane, device::kErrorLaunchFailed,
             fmt::format("no mbarrier was initialised at shared address {:#x}, or its bytes were overwritten: "
                         "execute mbarrier.init, and a barrier, before",
                         place.address));
  place.block->async->requireOrdered(warp, in, lane, static_cast<uint32_t>(place.address));
  uint64_t word;
  std::memcpy(&word, place.data, sizeof(word));
  return Object::unpack(word);
}

void addTx(Warp &warp, const Instr &in, int lane, Object &object, int64_t amount) {
  int64_t sum = object.tx + amount;
  if (sum > int64_t{kMaxCount} || sum < -int64_t{kMaxCount})
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("the transaction count of an mbarrier becomes {}; it stays between -{} and {} ({})", sum,
                       kMaxCount, kMaxCount, object.describe()));
  object.tx = static_cast<int32_t>(sum);
}

/// Returns whether the phase is complete.
bool arrive(Warp &warp, const Instr &in, int lane, Object &object, uint32_t count, const Place &place) {
  int64_t bytes;
  uint32_t arrivals;
  place.block->async->underWay(static_cast<uint32_t>(place.address), &bytes, &arrivals);
  if (count == 0 || count > object.pending - std::min(object.pending, arrivals))
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("{} arrivals at an mbarrier that takes 1 to {} more in this phase ({}){}", count,
                       object.pending - std::min(object.pending, arrivals), object.describe(),
                       bytes || arrivals ? fmt::format(": copies of {} bytes are under way to it, and nobody has waited for the phase they "
                                                       "complete",
                                                       bytes)
                                         : ""));
  object.pending -= count;
  if (in.variant == kArriveDrop)
    object.expected -= count;
  if ((in.flags & kNoComplete) && object.pending == 0)
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("an arrival with .noComplete completes the phase ({})", object.describe()));
  return object.completeIfDone();
}

uint32_t operandOf(Warp &warp, const Instr &in, int lane) { return warp.reg<uint32_t>(in.src[1])[lane]; }

void initialise(Warp &warp, const Instr &in, int lane, const Place &place) {
  uint32_t count = operandOf(warp, in, lane);
  if (count == 0 || count > kMaxCount)
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("mbarrier.init with count {}; it takes 1 to {}", count, kMaxCount));
  if (place.shadow[0] == kByteMbarrier)
    report(warp, in, lane, device::kErrorLaunchFailed,
           fmt::format("mbarrier.init of the mbarrier at shared address {:#x}, which is in use: mbarrier.inval first",
                       place.address));
  uint64_t word = Object{count, count, 0, 0}.pack();
  std::memcpy(place.data, &word, sizeof(word));
  std::memset(place.shadow, kByteMbarrier, kAddressBytes);
  asyncProxyOf(warp).initialise(warp, in, static_cast<uint32_t>(place.address));
}

void update(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as an operand of an mbarrier instruction");
  requireInit(warp, in, in.src[2], mask, "as an operand of an mbarrier instruction");
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    Place place = placeOf(warp, in, lane, addresses[lane]);
    if (in.variant == kInit) {
      initialise(warp, in, lane, place);
      continue;
    }
    Object object = objectAt(warp, in, lane, place);
    AsyncProxy &async = *place.block->async;
    auto address = static_cast<uint32_t>(place.address);
    uint64_t before = object.pack();
    bool isComplete = false;
    switch (in.variant) {
    case kInval:
      async.invalidate(warp, in, lane, address);
      std::memset(place.shadow, kByteUnwritten, kAddressBytes);
      continue;
    case kTrack:
      if (!(in.flags & kNoInc)) {
        if (object.pending == kMaxCount)
          report(warp, in, lane, device::kErrorLaunchFailed, "the pending count of the mbarrier is at its largest");
        ++object.pending;
      }
      async.trackCopies(warp, lane, address);
      break;
    case kExpectTx:
      addTx(warp, in, lane, object, operandOf(warp, in, lane));
      async.expect(address, operandOf(warp, in, lane));
      break;
    case kCompleteTx:
      addTx(warp, in, lane, object, -int64_t{operandOf(warp, in, lane)});
      async.complete(address, operandOf(warp, in, lane));
      isComplete = object.completeIfDone();
      break;
    default:
      if (in.flags & kAddsTx) {
        addTx(warp, in, lane, object, operandOf(warp, in, lane));
        async.expect(address, operandOf(warp, in, lane));
      }
      async.arrive(warp, address, !(in.flags & kRelaxed));
      isComplete = arrive(warp, in, lane, object, warp.reg<uint32_t>(in.src[2])[lane], place);
    }
    if (isComplete)
      async.completePhase(warp, in, address);
    uint64_t word = object.pack();
    std::memcpy(place.data, &word, sizeof(word));
    if (in.variant == kArrive || in.variant == kArriveDrop)
      warp.reg<uint64_t>(in.dst)[lane] = before;
  }
  warp.setInit(in.dst, mask, mask);
}

void wait(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as the phase to wait for");
  uint32_t done = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    Place place = placeOf(warp, in, lane, addresses[lane]);
    Object object = objectAt(warp, in, lane, place);
    uint32_t phase;
    if (in.flags & kParity) {
      phase = operandOf(warp, in, lane);
      if (phase > 1)
        report(warp, in, lane, device::kErrorLaunchFailed, fmt::format("phase parity {} is neither 0 nor 1", phase));
    } else {
      phase = Object::unpack(warp.reg<uint64_t>(in.src[1])[lane]).phase;
    }
    AsyncProxy &async = asyncProxyOf(warp);
    auto address = static_cast<uint32_t>(place.address);
    if (phase == object.phase) {
      // What is under way lands now, if that completes the phase.
      int64_t bytes;
      uint32_t arrivals;
      async.underWay(address, &bytes, &arrivals);
      if ((bytes || arrivals) && object.pending == arrivals && object.tx == bytes) {
        object.pending = 0;
        object.tx = 0;
        object.completeIfDone();
        uint64_t word = object.pack();
        std::memcpy(place.data, &word, sizeof(word));
        async.completePhase(warp, in, address);
      }
    }
    bool isDone = phase != object.phase;
    async.waited(warp, in, address, phase, isDone, !(in.flags & kRelaxed));
    done |= static_cast<uint32_t>(isDone) << lane;
  }
  warp.yields = done != mask;
  uint32_t *out = warp.reg<uint32_t>(in.dst);
  *out = (*out & ~mask) | done;
  warp.setInit(in.dst, mask, mask);
}

void pendingCount(Warp &warp, const Instr &in, uint32_t mask) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    warp.reg<uint32_t>(in.dst)[lane] = Object::unpack(warp.reg<uint64_t>(in.src[1])[lane]).pending;
  }
}

void takeOrder(Decoder &d, bool *isRelaxed) {
  *isRelaxed = d.take("relaxed");
  for (const char *mod : {"acquire", "release", "cta", "cluster"})
    d.take(mod);
}

/// Where the phase is not complete, others go on at once: try_wait may suspend the thread, test_wait stands in a loop.
void decodeWait(Decoder &d, Instr &in, Space space) {
  in.handler = wait;
  in.variant = kWait;
  in.flags = d.take("parity") ? kParity : 0;
  in.flow = Flow::Wait;
  d.expectOperands(3, 4);
  in.dst = d.predicateDestination(d.operand(0));
  d.address(d.operand(1), space);
  in.src[1] = in.flags & kParity ? d.source32(d.operand(2)) : d.source(d.operand(2), Type::B64);
  if (d.numOperands() == 4)
    d.source32(d.operand(3)); // for how long to suspend: changes no result
}

void decodeArrive(Decoder &d, Instr &in, Space space) {
  in.flags = (d.take("expect_tx") ? kAddsTx : 0) | (d.take("noComplete") ? kNoComplete : 0);
  // Without a result only the form for a remote barrier exists; the sink `_` is also taken.
  size_t first = d.operand(0).kind == Operand::Address ? 0 : 1;
  d.expectOperands(first + 1, first + 2);
  if (first && in.takesPeers && d.operand(0).kind != Operand::Sink)
    d.fail("an arrival at an mbarrier of .shared::cluster returns no state: its result is '_'");
  if (first)
    in.dst = d.destination(d.operand(0), Type::B64);
  d.address(d.operand(first), space);
  in.src[2] = d.constant(1, 32);
  bool hasOperand = d.numOperands() == first + 2;
  if (!hasOperand && in.flags)
    d.fail("'.expect_tx' and '.noComplete' need a count");
  if (hasOperand)
    in.src[in.flags & kAddsTx ? 1 : 2] = d.source32(d.operand(first + 1));
}

} // namespace

bool isMbarrier(const Instr &in) { return in.handler == update || in.handler == wait; }

bool isMbarrierUse(const Instr &in) { return isMbarrier(in) && in.variant != kInit && in.variant != kInval; }

void requireSignalable(Warp &warp, const Instr &in, int lane, Block &block, uint64_t address, bool byAsyncProxy) {
  if (address % kAddressBytes)
    report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("the mbarrier's address {:#x} is not a multiple of 8", address));
  if (address < kSharedStart || address + kAddressBytes > warp.launch->sharedBytes)
    report(warp, in, lane, device::kErrorIllegalAddress,
           fmt::format("the mbarrier's shared address {:#x} is out of bounds: the block's shared memory is [{:#x}, {:#x})", address,
                       kSharedStart, warp.launch->sharedBytes));
  SharedMemory &shared = block.shared;
  objectAt(warp, in, lane, {&block, &shared.data[address], &shared.shadow[address], address});
  if (byAsyncProxy)
    block.async->requireFenced(warp, in, lane, static_cast<uint32_t>(address));
}

std::string describeMbarrier(const SharedMemory &shared, uint32_t address) {
  uint64_t word;
  std::memcpy(&word, &shared.data[address], sizeof(word));
  return Object::unpack(word).describe();
}

uint32_t pendingArrivals(const SharedMemory &shared, uint32_t address) {
  uint64_t word;
  std::memcpy(&word, &shared.data[address], sizeof(word));
  return Object::unpack(word).pending;
}

void arriveByCommit(Warp &waiter, const Instr &in, Block &block, uint32_t address) {
  uint64_t word;
  std::memcpy(&word, &block.shared.data[address], sizeof(word));
  Object object = Object::unpack(word);
  --object.pending; // room was made for it at the commit
  bool isComplete = object.completeIfDone();
  word = object.pack();
  std::memcpy(&block.shared.data[address], &word, sizeof(word));
  if (isComplete)
    block.async->completePhase(waiter, in, address);
}

bool decodeTrackingArrival(Decoder &d) {
  Instr &in = d.out();
  if (!d.take("arrive"))
    return false;
  in.handler = update;
  in.variant = kTrack;
  in.flags = d.take("noinc") ? kNoInc : 0;
  in.instrClass = InstrClass::SharedStore;
  d.result().usesMbarriers = true;
  Space space = d.take("shared") || d.take("shared::cta") ? Space::Shared : Space::Generic;
  if (d.requireType() != Type::B64)
    d.fail("an mbarrier has type .b64");
  d.expectOperands(1, 1);
  d.address(d.operand(0), space);
  in.space = space;
  return true;
}

bool decodeMbarrier(Decoder &d) {
  if (d.ast().opcode != "mbarrier")
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::Barrier;
  in.ownInit = true;
  d.result().usesMbarriers = true;
  static const std::pair<const char *, uint8_t> names[] = {{"init", kInit},
                                                           {"inval", kInval},
                                                           {"arrive", kArrive},
                                                           {"arrive_drop", kArriveDrop},
                                                           {"complete_tx", kCompleteTx},
                                                           {"test_wait", kWait},
                                                           {"try_wait", kWait},
                                                           {"pending_count", kPendingCount}};
  int operation = -1;
  for (auto [name, value] : names)
    if (d.take(name))
      operation = value;
  if (operation < 0 && d.take("expect_tx"))
    operation = kExpectTx;
  if (operation < 0)
    return false;
  in.variant = static_cast<uint8_t>(operation);
  Space space = d.take("shared") || d.take("shared::cta") ? Space::Shared : Space::Generic;
  // PTX ISA 9.7.13.15: arrivals and transaction counts reach mbarriers of other blocks of the cluster, but return no state of them.
  bool reachesPeers = operation == kArrive || operation == kArriveDrop || operation == kExpectTx || operation == kCompleteTx;
  if (reachesPeers && d.take("shared::cluster")) {
    in.takesPeers = true;
    space = Space::Shared;
  }
  bool isRelaxed;
  takeOrder(d, &isRelaxed);
  d.requireType();
  in.handler = update;
  if (operation != kWait && operation != kPendingCount)
    in.instrClass = InstrClass::SharedStore; // so that the watchdog sees progress
  in.space = space;
  switch (operation) {
  case kPendingCount:
    d.expectOperands(2, 2);
    in.ownInit = false;
    in.handler = pendingCount;
    in.dst = d.destination(d.operand(0), Type::U32);
    in.src[1] = d.source(d.operand(1), Type::B64);
    return true;
  case kWait:
    decodeWait(d, in, space);
    in.flags |= isRelaxed ? kRelaxed : 0;
    return true;
  case kArrive:
  case kArriveDrop:
    decodeArrive(d, in, space);
    in.flags |= isRelaxed ? kRelaxed : 0;
    return true;
  default:
    d.expectOperands(operation == kInval ? 1 : 2, operation == kInval ? 1 : 2);
    d.address(d.operand(0), space);
    if (operation != kInval)
      in.src[1] = d.source32(d.operand(1));
    return true;
  }
}

} // namespace emulator
} // namespace fourfold
