// atom and red (PTX ISA 9.7.13.13, 9.7.13.14).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Atomic.h"

#include "Access.h"
#include "Cluster.h"
#include "Decoder.h"
#include "SmallFloat.h"
#include "Traffic.h"

#include "runtime/device/Driver.h"

#include <cmath>
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <mutex>

namespace fourfold {
namespace emulator {

namespace {

template <class T>
T bitsTo(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

uint32_t addHalf(uint32_t a, uint32_t b, bool brain) {
  using namespace numerics;
  if (brain)
    return encodeBF16(decodeBF16(static_cast<uint16_t>(a)) + decodeBF16(static_cast<uint16_t>(b)));
  return encodeF16(decodeF16(static_cast<uint16_t>(a)) + decodeF16(static_cast<uint16_t>(b)));
}

/// Minimum or maximum of two halves; a NaN loses against a number.
uint32_t extremeHalf(uint32_t a, uint32_t b, bool brain, bool isMin) {
  using namespace numerics;
  float x = brain ? decodeBF16(static_cast<uint16_t>(a)) : decodeF16(static_cast<uint16_t>(a));
  float y = brain ? decodeBF16(static_cast<uint16_t>(b)) : decodeF16(static_cast<uint16_t>(b));
  if (std::isnan(x) || std::isnan(y))
    return std::isnan(x) ? (std::isnan(y) ? 0x7fff : b) : a;
  if (x == y)
    return std::signbit(x) == isMin ? a : b;
  return (x < y) == isMin ? a : b;
}

uint64_t combine(AtomicOp op, Type type, uint64_t old, uint64_t b, uint64_t c) {
  switch (op) {
  case AtomicOp::Add:
    switch (type) {
    case Type::F32:
      return numerics::floatBits(bitsTo<float>(old) + bitsTo<float>(b));
    case Type::F64: {
      double sum = bitsTo<double>(old) + bitsTo<double>(b);
      uint64_t bits;
      std::memcpy(&bits, &sum, 8);
      return bits;
    }
    case Type::F16:
    case Type::BF16:
      return addHalf(static_cast<uint32_t>(old), static_cast<uint32_t>(b), type == Type::BF16);
    case Type::F16x2:
    case Type::BF16x2: {
      bool brain = type == Type::BF16x2;
      return addHalf(static_cast<uint32_t>(old & 0xffff), static_cast<uint32_t>(b & 0xffff), brain) |
             addHalf(static_cast<uint32_t>(old >> 16), static_cast<uint32_t>(b >> 16), brain) << 16;
    }
    default:
      return old + b;
    }
  case AtomicOp::Min:
  case AtomicOp::Max: {
    bool less, brain = type == Type::BF16 || type == Type::BF16x2;
    if (type == Type::F16 || type == Type::BF16)
      return extremeHalf(static_cast<uint32_t>(old), static_cast<uint32_t>(b), brain, op == AtomicOp::Min);
    if (type == Type::F16x2 || type == Type::BF16x2)
      return extremeHalf(old & 0xffff, b & 0xffff, brain, op == AtomicOp::Min) |
             extremeHalf(static_cast<uint32_t>(old >> 16), static_cast<uint32_t>(b >> 16), brain, op == AtomicOp::Min) << 16;
    if (type == Type::S32)
      less = static_cast<int32_t>(b) < static_cast<int32_t>(old);
    else if (type == Type::S64)
      less = static_cast<int64_t>(b) < static_cast<int64_t>(old);
    else
      less = b < old;
    return less == (op == AtomicOp::Min) ? b : old;
  }
  case AtomicOp::And:
    return old & b;
  case AtomicOp::Or:
    return old | b;
  case AtomicOp::Xor:
    return old ^ b;
  case AtomicOp::Exch:
    return b;
  case AtomicOp::Cas:
    return old == b ? c : old;
  case AtomicOp::Inc:
    return static_cast<uint32_t>(old) >= static_cast<uint32_t>(b) ? 0 : old + 1;
  case AtomicOp::Dec:
    return old == 0 || static_cast<uint32_t>(old) > static_cast<uint32_t>(b) ? b : old - 1;
  }
  return old;
}

template <class T>
uint64_t exchange(uint8_t *address, AtomicOp op, Type type, uint64_t b, uint64_t c) {
  T *word = reinterpret_cast<T *>(address);
  T old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
  // Blocks run on several host threads, so even this must be a host atomic.
  while (!__atomic_compare_exchange_n(word, &old, static_cast<T>(combine(op, type, old, b, c)), false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST)) {
  }
  return old;
}

/// Checks an access of one lane; its bytes count as written from then on.
uint8_t *access(Warp &warp, const Instr &in, int lane, uint64_t address, uint32_t bytes, bool reads) {
  Space space = in.space == Space::Generic ? splitGeneric(address) : in.space;
  LanePointer pointer = checkedPointer(warp, in, lane, space, address, bytes, AccessKind::Atomic);
  if (warp.checks && pointer.shadow && reads)
    for (uint32_t i = 0; i < bytes; ++i)
      if (pointer.shadow[i] == kByteUnwritten)
        report(warp, in, lane, device::kErrorLaunchFailed,
               fmt::format("atomic operation on memory that was never written, at address {:#x}", address));
  if (pointer.shadow)
    std::memset(pointer.shadow, kByteWritten, bytes);
  return pointer.data;
}

/// Addresses of one space at a time: a generic one may lie in shared memory.
void count(Warp &warp, const Instr &in, uint32_t mask, const uint64_t *addresses, uint32_t bytes) {
  uint32_t shared = in.space == Space::Shared ? mask : 0;
  uint64_t local[kLanes];
  std::copy_n(addresses, kLanes, local);
  if (in.space == Space::Generic)
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
      int lane = __builtin_ctz(rest);
      if (splitGeneric(local[lane]) == Space::Shared)
        shared |= 1u << lane;
    }
  if (shared)
    countShared(warp.block->counters.sharedAtomics, shared, local, bytes);
  if (mask & ~shared)
    countGlobal(*warp.block, GlobalAccess::Atomic, mask & ~shared, local, bytes);
}

/// .v2, .v4, .v8: each element on its own, in no order among each other. list: operands, list2: results.
void atomicVector(Warp &warp, const Instr &in, uint32_t mask) {
  passFlag(warp, in.flags);
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  for (uint32_t slot : in.list)
    requireInit(warp, in, slot, mask, "as an operand of an atomic operation");
  AtomicOp op = static_cast<AtomicOp>(in.variant);
  Type type = static_cast<Type>(in.variant2);
  uint32_t all = in.bytes * static_cast<uint32_t>(in.list.size());
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint8_t *data = access(warp, in, lane, addresses[lane], all, true);
    for (size_t i = 0; i < in.list.size(); ++i, data += in.bytes) {
      uint64_t b = warp.reg<uint32_t>(in.list[i])[lane];
      uint64_t old = in.bytes == 2 ? exchange<uint16_t>(data, op, type, b & 0xffff, 0) : exchange<uint32_t>(data, op, type, b, 0);
      if (!in.list2.empty())
        warp.reg<uint32_t>(in.list2[i])[lane] = static_cast<uint32_t>(old);
    }
  }
  for (uint32_t slot : in.list2)
    warp.setInit(slot, mask, mask);
  count(warp, in, mask, addresses, all);
}

/// .b128: exchange and compare-and-swap.
void atomicWide(Warp &warp, const Instr &in, uint32_t mask) {
  passFlag(warp, in.flags);
  static std::mutex mutex; // not every host has an atomic of 16 bytes
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  bool isCas = static_cast<AtomicOp>(in.variant) == AtomicOp::Cas;
  for (int i = 1; i <= 1 + isCas; ++i)
    requireInit(warp, in, in.src[i], mask, "as an operand of an atomic operation");
  // A 128-bit register is two of 64 bits: the lower halves of all lanes, then the upper ones.
  auto get = [&](uint32_t slot, int lane, uint64_t *halves) {
    halves[0] = warp.reg<uint64_t>(slot)[lane];
    halves[1] = warp.reg<uint64_t>(slot + 2)[lane];
  };
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    uint8_t *data = access(warp, in, lane, addresses[lane], 16, isCas);
    uint64_t old[2], compare[2], value[2];
    get(in.src[1], lane, compare);
    get(in.src[isCas ? 2 : 1], lane, value);
    std::lock_guard<std::mutex> lock(mutex);
    std::memcpy(old, data, 16);
    if (!isCas || std::memcmp(old, compare, 16) == 0)
      std::memcpy(data, value, 16);
    warp.reg<uint64_t>(in.dst)[lane] = old[0];
    warp.reg<uint64_t>(in.dst + 2)[lane] = old[1];
  }
  warp.setInit(in.dst, mask, mask);
  count(warp, in, mask, addresses, 16);
}

void atomic(Warp &warp, const Instr &in, uint32_t mask) {
  passFlag(warp, in.flags);
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as an operand of an atomic operation");
  if (in.src[2] != kZeroSlot)
    requireInit(warp, in, in.src[2], mask, "as an operand of an atomic operation");
  AtomicOp op = static_cast<AtomicOp>(in.variant);
  Type type = static_cast<Type>(in.variant2);
  uint32_t bytes = in.bytes;
  bool wide = bytes == 8;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint8_t *data = access(warp, in, lane, addresses[lane], bytes, op != AtomicOp::Exch);
    uint64_t b = wide ? warp.reg<uint64_t>(in.src[1])[lane] : warp.reg<uint32_t>(in.src[1])[lane];
    uint64_t c = wide ? warp.reg<uint64_t>(in.src[2])[lane] : warp.reg<uint32_t>(in.src[2])[lane];
    uint64_t old;
    if (bytes == 2)
      old = exchange<uint16_t>(data, op, type, b & 0xffff, c & 0xffff);
    else if (bytes == 4)
      old = exchange<uint32_t>(data, op, type, b, c);
    else
      old = exchange<uint64_t>(data, op, type, b, c);
    if (wide)
      warp.reg<uint64_t>(in.dst)[lane] = old;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(old);
  }
  warp.setInit(in.dst, mask, mask);
  count(warp, in, mask, addresses, bytes);
}

} // namespace

void applyAtomic(uint8_t *address, AtomicOp op, Type type, uint64_t operand) {
  int bytes = typeBytes(type);
  if (bytes == 2)
    exchange<uint16_t>(address, op, type, operand, 0);
  else if (bytes == 4)
    exchange<uint32_t>(address, op, type, operand, 0);
  else
    exchange<uint64_t>(address, op, type, operand, 0);
}

bool decodeAtomic(Decoder &d) {
  const std::string &opcode = d.ast().opcode;
  bool isAtom = opcode == "atom";
  if (!isAtom && opcode != "red")
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::Atomic;
  in.handler = atomic;
  in.ownInit = true;
  Space space = d.take("global")                            ? Space::Global
                : d.take("shared") || d.take("shared::cta") ? Space::Shared
                                                            : Space::Generic;
  in.takesPeers = space == Space::Generic;
  if (in.takesPeers && d.take("shared::cluster"))
    space = Space::Shared;
  in.isFlag = true;
  in.flags = isAtom;
  for (const char *mod : {"relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys", "noftz"})
    d.take(mod);
  static const char *const names[] = {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"};
  int op = -1;
  for (int i = 0; i < 10; ++i)
    if (d.take(names[i]))
      op = i;
  size_t elements = d.take("v2") ? 2 : d.take("v4") ? 4 : d.take("v8") ? 8 : 1;
  bool hasPolicy = false; // a cache policy, the last operand, changes no result
  for (std::string hint; !(hint = d.takePrefix("L2::")).empty();)
    hasPolicy |= hint == "L2::cache_hint";
  Type type = d.requireType();
  bool isCas = op == static_cast<int>(AtomicOp::Cas), isExtreme = op == static_cast<int>(AtomicOp::Min) || op == static_cast<int>(AtomicOp::Max);
  bool isHalf = isFloat(type) && type != Type::F32 && type != Type::F64, isWide = typeBits(type) == 128;
  if (op < 0 || (isFloat(type) && op != static_cast<int>(AtomicOp::Add) && !(isExtreme && isHalf)))
    return false;
  if (typeBits(type) == 16 && !isCas && !isFloat(type))
    return false;
  if (isWide && (elements > 1 || (!isCas && op != static_cast<int>(AtomicOp::Exch))))
    return false;
  if (elements > 1 && (!isFloat(type) || type == Type::F64 || elements * static_cast<size_t>(typeBytes(type)) > 16))
    return false;
  in.variant = static_cast<uint8_t>(op);
  in.variant2 = static_cast<uint8_t>(type);
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  size_t first = isAtom ? 1 : 0;
  size_t count = first + (isCas ? 3 : 2) + hasPolicy;
  d.expectOperands(count, count);
  if (isAtom && elements == 1)
    in.dst = d.destination(d.operand(0), type);
  d.address(d.operand(first), space);
  in.space = space;
  if (space != Space::Global)
    d.result().sharesByFlags = true;
  if (elements > 1) {
    in.handler = atomicVector;
    for (size_t i = 0; i <= first; ++i) {
      const Operand &operand = d.operand(i == 0 ? first + 1 : 0);
      if (operand.kind != Operand::Vector || operand.elements.size() != elements)
        d.fail(fmt::format("the vectors must have {} elements", elements));
      for (const Operand &element : operand.elements)
        (i == 0 ? in.list : in.list2).push_back(i == 0 ? d.source(element, type) : d.destination(element, type));
    }
    return true;
  }
  in.src[1] = d.source(d.operand(first + 1), type);
  if (isCas)
    in.src[2] = d.source(d.operand(first + 2), type);
  if (isWide)
    in.handler = atomicWide;
  return true;
}

} // namespace emulator
} // namespace fourfold
