// Instructions about ranges of memory: prefetch, applypriority, discard, createpolicy, st.bulk (PTX ISA 9.7.9.12, .15 to .20).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Access.h"
#include "Lanes.h"

#include "runtime/device/Driver.h"

#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

void prefetchCheck(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[0], mask, "as an address");
}

/// An opaque value that only cache hints read.
void makePolicy(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t *d = warp.reg<uint64_t>(in.dst);
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = 0;
}

template <class Visit>
void eachAddress(Warp &warp, const Instr &in, uint32_t mask, Visit visit) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    Space space = in.space == Space::Generic ? splitGeneric(addresses[lane]) : in.space;
    visit(lane, space, addresses[lane]);
  }
}

/// discard.L2: what the 128 bytes hold is lost until they are written again; applypriority.L2 leaves them.
void discard(Warp &warp, const Instr &in, uint32_t mask) {
  eachAddress(warp, in, mask, [&](int lane, Space space, uint64_t address) {
    if (space != Space::Global)
      report(warp, in, lane, device::kErrorIllegalAddress, fmt::format("address {:#x} is not in global memory", address));
    if (address % 128)
      report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("address {:#x} is not a multiple of 128", address));
    for (uint64_t part = 0; part < 128; part += 16) {
      LanePointer pointer = checkedPointer(warp, in, lane, space, address + part, 16, in.variant ? AccessKind::Write : AccessKind::Read);
      if (in.variant && pointer.shadow)
        std::memset(pointer.shadow, kByteUnwritten, 16);
    }
  });
}

/// st.bulk: zeros in shared memory.
void storeZeros(Warp &warp, const Instr &in, uint32_t mask) {
  requireInit(warp, in, in.src[1], mask, "as a size");
  eachAddress(warp, in, mask, [&](int lane, Space space, uint64_t address) {
    uint64_t size = warp.reg<uint64_t>(in.src[1])[lane];
    if (space != Space::Shared)
      report(warp, in, lane, device::kErrorIllegalAddress, fmt::format("address {:#x} is not in shared memory", address));
    if (size % 8 || address % 8)
      report(warp, in, lane, device::kErrorMisalignedAddress, fmt::format("{} bytes at shared address {:#x}: both must be multiples of 8", size, address));
    for (uint64_t part = 0; part < size; part += 8) {
      LanePointer pointer = checkedPointer(warp, in, lane, space, address + part, 8, AccessKind::Write);
      std::memset(pointer.data, 0, 8);
      if (pointer.shadow)
        std::memset(pointer.shadow, kByteWritten, 8);
    }
  });
}

bool decodePolicy(Decoder &d) {
  Instr &in = d.out();
  bool isRange = d.take("range");
  if (isRange || d.take("fractional")) {
    if (isRange)
      d.take("global");
    while (!d.takePrefix("L2::").empty()) {
    }
    d.requireType();
    d.expectOperands(isRange ? 4 : 1, isRange ? 4 : 2);
    if (isRange) {
      Space space = Space::Generic;
      d.address(d.operand(1), space);
      for (size_t i = 2; i < 4; ++i)
        in.src[i - 1] = d.source32(d.operand(i));
    }
  } else if (d.take("cvt")) {
    if (!d.take("L2"))
      return false;
    d.requireType();
    d.expectOperands(2, 2);
  } else {
    return false;
  }
  in.handler = makePolicy;
  in.dst = d.destination(d.operand(0), Type::B64);
  return true;
}

} // namespace

bool decodeMemoryRange(Decoder &d) {
  const std::string &op = d.ast().opcode;
  Instr &in = d.out();
  if (op == "createpolicy")
    return decodePolicy(d);
  if (op == "st" && d.take("bulk")) {
    d.take("weak");
    Space space = d.take("shared::cta") || d.take("shared") ? Space::Shared : Space::Generic;
    d.expectOperands(2, 3);
    d.address(d.operand(0), space);
    in.src[1] = d.source(d.operand(1), Type::U64);
    if (d.numOperands() == 3 && (d.operand(2).kind != Operand::Integer || d.operand(2).value != 0))
      d.fail("the value of st.bulk is 0");
    in.space = space;
    in.handler = storeZeros;
    in.instrClass = InstrClass::SharedStore;
    return true;
  }
  bool isDiscard = op == "discard", isPriority = op == "applypriority";
  if (op != "prefetch" && op != "prefetchu" && !isDiscard && !isPriority)
    return false;
  Space space = Space::Generic;
  if (d.take("global"))
    space = Space::Global;
  else if (d.take("local"))
    space = Space::Local;
  else if (d.take("const") || d.take("param"))
    space = Space::Generic; // with .tensormap, only a hint
  in.instrClass = InstrClass::GlobalLoad;
  in.space = space;
  if (isDiscard || isPriority) {
    if (isDiscard ? !d.take("L2") : !d.take("L2::evict_normal"))
      return false;
    d.expectOperands(2, 2);
    if (d.operand(1).kind != Operand::Integer || d.operand(1).value != 128)
      d.fail(fmt::format("the size of {} is 128", op));
    d.address(d.operand(0), space);
    in.variant = isDiscard;
    in.handler = discard;
    return true;
  }
  if (!d.take("L1") && !d.take("L2") && d.takePrefix("L2::").empty())
    return false;
  d.expectOperands(1, 1);
  d.address(d.operand(0), space);
  in.handler = prefetchCheck;
  in.ownInit = true;
  return true;
}

} // namespace emulator
} // namespace fourfold
