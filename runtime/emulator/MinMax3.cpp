// min and max of three single-precision values (PTX ISA 9.7.3.11, 9.7.3.12; sm_100 and later).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Lanes.h"

#include <cmath>

namespace fourfold {
namespace emulator {

namespace {

inline constexpr uint32_t kMax = 1, kFlush = 2, kPropagateNaN = 4, kAbsolute = 8;
constexpr uint32_t kNaN = 0x7fffffffu;

/// -0 is less than +0: patterns of one sign are ordered as their values.
int64_t rank(uint32_t bits) { return bits & 0x80000000u ? -static_cast<int64_t>(bits & 0x7fffffffu) - 1 : static_cast<int64_t>(bits); }
bool isNaN(uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }

uint32_t pick(uint32_t x, uint32_t y, uint32_t flags) {
  if (isNaN(x) || isNaN(y))
    return flags & kPropagateNaN || (isNaN(x) && isNaN(y)) ? kNaN : isNaN(x) ? y : x;
  return (rank(x) > rank(y)) == static_cast<bool>(flags & kMax) ? x : y;
}

void run(Warp &warp, const Instr &in, uint32_t mask) {
  const uint32_t *a = warp.reg<uint32_t>(in.src[0]), *b = warp.reg<uint32_t>(in.src[1]), *c = warp.reg<uint32_t>(in.src[2]);
  uint32_t *d = warp.reg<uint32_t>(in.dst);
  auto read = [&](uint32_t bits) {
    bits = in.flags & kAbsolute ? bits & 0x7fffffffu : bits;
    return in.flags & kFlush && !(bits & 0x7f800000u) ? bits & 0x80000000u : bits;
  };
  for (int lane = 0; lane < kLanes; ++lane)
    if (mask >> lane & 1)
      d[lane] = pick(pick(read(a[lane]), read(b[lane]), in.flags), read(c[lane]), in.flags);
}

} // namespace

bool decodeMinMax3(Decoder &d) {
  const std::string &op = d.ast().opcode;
  if ((op != "min" && op != "max") || d.numOperands() != 4 || !d.take("f32"))
    return false;
  Instr &in = d.out();
  in.instrClass = InstrClass::Float;
  in.handler = run;
  in.flags = (op == "max" ? kMax : 0) | (d.take("ftz") ? kFlush : 0) | (d.take("NaN") ? kPropagateNaN : 0) | (d.take("abs") ? kAbsolute : 0);
  in.dst = d.destination(d.operand(0), Type::F32);
  for (size_t i = 0; i < 3; ++i)
    in.src[i] = d.source(d.operand(i + 1), Type::F32);
  return true;
}

} // namespace emulator
} // namespace fourfold
