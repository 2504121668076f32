// ld, st, ldu, prefetch and address conversions (PTX ISA 9.7.9.8 to 9.7.9.20).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "Cluster.h"
#include "Decoder.h"

#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

/// Splits the lanes by space: one group unless the address is generic and mixed.
template <class Visit>
void forEachSpace(Warp &warp, const Instr &in, uint32_t mask, uint64_t *addresses, Visit visit) {
  laneAddresses(warp, in, mask, addresses);
  if (in.space != Space::Generic)
    return visit(in.space, mask);
  uint32_t groups[6] = {};
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      groups[static_cast<int>(splitGeneric(addresses[lane]))] |= 1u << lane;
  for (int space = 0; space < 6; ++space)
    if (groups[space])
      visit(static_cast<Space>(space), groups[space]);
}

void toRegister(Warp &warp, const Instr &in, uint32_t slot, int lane, const uint8_t *bytes) {
  if (in.bytes == 16) {
    std::memcpy(warp.reg<uint64_t>(slot) + lane, bytes, 8);
    std::memcpy(warp.reg<uint64_t>(slot + 2) + lane, bytes + 8, 8);
    return;
  }
  uint64_t value = 0;
  std::memcpy(&value, bytes, in.bytes);
  if (in.variant && in.bytes < 8) { // signed: extend to the register
    int shift = 64 - 8 * in.bytes;
    value = static_cast<uint64_t>(static_cast<int64_t>(value << shift) >> shift);
  }
  if (in.variant2 == 64)
    warp.reg<uint64_t>(slot)[lane] = value;
  else
    warp.reg<uint32_t>(slot)[lane] = static_cast<uint32_t>(value);
}

void load(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  alignas(32) uint8_t data[kLanes][kMaxLaneBytes];
  uint32_t good = 0, total = in.bytes * static_cast<uint32_t>(in.list.size());
  if (in.isFlag)
    passFlag(warp, true);
  forEachSpace(warp, in, mask, addresses,
               [&](Space space, uint32_t lanes) { good |= loadLanes(warp, in, lanes, space, addresses, total, data); });
  bool words = in.bytes == 4 && in.variant2 != 64 && mask == kAllLanes; // the common case, without asking lane by lane
  for (size_t i = 0; i < in.list.size(); ++i) {
    for (int lane = 0; lane < kLanes && words; ++lane)
      std::memcpy(warp.reg<uint32_t>(in.list[i]) + lane, data[lane] + 4 * i, 4);
    for (int lane = 0; lane < kLanes && !words; ++lane)
      if (mask >> lane & 1)
        toRegister(warp, in, in.list[i], lane, data[lane] + i * in.bytes);
    warp.setInit(in.list[i], mask, good);
  }
}

void store(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  alignas(32) uint8_t data[kLanes][kMaxLaneBytes];
  uint32_t total = in.bytes * static_cast<uint32_t>(in.list.size());
  uint32_t good = mask;
  if (in.isFlag)
    passFlag(warp, false);
  for (size_t i = 0; i < in.list.size(); ++i) {
    uint32_t slot = in.list[i];
    good &= warp.init[slot];
    for (int lane = 0; lane < kLanes; ++lane) {
      uint8_t *to = data[lane] + i * in.bytes;
      if (in.bytes == 16) {
        std::memcpy(to, warp.reg<uint64_t>(slot) + lane, 8);
        std::memcpy(to + 8, warp.reg<uint64_t>(slot + 2) + lane, 8);
      } else if (in.variant2 == 64) {
        std::memcpy(to, warp.reg<uint64_t>(slot) + lane, in.bytes);
      } else {
        std::memcpy(to, warp.reg<uint32_t>(slot) + lane, in.bytes);
      }
    }
  }
  forEachSpace(warp, in, mask, addresses, [&](Space space, uint32_t lanes) {
    if (warp.checks && space == Space::Global && (lanes & ~good))
      for (uint32_t slot : in.list)
        requireInit(warp, in, slot, lanes, "as the value of a store to global memory");
    storeLanes(warp, in, lanes, space, addresses, total, data);
    // What was never written stays so when it is copied into shared memory.
    if (warp.checks && space == Space::Shared)
      for (int lane = 0; lane < kLanes; ++lane)
        if ((lanes & ~good) >> lane & 1)
          for (size_t i = 0; i < in.list.size(); ++i)
            if (!(warp.init[in.list[i]] >> lane & 1)) {
              SharedPlace place = sharedPlace(warp, in, lane, addresses[lane] + i * in.bytes, in.takesPeers);
              std::memset(&place.block->shared.shadow[place.offset], kByteUnwritten, in.bytes);
            }
  });
}

void nothing(Warp &, const Instr &, uint32_t) {}

void fence(Warp &warp, const Instr &, uint32_t) { fenceCluster(warp); }

/// cvta: between a window's offset and a generic address.
void convertAddress(Warp &warp, const Instr &in, uint32_t mask) {
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t value = in.wideAddress ? warp.reg<uint64_t>(in.src[0])[lane] : warp.reg<uint32_t>(in.src[0])[lane];
    value += static_cast<uint64_t>(in.offset);
    if (in.variant2 == 64)
      warp.reg<uint64_t>(in.dst)[lane] = value;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(value);
  }
}

void isSpace(Warp &warp, const Instr &in, uint32_t mask) {
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    uint64_t value = warp.reg<uint64_t>(in.src[0])[lane];
    bool isIn = splitGeneric(value) == in.space;
    // .shared::cta lies in .shared::cluster; a peer's address is in the latter only.
    uint64_t rank = value >> kPeerShift;
    if (isIn && in.space == Space::Shared && !in.takesPeers)
      isIn = rank == 0 || rank == warp.block->rank + 1;
    bits |= static_cast<uint32_t>(isIn) << lane;
  }
  uint32_t *word = warp.reg<uint32_t>(in.dst);
  *word = (*word & ~mask) | (bits & mask);
}

Space takeSpace(Decoder &d, bool &wasNamed) {
  static const std::pair<const char *, Space> names[] = {
      {"global", Space::Global},      {"shared", Space::Shared},     {"shared::cta", Space::Shared},
      {"local", Space::Local},        {"const", Space::Const},       {"param", Space::Param},
      {"param::entry", Space::Param}, {"param::func", Space::Param},
  };
  wasNamed = true;
  for (const auto &[name, space] : names)
    if (d.take(name))
      return space;
  d.out().takesPeers = true;
  if (d.take("shared::cluster"))
    return Space::Shared;
  wasNamed = false;
  return Space::Generic;
}

uint64_t windowOf(Space space) {
  switch (space) {
  case Space::Shared:
    return kSharedWindow;
  case Space::Local:
    return kLocalWindow;
  case Space::Param:
    return kParamWindow;
  default:
    return 0;
  }
}

bool decodeLoadStore(Decoder &d, bool isStore) {
  Instr &in = d.out();
  bool named;
  Space space = takeSpace(d, named);
  bool ordered = false;
  for (const char *mod : {"volatile", "relaxed", "acquire", "release", "mmio"})
    ordered |= d.take(mod);
  d.take("weak");
  for (const char *mod : {"cta", "cluster", "gpu", "sys", "nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "unified"})
    d.take(mod);
  // Hints of caches change no result.
  bool hasPolicy = d.take("L2::cache_hint");
  while (!d.takePrefix("L1::").empty() || !d.takePrefix("L2::").empty()) {
  }
  int vector = d.take("v2") ? 2 : d.take("v4") ? 4 : d.take("v8") ? 8 : 1;
  Type type = d.requireType();
  d.expectOperands(hasPolicy ? 3 : 2, hasPolicy ? 3 : 2);
  if (hasPolicy)
    d.source(d.operand(2), Type::B64); // any policy serves: there is no cache
  const Operand &data = d.operand(isStore ? 1 : 0);
  const Operand &address = d.operand(isStore ? 0 : 1);
  in.handler = isStore ? store : load;
  in.ownInit = true;
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  in.variant = isSignedInteger(type);
  if (static_cast<uint32_t>(in.bytes * vector) > kMaxLaneBytes)
    d.fail("vectors above 32 bytes do not exist");
  d.address(address, space);
  in.space = space;
  std::vector<Operand> single{data};
  const std::vector<Operand> &elements = data.kind == Operand::Vector ? data.elements : single;
  if (static_cast<int>(elements.size()) != vector)
    d.fail(fmt::format("the vector has {} elements, the instruction {}", elements.size(), vector));
  for (const Operand &element : elements) {
    int bits = typeBits(type);
    Type declared = d.registerType(element);
    if (element.kind == Operand::Register) {
      // Loads and stores take registers wider than the type (PTX ISA 6.4.1, operand size exceeding instruction type
      // size).
      if (declared == Type::Pred || typeBits(declared) < bits)
        d.fail(fmt::format("register '{}' has {} bits, the memory element {}", element.name, typeBits(declared), bits));
      bits = typeBits(declared);
    } else if (element.kind != Operand::Sink && !isStore) {
      d.fail("the result of a load must be a register");
    }
    in.variant2 = bits == 64 ? 64 : bits == 128 ? 128 : 32;
    if (element.kind == Operand::Sink)
      in.list.push_back(kSinkSlot);
    else
      in.list.push_back(isStore ? d.source(element, element.kind == Operand::Register ? declared : type)
                                : d.destination(element, declared));
  }
  in.isFlag = ordered;
  bool isShared = space == Space::Shared;
  if (ordered && (isShared || space == Space::Generic))
    d.result().sharesByFlags = true;
  in.instrClass = space == Space::Param || space == Space::Local ? InstrClass::Move
                  : isShared ? (isStore ? InstrClass::SharedStore : InstrClass::SharedLoad)
                             : (isStore ? InstrClass::GlobalStore : InstrClass::GlobalLoad);
  return true;
}

} // namespace

bool decodeMemory(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  if (op == "ld" || op == "ldu" || op == "st")
    return decodeLoadStore(d, op == "st");
  if (op == "pmevent") { // counts in a profiler (PTX ISA 9.7.19.3)
    d.take("mask");
    d.expectOperands(1, 1);
    in.handler = nothing;
    in.ownInit = true;
    in.instrClass = InstrClass::Control;
    return true;
  }
  if (op == "cvta") {
    bool to = d.take("to"), named;
    Space space = takeSpace(d, named);
    Type type = d.requireType();
    if (!named)
      d.fail("cvta needs a state space");
    d.expectOperands(2, 2);
    const Operand &from = d.operand(1);
    in.handler = convertAddress;
    in.wideAddress = typeBits(type) == 64;
    in.variant2 = static_cast<uint8_t>(typeBits(type));
    in.dst = d.destination(d.operand(0), type);
    in.src[0] = d.source(from, type);
    in.offset = static_cast<int64_t>(to ? 0 - windowOf(space) : windowOf(space));
    in.instrClass = InstrClass::Integer;
    return true;
  }
  if (op == "isspacep") {
    bool named;
    Space space = takeSpace(d, named);
    d.expectOperands(2, 2);
    in.handler = isSpace;
    in.space = space;
    in.dst = d.predicateDestination(d.operand(0));
    in.src[0] = d.source(d.operand(1), Type::U64);
    in.instrClass = InstrClass::Integer;
    return true;
  }
  if (op == "membar" || op == "fence") {
    // Fences of the async proxy, of mbarrier.init and of tensor maps are in BulkCopy.cpp. No other proxy changes a result here.
    if (d.take("proxy")) {
      if (!d.take("alias"))
        return false;
      d.expectOperands(0, 0);
    }
    bool isNarrow = d.take("cta");
    for (const char *mod : {"gl", "gpu", "sys", "cluster", "sc", "acq_rel", "acquire", "release", "sync_restrict::shared::cta",
                            "sync_restrict::shared::cluster"}) // a fence of everything does what a restricted one does
      d.take(mod);
    in.handler = isNarrow ? nothing : fence;
    in.ownInit = true;
    in.instrClass = InstrClass::Barrier;
    return true;
  }
  return false;
}

} // namespace emulator
} // namespace fourfold
