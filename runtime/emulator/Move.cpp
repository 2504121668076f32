// mov in all its forms (PTX ISA 9.7.9.3, 9.7.9.4), special registers that change over time.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include <chrono>
#include <cstring>
#include <fmt/format.h>

namespace fourfold {
namespace emulator {

namespace {

struct Copy {
  template <class T>
  static FOURFOLD_INLINE T apply(T a) {
    return a;
  }
};

uint64_t readPart(const Warp &warp, uint32_t slot, int bits, int lane) {
  if (bits == 64)
    return warp.reg<uint64_t>(slot)[lane];
  uint64_t value = warp.reg<uint32_t>(slot)[lane];
  return bits == 32 ? value : value & ((uint64_t{1} << bits) - 1);
}

/// mov.b64 %rd, {%r0, %r1}: parts in `list`, each `variant` bits, low part first.
void pack(Warp &warp, const Instr &in, uint32_t mask) {
  int part = in.variant;
  uint32_t good = mask;
  for (uint32_t slot : in.list)
    good &= warp.init[slot];
  for (int lane = 0; lane < kLanes; ++lane) {
    if (!(mask >> lane & 1))
      continue;
    uint64_t words[2] = {0, 0};
    int at = 0;
    for (uint32_t slot : in.list) {
      words[at / 64] |= readPart(warp, slot, part, lane) << (at % 64);
      at += part;
    }
    if (in.variant2 <= 32)
      warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(words[0]);
    else
      warp.reg<uint64_t>(in.dst)[lane] = words[0];
    if (in.variant2 == 128)
      warp.reg<uint64_t>(in.dst + 2)[lane] = words[1];
  }
  warp.setInit(in.dst, mask, good);
}

/// mov.b64 {%r0, %r1}, %rd.
void unpack(Warp &warp, const Instr &in, uint32_t mask) {
  int part = in.variant;
  uint32_t good = warp.init[in.src[0]];
  // The source may also be a destination: read all before writing.
  uint64_t words[kLanes][2];
  for (int lane = 0; lane < kLanes; ++lane) {
    words[lane][0] = readPart(warp, in.src[0], in.variant2 <= 32 ? 32 : 64, lane);
    words[lane][1] = in.variant2 == 128 ? warp.reg<uint64_t>(in.src[0] + 2)[lane] : 0;
  }
  int at = 0;
  for (uint32_t slot : in.list) {
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      uint64_t value = words[lane][at / 64] >> (at % 64);
      if (part == 64)
        warp.reg<uint64_t>(slot)[lane] = value;
      else
        warp.reg<uint32_t>(slot)[lane] = static_cast<uint32_t>(value & ((uint64_t{1} << part) - 1));
    }
    warp.setInit(slot, mask, good);
    at += part;
  }
}

void copy128(Warp &warp, const Instr &in, uint32_t mask) {
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      for (uint32_t half = 0; half < 4; half += 2)
        warp.reg<uint64_t>(in.dst + half)[lane] = warp.reg<uint64_t>(in.src[0] + half)[lane];
}

uint64_t nanoseconds() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// Clocks advance and never stand still, which is all that a program may rely on.
void readClock(Warp &warp, const Instr &in, uint32_t mask) {
  uint64_t value = nanoseconds();
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1) {
      if (in.variant2 == 64)
        warp.reg<uint64_t>(in.dst)[lane] = value;
      else
        warp.reg<uint32_t>(in.dst)[lane] = static_cast<uint32_t>(in.variant ? value >> 32 : value);
    }
}

bool isClock(const std::string &name) {
  return name == "%clock" || name == "%clock64" || name == "%clock_hi" || name == "%globaltimer" ||
         name == "%globaltimer_lo" || name == "%globaltimer_hi";
}

bool decodeVector(Decoder &d, Type type) {
  Instr &in = d.out();
  const Operand &to = d.operand(0), &from = d.operand(1);
  bool isPack = from.kind == Operand::Vector;
  const std::vector<Operand> &parts = isPack ? from.elements : to.elements;
  int bits = typeBits(type), part = bits / static_cast<int>(parts.size());
  Type partType = part == 64   ? Type::B64
                  : part == 32 ? Type::B32
                  : part == 16 ? Type::B16
                  : part == 8  ? Type::B8
                               : Type::None;
  if (partType == Type::None || (parts.size() != 2 && parts.size() != 4))
    d.fail(fmt::format("a vector of {} parts does not make {} bits", parts.size(), bits));
  in.variant = static_cast<uint8_t>(part);
  in.variant2 = static_cast<uint8_t>(bits);
  in.ownInit = true;
  in.handler = isPack ? pack : unpack;
  for (const Operand &element : parts)
    in.list.push_back(isPack ? d.source(element, partType) : d.destination(element, partType));
  if (isPack)
    in.dst = d.destination(to, type);
  else
    in.src[0] = d.source(from, type);
  return true;
}

} // namespace

bool decodeMove(Decoder &d) {
  if (d.ast().opcode != "mov")
    return false;
  for (const std::string &mod : d.ast().mods)
    if (mod == "pred")
      return false;
  Type type = d.requireType();
  d.expectOperands(2, 2);
  Instr &in = d.out();
  in.instrClass = InstrClass::Move;
  const Operand &to = d.operand(0), &from = d.operand(1);
  if (to.kind == Operand::Vector || from.kind == Operand::Vector)
    return decodeVector(d, type);
  if (from.kind == Operand::Special && isClock(from.name)) {
    in.handler = readClock;
    in.variant = from.name.find("_hi") != std::string::npos;
    in.variant2 = static_cast<uint8_t>(typeBits(type));
    in.dst = d.destination(to, type);
    return true;
  }
  in.dst = d.destination(to, type);
  in.src[0] = d.source(from, type);
  if (type == Type::B128)
    in.handler = copy128;
  else
    in.handler = typeBits(type) == 64 ? unary<Copy, uint64_t, uint64_t>() : unary<Copy, uint32_t, uint32_t>();
  return true;
}

} // namespace emulator
} // namespace fourfold
