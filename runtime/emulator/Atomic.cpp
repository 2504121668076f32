// atom and red (PTX ISA 9.7.13.13, 9.7.13.14).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Atomic.h"

#include "Access.h"
#include "Decoder.h"
#include "SmallFloat.h"

#include "runtime/device/Driver.h"

#include <cstring>
#include <fmt/format.h>

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
    bool less;
    if (type == Type::F16 || type == Type::BF16) { // bulk reductions alone
      auto decode = [&](uint64_t bits) {
        return type == Type::F16 ? numerics::decodeF16(static_cast<uint16_t>(bits)) : numerics::decodeBF16(static_cast<uint16_t>(bits));
      };
      float x = decode(old), y = decode(b);
      if (x != x || y != y)
        return x != x && y != y ? 0x7fff : x != x ? b : old;
      less = y < x || (x == y && (b & 0x8000) > (old & 0x8000));
    } else if (type == Type::S32)
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

void atomic(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t addresses[kLanes];
  laneAddresses(warp, in, mask, addresses);
  requireInit(warp, in, in.src[1], mask, "as an operand of an atomic operation");
  if (in.src[2] != kZeroSlot)
    requireInit(warp, in, in.src[2], mask, "as an operand of an atomic operation");
  AtomicOp op = static_cast<AtomicOp>(in.variant);
  Type type = static_cast<Type>(in.variant2);
  uint32_t bytes = in.bytes, count = static_cast<uint32_t>(__builtin_popcount(mask));
  bool wide = bytes == 8;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t address = addresses[lane];
    Space space = in.space == Space::Generic ? splitGeneric(address) : in.space;
    LanePointer pointer = checkedPointer(warp, in, lane, space, address, bytes, AccessKind::Atomic);
    if (warp.checks && pointer.shadow && op != AtomicOp::Exch)
      for (uint32_t i = 0; i < bytes; ++i)
        if (pointer.shadow[i] == kByteUnwritten)
          report(warp, in, lane, device::kErrorLaunchFailed,
                 fmt::format("atomic operation on memory that was never written, at address {:#x}", address));
    uint64_t b = wide ? warp.reg<uint64_t>(in.src[1])[lane] : warp.reg<uint32_t>(in.src[1])[lane];
    uint64_t c = wide ? warp.reg<uint64_t>(in.src[2])[lane] : warp.reg<uint32_t>(in.src[2])[lane];
    uint64_t old;
    if (bytes == 2)
      old = exchange<uint16_t>(pointer.data, op, type, b & 0xffff, c & 0xffff);
    else if (bytes == 4)
      old = exchange<uint32_t>(pointer.data, op, type, b, c);
    else
      old = exchange<uint64_t>(pointer.data, op, type, b, c);
    if (pointer.shadow)
      std::memset(pointer.shadow, kByteWritten, bytes);
    if (wide)
      warp.reg<uint64_t>(in.dst)[lane] = old;
    else
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(old);
  }
  warp.setInit(in.dst, mask, mask);
  if (in.space != Space::Shared) {
    Counters &counters = warp.block->counters;
    uint64_t sectors = countSectors(mask, addresses, bytes);
    counters.globalBytesRead += uint64_t{count} * bytes;
    counters.globalBytesWritten += uint64_t{count} * bytes;
    counters.globalSectorsRead += sectors;
    counters.globalSectorsWritten += sectors;
  }
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
  for (const char *mod : {"relaxed", "acquire", "release", "acq_rel", "cta", "cluster", "gpu", "sys", "noftz"})
    d.take(mod);
  static const char *const names[] = {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"};
  int op = -1;
  for (int i = 0; i < 10; ++i)
    if (d.take(names[i]))
      op = i;
  Type type = d.requireType();
  bool isCas = op == static_cast<int>(AtomicOp::Cas);
  if (op < 0 || typeBits(type) > 64 || (isFloat(type) && op != static_cast<int>(AtomicOp::Add)))
    return false;
  if (typeBits(type) == 16 && !isCas && !isFloat(type))
    return false;
  in.variant = static_cast<uint8_t>(op);
  in.variant2 = static_cast<uint8_t>(type);
  in.bytes = static_cast<uint8_t>(typeBytes(type));
  size_t first = isAtom ? 1 : 0;
  d.expectOperands(first + (isCas ? 3 : 2), first + (isCas ? 3 : 2));
  if (isAtom)
    in.dst = d.destination(d.operand(0), type);
  d.address(d.operand(first), space);
  in.space = space;
  in.src[1] = d.source(d.operand(first + 1), type);
  if (isCas)
    in.src[2] = d.source(d.operand(first + 2), type);
  if (space != Space::Global)
    d.result().sharesByFlags = true;
  return true;
}

} // namespace emulator
} // namespace fourfold
